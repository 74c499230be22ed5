//! What crosses the gate and what does not, by name.
//!
//! Guarantees: every table is run over requests without an identity too, as public routes forward them.
//! Does not know: the wire; there the real binary is asked.

use super::*;

/// What a client must not be able to say.
const FORBIDDEN: [&str; 16] = [
    "x-auth-subject",
    "x-auth-scopes",
    "x-auth-session",
    "x-auth-token-id",
    "x-portcullis",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-real-ip",
    "forwarded",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut fields: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    fields.sort();
    fields
}

/// Fields as they go over the wire.
fn read(written: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let lines = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap();
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let value = line[colon + 1..].strip_prefix(b" ").unwrap();
        headers.append(HeaderName::from_bytes(&line[..colon]).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// The fields of an upstream's answer that go on to the client.
fn answered(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = map(fields);
    let nominated = nominated_in(&headers);
    for name in map(fields).keys() {
        if !answer_crosses(name, &nominated) {
            headers.remove(name);
        }
    }
    headers
}

fn identity() -> Identity {
    Identity::of_token("anna", "messages:send", "sid", "sid.3").unwrap()
}

fn cleaned(
    fields: &[(&str, &str)],
    identity: Option<&Identity>,
    authorization: &Authorization,
    trusted: bool,
) -> HeaderMap {
    let headers = map(fields);
    let origin = Origin::new([203, 0, 113, 9].into(), "https");
    let forwarded = trusted.then(|| Forwarded::read(&headers));
    let request_id = &HeaderValue::from_static("rid");
    let mut written = Vec::new();
    let vouched = Vouched {
        host: None,
        identity,
        authorization,
        origin: &origin,
        forwarded: forwarded.as_ref(),
        request_id,
        trace: None,
        own_cookie: None,
    };
    write_request(&mut written, &headers, &vouched);
    read(&written)
}

/// What is left of a public request besides what the gate sets on every one.
fn left(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut headers = cleaned(fields, None, &Authorization::Remove, false);
    for (name, expected) in [(X_FORWARDED_FOR, "203.0.113.9"), (X_FORWARDED_PROTO, "https"), (X_REQUEST_ID, "rid")] {
        assert_eq!(headers.get_all(&name).iter().collect::<Vec<_>>(), [expected], "{name}");
        headers.remove(name);
    }
    shown(&headers)
}

/// Every way to write `name` that a lenient server may read as the same: each `-` by itself as it is, as `_` or as `.`,
/// and any letter in upper case.
fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for c in name.chars() {
        let ways: &[char] = if c == '-' { &['-', '_', '.'] } else { &[c] };
        all = all.iter().flat_map(|start| ways.iter().map(move |way| format!("{start}{way}"))).collect();
    }
    let upper: Vec<_> = all.iter().map(|name| name.to_uppercase()).collect();
    [all, upper].concat()
}

#[test]
fn no_spelling_of_a_planted_header_crosses_the_gate() {
    for planted in FORBIDDEN {
        for name in spellings(planted) {
            let fields = [(name.as_str(), "root"), (name.as_str(), "again"), ("accept", "*/*")];
            assert_eq!(left(&fields), shown(&map(&[("accept", "*/*")])), "{name}");

            let headers = cleaned(&fields, Some(&identity()), &Authorization::Keep, false);
            assert!(!shown(&headers).iter().any(|(_, value)| value == "root" || value == "again"), "{name}");
        }
    }
}

#[test]
fn names_that_only_resemble_planted_ones_pass() {
    for name in [
        "x-auth",
        "x-auth-subjects",
        "xauthsubject",
        "x-auth-sub-ject",
        "x-forwarded",
        "forwarded-by",
        "x-real-ip2",
        "from",
    ] {
        assert_eq!(left(&[(name, "v")]), shown(&map(&[(name, "v")])), "{name}");
    }
}

#[test]
fn the_identity_is_the_gates_alone() {
    let claimed = [("x-auth-subject", "root"), ("X-Auth-Scopes", "all:any"), ("x_auth_session", "s"), ("host", "a")];
    let headers = cleaned(&claimed, Some(&identity()), &Authorization::Remove, false);
    let expected = map(&[
        ("host", "a"),
        ("x-auth-subject", "anna"),
        ("x-auth-scopes", "messages:send"),
        ("x-auth-session", "sid"),
        ("x-auth-token-id", "sid.3"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "a"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "rid"),
    ]);
    assert_eq!(shown(&headers), shown(&expected));

    // With a password there is no session, and none that a client could claim.
    let by_password = Identity::of_user("anna", "messages:send").unwrap();
    let headers = cleaned(&claimed, Some(&by_password), &Authorization::Remove, false);
    assert_eq!((headers.get(X_AUTH_SESSION), headers.get(X_AUTH_TOKEN_ID)), (None, None));
    assert_eq!(headers[X_AUTH_SUBJECT], "anna");
}

#[test]
fn hop_by_hop_fields_end_here() {
    for name in ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "http2-settings"]
    {
        let fields = [(name, "close"), (name, "x"), ("accept", "*/*")];
        assert_eq!(left(&fields), shown(&map(&[("accept", "*/*")])), "{name}");
        assert_eq!(shown(&answered(&fields)), shown(&map(&[("accept", "*/*")])), "{name} in an answer");
    }
}

