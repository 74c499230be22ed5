//! HTTP/2: heads, frames and their order, as RFC 9113 wants them and as attackers send them.

use h2::Reason;

use super::Outcome::{self, Away, Denied, Leaves, Reset};
use super::stage::play;
use super::wire::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GO_AWAY, HEADERS, PADDED, PING, PRIORITISED, PRIORITY, PUSH,
    RESET, SETTINGS, WINDOW, block, frame, number, request, settings, upload,
};
use super::{Act, Case};

const CONNECTION: &str =
    "RFC 9113 section 8.2.2: connection-specific fields; PortSwigger, HTTP/2: The Sequel is Always Worse (2021)";
const PSEUDO: &str = "RFC 9113 section 8.3: pseudo-header fields";
const NAMES: &str = "RFC 9113 section 8.2.1: names and values; PortSwigger, HTTP/2: The Sequel is Always Worse (2021)";
const LENGTH: &str = "RFC 9113 section 8.1.1; PortSwigger, HTTP/2: The Sequel is Always Worse (2021): H2.CL";

fn framed(name: &'static str, source: &'static str, frames: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    Case { name, source, act: Act::Frames(frames.into(), outcome) }
}

pub fn cases() -> Vec<Case> {
    [heads(), authorities(), bodies(), frames(), compression()].into_iter().flatten().collect()
}

/// A request with these fields behind its own.
fn with(more: &[(&str, &str)]) -> Vec<u8> {
    request(1, &[&GET, more].concat())
}

fn malformed(name: &'static str, source: &'static str, fields: &[(&str, &str)]) -> Case {
    framed(name, source, request(1, fields), Reset(Reason::PROTOCOL_ERROR))
}

fn open(fields: &str) -> Outcome {
    leaves("GET", "/health", fields, "", "")
}

/// The field for the host comes last, as it stands in none.
fn leaves(method: &str, target: &str, fields: &str, framing: &str, body: &str) -> Outcome {
    let leaving = super::leaves(method, target, "", framing, body);
    let text = String::from_utf8(leaving).unwrap();
    Leaves(text.replacen("host: gate\r\n", &format!("{fields}host: gate\r\n"), 1).into_bytes())
}

