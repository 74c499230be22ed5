//! The operator's listener: alive, ready, and if not, why.

mod operating;

use serde_json::Value;

use crate::support::{Answer, Call, Connection, Gate, Run, Start, Upstream, until};

fn start() -> Start {
    Start::before(Upstream::start().address).set("admin.listen", "127.0.0.1:0")
}

/// Asks the operator's listener, once it is there.
#[track_caller]
pub fn ask(gate: &Gate, method: &str, target: &str) -> Answer {
    let line: Value = serde_json::from_str(&gate.wait_for_log("the operator's endpoints are there")).unwrap();
    Call::new(line["address"].as_str().unwrap().parse().unwrap(), method, target).send()
}

#[test]
fn a_gate_that_serves_is_alive_and_ready_and_says_no_more_than_that() {
    let gate = start().start();
    for path in ["/livez", "/healthz", "/readyz", "/readyz?exclude=journal"] {
        let answer = ask(&gate, "GET", path).expect(200);
        assert_eq!(answer.text(), "ok\n", "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(ask(&gate, "GET", "/readyz?verbose").expect(200).text(), "[+]serving ok\n[+]journal ok\nready\n");
    let version = ask(&gate, "GET", "/version").expect(200);
    assert_eq!(version.field("version"), env!("CARGO_PKG_VERSION"));
    ask(&gate, "GET", "/").expect(404);
    assert_eq!(ask(&gate, "POST", "/readyz").expect(405).header("allow"), Some("GET, HEAD"));
}

#[test]
fn clients_do_not_reach_it() {
    let gate = start().start();
    for path in ["/livez", "/readyz", "/healthz", "/version"] {
        gate.get(path).send().expect_refusal(403);
    }
}

#[test]
fn a_gate_that_waits_for_its_data_is_alive_and_not_ready() {
    let first = start().start();
    let second = first.launch_beside();
    second.wait_for_log("another portcullis uses this data directory");
    ask(&second, "GET", "/livez").expect(200);
    let answer = ask(&second, "GET", "/readyz").expect(503);
    assert!(answer.text().contains("waiting for it to end"), "{}", answer.text());
    first.signal("TERM");
    let second = second.listens();
    until("the second to be ready", || (ask(&second, "GET", "/readyz").status == 200).then_some(()));
}

#[test]
fn a_gate_that_drains_is_alive_and_not_ready() {
    let (upstream, _held) = held();
    let gate = Start::before(upstream.address).set("admin.listen", "127.0.0.1:0").start();
    let pair = gate.alice(&["messages:list"]);
    let mut stream = Connection::open(gate.address);
    stream.write(&gate.get("/3rdparty/v1/messages").bearer(&pair.field("access_token")).raw());
    until("the request to reach the upstream", || (upstream.seen().len() == 1).then_some(()));
    gate.signal("TERM");
    gate.wait_for_log("draining");
    ask(&gate, "GET", "/livez").expect(200);
    assert!(ask(&gate, "GET", "/readyz").expect(503).text().contains("draining"));
}

/// An upstream that keeps its answers back for as long as what comes with it lives.
fn held() -> (Upstream, std::sync::mpsc::Sender<()>) {
    let (hold, held) = std::sync::mpsc::channel();
    let held = std::sync::Mutex::new(held);
    let upstream = Upstream::answering(move |_| {
        let _ = held.lock().unwrap().recv();
        Vec::new()
    });
    (upstream, hold)
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ended = Run::new(
        folder.path(),
        &["serve", "--set=server.listen=127.0.0.1:0", &format!("--set=admin.listen={address}")],
    );
    let ended = ended.end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&format!("cannot listen on {address}")), "{}", ended.stderr);
}
