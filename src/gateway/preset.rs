//! The `smsgate` preset: the SMS API's own routes and what each demands.
//!
//! Guarantees: every endpoint of the API has its documented scope (seed S32), the legacy aliases included; health and
//! the API catalogue are public; devices' own traffic passes untouched, as they carry credentials that are the
//! upstream's to judge (seed S43).
//! Does not know: requests.

use http::Method;

use super::route::{Demand, Rule};

/// Scopes that the API knows although no route demands them.
pub const FURTHER_SCOPES: [&str; 2] = [crate::token::ALL_ANY, crate::token::TOKENS_MANAGE];

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
