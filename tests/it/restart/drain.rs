//! Told to end: what is under way is brought to its end, nothing new is begun.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use super::{LIST, REFRESH, list, refresh};
use crate::support::{Answer, Gate, Start, Upstream, ok, until};

/// An upstream that answers each request when it is told to, and not before.
fn waiting_upstream() -> (Upstream, Sender<()>) {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    let upstream = Upstream::answering(move |_| match told.lock().unwrap().recv() {
        Ok(()) => ok(b"{\"late\":true}"),
        Err(_) => Vec::new(),
    });
    (upstream, tell)
}

/// A request that has reached the upstream and is not answered yet.
#[track_caller]
fn in_flight(gate: &Gate, upstream: &Upstream) -> BufReader<TcpStream> {
    let pair = gate.alice(&["messages:list"]);
    let mut stream = TcpStream::connect(gate.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&gate.get(LIST).bearer(&pair.field("access_token")).raw()).unwrap();
    until("the request to reach the upstream", || (upstream.seen().len() == 1).then_some(()));
    BufReader::new(stream)
}

/// Waits until nobody listens any more.
#[track_caller]
fn closes(gate: &Gate) {
    until("connections to be refused", || TcpStream::connect(gate.address).err());
}

#[track_caller]
fn code(gate: &mut Gate) -> Option<i32> {
    gate.wait().code()
}

#[test]
fn a_request_in_flight_is_answered_in_full_and_new_connections_are_refused() {
    for signal in ["TERM", "INT"] {
        let (upstream, tell) = waiting_upstream();
        let mut gate = Start::before(upstream.address).start();
        let mut stream = in_flight(&gate, &upstream);
        gate.signal(signal);
        closes(&gate);
        tell.send(()).unwrap();
        let answer = Answer::read(&mut stream).unwrap().expect(200);
        assert_eq!(answer.text(), "{\"late\":true}");
        assert_eq!(answer.header("connection"), Some("close"), "do not come back on this one");
        assert!(Answer::read(&mut stream).is_none());
        assert_eq!(code(&mut gate), Some(0), "{signal}");
    }
}

#[test]
fn a_refresh_in_flight_is_answered_and_kept() {
    let mut gate = super::gate();
    let pair = gate.alice(&["messages:list"]);
    let call = gate.post(REFRESH).bearer(&pair.field("refresh_token")).header("Expect", "100-continue");
    let raw = call.body("{}").raw();
    let (body, head) = (&raw[raw.len() - 2..], &raw[..raw.len() - 2]);
    let mut stream = BufReader::new(TcpStream::connect(gate.address).unwrap());
    stream.get_mut().write_all(head).unwrap();
    // Asked for its body, it has begun.
    let mut asked = String::new();
    stream.read_line(&mut asked).unwrap();
    assert_eq!(asked, "HTTP/1.1 100 Continue\r\n");
    gate.signal("TERM");
    closes(&gate);
    stream.get_mut().write_all(body).unwrap();
    stream.read_line(&mut asked).unwrap();
    let next = Answer::read(&mut stream).unwrap().expect(200);
    assert_eq!(code(&mut gate), Some(0));
    let gate = gate.start_again();
    list(&gate, &next).expect(200);
    refresh(&gate, &next).expect(200);
    refresh(&gate, &pair).expect_refusal(401);
}

#[test]
fn the_drain_timeout_cuts_what_never_ends() {
    // An answer that begins and goes on for ever.
    let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n:\n\r\n";
    let upstream = Upstream::answering(|_| endless.to_vec());
    let mut gate = Start::before(upstream.address).set("server.drain_timeout", "500ms").start();
    let _stream = in_flight(&gate, &upstream);
    let start = Instant::now();
    gate.signal("TERM");
    assert_eq!(code(&mut gate), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(500), "after {:?}", start.elapsed());
    gate.wait_for_log("drain timeout");
    let gate = gate.start_again();
    gate.get("/3rdparty/v1/auth/sessions").basic("alice", "wonderland").send().expect(200);
}

#[test]
fn told_twice_it_ends_at_once() {
    let (upstream, _tell) = waiting_upstream();
    let mut gate = Start::before(upstream.address).set("server.drain_timeout", "1h").start();
    let _stream = in_flight(&gate, &upstream);
    gate.signal("TERM");
    gate.wait_for_log("draining");
    gate.signal("TERM");
    assert_eq!(code(&mut gate), Some(1));
    gate.wait_for_log("told twice");
}

#[test]
fn connections_on_which_nothing_happens_hold_nothing_up() {
    let mut gate = Start::before(Upstream::start().address).set("server.drain_timeout", "1h").start();
    let pair = gate.alice(&["messages:list"]);
    let mut kept_alive = TcpStream::connect(gate.address).unwrap();
    kept_alive.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    kept_alive.write_all(&gate.get(LIST).bearer(&pair.field("access_token")).raw()).unwrap();
    let mut reader = BufReader::new(kept_alive);
    Answer::read(&mut reader).unwrap().expect(200);
    gate.stop();
    assert!(Answer::read(&mut reader).is_none());
}

#[test]
fn told_to_end_in_the_moment_it_listens_it_ends_in_order() {
    for _ in 0..10 {
        super::gate().stop();
    }
}

#[test]
fn the_port_is_free_for_the_next_one() {
    let mut gate = super::gate();
    list(&gate, &gate.alice(&["messages:list"])).expect(200);
    let address = gate.address.to_string();
    gate.stop();
    let next = Start::before(Upstream::start().address).set("server.listen", &address).start();
    assert_eq!(next.address.to_string(), address);
}

#[test]
fn a_client_that_has_said_nothing_does_not_hold_up_the_end() {
    let mut gate = super::gate();
    let silent = TcpStream::connect(gate.address).unwrap();
    gate.alice(&["messages:list"]);
    let told = std::time::Instant::now();
    gate.signal("TERM");
    assert_eq!(gate.wait().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    drop(silent);
}