fn heads() -> Vec<Case> {
    let [method, scheme, authority, path] = GET;
    // A field that is none ends the connection: h2 does not go on with tables that it may have misread.
    let unreadable =
        |name, source, field: (&str, &str)| framed(name, source, with(&[field]), Away(Reason::PROTOCOL_ERROR));
    let closed =
        |name, source, fields: &[(&str, &str)]| framed(name, source, request(1, fields), Away(Reason::PROTOCOL_ERROR));
    let more = |name, source, field: (&str, &str)| framed(name, source, with(&[field]), Reset(Reason::PROTOCOL_ERROR));
    vec![
        framed("a plain request", "RFC 9113 section 8.1", with(&[]), open("")),
        more("a connection field", CONNECTION, ("connection", "x-auth-subject")),
        more("keep-alive over HTTP/2", CONNECTION, ("keep-alive", "timeout=5")),
        more("proxy-connection over HTTP/2", CONNECTION, ("proxy-connection", "keep-alive")),
        more("an upgrade over HTTP/2", CONNECTION, ("upgrade", "websocket")),
        more(
            "chunks over HTTP/2",
            "RFC 9113 section 8.2.2; PortSwigger, HTTP/2: The Sequel is Always Worse (2021): H2.TE",
            ("transfer-encoding", "chunked"),
        ),
        more("te with more than trailers", "RFC 9113 section 8.2.2: te", ("te", "gzip")),
        framed("te with trailers", "RFC 9113 section 8.2.2: te", with(&[("te", "trailers")]), open("")),
        unreadable("a name in upper case", NAMES, ("X-Upper", "1")),
        unreadable("a name with a space over HTTP/2", NAMES, ("x y", "1")),
        unreadable("a name with a colon", NAMES, ("x:y", "1")),
        unreadable("an empty name", NAMES, ("", "1")),
        unreadable("a name with a line break", NAMES, ("x\r\ntransfer-encoding", "chunked")),
        unreadable("a name with a null over HTTP/2", NAMES, ("x\0", "1")),
        unreadable("a value with a line break", NAMES, ("x", "a\r\ntransfer-encoding: chunked")),
        unreadable("a value with a line feed", NAMES, ("x", "a\nb")),
        unreadable("a value with a carriage return", NAMES, ("x", "a\rb")),
        unreadable("a value with a null", NAMES, ("x", "a\0b")),
        framed(
            "spoofed identities over HTTP/2",
            "CWE-290; RFC 3875 section 4.1.18",
            with(&[("x-auth-subject", "root"), ("x_auth_scopes", "all:any"), ("x-auth-subject", "admin")]),
            open(""),
        ),
        framed(
            "crumbs of a cookie",
            "RFC 9113 section 8.2.3",
            with(&[("cookie", "a=1"), ("cookie", "b=2")]),
            open("cookie: a=1; b=2\r\n"),
        ),
        malformed("no method over HTTP/2", PSEUDO, &[scheme, authority, path]),
        malformed("no path", PSEUDO, &[method, scheme, authority]),
        malformed("no scheme", PSEUDO, &[method, authority, path]),
        malformed("two methods", PSEUDO, &[method, (":method", "POST"), scheme, authority, path]),
        malformed("two paths", PSEUDO, &[method, scheme, authority, path, (":path", "/mobile/v1/x")]),
        malformed("two schemes", PSEUDO, &[method, scheme, (":scheme", "https"), authority, path]),
        malformed("two authorities", PSEUDO, &[method, scheme, authority, (":authority", "evil"), path]),
        malformed("a pseudo-header behind a field", PSEUDO, &[method, scheme, authority, ("x", "1"), path]),
        closed("an unknown pseudo-header", PSEUDO, &[method, scheme, authority, path, (":evil", "1")]),
        malformed("a pseudo-header of answers", PSEUDO, &[method, scheme, authority, path, (":status", "200")]),
        malformed("an empty path", PSEUDO, &[method, scheme, authority, (":path", "")]),
        malformed(
            "a path with a space",
            "RFC 9113 section 8.3.1; PortSwigger, HTTP/2: The Sequel is Always Worse (2021): request line injection",
            &[method, scheme, authority, (":path", "/health HTTP/1.1")],
        ),
        closed(
            "a method with a space",
            "CVE-2021-33193 (Apache); PortSwigger, HTTP/2: The Sequel is Always Worse (2021)",
            &[(":method", "GET / HTTP/1.1"), scheme, authority, path],
        ),
        closed(
            "a method with a line break",
            "CVE-2021-33193 (Apache)",
            &[(":method", "GET\r\nx: y"), scheme, authority, path],
        ),
        malformed("a path with a line break", NAMES, &[method, scheme, authority, (":path", "/health\r\nx: y")]),
        closed(
            "a scheme that is none",
            "RFC 9113 section 8.3; PortSwigger, HTTP/2: The Sequel is Always Worse (2021): :scheme",
            &[method, ("::scheme", "x"), authority, path],
        ),
        framed(
            "an asterisk for a path",
            "RFC 9113 section 8.3.1",
            request(
                1,
                &[("", ""); 0]
                    .iter()
                    .chain(&[(":method", "OPTIONS"), scheme, authority, (":path", "*")])
                    .copied()
                    .collect::<Vec<_>>(),
            ),
            Denied(400),
        ),
        framed(
            "an ambiguous path over HTTP/2",
            "RFC 9113 section 8.3.1; RFC 3986 section 5.2.4",
            request(1, &[method, scheme, authority, (":path", "/mobile/v1/../x")]),
            Denied(400),
        ),
        framed(
            "a tunnel over HTTP/2",
            "RFC 9113 section 8.5",
            request(1, &[(":method", "CONNECT"), (":authority", "10.0.0.1:22")]),
            Denied(501),
        ),
        malformed("a tunnel with a path", "RFC 9113 section 8.5", &[(":method", "CONNECT"), scheme, authority, path]),
    ]
}

