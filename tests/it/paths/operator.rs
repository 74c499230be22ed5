//! The operator's own rules, and what happens where there is none.

use super::{arrives, stopped};
use crate::support::{Start, Upstream, user};

const RULES: &str = r#"
[[route]]
path = "/items"
methods = ["GET"]
scope = "items:read"

[[route]]
path = "/items/{id}"
methods = ["GET", "PUT"]
scope = "items:write"

[[route]]
path = "/items/special"
access = "public"

[[route]]
path = "/items/{id}/price"
role = "admin"

[[route]]
path = "/hooks/*"
methods = ["POST"]
access = "passthrough"

[[route]]
path = "/me"
access = "authenticated"

[[route]]
path = "/area/*"
access = "authenticated"

[[route]]
path = "/area/51/*"
role = "admin"

[[route]]
path = "/3rdparty/v1/logs"
methods = ["GET"]
role = "admin"

[[route]]
path = "/3rdparty/v1/settings"
scope = "settings:all"

[[route]]
path = "/3rdparty/v1/webhooks/{id}"
methods = ["GET"]
scope = "webhooks:list"
"#;

struct Scene {
    upstream: Upstream,
    gate: crate::support::Gate,
    plain: String,
    admin: String,
}

fn scene(settings: impl FnOnce(Start) -> Start) -> Scene {
    let upstream = Upstream::start();
    let start = settings(Start::before(upstream.address).config_file(RULES));
    let gate = start.users(&user("carol", "pencil", &["all:any"], "roles = [\"editor\", \"admin\"]")).start();
    let plain = gate.alice(&["items:read", "messages:list"]).field("access_token");
    let admin = gate.sign_in("carol", "pencil", &["settings:all"]).field("access_token");
    Scene { upstream, gate, plain, admin }
}

#[test]
fn each_rule_demands_what_it_says() {
    let Scene { upstream, gate, plain, admin } = scene(|start| start);
    let get = |path: &str| gate.get(path);
    // By scope, which signing in knows from the rule.
    arrives(&upstream, "scope", &get("/items?a=b").bearer(&plain), "/items?a=b");
    let refusal = stopped(&upstream, "scope", &get("/items").bearer(&admin), 403);
    assert_eq!(refusal.field("message"), "scope required: items:read");
    stopped(&upstream, "scope", &get("/items"), 401);
    for variant in ["/Items", "/items/", "/%69tems"] {
        stopped(&upstream, variant, &get(variant).bearer(&admin), 403);
    }
    let writer = gate.alice(&["items:write"]).field("access_token");
    arrives(&upstream, "parameter", &gate.call("PUT", "/items/7").bearer(&writer), "/items/7");
    stopped(&upstream, "parameter", &gate.call("PUT", "/items/7").bearer(&plain), 403);
    stopped(&upstream, "parameter", &gate.call("DELETE", "/items/7").bearer(&writer), 403);
    // By role.
    arrives(&upstream, "role", &get("/items/7/price").bearer(&admin), "/items/7/price");
    let refusal = stopped(&upstream, "role", &get("/items/7/price").bearer(&plain), 403);
    assert_eq!(refusal.field("message"), "Access denied. User alice is not an admin.");
    stopped(&upstream, "role", &get("/items/7/price"), 401);
    arrives(&upstream, "role by password", &get("/items/7/price").basic("carol", "pencil"), "/items/7/price");
    stopped(&upstream, "role by password", &get("/items/7/price").basic("bob", "builder"), 403);
    // Public, in the exact spelling; the more particular rule decides, and otherwise the looser one does.
    let seen = arrives(&upstream, "public", &get("/items/special").bearer("x"), "/items/special");
    assert_eq!((seen.header("authorization"), seen.header("x-auth-subject")), (None, None));
    arrives(&upstream, "public, any method", &gate.post("/items/special"), "/items/special");
    for variant in ["/items/SPECIAL", "/items/special/", "/Items/special"] {
        stopped(&upstream, variant, &get(variant), 401);
    }
    // Passthrough.
    let seen = arrives(&upstream, "hooks", &gate.post("/hooks/a/b").bearer("theirs").body("x"), "/hooks/a/b");
    assert_eq!((seen.header("authorization"), &*seen.body), (Some("Bearer theirs"), &b"x"[..]));
    stopped(&upstream, "hooks by GET", &get("/hooks/a").bearer(&admin), 403);
    stopped(&upstream, "hooks without more", &gate.post("/hooks").bearer(&admin), 403);
    // Any token.
    arrives(&upstream, "authenticated", &get("/me").bearer(&plain), "/me");
    stopped(&upstream, "authenticated", &get("/me"), 401);
    stopped(&upstream, "authenticated", &get("/me").bearer("x"), 401);
    for below in ["/area", "/area/", "/area/1/2/3", "/area/51"] {
        let token = if below == "/area/51" { &admin } else { &plain };
        arrives(&upstream, below, &get(below).bearer(token), below);
        stopped(&upstream, below, &get(below), 401);
    }
    for below in ["/area/51", "/area/51/", "/area/51/x", "/AREA/51/x/y"] {
        stopped(&upstream, below, &get(below).bearer(&plain), 403);
    }
}

