//! What is minted, and what tests elsewhere build on: a policy and a session.
//!
//! Guarantees: nothing here reads a clock; every instant is told from [`T0`].
//! Does not know: the table of verification; that is `verify`'s.

mod verify;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::keys::{Algorithm, KeyRing};

use super::*;

pub(crate) const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The defaults of the configuration.
pub(crate) fn policy() -> Policy {
    Policy {
        issuer: "portcullis".into(),
        audience: Vec::new(),
        access_type: "at+jwt".into(),
        leeway: Duration::from_secs(30),
        max_token_bytes: 8192,
        smsgate: Lifetimes { access_ttl: Duration::from_mins(15), refresh_ttl: Duration::from_hours(720) },
        form: Lifetimes { access_ttl: Duration::from_mins(5), refresh_ttl: Duration::from_hours(168) },
        oauth: Lifetimes { access_ttl: Duration::from_mins(10), refresh_ttl: Duration::from_hours(240) },
        access_ttl_max: Duration::from_hours(1),
        session_ttl: Duration::from_hours(8760),
        access_overlap: AccessOverlap::For(Duration::from_secs(30)),
        retry_window: Duration::ZERO,
        on_reuse: OnReuse::Session,
    }
}

/// A session that `subject` begins at `now`, as the engine behind the token endpoints makes it.
pub(crate) fn session(id: u64, subject: &str, now: Timestamp, policy: &Policy) -> Session {
    let mut bytes = [0; SessionId::BYTES];
    bytes[..8].copy_from_slice(&id.to_be_bytes());
    let expires_at = now + policy.session_ttl;
    let scopes = Scopes::new(["messages:send", "messages:read"]);
    Session {
        id: SessionId::from_bytes(bytes),
        subject: Subject::new(subject),
        profile: Profile::Smsgate,
        scopes: scopes.clone(),
        granted: scopes,
        access_ttl: policy.smsgate.access_ttl,
        device: None,
        begun_from: Sender::default(),
        used_from: Sender::default(),
        created_at: now,
        rotated_at: now,
        answered_at: now,
        idle_expires_at: (now + policy.smsgate.refresh_ttl).min(expires_at),
        expires_at,
        generation: 0,
        kid: "key".into(),
        credential: CredentialVersion([7; 8]),
        parent: None,
        access_floor: 0,
        in_doubt: false,
        outlived: None,
        client: None,
        certificate: None,
    }
}

/// `at` moved by microseconds, in either direction.
pub(crate) fn moved(at: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add_signed(micros))
}

