//! The rules in force without a gate: for those who ask what would become of a request.
//!
//! Guarantees: built from the configuration as a gate builds them; touches no file.
//! Does not know: what is asked.

use crate::config::Config;
use crate::gateway::{Foresight, KEYS, Mapping, Routes};

use super::terms;

/// What a gate of this configuration would do with methods and paths, and the paths that it speaks of as its rules spell
/// them, with `{name}` and `*`: those of rules, its own endpoints, and the upstream's token endpoints.
pub fn foresight(config: &Config) -> (Foresight, Vec<String>) {
    let rules = terms::rules(config);
    let mut paths: Vec<String> = rules.iter().map(|rule| rule.path.clone()).collect();
    let routes = Routes::new(rules, terms::unmatched(config));
    let known_scopes = terms::known_scopes(config, &routes);
    let endpoints = terms::endpoints(config, &known_scopes);
    let upstream_auth_paths = terms::upstream_auth_paths(config);
    for auth in upstream_auth_paths.iter().chain([&endpoints.smsgate]) {
        paths.extend([format!("{auth}/token"), format!("{auth}/token/refresh")]);
    }
    if let Some(form) = &endpoints.form {
        paths.extend([&form.login, &form.refresh, &form.logout].map(Clone::clone));
    }
    if let Some(oauth) = &endpoints.oauth {
        paths.extend([&oauth.token, &oauth.revoke, &oauth.introspect].map(Clone::clone));
        paths.push(KEYS.into());
    }
    let mut seen = std::collections::HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    let mapping = Mapping::new(&config.upstream.url.base, &config.routes.prefix, &config.routes.upstream_prefix);
    (Foresight { routes, mapping, endpoints, upstream_auth_paths }, paths)
}
