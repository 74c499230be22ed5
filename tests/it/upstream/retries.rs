//! A kept connection that the upstream closes just as the next request is on its way: what may be repeated is sent once
//! more, what may not is not.

use super::{FINE, OPEN, Stage, named};
use crate::support::{Call, Connection, Leg};

/// How an upstream ends a connection.
const ENDS: [fn(Leg); 2] = [drop, Leg::reset];

/// A call over a kept connection that has reached the upstream to its end.
#[track_caller]
fn on_a_kept_connection(stage: &Stage, call: &Call) -> (Connection, Leg) {
    let (mut client, mut leg) = stage.kept();
    client.write(&call.raw());
    assert_eq!(leg.request().target, named("next"));
    (client, leg)
}

#[track_caller]
fn broke_off(stage: &Stage, name: &str, client: &mut Connection) {
    let answer = client.read().unwrap_or_else(|| panic!("{name}: no answer"));
    assert_eq!(answer.status, 502, "{name}: {}", answer.text());
    let answer = answer.expect_refusal(502);
    let told = stage.gate.wait_for_log(answer.header("x-request-id").unwrap());
    assert!(told.contains("upstream_broke_off"), "{name}: {told}");
    stage.upstream.expect_nobody();
}

#[test]
fn what_may_be_repeated_is_sent_once_more_over_a_new_connection() {
    let stage = Stage::new();
    for method in ["GET", "OPTIONS", "PUT", "DELETE"] {
        for end in ENDS {
            let call = stage.gate.call(method, &named("next")).header("X-Mine", "kept");
            let (mut client, leg) = on_a_kept_connection(&stage, &call);
            end(leg);
            let mut another = stage.upstream.accept();
            let again = another.request();
            assert_eq!((&*again.method, &*again.target), (method, &*named("next")));
            assert_eq!(again.header("x-mine"), Some("kept"));
            another.send(FINE);
            assert_eq!(client.read().expect("an answer").expect(200).text(), "fine", "{method}");
        }
    }
    stage.upstream.expect_nobody();
}

#[test]
fn what_may_not_be_repeated_is_sent_once() {
    let stage = Stage::new();
    let call = |method: &str| stage.gate.call(method, &named("next"));
    let chunked = call("PUT").header("Transfer-Encoding", "chunked");
    for (name, call, behind) in [
        ("POST with a body", call("POST").body("an SMS"), ""),
        ("POST with an empty body", call("POST").body(""), ""),
        ("POST without a body", call("POST"), ""),
        ("PATCH", call("PATCH").body("x"), ""),
        ("an unknown method", call("SEND"), ""),
        // The body is not kept, so it is not there any more.
        ("GET with a body", call("GET").body("x"), ""),
        ("PUT with a body", call("PUT").body("x"), ""),
        ("PUT with chunks", chunked, "1\r\nx\r\n0\r\n\r\n"),
    ] {
        for end in ENDS {
            let (mut client, mut leg) = stage.kept();
            client.write(&[call.raw(), behind.into()].concat());
            assert_eq!(leg.request().target, named("next"));
            end(leg);
            broke_off(&stage, name, &mut client);
        }
    }
}

#[test]
fn an_answer_that_has_begun_is_not_asked_for_again() {
    let stage = Stage::new();
    for said in ["H", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
        for end in ENDS {
            let (mut client, mut leg) = on_a_kept_connection(&stage, &stage.get("next"));
            leg.send(said);
            end(leg);
            broke_off(&stage, said, &mut client);
        }
    }
}

#[test]
fn nothing_is_sent_a_third_time() {
    let stage = Stage::new();
    for end in ENDS {
        let (mut client, leg) = on_a_kept_connection(&stage, &stage.get("next"));
        end(leg);
        let mut another = stage.upstream.accept();
        another.request();
        end(another);
        broke_off(&stage, "the second time", &mut client);
    }
}

#[test]
fn over_a_new_connection_everything_is_sent_once() {
    let stage = Stage::new();
    for method in ["GET", "DELETE", "POST"] {
        for end in ENDS {
            let mut client = stage.client();
            client.write(&stage.gate.call(method, OPEN).raw());
            let mut leg = stage.upstream.accept();
            leg.request();
            end(leg);
            broke_off(&stage, method, &mut client);
        }
    }
}

#[test]
fn an_upstream_that_is_gone_is_not_reachable() {
    let Stage { upstream, gate } = Stage::new();
    let mut client = Connection::open(gate.address);
    client.write(&gate.get(&named("first")).raw());
    let mut leg = upstream.accept();
    super::answers(&mut leg, &mut client, "first");
    drop((leg, upstream));
    for method in ["GET", "POST"] {
        let answer = client.ask(&gate.call(method, OPEN)).expect_refusal(502);
        let told = gate.wait_for_log(answer.header("x-request-id").unwrap());
        assert!(told.contains("upstream_unreachable"), "{told}");
    }
}