#[test]
fn what_connection_nominates_ends_here_but_never_the_host() {
    for (connection, kept) in [
        (&["x-a"][..], &["x-b", "x-c"][..]),
        (&["close, X-A , x-c"], &["x-b"]),
        (&["x-a", "x-b"], &["x-c"]),
        (&["x-a,,x-b,"], &["x-c"]),
        (&["x-a;q=1, (bad), \u{e9}, x-b"], &["x-a", "x-c"]),
        (&[""], &["x-a", "x-b", "x-c"]),
        (&["connection"], &["x-a", "x-b", "x-c"]),
        (&["host, HOST"], &["x-a", "x-b", "x-c"]),
        // Nominating what the gate sets afterwards takes nothing away from it.
        (&["x-request-id, x-forwarded-for, x-forwarded-proto"], &["x-a", "x-b", "x-c"]),
    ] {
        let mut fields = vec![("host", "api"), ("x-a", "1"), ("x-b", "1"), ("x-c", "1")];
        fields.extend(connection.iter().map(|value| ("connection", *value)));
        let kept: Vec<_> = kept.iter().map(|name| (*name, "1")).collect();
        let request = [vec![("host", "api"), ("x-forwarded-host", "api")], kept.clone()].concat();
        assert_eq!(left(&fields), shown(&map(&request)), "{connection:?}");
        assert_eq!(
            shown(&answered(&fields)),
            shown(&map(&[vec![("host", "api")], kept].concat())),
            "{connection:?} in an answer"
        );
    }
}

#[test]
fn an_identity_cannot_be_nominated_away() {
    let all = "x-auth-subject, x-auth-scopes, x-auth-session, x-auth-token-id, authorization, x-forwarded-for";
    let token = Authorization::Replace(HeaderValue::from_static("Basic Z2F0ZQ=="));
    let headers = cleaned(&[("connection", all), ("authorization", "Bearer t")], Some(&identity()), &token, false);
    assert_eq!(headers[X_AUTH_SUBJECT], "anna");
    assert_eq!(headers[X_AUTH_SCOPES], "messages:send");
    assert_eq!(headers[X_AUTH_SESSION], "sid");
    assert_eq!(headers[X_AUTH_TOKEN_ID], "sid.3");
    assert_eq!(headers[AUTHORIZATION], "Basic Z2F0ZQ==");
    assert_eq!(headers[X_FORWARDED_FOR], "203.0.113.9");
}

#[test]
fn authorization_goes_on_as_the_route_says() {
    let ours = HeaderValue::from_static("Basic Z2F0ZQ==");
    let (sent, twice): (&[_], &[_]) =
        (&[("authorization", "Bearer t")], &[("authorization", "Bearer t"), ("authorization", "Basic u")]);
    for (fields, mode, expected) in [
        (sent, Authorization::Keep, &["Bearer t"][..]),
        (sent, Authorization::Remove, &[]),
        (sent, Authorization::Replace(ours.clone()), &["Basic Z2F0ZQ=="]),
        (&[], Authorization::Keep, &[]),
        (&[], Authorization::Remove, &[]),
        (&[], Authorization::Replace(ours.clone()), &["Basic Z2F0ZQ=="]),
        (twice, Authorization::Remove, &[]),
        (twice, Authorization::Replace(ours), &["Basic Z2F0ZQ=="]),
    ] {
        for identity in [None, Some(&identity())] {
            let headers = cleaned(fields, identity, &mode, false);
            assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), expected, "{mode:?}");
        }
    }
}

