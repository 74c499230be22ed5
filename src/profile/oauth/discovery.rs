//! What a client or a resource server may want to know before it has any token: metadata and public keys.
//!
//! Guarantees: everything in it is public; a ring of secrets publishes no key.
//! Does not know: who asks.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::account::Grant;
use crate::keys::{Jwk, KeyRing};
use crate::token::Scopes;

use super::super::{Content, Refused, Reply};

/// Of the authorization server (RFC 8414 section 2). The same for everybody as long as the process runs.
#[derive(Clone, Debug)]
pub struct Metadata(Bytes);

#[derive(Serialize)]
struct MetadataView<'a> {
    issuer: &'a str,
    token_endpoint: String,
    jwks_uri: String,
    scopes_supported: &'a Scopes,
    /// There is no authorization endpoint. The member is required all the same.
    response_types_supported: [&'static str; 0],
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: [&'static str; 3],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    /// RFC 8705 section 3.3.
    #[serde(skip_serializing_if = "<&bool as std::ops::Not>::not")]
    tls_client_certificate_bound_access_tokens: bool,
}

/// Where things lie, as clients see it.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Without a path and without a slash at its end.
    pub issuer: &'a str,
    pub token: &'a str,
    pub revoke: &'a str,
    pub introspect: &'a str,
    pub keys: &'a str,
}

impl Metadata {
    /// `bound`: whether tokens are bound to the certificates that clients show.
    pub fn new(places: Places<'_>, password_grant: bool, bound: bool, scopes: &Scopes) -> Self {
        let under = |path: &str| format!("{}{path}", places.issuer);
        let offered = |grant: &Grant| *grant != Grant::Password || password_grant;
        let (basic, post, none) = ("client_secret_basic", "client_secret_post", "none");
        let view = MetadataView {
            issuer: places.issuer,
            token_endpoint: under(places.token),
            jwks_uri: under(places.keys),
            scopes_supported: scopes,
            response_types_supported: [],
            grant_types_supported: Grant::ALL
                .iter()
                .filter(|grant| offered(grant))
                .map(|grant| grant.as_str())
                .collect(),
            token_endpoint_auth_methods_supported: [basic, post, none],
            revocation_endpoint: under(places.revoke),
            revocation_endpoint_auth_methods_supported: [basic, post, none],
            introspection_endpoint: under(places.introspect),
            introspection_endpoint_auth_methods_supported: [basic, post],
            tls_client_certificate_bound_access_tokens: bound,
        };
        // Texts and lists of texts are never refused.
        Self(serde_json::to_vec(&view).unwrap_or_default().into())
    }

    pub fn reply(&self) -> Reply {
        Reply { status: StatusCode::OK, content: Content::Json(self.0.clone()), aside: None }
    }
}

#[derive(Serialize)]
struct KeySet<'a> {
    keys: Vec<Jwk<'a>>,
}

/// The keys that access tokens verify with (RFC 7517 section 5), in whatever state; nothing of a ring of secrets.
///
/// # Errors
/// None that a caller can cause.
pub fn keys(ring: &KeyRing) -> Result<Reply, Refused> {
    Reply::json(StatusCode::OK, &KeySet { keys: ring.iter().filter_map(|(key, _)| key.jwk()).collect() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::keys::Algorithm;

    fn parsed(reply: Reply) -> Value {
        let Content::Json(json) = reply.content else { panic!("no JSON") };
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn the_metadata_names_every_endpoint_below_the_issuer() {
        let places = Places {
            issuer: "https://gate.example",
            token: "/oauth/token",
            revoke: "/oauth/revoke",
            introspect: "/oauth/introspect",
            keys: "/.well-known/jwks.json",
        };
        let told = parsed(Metadata::new(places, false, false, &Scopes::new(["a:x"])).reply());
        assert_eq!(told["issuer"], "https://gate.example");
        assert_eq!(told["token_endpoint"], "https://gate.example/oauth/token");
        assert_eq!(told["jwks_uri"], "https://gate.example/.well-known/jwks.json");
        assert_eq!(told["grant_types_supported"], json!(["client_credentials", "refresh_token"]));
        assert_eq!(told["response_types_supported"], json!([]));
        assert_eq!(told.get("tls_client_certificate_bound_access_tokens"), None);
        let told = parsed(Metadata::new(places, true, true, &Scopes::new(["a:x"])).reply());
        assert_eq!(told["grant_types_supported"], json!(["password", "client_credentials", "refresh_token"]));
        assert_eq!(told["tls_client_certificate_bound_access_tokens"], true);
    }

    #[test]
    fn a_ring_of_secrets_publishes_nothing() {
        let told = |algorithm| parsed(keys(&KeyRing::in_memory(algorithm).unwrap()).unwrap());
        assert_eq!(told(Algorithm::HS256), json!({"keys": []}));
        assert_eq!(told(Algorithm::ES256)["keys"][0]["kty"], "EC");
    }
}
