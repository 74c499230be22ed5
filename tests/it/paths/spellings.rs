//! One path in many spellings: judged as one and forwarded in one. (Refused where it could be two: `hostile/paths.rs`.)

use super::{arrives, stopped};
use crate::support::{Start, Upstream};

const SCOPED: &str = "/3rdparty/v1/messages";

#[test]
fn a_variant_is_judged_like_the_path_it_stands_for() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let right = gate.alice(&["messages:list"]).field("access_token");
    let wrong = gate.alice(&["messages:send", "messages:read", "inbox:list"]).field("access_token");
    for (variant, forwarded) in [
        ("/3rdparty/v1/messages", "/3rdparty/v1/messages"),
        ("/3rdparty/v1/messages/", "/3rdparty/v1/messages/"),
        ("/3rdparty/v1/MESSAGES", "/3rdparty/v1/MESSAGES"),
        ("/3RdParty/V1/Messages/", "/3RdParty/V1/Messages/"),
        ("/3rdparty/v1/%6dessages", "/3rdparty/v1/messages"),
        ("/3rdparty/v1/%6D%65%73%73%61%67%65%73", "/3rdparty/v1/messages"),
        ("/%33rdparty/v1/messages", "/3rdparty/v1/messages"),
        ("/3rdparty/v1/%4dessages?q=%6d", "/3rdparty/v1/Messages?q=%6d"),
    ] {
        arrives(&upstream, variant, &gate.get(variant).bearer(&right), forwarded);
        let refusal = stopped(&upstream, variant, &gate.get(variant).bearer(&wrong), 403);
        assert_eq!(refusal.field("message"), "scope required: messages:list", "{variant}");
        stopped(&upstream, variant, &gate.get(variant), 401);
        let absolute = format!("http://{}{variant}", gate.address);
        arrives(&upstream, &absolute, &gate.get(&absolute).bearer(&right), forwarded);
        stopped(&upstream, &absolute, &gate.get(&absolute), 401);
    }
    // An id keeps its spelling, but for escapes that need not be.
    let token = gate.alice(&["messages:read"]).field("access_token");
    for (id, forwarded) in [
        ("Abc-._~9", "Abc-._~9"),
        ("a%20b", "a%20b"),
        ("caf%c3%a9", "caf%C3%A9"),
        ("100%25", "100%25"),
        ("a%3fb%23c", "a%3Fb%23c"),
        ("%61%62", "ab"),
        ("a:b@c!$&'()*+,=", "a:b@c!$&'()*+,="),
    ] {
        let call = gate.get(&format!("{SCOPED}/{id}")).bearer(&token);
        arrives(&upstream, id, &call, &format!("{SCOPED}/{forwarded}"));
    }
}

#[test]
fn a_query_arrives_byte_for_byte() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for query in [
        "",
        "?",
        "a=1&b=2",
        "a=%2f%2F%6d&b=+%20",
        "a=%zz&b=%",
        "&&==&;;a;b=c",
        "q=../../x&r=//y\\z",
        "q='()*,!$@:/?~",
        "url=http://x/y?z=1%23",
        "a=%00%0d%0a%ff",
        "a=[1]&b={2}|^`",
    ] {
        let target = format!("{SCOPED}?{query}");
        arrives(&upstream, query, &gate.get(&target).bearer(&token), &target);
    }
    let long = format!("{SCOPED}?q={}", "x".repeat(8000));
    arrives(&upstream, "a long one", &gate.get(&long).bearer(&token), &long);
}