#[test]
fn a_stranger_tells_nothing_of_the_way_and_a_trusted_proxy_its_part() {
    let said = [
        ("host", "gate"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-host", "api.example.org"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "8443"),
        ("forwarded", "for=198.51.100.1"),
        ("x-real-ip", "198.51.100.1"),
    ];
    let way = |trusted, fields: &[(&str, &str)]| {
        let headers = cleaned(fields, None, &Authorization::Remove, trusted);
        shown(&headers)
            .into_iter()
            .filter(|(name, _)| name.contains("forward") || name.contains("real"))
            .collect::<Vec<_>>()
    };
    let expected = |address: &str, host: &str, scheme: &str| {
        shown(&map(&[("x-forwarded-for", address), ("x-forwarded-host", host), ("x-forwarded-proto", scheme)]))
    };
    assert_eq!(way(false, &said), expected("203.0.113.9", "gate", "https"));
    assert_eq!(way(true, &said), expected("198.51.100.1, 10.0.0.2, 203.0.113.9", "api.example.org", "http"));
    // A trusted proxy that says nothing adds nothing.
    assert_eq!(way(true, &said[..1]), expected("203.0.113.9", "gate", "https"));
    // An HTTP/1.0 request may come without a host.
    let no_host = shown(&map(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")]));
    assert_eq!(way(false, &[]), no_host);
}

#[test]
fn other_spellings_of_the_way_are_nobodys_to_tell() {
    let said = [("x_forwarded_for", "198.51.100.1"), ("x.forwarded.host", "evil"), ("host", "gate")];
    for trusted in [false, true] {
        let headers = cleaned(&said, None, &Authorization::Remove, trusted);
        assert_eq!(headers[X_FORWARDED_FOR], "203.0.113.9");
        assert_eq!(headers[X_FORWARDED_HOST], "gate");
        assert!(headers.keys().all(|name| !name.as_str().contains(['_', '.'])), "{headers:?}");
    }
}

#[test]
fn crumbs_of_cookies_become_one_field_in_their_order() {
    for (crumbs, expected) in [
        (&[][..], &[][..]),
        (&["a=1"], &["a=1"]),
        (&["a=1; b=2"], &["a=1; b=2"]),
        (&["a=1", "b=2", "c=\"3; 4\""], &["a=1; b=2; c=\"3; 4\""]),
        (&["a=1", "", "\u{e9}=2"], &["a=1; ; \u{e9}=2"]),
    ] {
        let fields: Vec<_> = crumbs.iter().map(|crumb| ("cookie", *crumb)).collect();
        let expected: Vec<_> = expected.iter().map(|cookie| ("cookie", *cookie)).collect();
        assert_eq!(left(&fields), shown(&map(&expected)), "{crumbs:?}");
    }
}

#[test]
fn the_request_id_is_the_gates() {
    for trusted in [false, true] {
        let fields = [("x-request-id", "theirs"), ("x-request-id", "and more")];
        let headers = cleaned(&fields, None, &Authorization::Remove, trusted);
        assert_eq!(headers.get_all(X_REQUEST_ID).iter().collect::<Vec<_>>(), ["rid"]);
    }
}

#[test]
fn everything_else_passes_untouched_both_ways() {
    let fields = [
        ("accept", "*/*"),
        ("content-type", "text/plain; charset=\"x\""),
        ("expect", "100-continue"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("trailer", "x-sum"),
        ("www-authenticate", "Basic realm=\"upstream\""),
        ("x-custom", "\u{e9}"),
    ];
    assert_eq!(left(&fields), shown(&map(&fields)));
    assert_eq!(shown(&answered(&fields)), shown(&map(&fields)));
}

#[test]
fn an_upstream_cannot_speak_for_the_gate() {
    assert_eq!(
        shown(&answered(&[("x-portcullis", "denied"), ("X-Portcullis", "again"), ("server", "api")])),
        shown(&map(&[("server", "api")]))
    );
}

fn trailing(fields: &[(&str, &str)]) -> HeaderMap {
    let mut written = Vec::new();
    write_trailers(&mut written, &map(fields));
    read(&written)
}

#[test]
fn trailers_carry_no_identity_either() {
    for planted in FORBIDDEN {
        for name in spellings(planted) {
            assert_eq!(shown(&trailing(&[(&name, "root"), ("x-sum", "1")])), shown(&map(&[("x-sum", "1")])), "{name}");
        }
    }
    for name in ["authorization", "cookie", "host", "content-length", "transfer-encoding", "connection", "te"] {
        let left = trailing(&[(name, "x"), ("grpc-status", "0")]);
        assert_eq!(shown(&left), shown(&map(&[("grpc-status", "0")])), "{name}");
    }
}

#[track_caller]
fn without_ours(fields: &[&'static str], expected: Option<&str>) {
    let headers = fields.iter().map(|field| (COOKIE, HeaderValue::from_static(field))).collect();
    let mut written = Vec::new();
    write_cookies(&mut written, &headers, Some("rt"));
    let expected = expected.map(|cookies| format!("cookie: {cookies}\r\n")).unwrap_or_default();
    assert_eq!(String::from_utf8(written).unwrap(), expected, "{fields:?}");
}

#[test]
fn the_gates_own_cookie_ends_here() {
    without_ours(&["a=b; rt=t; c=d"], Some("a=b; c=d"));
    without_ours(&["a=b", "rt=t;rt = u", " rt=v ;x"], Some("a=b; x"));
    without_ours(&["rt=t"], None);
    without_ours(&["rt"], None);
    without_ours(&["rt2=t; xrt=rt; RT=t"], Some("rt2=t; xrt=rt; RT=t"));
}
