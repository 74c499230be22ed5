//! What would become of a request, told from its method and path alone.
//!
//! Guarantees: asks the same functions in the same order as the story of a request does ([`super::Gateway::handle`]).
//! Does not know: credentials, and how an upstream reads what is forwarded.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::mapping::strip_prefix_loosely;
use super::path::{self, Ambiguous};
use super::{Demand, Endpoints, Mapping, Routes};

/// The part of the rules in force that looks at methods and paths.
pub struct Foresight {
    pub routes: Routes,
    pub mapping: Mapping,
    pub endpoints: Endpoints,
    /// As in [`super::Charter`].
    pub upstream_auth_paths: Vec<String>,
}

impl Foresight {
    /// The canonical spelling of `target`'s path, with which [`Foresight::demand`] is asked.
    ///
    /// # Errors
    /// When the gate refuses the path.
    pub fn canonical<'a>(&self, target: &'a PathAndQuery) -> Result<Cow<'a, str>, Ambiguous> {
        path::canonical(target.path())
    }

    /// What has to be met for a request with this canonical path to be forwarded. [`Demand::Nobody`] for what the gate
    /// answers itself.
    pub fn demand(&self, method: &Method, path: &str) -> &Demand {
        let withheld = self.endpoints.find(method, path).is_some()
            || self.upstream_auth_paths.iter().any(|theirs| strip_prefix_loosely(path, theirs).is_some());
        if withheld { &Demand::Nobody } else { self.routes.demand(method, path) }
    }

    /// What would reach the upstream for `target` if its path were forwarded as `path`. `None` for what no request line
    /// can hold.
    pub fn forwarded(&self, target: &PathAndQuery, path: &str) -> Option<PathAndQuery> {
        let uri = Uri::from(target.clone());
        self.mapping.target(&uri, Cow::Owned(path.to_owned())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FormPaths, smsgate_rules};
    use super::*;

    #[test]
    fn what_the_gate_answers_itself_is_never_forwarded() {
        let form = FormPaths {
            login: "/login".into(),
            refresh: "/refresh".into(),
            logout: "/logout".into(),
            realm: "r".into(),
            cookie: None,
        };
        let foresight = Foresight {
            routes: Routes::new(smsgate_rules("/3rdparty/v1", true), Demand::Authenticated),
            mapping: Mapping::new("/base", "/3rdparty/v1", "/api/3rdparty/v1"),
            endpoints: Endpoints { smsgate: "/3rdparty/v1/auth".into(), form: Some(form), oauth: None },
            upstream_auth_paths: vec!["/api/3rdparty/v1/auth".into()],
        };
        let demand = |path| foresight.demand(&Method::GET, path).clone();
        for path in ["/3rdparty/v1/auth/token", "/3rdparty/V1/AUTH/", "/LOGIN/x", "/api/3rdparty/v1/auth"] {
            assert_eq!(demand(path), Demand::Nobody, "{path}");
        }
        assert_eq!(demand("/3rdparty/v1/messages"), Demand::Scope("messages:list".into()));
        assert_eq!(demand("/elsewhere"), Demand::Authenticated);
        let target = "/3rdparty/v1/%6dessages?a=%2F".parse().unwrap();
        let path = foresight.canonical(&target).unwrap();
        let forwarded = foresight.forwarded(&target, &path).unwrap();
        assert_eq!(forwarded.as_str(), "/base/api/3rdparty/v1/messages?a=%2F");
    }
}
