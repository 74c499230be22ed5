//! What joins a request's lines here with those elsewhere: traces, ids, and who it came from.

use serde_json::Value;

use crate::support::{Answer, Gate, Seen, Start, Upstream};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PUBLIC: &str = "/health";

fn gate(trace: &str) -> (Upstream, Gate) {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("server.trace", trace).start();
    (upstream, gate)
}

fn last(upstream: &Upstream) -> Seen {
    upstream.seen().pop().unwrap()
}

fn all(seen: &Seen, name: &str) -> Vec<String> {
    seen.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone()).collect()
}

fn line(gate: &Gate, answer: &Answer) -> Value {
    serde_json::from_str(&gate.wait_for_log(answer.header("x-request-id").unwrap())).unwrap()
}

#[test]
fn a_trace_goes_on_with_a_parent_of_the_gates_and_its_state() {
    for trace in ["continue", "start"] {
        let (upstream, gate) = gate(trace);
        let call =
            gate.get(PUBLIC).header("Traceparent", GIVEN).header("tracestate", "a=1").header("tracestate", "b=2");
        let answer = call.send().expect(200);
        let seen = last(&upstream);
        let [parent] = &all(&seen, "traceparent")[..] else { panic!("{seen:?}") };
        assert_eq!((&parent[..36], &parent[52..]), (&GIVEN[..36], "-01"));
        assert_ne!(parent, GIVEN);
        assert_eq!(all(&seen, "tracestate"), ["a=1", "b=2"]);
        assert_eq!(line(&gate, &answer)["trace_id"], TRACE);
    }
}

#[test]
fn what_is_refused_has_its_trace_in_the_log_too() {
    let (_upstream, gate) = gate("continue");
    let refused = gate.get("/3rdparty/v1/messages").header("traceparent", GIVEN).send().expect_refusal(401);
    let line = line(&gate, &refused);
    assert_eq!((&line["trace_id"], &line["reason"]), (&TRACE.into(), &"credentials_missing".into()));
}

#[test]
fn a_trace_begins_only_where_that_is_wanted() {
    let (upstream, gate) = gate("start");
    let answer = gate.get(PUBLIC).header("traceparent", "nonsense").header("tracestate", "a=1").send().expect(200);
    let seen = last(&upstream);
    let [parent] = &all(&seen, "traceparent")[..] else { panic!("{seen:?}") };
    assert_eq!((parent.len(), &parent[..3], &parent[52..]), (55, "00-", "-01"));
    assert_eq!(all(&seen, "tracestate"), Vec::<String>::new());
    assert_eq!(line(&gate, &answer)["trace_id"], parent[3..35]);

    let (upstream, gate) = self::gate("continue");
    let answer = gate.get(PUBLIC).send().expect(200);
    assert_eq!(all(&last(&upstream), "traceparent"), Vec::<String>::new());
    assert_eq!(line(&gate, &answer).get("trace_id"), None);
}

#[test]
fn switched_off_the_fields_cross_like_any_other() {
    let (upstream, gate) = gate("off");
    let answer = gate.get(PUBLIC).header("traceparent", GIVEN).header("tracestate", "a=1").send().expect(200);
    assert_eq!(
        (all(&last(&upstream), "traceparent"), all(&last(&upstream), "tracestate")),
        (vec![GIVEN.into()], vec!["a=1".into()])
    );
    assert_eq!(line(&gate, &answer).get("trace_id"), None);
}

#[test]
fn a_client_cannot_have_its_trace_nominated_away() {
    let (upstream, gate) = gate("continue");
    gate.get(PUBLIC).header("traceparent", GIVEN).header("Connection", "traceparent").send().expect(200);
    let seen = last(&upstream);
    assert!(all(&seen, "traceparent").concat().contains(TRACE), "{seen:?}");
}

#[test]
fn relayed_answers_carry_the_request_id_that_the_upstream_has_read() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-Id: another\r\nX-Request-Id: a-third\r\n\r\n".to_vec()
    });
    let gate = Start::before(upstream.address).start();
    let answer = gate.get(PUBLIC).header("X-Request-Id", "planted").send().expect(200);
    let ids: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-request-id").collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(all(&last(&upstream), "x-request-id"), [ids[0].1.clone()]);
    assert_eq!(line(&gate, &answer)["reason"], "ok");
}

#[test]
fn the_client_behind_a_trusted_proxy_is_named_and_nobody_elses_word_counts() {
    let upstream = Upstream::start();
    let trusting = Start::before(upstream.address).set("server.trusted_proxies", "127.0.0.0/8").start();
    let forwarded =
        |gate: &Gate| gate.get(PUBLIC).header("X-Forwarded-For", "192.0.2.66, 198.51.100.1").send().expect(200);
    let told = line(&trusting, &forwarded(&trusting));
    assert_eq!((&told["peer"], &told["client"]), (&"127.0.0.1".into(), &"198.51.100.1".into()));
    let strict = Start::before(upstream.address).start();
    let told = line(&strict, &forwarded(&strict));
    assert_eq!((&told["peer"], told.get("client")), (&"127.0.0.1".into(), None));
}

#[test]
fn a_route_has_lines_of_its_own() {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address).set("log.access", "refused").config_file(
        "[[route]]\npath = '/loud'\naccess = 'public'\nlog = 'all'\n[[route]]\npath = '/silent'\nrole = 'x'\nlog = 'off'\n",
    );
    let gate = start.start();
    let silent = gate.get("/silent").send().expect_refusal(401);
    let usual = gate.get(PUBLIC).send().expect(200);
    let loud = gate.get("/loud").send().expect(200);
    assert_eq!(line(&gate, &loud)["path"], "/loud");
    for unheard in [silent, usual] {
        assert!(!gate.log().concat().contains(unheard.header("x-request-id").unwrap()));
    }
}
