//! `store restore`: an older copy takes the place of the store, and what it does not know is refused or adopted.

use std::fs;
use std::path::Path;
use std::process::Command;

use portcullis::clock;

use super::{damage, state};
use crate::support::{Answer, Ended, Gate, Run, Start, Upstream, list, refresh, until};

/// A life that went on after its files were copied, and has ended.
struct Lived {
    gate: Gate,
    /// As they are in the copy, and never used since.
    untouched: Answer,
    /// Revoked after the copy.
    revoked: Answer,
    /// Refreshed after the copy, twice, and what came of it.
    used: Answer,
    lost: [Answer; 2],
    /// Signed in after the copy.
    unknown: Answer,
    /// Between the copy and all that came after it.
    copied_at: u64,
}

fn seconds() -> u64 {
    clock::wall().as_secs()
}

/// Tokens tell whole seconds. Returns the new one.
fn next_second() -> u64 {
    let before = seconds();
    until("the next second", || Some(seconds()).filter(|now| *now > before))
}

#[track_caller]
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Copies the files of a gate that is killed for it, and starts it again.
#[track_caller]
fn back_up(mut gate: Gate, name: &str) -> Gate {
    gate.kill();
    let folder = gate.folder();
    copy(&folder.join("data"), &folder.join(name));
    gate.start_again()
}

fn revoke(gate: &Gate, pair: &Answer) {
    let token = format!("/3rdparty/v1/auth/token/{}", pair.field("id"));
    gate.call("DELETE", &token).basic("alice", "wonderland").send().expect(204);
}

impl Lived {
    #[track_caller]
    fn with(settings: &[(&str, &str)]) -> Self {
        let start = Start::before(Upstream::start().address);
        let gate = settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start();
        let [untouched, revoked, used] = [(); 3].map(|()| gate.alice(&["messages:list"]));
        let gate = back_up(gate, "backup");
        let copied_at = next_second();
        next_second();
        let first = refresh(&gate, &used).expect(200);
        let second = refresh(&gate, &first).expect(200);
        let unknown = gate.alice(&["messages:list"]);
        revoke(&gate, &revoked);
        let mut gate = gate;
        gate.stop();
        Self { gate, untouched, revoked, used, lost: [first, second], unknown, copied_at }
    }

    #[track_caller]
    fn to_its_end() -> Self {
        Self::with(&[])
    }

    #[track_caller]
    fn restored(self, arguments: &[&str]) -> (Self, Ended) {
        let ended = restore(&self.gate, &[&["--from", "backup"], arguments].concat()).expect(0);
        (Self { gate: self.gate.start_again(), ..self }, ended)
    }
}

#[track_caller]
fn restore(gate: &Gate, arguments: &[&str]) -> Ended {
    let ended = Run::new(&gate.folder(), &[&["store", "restore"], arguments].concat()).end();
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
    ended
}

/// A lost token is refused, and no session ends of that.
#[track_caller]
fn is_refused(gate: &Gate, pair: &Answer) {
    list(gate, pair).expect_refusal(401);
    refresh(gate, pair).expect_refusal(401);
}

/// The replaced folder.
#[track_caller]
fn aside(gate: &Gate) -> String {
    let names = fs::read_dir(gate.folder().join("data")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("replaced-")).max().expect("there is one")
}

#[test]
fn nothing_that_was_issued_in_the_lost_time_is_accepted() {
    let (lived, ended) = Lived::to_its_end().restored(&[]);
    for part in [
        "written: data/sessions.snapshot: 3 sessions, 0 ended ones\n",
        "replaced: what stood there is in data/replaced-",
        "backup: its newest record is of 20",
        "refused from now on: access and refresh tokens that were issued in that time\n",
        "alive again: ",
        "then: portcullis check",
    ] {
        assert!(ended.stdout.contains(part), "no {part}: {ended:#?}");
    }
    let gate = &lived.gate;
    for pair in [&lived.unknown, &lived.lost[0], &lived.lost[1]] {
        is_refused(gate, pair);
    }
    gate.wait_for_log("\"reason\":\"token_lost\"");
    gate.wait_for_log("\"event\":\"lost_token\"");
    // Those of the backup know nothing of it, also those whose newest token is in the second of its newest record.
    let next = refresh(gate, &lived.untouched).expect(200);
    list(gate, &next).expect(200);
    let again = refresh(gate, &lived.revoked).expect(200);
    list(gate, &again).expect(200);
    // One number, two tokens: the lost one proves no theft.
    let own = refresh(gate, &lived.used).expect(200);
    assert_eq!(own.claims("refresh_token")["jti"], lived.lost[0].claims("refresh_token")["jti"]);
    is_refused(gate, &lived.lost[0]);
    is_refused(gate, &lived.lost[1]);
    let own = refresh(gate, &own).expect(200);
    is_refused(gate, &lived.lost[0]);
    is_refused(gate, &lived.lost[1]);
    list(gate, &refresh(gate, &own).expect(200)).expect(200);
    // Theft is found out as ever.
    refresh(gate, &own).expect_refusal(401);
    refresh(gate, &lived.untouched).expect_refusal(401);
    // It outlives a snapshot and the next start.
    let gate = lived.gate.restart();
    is_refused(&gate, &lived.unknown);
    is_refused(&gate, &lived.lost[1]);
    let fresh = gate.alice(&["messages:list"]);
    list(&gate, &fresh).expect(200);
    refresh(&gate, &fresh).expect(200);
}

