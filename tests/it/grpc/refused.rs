//! Calls that the gate refuses, as gRPC has it.

use http::Request;

use super::{METHOD, before, token};
use crate::support::{Answer, Gate, Scripted, exchange_h2};

fn stage() -> Gate {
    before(Scripted::start().address).start()
}

#[track_caller]
fn call(gate: &Gate, content_type: &str, authorization: Option<&str>) -> Answer {
    let mut request = Request::post(format!("http://gate{METHOD}")).header("content-type", content_type);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    exchange_h2(gate.address, request.body(&b""[..]).unwrap()).unwrap()
}

#[test]
fn a_call_without_a_token_fails_as_calls_do() {
    let gate = stage();
    for content_type in ["application/grpc", "application/grpc+proto", "Application/gRPC;charset=utf-8"] {
        let answer = call(&gate, content_type, None);
        assert_eq!((answer.status, answer.text()), (200, String::new()));
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("grpc-status", "16"),
            ("grpc-message", "Authorization required"),
            ("x-portcullis", "denied"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{content_type}");
        }
    }
    // What happened is what is told of it.
    let line = gate.wait_for_log("credentials_missing");
    assert!(line.contains("401"), "{line}");
}

#[test]
fn a_call_beyond_its_scopes_is_not_permitted() {
    let gate = before(Scripted::start().address)
        .config_file(&format!("{}\n[[route]]\npath = \"/other/*\"\nscope = \"other\"\n", super::ROUTES));
    let gate = gate.start();
    let token = token(&gate, &["other"]);
    let answer = call(&gate, "application/grpc", Some(&format!("Bearer {token}")));
    assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("7")));
    assert_eq!(answer.header("grpc-message"), Some("scope required: chat"));
}

#[test]
fn what_only_looks_like_grpc_is_refused_as_ever() {
    let gate = stage();
    for content_type in ["application/grpc-web", "application/grpc-web+proto", "application/grpcx", "text/plain"] {
        let answer = call(&gate, content_type, None).expect(401);
        assert_eq!(answer.header("grpc-status"), None, "{content_type}");
    }
}

#[test]
fn an_unreachable_upstream_is_unavailable() {
    let gate = stage();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    drop(gate);
    let gate = before(closed).start();
    let token = token(&gate, &["chat"]);
    let answer = call(&gate, "application/grpc", Some(&format!("Bearer {token}")));
    assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("14")));
}