fn authorities() -> Vec<Case> {
    const AGREE: &str = "RFC 9113 section 8.3.1: Host and :authority agree";
    let [method, scheme, authority, path] = GET;
    let host = |name, source, fields: &[(&str, &str)], outcome| framed(name, source, request(1, fields), outcome);
    vec![
        host("the same host in both", AGREE, &[method, scheme, authority, path, ("host", "gate")], open("")),
        host("the same host in capitals", AGREE, &[method, scheme, authority, path, ("host", "GATE")], open("")),
        host(
            "another host beside the authority",
            AGREE,
            &[method, scheme, authority, path, ("host", "evil")],
            Denied(400),
        ),
        host(
            "a port less beside the authority",
            AGREE,
            &[method, scheme, (":authority", "gate:81"), path, ("host", "gate")],
            Denied(400),
        ),
        host(
            "two hosts beside the authority",
            AGREE,
            &[method, scheme, authority, path, ("host", "gate"), ("host", "gate")],
            Denied(400),
        ),
        host(
            "an empty host beside the authority",
            AGREE,
            &[method, scheme, authority, path, ("host", "")],
            Denied(400),
        ),
        host(
            "a user in the authority",
            "RFC 9113 section 8.3.1: no userinfo",
            &[method, scheme, (":authority", "user@gate"), path],
            Denied(400),
        ),
        host("no authority, but a host", "RFC 9113 section 8.3.1", &[method, scheme, path, ("host", "gate")], open("")),
        host("neither authority nor host", "RFC 9113 section 8.3.1", &[method, scheme, path], Denied(400)),
        host(
            "a path in the authority",
            "RFC 9113 section 8.3.1; RFC 3986 section 3.2",
            &[method, scheme, (":authority", "gate/x"), path],
            Reset(Reason::PROTOCOL_ERROR),
        ),
        host(
            "a space in the authority",
            "RFC 9113 section 8.3.1",
            &[method, scheme, (":authority", "gate evil"), path],
            Reset(Reason::PROTOCOL_ERROR),
        ),
        host(
            "an empty authority",
            "RFC 9113 section 8.3.1",
            &[method, scheme, (":authority", ""), path],
            Reset(Reason::PROTOCOL_ERROR),
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let hello = |more: &[(&str, &str)]| [upload(1, more), frame(DATA, END_STREAM, 1, b"hello")].concat();
    let sent = |framing: &str, body: &str| leaves("POST", "/mobile/v1/x", "", framing, body);
    vec![
        framed(
            "a body over HTTP/2",
            "RFC 9113 section 8.1",
            hello(&[]),
            sent("transfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        framed(
            "a body and its length",
            LENGTH,
            hello(&[("content-length", "5")]),
            sent("content-length: 5\r\n", "hello"),
        ),
        framed(
            "a request in a body",
            LENGTH,
            [
                upload(1, &[("content-length", "40")]),
                frame(DATA, END_STREAM, 1, b"DELETE /3rdparty/v1/messages HTTP/1.1\r\n\r\n"[..40].into()),
            ]
            .concat(),
            sent("content-length: 40\r\n", "DELETE /3rdparty/v1/messages HTTP/1.1\r\n\r"),
        ),
        framed(
            "a length beside a head that ends",
            LENGTH,
            request(1, &[&GET[..], &[("content-length", "5")]].concat()),
            Reset(Reason::PROTOCOL_ERROR),
        ),
        framed(
            "a length with a plus over HTTP/2",
            "CVE-2021-32715 (hyper); RFC 9113 section 8.1.1",
            hello(&[("content-length", "+5")]),
            Reset(Reason::PROTOCOL_ERROR),
        ),
        framed(
            "two lengths over HTTP/2",
            LENGTH,
            hello(&[("content-length", "5"), ("content-length", "6")]),
            Reset(Reason::PROTOCOL_ERROR),
        ),
        framed("a length that is no number", LENGTH, hello(&[("content-length", "x")]), Reset(Reason::PROTOCOL_ERROR)),
        framed(
            "padding beyond its frame",
            "RFC 9113 section 6.1",
            [upload(1, &[]), frame(DATA, PADDED | END_STREAM, 1, b"\xff12")].concat(),
            Away(Reason::PROTOCOL_ERROR),
        ),
    ]
}

fn frames() -> Vec<Case> {
    let away = |name, source, frames: Vec<u8>, reason| framed(name, source, frames, Away(reason));
    // h2 has one reason for whatever it cannot read.
    let (protocol, flow) = (Reason::PROTOCOL_ERROR, Reason::FLOW_CONTROL_ERROR);
    let half = frame(HEADERS, END_STREAM, 1, &block(&GET));
    vec![
        away("a body before its head", "RFC 9113 section 5.1: idle", frame(DATA, END_STREAM, 1, b"x"), protocol),
        away("a body for nobody", "RFC 9113 section 6.1", frame(DATA, 0, 0, b"x"), protocol),
        away("a head for nobody", "RFC 9113 section 6.2", frame(HEADERS, END_HEADERS, 0, &block(&GET)), protocol),
        away("a stream of the server's", "RFC 9113 section 5.1.1", request(2, &GET), protocol),
        away("a reset of what never was", "RFC 9113 section 5.1: idle", frame(RESET, 0, 1, &[0, 0, 0, 8]), protocol),
        away("a reset of the connection", "RFC 9113 section 6.4", frame(RESET, 0, 0, &[0, 0, 0, 8]), protocol),
        away(
            "a reset of three bytes",
            "RFC 9113 section 6.4",
            [upload(1, &[]), frame(RESET, 0, 1, &[0, 0, 8])].concat(),
            protocol,
        ),
        away("settings for a stream", "RFC 9113 section 6.5", frame(SETTINGS, 0, 1, &[]), protocol),
        away("settings of five bytes", "RFC 9113 section 6.5", frame(SETTINGS, 0, 0, &[0; 5]), protocol),
        away("an acknowledgement with settings", "RFC 9113 section 6.5", frame(SETTINGS, ACK, 0, &[0; 6]), protocol),
        away(
            "a push that is neither on nor off",
            "RFC 9113 section 6.5.2",
            frame(SETTINGS, 0, 0, &settings(&[(2, 2)])),
            protocol,
        ),
        away(
            "a window of 32 bits",
            "RFC 9113 section 6.5.2",
            frame(SETTINGS, 0, 0, &settings(&[(4, 1 << 31)])),
            protocol,
        ),
        away("frames of no size", "RFC 9113 section 6.5.2", frame(SETTINGS, 0, 0, &settings(&[(5, 0)])), protocol),
        away("a ping for a stream", "RFC 9113 section 6.7", frame(PING, 0, 1, &[0; 8]), protocol),
        away("a ping of seven bytes", "RFC 9113 section 6.7", frame(PING, 0, 0, &[0; 7]), protocol),
        away("a push from a client", "RFC 9113 section 8.4", frame(PUSH, END_HEADERS, 1, &[0, 0, 0, 2]), protocol),
        away("a goodbye for a stream", "RFC 9113 section 6.8", frame(GO_AWAY, 0, 1, &[0; 8]), protocol),
        away("no window for the connection", "RFC 9113 section 6.9", frame(WINDOW, 0, 0, &[0; 4]), protocol),
        away("a window beyond 31 bits", "RFC 9113 section 6.9.1", frame(WINDOW, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), flow),
        away("a window of three bytes", "RFC 9113 section 6.9", frame(WINDOW, 0, 0, &[0, 0, 1]), protocol),
        away("a window for what never was", "RFC 9113 section 5.1: idle", frame(WINDOW, 0, 1, &[0, 0, 0, 1]), protocol),
        away(
            "a frame larger than agreed",
            "RFC 9113 section 4.2",
            [upload(1, &[]), frame(DATA, 0, 1, &[0; 16_385])].concat(),
            Reason::FRAME_SIZE_ERROR,
        ),
        away(
            "a continuation of nothing",
            "RFC 9113 section 6.10",
            frame(CONTINUATION, END_HEADERS, 1, &block(&GET)),
            protocol,
        ),
        away(
            "a frame amid a head",
            "RFC 9113 section 6.10",
            [half.clone(), frame(PING, 0, 0, &[0; 8])].concat(),
            protocol,
        ),
        away(
            "a continuation of another stream",
            "RFC 9113 section 6.10",
            [half.clone(), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
            protocol,
        ),
        away(
            "an unknown frame amid a head",
            "RFC 9113 section 5.5",
            [half.clone(), frame(0x42, 0, 1, &[])].concat(),
            protocol,
        ),
        framed(
            "a head that depends on itself",
            "CVE-2025-8671 (MadeYouReset); RFC 7540 section 5.3.1",
            frame(HEADERS, END_HEADERS | END_STREAM | PRIORITISED, 1, &[&[0, 0, 0, 1, 16], &*block(&GET)].concat()),
            Reset(protocol),
        ),
        framed(
            "a head with a priority",
            "RFC 9113 section 5.3.2: ignored",
            frame(HEADERS, END_HEADERS | END_STREAM | PRIORITISED, 1, &[&[0, 0, 0, 0, 16], &*block(&GET)].concat()),
            open(""),
        ),
        framed(
            "a head in two frames",
            "RFC 9113 section 6.10",
            [half, frame(CONTINUATION, END_HEADERS, 1, &[])].concat(),
            open(""),
        ),
        framed(
            "an unknown frame",
            "RFC 9113 section 5.5: ignored",
            [frame(0x42, 0xff, 0, b"x"), request(1, &GET)].concat(),
            open(""),
        ),
        framed(
            "an unknown setting",
            "RFC 9113 section 6.5.2: ignored",
            [frame(SETTINGS, 0, 0, &settings(&[(0x4242, 1)])), request(1, &GET)].concat(),
            open(""),
        ),
        framed(
            "a priority of three bytes",
            "RFC 9113 section 6.3",
            [request(1, &GET), frame(PRIORITY, 0, 1, &[0; 3])].concat(),
            Away(protocol),
        ),
    ]
}

fn compression() -> Vec<Case> {
    const HPACK: &str = "RFC 7541 section 6";
    let raw = |block: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, 1, block);
    let broken = |name, source, block: &[u8]| framed(name, source, raw(block), Away(Reason::PROTOCOL_ERROR));
    let mut endless = vec![0x7f];
    endless.extend([0xff; 20]);
    let mut greedy = Vec::new();
    number(&mut greedy, 0x20, 5, 1 << 30);
    let mut beyond = vec![0x00, 0x01, b'x'];
    number(&mut beyond, 0, 7, 1 << 20);
    vec![
        broken("an index of nothing", HPACK, &[0x80]),
        broken("an index beyond the tables", HPACK, &[0xff, 0x80, 0x01]),
        broken("a number without end", "RFC 7541 section 5.1; CWE-190", &endless),
        broken("a table larger than allowed", "RFC 7541 section 6.3; CWE-770", &greedy),
        broken("a text longer than its frame", "RFC 7541 section 5.2", &beyond),
        broken("a code that ends amid a letter", "RFC 7541 section 5.2", &[0x00, 0x81, 0x00, 0x81, 0x00]),
        broken("a new table size behind a field", "RFC 7541 section 4.2", &[&*block(&GET), &[0x20]].concat()),
    ]
}

#[test]
fn heads_and_frames_are_as_they_should_be_or_refused() {
    play(cases());
}
