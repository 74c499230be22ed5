//! A disk that refuses while the gate runs, and works again: what is promised then, and that nothing acknowledged is lost.
//!
//! Guarantees: the real binary on real files. What refuses is the kernel: a limit on the size of files, which is there for
//! everybody; a file system that is full, where one can be mounted; a sync that fails, where there is strace.
//! Does not know: formats.

mod full;
mod kills;
mod refusals;
mod starts;
mod syncs;
mod tail;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::process::{Pid, Resource, getrlimit, prlimit};

use crate::support::{Answer, Call, Gate, Start, Upstream, list, refresh, until};

const TOKEN: &str = "/3rdparty/v1/auth/token";
const SESSIONS: &str = "/3rdparty/v1/auth/sessions";

const BROKEN: &str = "sessions cannot be written down";
const MENDED: &str = "sessions can be written down again";

#[track_caller]
fn gate(settings: &[(&str, &str)]) -> Gate {
    let start = Start::before(Upstream::start().address);
    settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start()
}

/// A gate that has just begun to write, and sessions of alice that it knows from before: all it has written so far is the
/// head of a segment.
#[track_caller]
fn rested(settings: &[(&str, &str)], pairs: usize) -> (Gate, Vec<Answer>) {
    let gate = gate(settings);
    let pairs = (0..pairs).map(|_| gate.alice(&["messages:list", "tokens:manage"])).collect();
    let gate = gate.restart();
    assert_eq!(segment(&data(&gate)).map(|segment| length(&segment)), Some(32));
    (gate, pairs)
}

/// From now on no file of the gate's can grow beyond so many bytes.
pub fn limit(gate: &Gate, bytes: u64) {
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = Some(bytes);
    set(gate.process(), limit);
}

pub fn lift_limit(gate: &Gate) {
    set(gate.process(), getrlimit(Resource::Fsize));
}

fn set(process: u32, limit: rustix::process::Rlimit) {
    let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
    prlimit(Some(process), Resource::Fsize, limit).unwrap();
}

fn data(gate: &Gate) -> PathBuf {
    gate.folder().join("data")
}

/// The segment of the journal that is written, if there is one.
pub fn segment(data: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_segment = |name: &String| name.strip_prefix("sessions.journal.").is_some_and(|end| end != "tmp");
    names.filter(is_segment).max().map(|name| data.join(name))
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

fn sign_in(gate: &Gate) -> Call {
    gate.post(TOKEN).basic("alice", "wonderland").json(&serde_json::json!({ "scopes": ["messages:list"] }))
}

fn revoke(gate: &Gate, pair: &Answer) -> Call {
    gate.call("DELETE", &format!("{TOKEN}/{}", pair.field("id"))).basic("alice", "wonderland")
}

/// The ids of alice's sessions.
#[track_caller]
fn sessions(gate: &Gate) -> Vec<String> {
    let listed = gate.get(SESSIONS).basic("alice", "wonderland").send().expect(200).json();
    let mut ids: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn session_of(pair: &Answer) -> String {
    pair.claims("access_token")["sid"].as_str().unwrap().to_owned()
}

/// Holds an answer to what is said while the disk takes nothing.
#[track_caller]
fn unwritten(answer: Answer) {
    let answer = answer.expect_refusal(503);
    assert_eq!(answer.field("error"), "temporarily_unavailable");
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=5).contains(&seconds), "Retry-After: {seconds}");
}

/// Waits until the gate writes again, which it finds out by itself. It looks every second; the limit of [`until`] leaves
/// room for a machine that has much else to do.
#[track_caller]
fn recovers(gate: &Gate) -> Answer {
    let start = Instant::now();
    let pair = until("the gate to recover", || Some(sign_in(gate).send()).filter(|answer| answer.status != 503));
    println!("recovered after {:?}", start.elapsed());
    until("it to be said", || (said(gate, MENDED) == said(gate, BROKEN)).then_some(()));
    pair.expect(201)
}

/// How many lines of the log so far have `part` in them.
fn said(gate: &Gate, part: &str) -> usize {
    gate.log().iter().filter(|line| line.contains(part)).count()
}

#[track_caller]
fn ended(gate: &Gate, pair: &Answer) {
    assert_eq!(list(gate, pair).expect_refusal(401).field("message"), "Token revoked");
    refresh(gate, pair).expect_refusal(401);
}
