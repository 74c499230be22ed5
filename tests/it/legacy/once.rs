//! Requests that say which one they are are not sent twice.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use crate::support::{Gate, Start, Upstream, ok};

const SEND: &str = "/3rdparty/v1/messages";

fn gate(upstream: &Upstream) -> Gate {
    let route = "[[route]]\npath = '/3rdparty/v1/messages'\nmethods = ['POST']\nscope = 'messages:send'\n\
                 once = ['header:Idempotency-Key', 'query:id']\n";
    Start::before(upstream.address).config_file(route).start()
}

#[test]
fn a_repetition_hears_what_became_of_the_first() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let (pair, other) = (gate.alice(&["all:any"]), gate.sign_in("bob", "builder", &["messages:send"]));
    let send = |pair: &crate::support::Answer, key: &str| {
        gate.post(SEND).bearer(&pair.field("access_token")).header("Idempotency-Key", key).body("{}").send()
    };
    send(&pair, "1").expect(200);
    let refusal = send(&pair, "1").expect_refusal(409);
    assert_eq!(refusal.field("error"), "duplicate_request");
    assert!(refusal.field("message").ends_with("with 200"), "{}", refusal.text());
    // Of the same user after a refresh too; another user's is another request.
    let pair = gate.refresh(&pair.field("refresh_token")).expect(200);
    send(&pair, "1").expect_refusal(409);
    send(&other, "1").expect(200);
    send(&pair, "2").expect(200);
    gate.post(&format!("{SEND}?id=7")).bearer(&pair.field("access_token")).send().expect(200);
    gate.post(&format!("{SEND}?id=7")).bearer(&pair.field("access_token")).send().expect_refusal(409);
    for _ in 0..2 {
        gate.post(SEND).bearer(&pair.field("access_token")).send().expect(200);
    }
    assert_eq!(upstream.seen().len(), 6);
}

#[test]
fn what_was_refused_may_come_again_and_what_is_under_way_may_not() {
    let (asked, wait) = channel();
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let upstream = Upstream::answering(move |seen| match seen.header("x-do") {
        Some("refuse") => b"HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n".to_vec(),
        Some("break") => Vec::new(),
        _ => {
            asked.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
            ok(b"{}")
        }
    });
    let gate = gate(&upstream);
    let token = gate.alice(&["all:any"]).field("access_token");
    let send = |key: &str, what: &str| {
        gate.post(SEND).bearer(&token).header("Idempotency-Key", key).header("X-Do", what).send()
    };
    for _ in 0..2 {
        send("refused", "refuse").expect(422);
    }
    send("broken", "break").expect_refusal(502);
    assert!(send("broken", "break").expect_refusal(409).field("message").contains("nobody knows"));
    thread::scope(|scope| {
        let first = scope.spawn(|| send("slow", "wait"));
        wait.recv().unwrap();
        assert!(send("slow", "wait").expect_refusal(409).field("message").contains("under way"));
        go.send(()).unwrap();
        first.join().unwrap().expect(200);
    });
}
