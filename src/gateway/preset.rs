//! The `smsgate` preset: the SMS API's own routes and what each demands.
//!
//! Guarantees: every endpoint of the API has its documented scope (seed S32), the legacy aliases included; health and
//! the API catalogue are public; devices' own traffic passes untouched, as they carry credentials that are the
//! upstream's to judge (seed S43).
//! Does not know: requests.

use http::Method;

use super::route::{Demand, Rule};

/// Scopes that the API knows although no route demands them.
pub const FURTHER_SCOPES: [&str; 3] =
    [crate::token::ALL_ANY, crate::token::TOKENS_MANAGE, crate::token::SESSIONS_ADMIN];

const SCOPED: &[(Method, &str, &str)] = &[
    (Method::GET, "/messages", "messages:list"),
    (Method::POST, "/messages", "messages:send"),
    (Method::GET, "/messages/{id}", "messages:read"),
    (Method::DELETE, "/messages/{id}", "messages:cancel"),
    (Method::POST, "/messages/inbox/export", "messages:export"),
    (Method::GET, "/message", "messages:list"),
    (Method::POST, "/message", "messages:send"),
    (Method::GET, "/message/{id}", "messages:read"),
    (Method::DELETE, "/message/{id}", "messages:cancel"),
    (Method::POST, "/message/inbox/export", "messages:export"),
    (Method::GET, "/inbox", "inbox:list"),
    (Method::GET, "/inbox/{id}", "inbox:read"),
    (Method::POST, "/inbox/export", "messages:export"),
    (Method::POST, "/inbox/refresh", "inbox:refresh"),
    (Method::GET, "/devices", "devices:list"),
    (Method::DELETE, "/devices/{id}", "devices:delete"),
    (Method::GET, "/device", "devices:list"),
    (Method::DELETE, "/device/{id}", "devices:delete"),
    (Method::GET, "/webhooks", "webhooks:list"),
    (Method::POST, "/webhooks", "webhooks:write"),
    (Method::DELETE, "/webhooks/{id}", "webhooks:delete"),
    (Method::GET, "/settings", "settings:read"),
    (Method::PUT, "/settings", "settings:write"),
    (Method::PATCH, "/settings", "settings:write"),
    (Method::GET, "/logs", "logs:read"),
];

const HEALTH: [&str; 4] = ["/health", "/health/live", "/health/ready", "/health/startup"];

/// The rules for an API under `prefix` (`""` for the root). `device_registration` opens `POST /mobile/v1/device`.
pub fn smsgate(prefix: &str, device_registration: bool) -> Vec<Rule> {
    let mut rules: Vec<Rule> = SCOPED
        .iter()
        .map(|(method, path, scope)| {
            Rule::new(method.clone(), format!("{prefix}{path}"), Demand::Scope((*scope).into()))
        })
        .collect();
    for health in HEALTH {
        rules.push(Rule::new(Method::GET, format!("{prefix}{health}"), Demand::Public));
        if !prefix.is_empty() {
            rules.push(Rule::new(Method::GET, health, Demand::Public));
        }
    }
    rules.push(Rule::new(Method::GET, "/.well-known/api-catalog", Demand::Public));
    if let Some(mobile) = mobile_prefix(prefix) {
        rules.push(Rule::any_method(format!("{mobile}/*"), Demand::Passthrough));
        if !device_registration {
            rules.push(Rule::new(Method::POST, format!("{mobile}/device"), Demand::Nobody));
        }
    }
    rules
}