#[test]
fn the_operators_rule_comes_before_the_presets() {
    let Scene { upstream, gate, plain: _, admin } = scene(|start| start);
    let logs = gate.alice(&["logs:read"]).field("access_token");
    let refusal = stopped(&upstream, "logs", &gate.get("/3rdparty/v1/logs").bearer(&logs), 403);
    assert_eq!(refusal.field("message"), "Access denied. User alice is not an admin.");
    arrives(&upstream, "logs", &gate.get("/3rdparty/v1/logs").bearer(&admin), "/3rdparty/v1/logs");
    // Without methods it is for all of them.
    let settings = gate.alice(&["settings:read", "settings:write"]).field("access_token");
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let refusal = stopped(&upstream, method, &gate.call(method, "/3rdparty/v1/settings").bearer(&settings), 403);
        assert_eq!(refusal.field("message"), "scope required: settings:all", "{method}");
    }
    let all = gate.alice(&["settings:all"]).field("access_token");
    arrives(&upstream, "all", &gate.call("DELETE", "/3rdparty/v1/settings").bearer(&all), "/3rdparty/v1/settings");
    // It adds to the preset where that says nothing, and leaves the rest of it alone.
    let hooks = gate.alice(&["webhooks:list"]).field("access_token");
    arrives(&upstream, "one", &gate.get("/3rdparty/v1/webhooks/1").bearer(&hooks), "/3rdparty/v1/webhooks/1");
    let refusal = stopped(&upstream, "kept", &gate.call("DELETE", "/3rdparty/v1/webhooks/1").bearer(&hooks), 403);
    assert_eq!(refusal.field("message"), "scope required: webhooks:delete");
}

#[test]
fn without_a_preset_there_are_only_the_operators_rules() {
    let Scene { upstream, gate, plain, admin } = scene(|start| start.set("routes.preset", "none"));
    arrives(&upstream, "own", &gate.get("/items").bearer(&plain), "/items");
    arrives(&upstream, "own", &gate.get("/3rdparty/v1/logs").bearer(&admin), "/3rdparty/v1/logs");
    for path in ["/3rdparty/v1/messages", "/3rdparty/v1/inbox", "/health", "/mobile/v1/device"] {
        stopped(&upstream, path, &gate.get(path).bearer(&plain), 403);
    }
}

#[test]
fn what_no_rule_knows_is_closed_unless_the_operator_opens_it() {
    let paths =
        ["/", "/x", "/docs/index.html", "/3rdparty/v1", "/3rdparty/v1/unknown", "/3rdparty/v1/messages/1/2", "/api"];
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["all:any"]).field("access_token");
    for path in paths {
        for call in [gate.get(path), gate.get(path).bearer(&token), gate.get(path).basic("alice", "wonderland")] {
            assert_eq!(stopped(&upstream, path, &call, 403).field("error"), "access_denied", "{path}");
        }
    }
    let gate = Start::before(upstream.address).set("routes.unmatched", "authenticated").start();
    let token = gate.alice(&["logs:read"]).field("access_token");
    for path in paths {
        let seen = arrives(&upstream, path, &gate.get(path).bearer(&token), path);
        assert_eq!(seen.header("x-auth-subject"), Some("alice"));
        arrives(&upstream, path, &gate.call("FOO", path).basic("bob", "builder"), path);
        stopped(&upstream, path, &gate.get(path), 401);
        stopped(&upstream, path, &gate.get(path).bearer("x.y.z"), 401);
    }
    // What the rules know is still theirs.
    stopped(&upstream, "known", &gate.get("/3rdparty/v1/messages").bearer(&token), 403);
}
