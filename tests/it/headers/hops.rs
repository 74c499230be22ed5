//! Headers of one hop stay on that hop; all others cross unchanged.

use http::Request;

use super::{JUDGED, calls};
use crate::support::{Start, Upstream, exchange_h2};

#[test]
fn hop_by_hop_headers_of_a_request_end_at_the_gate() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for (name, call) in calls(&gate, &token) {
        let call = call
            .header("Connection", "X-Secret-Hop, keep-alive")
            .header("connection", "x-other-hop")
            .header("X-Secret-Hop", "1")
            .header("X-Other-Hop", "2")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("Proxy-Authorization", "Basic bm90OnlvdXJz")
            .header("TE", "trailers, deflate")
            .header("Upgrade", "h2c")
            .header("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")
            .header("X-End-To-End", "stays")
            .header("Accept-Language", "nl");
        call.send().expect(200);
        let seen = upstream.seen().pop().unwrap();
        for gone in [
            "connection",
            "x-secret-hop",
            "x-other-hop",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "te",
            "upgrade",
            "http2-settings",
            "transfer-encoding",
        ] {
            assert_eq!(seen.all(gone), Vec::<&str>::new(), "{name}: {gone}");
        }
        assert_eq!(seen.header("x-end-to-end"), Some("stays"), "{name}");
        assert_eq!(seen.header("accept-language"), Some("nl"), "{name}");
    }
}

#[test]
fn hop_by_hop_headers_of_an_answer_end_at_the_gate() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Internal\r\nX-Internal: secret\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Connection: keep-alive\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTE: trailers\r\n\
          X-Portcullis: denied\r\nx-portcullis: again\r\n\
          X-Total-Count: 42\r\nLink: </m?page=2>; rel=\"next\"\r\nLink: </m?page=9>; rel=\"last\"\r\n\
          Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nETag: \"x\"\r\nServer: theirs\r\nX-Latin: caf\xe9\r\n\
          Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n[]"
            .to_vec()
    });
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    let mut answers: Vec<_> = calls(&gate, &token).into_iter().map(|(name, call)| (name, call.send())).collect();
    let h2 =
        Request::get(format!("http://{}{JUDGED}", gate.address)).header("authorization", format!("Bearer {token}"));
    answers.push(("HTTP/2", exchange_h2(gate.address, h2.body(&b""[..]).unwrap()).unwrap()));
    for (name, answer) in answers {
        let answer = answer.expect(200);
        for gone in [
            "x-internal",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "upgrade",
            "te",
            "x-portcullis",
            "transfer-encoding",
        ] {
            assert_eq!(answer.header(gone), None, "{name}: {gone}");
        }
        let all = |wanted: &str| -> Vec<&str> {
            answer.headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| &**value).collect()
        };
        assert_eq!(all("x-total-count"), ["42"], "{name}");
        assert_eq!(all("link"), ["</m?page=2>; rel=\"next\"", "</m?page=9>; rel=\"last\""], "{name}");
        assert_eq!(all("set-cookie"), ["a=1; Path=/", "b=2"], "{name}");
        assert_eq!(all("etag"), ["\"x\""], "{name}");
        assert_eq!(all("server"), ["theirs"], "{name}");
        assert_eq!(all("x-latin"), ["caf\u{fffd}"], "{name}");
        assert_eq!(all("content-type"), ["application/json; charset=utf-8"], "{name}");
        assert_eq!(all("content-length"), ["2"], "{name}");
        assert_eq!(answer.body, b"[]", "{name}");
    }
}

#[test]
fn the_upstreams_own_refusals_are_told_apart_from_the_gates() {
    for status in [400, 401, 403, 404, 407, 429, 500, 502, 503] {
        let upstream = Upstream::answering(move |_| {
            format!(
                "HTTP/1.1 {status} Theirs\r\nWWW-Authenticate: Basic realm=\"theirs\"\r\nX-Portcullis: denied\r\n\
                 Retry-After: 7\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\ntheirs"
            )
            .into_bytes()
        });
        let gate = Start::before(upstream.address).start();
        let token = gate.alice(&["messages:list"]).field("access_token");
        for (name, call) in calls(&gate, &token) {
            let answer = call.send().expect(status);
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"theirs\""), "{name} {status}");
            assert_eq!(answer.header("x-portcullis"), None, "{name} {status}");
            assert_eq!(answer.header("retry-after"), Some("7"), "{name} {status}");
            assert_eq!(answer.text(), "theirs", "{name} {status}");
        }
        assert_eq!(gate.get(JUDGED).send().expect_refusal(401).header("x-portcullis"), Some("denied"));
    }
}

#[test]
fn crumbs_of_a_cookie_are_joined() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    let request = Request::get(format!("http://{}{JUDGED}", gate.address))
        .header("authorization", format!("Bearer {token}"))
        .header("cookie", "a=1")
        .header("cookie", "b=\"2; 3\"")
        .header("cookie", "c=4; d=5");
    exchange_h2(gate.address, request.body(&b""[..]).unwrap()).unwrap().expect(200);
    assert_eq!(upstream.only().header("cookie"), Some("a=1; b=\"2; 3\"; c=4; d=5"));
    gate.get(JUDGED).bearer(&token).header("Cookie", "a=1").header("cookie", "b=2").send().expect(200);
    assert_eq!(upstream.seen().pop().unwrap().header("cookie"), Some("a=1; b=2"));
}