#[test]
fn a_lost_token_is_adopted_once() {
    let (lived, ended) = Lived::to_its_end().restored(&["--adopt"]);
    assert!(ended.stdout.contains("adopted: tokens that were issued in that time; a refresh token once"), "{ended:#?}");
    let gate = &lived.gate;
    for pair in [&lived.lost[1], &lived.unknown] {
        list(gate, pair).expect(200);
    }
    // Of a session that nobody knows nothing is left to go on with.
    refresh(gate, &lived.unknown).expect_refusal(401);
    let next = refresh(gate, &lived.lost[1]).expect(200);
    for _ in 0..2 {
        refresh(gate, &lived.lost[1]).expect_refusal(401);
        refresh(gate, &lived.lost[0]).expect_refusal(401);
    }
    list(gate, &next).expect(200);
    let next = refresh(gate, &next).expect(200);
    let gate = lived.gate.restart();
    refresh(&gate, &lived.lost[1]).expect_refusal(401);
    list(&gate, &refresh(&gate, &next).expect(200)).expect(200);
}

#[test]
fn a_session_that_has_gone_on_adopts_nothing() {
    let (lived, _) = Lived::to_its_end().restored(&["--adopt"]);
    let gate = &lived.gate;
    let own = refresh(gate, &lived.used).expect(200);
    refresh(gate, &lived.lost[1]).expect_refusal(401);
    refresh(gate, &lived.lost[0]).expect_refusal(401);
    refresh(gate, &own).expect(200);
}

#[test]
fn an_answer_that_got_lost_after_an_adoption_is_given_again() {
    let (lived, _) = Lived::with(&[("token.retry_window", "60s")]).restored(&["--adopt"]);
    let first = refresh(&lived.gate, &lived.lost[1]).expect(200);
    let own = refresh(&lived.gate, &lived.untouched).expect(200);
    let mut gate = lived.gate;
    gate.kill();
    let gate = gate.start_again();
    for (token, answer) in [(&lived.lost[1], &first), (&lived.untouched, &own)] {
        let again = refresh(&gate, token).expect(200);
        assert_eq!(again.field("refresh_token"), answer.field("refresh_token"));
    }
    refresh(&gate, &lived.lost[0]).expect_refusal(401);
    refresh(&gate, &first).expect(200);
}

#[test]
fn what_was_issued_after_a_time_is_refused_though_adopted() {
    let lived = Lived::to_its_end();
    let after = lived.copied_at.to_string();
    let (lived, ended) = lived.restored(&["--adopt", "--revoke-issued-after", &after]);
    assert!(ended.stdout.contains("ended: 0 sessions of the backup"), "{ended:#?}");
    let gate = &lived.gate;
    for pair in [&lived.unknown, &lived.lost[0], &lived.lost[1]] {
        is_refused(gate, pair);
    }
    for pair in [&lived.untouched, &lived.revoked, &lived.used] {
        list(gate, &refresh(gate, pair).expect(200)).expect(200);
    }
}