fn mint(session: &Session, ring: &KeyRing, policy: &Policy) -> Pair {
    let claims = Map::new();
    Pair::mint(session, Person { email: None, roles: &[], claims: Some(&claims) }, None, ring.current(), policy, None)
        .unwrap()
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn a_token_says_to_which_certificate_it_is_bound() {
    let (policy, ring) = (policy(), KeyRing::in_memory(Algorithm::ES256).unwrap());
    let nobody = Person { email: None, roles: &[], claims: None };
    for certificate in [None, Some(Thumbprint::of(b"a certificate"))] {
        let session = session(1, "anna", T0, &policy);
        let pair = Pair::mint(&session, nobody, certificate, ring.current(), &policy, None).unwrap();
        let told = claims(&pair.access_token);
        assert_eq!(told.get("cnf"), certificate.map(|it| json!({ "x5t#S256": it.as_str() })).as_ref());
        assert_eq!(access::verify(&pair.access_token, &ring, &policy, T0).unwrap().certificate, certificate);
    }
}

#[test]
fn what_is_minted_verifies_with_every_algorithm() {
    let policy = policy();
    for algorithm in Algorithm::ALL {
        let ring = KeyRing::in_memory(algorithm).unwrap();
        let session = session(1, "anna", T0, &policy);
        let pair = mint(&session, &ring, &policy);
        let verified = access::verify(&pair.access_token, &ring, &policy, T0).unwrap();
        let expected = Verified {
            subject: Subject::new("anna"),
            scopes: session.granted.clone(),
            roles: Vec::new(),
            id: TokenId { session: session.id, generation: 0, kind: TokenKind::Access },
            kid: Arc::clone(ring.current().kid()),
            issued_at: T0,
            not_before: T0,
            expires_at: T0 + policy.smsgate.access_ttl,
            sealed: None,
            certificate: None,
        };
        assert_eq!(verified, expected, "{algorithm}");
        assert_eq!((pair.id, pair.expires_at), (verified.id, verified.expires_at), "{algorithm}");
        let refresh = refresh::verify(&pair.refresh_token, &ring, &policy, T0).unwrap();
        let id = TokenId { kind: TokenKind::Refresh, ..pair.id };
        assert_eq!(refresh, Refreshing { id, issued_at: T0, sealed: None }, "{algorithm}");
    }
}

#[test]
fn a_pair_says_what_other_validators_read() {
    let policy = Policy { audience: vec!["api".into(), "web".into()], ..policy() };
    let ring = KeyRing::in_memory(Algorithm::HS256).unwrap();
    let extra = json!({ "tenant": "acme", "level": 3 });
    let (roles, extra) = (["admin".to_owned()], extra.as_object().unwrap());
    let person = Person { email: Some("anna@example.org"), roles: &roles, claims: Some(extra) };
    let session = session(1, "anna", T0, &policy);
    let pair = Pair::mint(&session, person, None, ring.current(), &policy, None).unwrap();
    assert_eq!(
        claims(&pair.access_token),
        json!({
            "iss": "portcullis", "sub": "anna", "user_id": "anna", "aud": ["api", "web"],
            "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_900,
            "jti": format!("{}.0", session.id), "sid": session.id.to_string(),
            "scopes": ["messages:send", "messages:read"], "scope": "messages:send messages:read",
            "email": "anna@example.org", "roles": ["admin"], "tenant": "acme", "level": 3,
        })
    );
    assert_eq!(
        claims(&pair.refresh_token),
        json!({
            "iss": "portcullis", "sub": "anna", "user_id": "anna",
            "iat": 1_800_000_000, "exp": 1_802_592_000,
            "jti": format!("{}.0r", session.id), "sid": session.id.to_string(),
            "scopes": ["tokens:refresh"], "original_scopes": ["messages:send", "messages:read"],
        })
    );
    let header = |token: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(&token[..token.find('.').unwrap()]).unwrap());
    let kid = ring.current().kid();
    let expected = |typ: &str| format!(r#"{{"alg":"HS256","typ":"{typ}","kid":"{kid}"}}"#);
    assert_eq!(header(&pair.access_token).unwrap(), expected("at+jwt"));
    assert_eq!(header(&pair.refresh_token).unwrap(), expected("rt+jwt"));
}

#[test]
fn a_retry_mints_the_same_pair_again() {
    let policy = Policy { retry_window: Duration::from_secs(10), ..policy() };
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let ring = KeyRing::in_memory(algorithm).unwrap();
        let mut session = session(1, "anna", T0, &policy);
        let user = Standing { scopes: session.scopes.clone(), credential: session.credential };
        let mut present = |seconds| {
            let now = T0 + Duration::from_secs(seconds);
            let presented = Presented {
                session: session.id,
                generation: 0,
                issued_at: T0,
                profile: session.profile,
                arrived_at: now,
                sender: Sender::default(),
                by: None,
                certificate: None,
            };
            match session.rotate(&presented, Some(&user), ring.current().kid(), now, &policy) {
                Rotation::Rotated(session) | Rotation::Retried(session) => mint(&session, &ring, &policy),
                refused => panic!("{refused:?}"),
            }
        };
        let (first, again) = (present(100), present(109));
        assert_eq!((first.access_token, first.refresh_token), (again.access_token, again.refresh_token));
        assert_eq!((first.id, first.expires_at), (again.id, again.expires_at));
    }
}

#[test]
fn an_access_token_ends_with_its_session_at_the_latest() {
    let policy = policy();
    let ring = KeyRing::in_memory(Algorithm::HS256).unwrap();
    let day = Duration::from_hours(24);
    for (before_the_end, lifetime) in [(3600, 900), (900, 900), (899, 899), (10, 10), (1, 1), (0, 0)] {
        let mut session = session(1, "anna", T0, &policy);
        session.expires_at = T0 + day;
        session.rotated_at = T0 + (day - Duration::from_secs(before_the_end));
        let exp = claims(&mint(&session, &ring, &policy).access_token)["exp"].as_u64().unwrap();
        assert_eq!(exp - session.rotated_at.as_secs(), lifetime, "{before_the_end} s before the end");
    }
}

#[test]
fn times_in_tokens_are_whole_seconds_and_never_later_than_meant() {
    let policy = policy();
    let ring = KeyRing::in_memory(Algorithm::HS256).unwrap();
    for micros in [0, 1, 499_999, 500_000, 999_999] {
        let session = session(1, "anna", moved(T0, micros), &policy);
        let pair = mint(&session, &ring, &policy);
        let (access, refresh) = (claims(&pair.access_token), claims(&pair.refresh_token));
        assert_eq!((access["iat"].as_u64(), access["nbf"].as_u64()), (Some(T0.as_secs()), Some(T0.as_secs())));
        assert_eq!(access["exp"].as_u64(), Some(T0.as_secs() + 900));
        assert_eq!(refresh["exp"].as_u64(), Some(session.idle_expires_at.as_secs()));
        assert_eq!(pair.expires_at, Timestamp::from_secs(T0.as_secs() + 900), "what the answer says is what exp says");
    }
}

#[test]
fn a_requested_lifetime_is_capped_and_zero_means_the_default() {
    let policy = policy();
    for (requested, expected) in
        [(None, 900), (Some(0), 900), (Some(1), 1), (Some(3600), 3600), (Some(3601), 3600), (Some(u64::MAX), 3600)]
    {
        assert_eq!(policy.access_ttl_for(Profile::Smsgate, requested), Duration::from_secs(expected), "{requested:?}");
    }
}