/// Where the devices' own API lies beside one under `prefix`; the server on the phone has none.
pub fn mobile_prefix(prefix: &str) -> Option<String> {
    prefix.strip_suffix("/3rdparty/v1").map(|base| format!("{base}/mobile/v1"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::route::Routes;
    use super::*;

    const METHODS: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

    fn routes(prefix: &str, device_registration: bool) -> Routes {
        Routes::new(smsgate(prefix, device_registration), Demand::Unmatched)
    }

    /// The methods that meet `demand` at `path`.
    fn methods(routes: &Routes, path: &str, demand: &Demand) -> Vec<Method> {
        METHODS.into_iter().filter(|method| routes.demand(method, path) == demand).collect()
    }

    #[test]
    fn every_endpoint_has_its_scope_and_nothing_else_is_open() {
        for prefix in ["", "/3rdparty/v1", "/api/3rdparty/v1"] {
            let routes = routes(prefix, true);
            for (method, path, scope) in SCOPED {
                let path = format!("{prefix}{}", path.replace("{id}", "some-Id_1"));
                assert_eq!(routes.demand(method, &path), &Demand::Scope((*scope).into()), "{method} {path}");
                let covered = SCOPED
                    .iter()
                    .filter(|(_, other, _)| format!("{prefix}{other}").replace("{id}", "some-Id_1") == path);
                let covered = covered.map(|(method, ..)| method).collect::<Vec<_>>();
                for other in METHODS.iter().filter(|other| !covered.contains(other)) {
                    let is_head = *other == Method::HEAD && covered.contains(&&Method::GET);
                    let demand = routes.demand(other, &path);
                    assert!(
                        is_head || !matches!(demand, Demand::Public | Demand::Passthrough),
                        "{other} {path}: {demand:?}"
                    );
                    assert!(!is_head || demand == routes.demand(&Method::GET, &path), "{other} {path}: {demand:?}");
                }
            }
        }
    }

    #[test]
    fn the_legacy_aliases_demand_what_their_successors_do() {
        let routes = routes("/3rdparty/v1", true);
        for (old, new) in [
            ("message", "messages"),
            ("message/7", "messages/7"),
            ("message/inbox/export", "messages/inbox/export"),
            ("device", "devices"),
            ("device/7", "devices/7"),
        ] {
            for method in METHODS {
                let demand = |path| routes.demand(&method, &format!("/3rdparty/v1/{path}")).clone();
                assert_eq!(demand(old), demand(new), "{method} {old}");
            }
        }
    }

    #[test]
    fn the_scopes_are_the_documented_ones_and_the_gates_own() {
        let scopes: BTreeSet<String> = routes("", true)
            .scopes()
            .iter()
            .map(|scope| scope.to_string())
            .chain(FURTHER_SCOPES.map(Into::into))
            .collect();
        let documented = [
            "all:any",
            "devices:delete",
            "devices:list",
            "inbox:list",
            "inbox:read",
            "inbox:refresh",
            "logs:read",
            "messages:cancel",
            "messages:export",
            "messages:list",
            "messages:read",
            "messages:send",
            // The gate's own.
            "sessions:admin",
            "settings:read",
            "settings:write",
            "tokens:manage",
            "webhooks:delete",
            "webhooks:list",
            "webhooks:write",
        ];
        assert_eq!(scopes.iter().map(String::as_str).collect::<Vec<_>>(), documented);
    }

    #[test]
    fn health_and_the_catalog_may_be_read_by_anybody() {
        for (prefix, paths) in [
            ("/3rdparty/v1", &["/3rdparty/v1/health", "/3rdparty/v1/health/ready", "/health", "/health/live"][..]),
            ("", &["/health", "/health/startup", "/.well-known/api-catalog"]),
        ] {
            for path in paths {
                let open = methods(&routes(prefix, true), path, &Demand::Public);
                assert_eq!(open, [Method::GET, Method::HEAD], "{path}");
            }
        }
    }

    #[test]
    fn devices_pass_and_register_only_if_they_may() {
        for (prefix, base) in [("/3rdparty/v1", ""), ("/api/3rdparty/v1", "/api")] {
            for (registration, path, open) in [
                (true, "/device", METHODS.len()),
                (true, "/events", METHODS.len()),
                (true, "/message/7/state", METHODS.len()),
                (false, "/device", METHODS.len() - 1),
                (false, "/device/7", METHODS.len()),
                (false, "/events", METHODS.len()),
            ] {
                let (routes, path) = (routes(prefix, registration), format!("{base}/mobile/v1{path}"));
                assert_eq!(methods(&routes, &path, &Demand::Passthrough).len(), open, "{path}");
            }
            let closed = routes(prefix, false);
            for path in ["/mobile/v1/device", "/mobile/v1/device/", "/MOBILE/v1/device", "/mobile/V1/Device/"] {
                let demand = closed.demand(&Method::POST, &format!("{base}{path}"));
                assert_eq!(demand, &Demand::Nobody, "{base}{path}");
            }
            let elsewhere = format!("{base}/mobile/v2/device");
            assert_eq!(closed.demand(&Method::POST, &elsewhere), &Demand::Unmatched);
        }
        // The server on the phone has no such API, so nothing passes there.
        let phone = routes("", true);
        assert_eq!(mobile_prefix(""), None);
        assert!(methods(&phone, "/mobile/v1/device", &Demand::Passthrough).is_empty());
    }

    #[test]
    fn the_token_endpoints_of_the_upstream_are_opened_by_no_rule() {
        for prefix in ["", "/3rdparty/v1", "/api/3rdparty/v1"] {
            for path in ["/auth", "/auth/token", "/auth/token/refresh", "/auth/token/x"] {
                let all = methods(&routes(prefix, true), &format!("{prefix}{path}"), &Demand::Unmatched);
                assert_eq!(all.len(), METHODS.len(), "{prefix}{path}");
            }
        }
    }
}
