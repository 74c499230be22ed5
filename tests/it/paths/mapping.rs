//! The API under one prefix for clients and another at the upstream.

use super::{arrives, stopped, token_under};
use crate::support::{Start, Upstream};

/// Prefix for clients, prefix at the upstream; the same as paths are built with them.
const MAPPINGS: [(&str, &str, &str, &str); 8] = [
    ("/3rdparty/v1", "", "/3rdparty/v1", "/3rdparty/v1"),
    ("/api/3rdparty/v1", "", "/api/3rdparty/v1", "/api/3rdparty/v1"),
    ("/", "", "", ""),
    ("/3rdparty/v1", "/", "/3rdparty/v1", ""),
    ("/3rdparty/v1", "/api/3rdparty/v1", "/3rdparty/v1", "/api/3rdparty/v1"),
    ("/api/3rdparty/v1", "/3rdparty/v1", "/api/3rdparty/v1", "/3rdparty/v1"),
    ("/", "/3rdparty/v1", "", "/3rdparty/v1"),
    ("/api/3rdparty/v1", "/", "/api/3rdparty/v1", ""),
];

#[test]
fn the_prefix_is_exchanged_and_everything_behind_it_kept() {
    for (prefix, upstream_prefix, ours, theirs) in MAPPINGS {
        let name = format!("{prefix:?} to {upstream_prefix:?}");
        let upstream = Upstream::start();
        let gate = Start::before(upstream.address)
            .set("routes.prefix", prefix)
            .set("routes.upstream_prefix", upstream_prefix)
            .start();
        let list = token_under(&gate, ours, &["messages:list"]);
        let read = token_under(&gate, ours, &["messages:read"]);
        for (rest, token) in [
            ("/messages", &list),
            ("/messages?a=%2f&b", &list),
            ("/messages/", &list),
            ("/messages/1%20x", &read),
            ("/messages/3rdparty", &read),
        ] {
            arrives(&upstream, &name, &gate.get(&format!("{ours}{rest}")).bearer(token), &format!("{theirs}{rest}"));
        }
        let health = format!("{ours}/health");
        arrives(&upstream, &name, &gate.get(&health), &format!("{theirs}/health"));
        stopped(&upstream, &name, &gate.get(&format!("{ours}/messages")).bearer(&read), 403);
        stopped(&upstream, &name, &gate.get(&format!("{ours}/messages")), 401);
        // Nothing lies beside the prefix.
        for beside in
            ["/elsewhere/messages", "/3rdparty/v2/messages", "/3rdparty/v1x/messages", "/x3rdparty/v1/messages"]
        {
            stopped(&upstream, &name, &gate.get(beside).bearer(&list), 403);
        }
        assert!(upstream.seen().iter().all(|seen| !seen.target.contains("/auth")), "{name}: {:?}", upstream.seen());
    }
}

#[test]
fn the_devices_api_moves_along() {
    for (prefix, upstream_prefix, ours, theirs) in [
        ("/3rdparty/v1", "", "/mobile/v1", "/mobile/v1"),
        ("/api/3rdparty/v1", "", "/api/mobile/v1", "/api/mobile/v1"),
        ("/3rdparty/v1", "/api/3rdparty/v1", "/mobile/v1", "/api/mobile/v1"),
        ("/api/3rdparty/v1", "/3rdparty/v1", "/api/mobile/v1", "/mobile/v1"),
    ] {
        let upstream = Upstream::start();
        let gate = Start::before(upstream.address)
            .set("routes.prefix", prefix)
            .set("routes.upstream_prefix", upstream_prefix)
            .start();
        let call = gate.post(&format!("{ours}/device?x=y")).bearer("opaque");
        let seen = arrives(&upstream, prefix, &call, &format!("{theirs}/device?x=y"));
        assert_eq!(seen.header("authorization"), Some("Bearer opaque"));
    }
}

#[test]
fn the_upstreams_own_token_endpoints_are_out_of_reach() {
    for unmatched in ["deny", "authenticated"] {
        for (prefix, upstream_prefix, ours, theirs) in MAPPINGS {
            let upstream = Upstream::start();
            let gate = Start::before(upstream.address)
                .set("routes.prefix", prefix)
                .set("routes.upstream_prefix", upstream_prefix)
                .set("routes.unmatched", unmatched)
                .start();
            let token = token_under(&gate, ours, &["all:any"]);
            for known in ["/3rdparty/v1", "/api/3rdparty/v1", theirs] {
                for rest in ["", "/", "/token", "/token/", "/token/refresh", "/Token", "/token/x.0", "/anything"] {
                    for auth in ["auth", "AUTH", "%61uth"] {
                        let target = format!("{known}/{auth}{rest}");
                        for method in ["POST", "GET", "DELETE"] {
                            let before = upstream.seen().len();
                            let answer = gate.call(method, &target).bearer(&token).body("{}").send();
                            let name = format!("{prefix:?} to {upstream_prefix:?}: {method} {target}");
                            assert_ne!(answer.status, 200, "{name}");
                            assert_eq!(upstream.seen().len(), before, "{name}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_path_below_the_upstreams_url_comes_first() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address)
        .set("upstream.url", &format!("http://{}/base/path", upstream.address))
        .set("routes.upstream_prefix", "/")
        .start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    let call = gate.get("/3rdparty/v1/messages?a=b").bearer(&token);
    arrives(&upstream, "judged", &call, "/base/path/messages?a=b");
    arrives(&upstream, "public", &gate.get("/health"), "/base/path/health");
    arrives(&upstream, "passthrough", &gate.get("/mobile/v1/x"), "/base/path/mobile/v1/x");
}

/// Where any token opens what no rule speaks of, the API must not be had for any token by the names it has elsewhere.
#[test]
fn no_other_name_of_the_api_dodges_its_scopes() {
    for (prefix, upstream_prefix, ours, theirs) in MAPPINGS {
        let upstream = Upstream::start();
        let gate = Start::before(upstream.address)
            .set("routes.prefix", prefix)
            .set("routes.upstream_prefix", upstream_prefix)
            .set("routes.unmatched", "authenticated")
            .start();
        let token = token_under(&gate, ours, &["logs:read"]);
        for known in [theirs, "/3rdparty/v1", "/api/3rdparty/v1"] {
            for path in [format!("{known}/messages"), format!("{known}/Messages/"), format!("{known}/%6dessages")] {
                let name = format!("{prefix:?} to {upstream_prefix:?}: POST {path}");
                stopped(&upstream, &name, &gate.post(&path).bearer(&token).body("{}"), 403);
            }
        }
        // What is nobody's is anybody's with a token: that is what the setting says.
        let free = format!("{ours}/docs");
        arrives(&upstream, prefix, &gate.get(&free).bearer(&token), &format!("{theirs}/docs"));
        stopped(&upstream, prefix, &gate.get(&free), 401);
    }
}