#[test]
fn sessions_of_the_backup_that_are_younger_than_a_time_end() {
    for arguments in [&["--revoke-issued-after", "2020-01-01T00:00:00Z"][..], &["--revoke-issued-after=1", "--adopt"]] {
        let (lived, ended) = Lived::to_its_end().restored(arguments);
        assert!(ended.stdout.contains("sessions.snapshot: 0 sessions, 3 ended ones\n"), "{ended:#?}");
        assert!(ended.stdout.contains("ended: 3 sessions of the backup"), "{ended:#?}");
        for pair in [&lived.untouched, &lived.revoked, &lived.used, &lived.lost[1], &lived.unknown] {
            is_refused(&lived.gate, pair);
        }
        let fresh = lived.gate.alice(&["messages:list"]);
        list(&lived.gate, &fresh).expect(200);
        refresh(&lived.gate, &fresh).expect(200);
    }
}

#[test]
fn an_older_restoration_stays_in_force() {
    let (lived, _) = Lived::to_its_end().restored(&[]);
    let own = refresh(&lived.gate, &lived.used).expect(200);
    let gate = back_up(lived.gate, "later");
    next_second();
    let newer = refresh(&gate, &own).expect(200);
    let mut gate = gate;
    gate.stop();
    restore(&gate, &["--from", "later", "--adopt"]).expect(0);
    let summary = Run::new(&gate.folder(), &["store", "inspect"]).end().expect(0);
    assert_eq!(summary.stdout.matches("restored       ").count(), 2, "{summary:#?}");
    let gate = gate.start_again();
    for pair in [&lived.unknown, &lived.lost[0], &lived.lost[1]] {
        is_refused(&gate, pair);
    }
    let next = refresh(&gate, &newer).expect(200);
    is_refused(&gate, &lived.lost[1]);
    refresh(&gate, &next).expect(200);
}

#[test]
fn what_was_replaced_can_be_taken_back() {
    let lived = Lived::to_its_end();
    let keys = state(&lived.gate.folder().join("data/keys"));
    let mut gate = lived.restored(&[]).0.gate;
    gate.stop();
    assert!(keys == state(&gate.folder().join("data/keys")), "keys stay");
    let from = format!("data/{}", aside(&gate));
    Run::new(&gate.folder(), &["store", "verify", &from]).end().expect(0);
    next_second();
    let ended = restore(&gate, &["--from", &from]).expect(0);
    assert!(ended.stdout.contains("written: data/sessions.snapshot: 3 sessions, 1 ended ones\n"), "{ended:#?}");
}

#[test]
fn a_new_directory_can_be_restored_into() {
    let lived = Lived::to_its_end();
    let ended = restore(&lived.gate, &["--from", "backup", "new/data"]).expect(0);
    for part in ["replaced: nothing", "keys are not restored, and none are here"] {
        assert!(ended.stdout.contains(part), "no {part}: {ended:#?}");
    }
    Run::new(&lived.gate.folder(), &["store", "verify", "new/data"]).end().expect(0);
}

#[test]
fn what_cannot_be_restored_changes_nothing() {
    let lived = Lived::to_its_end();
    let folder = lived.gate.folder();
    let segment = fs::read_dir(folder.join("backup")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|file| file.to_str().unwrap().contains(".journal."));
    let segment = segment.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap();
    copy(&folder.join("backup"), &folder.join("damaged"));
    fs::create_dir(folder.join("empty")).unwrap();
    damage(&folder.join("damaged").join(segment.file_name().unwrap()), 0);
    let before = state(&folder.join("data"));
    let refused = |arguments: &[&str], code: i32, why: &str| {
        let ended = restore(&lived.gate, arguments).expect(code);
        assert!(ended.stderr.contains(why), "{arguments:?}: {ended:#?}");
        let after = state(&folder.join("data"));
        assert!(before == after, "{arguments:?} changed something");
    };
    refused(&["--from", "nowhere"], 1, "portcullis: nowhere: there is no such directory");
    refused(&["--from", "empty"], 1, "portcullis: empty: neither a snapshot nor a journal is here");
    refused(&["--from", "data"], 1, "portcullis: data: the backup must be another directory");
    refused(&["--from", "damaged"], 1, "damaged at byte");
    refused(&["--from", "damaged"], 1, "portcullis store salvage");
    refused(&["--from", "backup", "--revoke-issued-after", "2100-01-01T00:00:00Z"], 1, "lies in the future");
    refused(&["--from", "backup", "--revoke-issued-after", "yesterday"], 2, "must be a time such as");
    refused(&[], 2, "--from");
    let gate = lived.gate.start_again();
    let ended = restore(&gate, &["--from", "backup"]).expect(1);
    assert!(ended.stderr.contains("portcullis: data: a gate is running here; stop it first"), "{ended:#?}");
    refresh(&gate, &lived.lost[1]).expect(200);
}
