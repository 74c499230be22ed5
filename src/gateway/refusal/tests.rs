//! Refusals against the contract, one by one.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde::de::Error;

use crate::profile::{RefreshRefusal, Refused};
use crate::token::{MintError, RotationRefusal, SealError, TokenError};
use crate::upstream::{Garbled, UpstreamError};

use super::*;

const INNER: &str = "connect to 10.7.8.9 with hunter2 failed";

fn json_error() -> serde_json::Error {
    serde_json::Error::custom(INNER)
}

fn token_errors() -> Vec<TokenError> {
    vec![
        TokenError::TooLong,
        TokenError::Malformed,
        TokenError::Header,
        TokenError::UnknownKey,
        TokenError::Algorithm,
        TokenError::Type,
        TokenError::Signature,
        TokenError::Claims(json_error()),
        TokenError::Issuer,
        TokenError::Audience,
        TokenError::Expired,
        TokenError::NotYetValid,
        TokenError::IssuedInFuture,
        TokenError::Kind,
        TokenError::Confirmation,
        TokenError::Certificate,
    ]
}

fn refreshes() -> Vec<RefreshRefusal> {
    let rotations = [
        RotationRefusal::Unknown,
        RotationRefusal::Ended,
        RotationRefusal::Expired,
        RotationRefusal::OtherProfile,
        RotationRefusal::OtherClient,
        RotationRefusal::OtherCertificate,
        RotationRefusal::Scopes,
        RotationRefusal::Ahead,
        RotationRefusal::Lost,
    ];
    let others = [RefreshRefusal::Raced, RefreshRefusal::Reused, RefreshRefusal::Disowned];
    others.into_iter().chain(rotations.map(RefreshRefusal::Rotation)).collect()
}

/// Every refusal once, with the status and code it has outside.
fn all() -> Vec<(Refusal, u16, &'static str)> {
    use Refusal as R;
    let throttled = R::Throttled { retry_after: Duration::from_secs(7) };
    let mint = R::Profile(Refused::Mint(MintError::Claims(json_error())));
    let mut all = vec![
        (R::AmbiguousPath, 400, "invalid_request"),
        (R::AmbiguousHost, 400, "invalid_request"),
        (R::AmbiguousFraming, 400, "invalid_request"),
        (R::AmbiguousAuthorization, 400, "invalid_request"),
        (R::UriTooLong, 414, "invalid_request"),
        (R::HeadersTooLarge, 431, "invalid_request"),
        (R::MethodUnsupported, 501, "invalid_request"),
        (R::MethodNotAllowed("POST"), 405, "invalid_request"),
        (R::NoCredentials, 401, "invalid_token"),
        (R::UnknownScheme, 401, "invalid_token"),
        (R::MalformedBasic, 400, "invalid_request"),
        (R::WrongCredentials, 401, "invalid_client"),
        (R::BasicSwitchedOff("POST /t".into()), 401, "invalid_token"),
        (R::OtherRealm, 401, "invalid_token"),
        (R::NothingSealed, 401, "invalid_token"),
        (R::UpstreamCredentials, 401, "invalid_token"),
        (R::Unjudged, 503, "temporarily_unavailable"),
        (R::Repeated(Outcome::UnderWay), 409, "duplicate_request"),
        (R::Repeated(Outcome::Unknown), 409, "duplicate_request"),
        (R::Repeated(Outcome::Answered(StatusCode::ACCEPTED)), 409, "duplicate_request"),
        (R::Profile(Refused::Unsealed(SealError::TooLong)), 400, "invalid_request"),
        (R::Profile(Refused::Unsealed(SealError::NoKey)), 503, "temporarily_unavailable"),
        (R::Profile(Refused::NothingSealed), 401, "invalid_token"),
        (R::Profile(Refused::Forgeries(Duration::from_secs(1))), 429, "slow_down"),
        (R::Token(TokenError::RefreshPresented), 403, "insufficient_scope"),
        (R::Token(TokenError::AccessPresented), 403, "insufficient_scope"),
        (R::Superseded, 401, "invalid_token"),
        (R::Lost, 401, "invalid_token"),
        (R::Ended, 401, "invalid_token"),
        (R::ScopeMissing("messages:send".into()), 403, "insufficient_scope"),
        (R::RoleMissing { subject: "ann".into(), role: "admin".into() }, 403, "insufficient_scope"),
        (R::CertificateMissing, 403, "access_denied"),
        (R::NoRule, 403, "access_denied"),
        (R::Closed, 403, "access_denied"),
        (throttled, 429, "slow_down"),
        (R::Busy, 503, "temporarily_unavailable"),
        (R::BodyTooLarge, 413, "invalid_request"),
        (R::BodyTimeout, 408, "invalid_request"),
        (R::BodyBroken, 400, "invalid_request"),
        (R::NoEndpoint, 404, "invalid_request"),
        (R::NoOrigin, 403, "access_denied"),
        (R::ForeignOrigin, 403, "access_denied"),
        (R::AmbiguousCookie, 400, "invalid_request"),
        (R::Profile(Refused::Disabled), 501, "unsupported"),
        (R::Profile(Refused::NotJson), 415, "invalid_request"),
        (R::Profile(Refused::Body("what is wrong")), 400, "invalid_request"),
        (R::Profile(Refused::NoScopes), 400, "invalid_scope"),
        (R::Profile(Refused::NoKnownScope), 400, "invalid_scope"),
        (R::Profile(Refused::BeyondUser), 403, "invalid_scope"),
        (R::Profile(Refused::BeyondCaller), 403, "invalid_scope"),
        (R::Profile(Refused::BeyondClient), 400, "invalid_scope"),
        (R::Profile(Refused::BeyondGrant), 400, "invalid_scope"),
        (R::Profile(Refused::MalformedScope), 400, "invalid_scope"),
        (R::Profile(Refused::NoUser), 403, "access_denied"),
        (R::Profile(Refused::UnknownGrant), 400, "unsupported_grant_type"),
        (R::Profile(Refused::GrantNotAllowed), 400, "unauthorized_client"),
        (R::Profile(Refused::WrongPassword), 400, "invalid_grant"),
        (R::Profile(Refused::Foreign), 400, "invalid_grant"),
        (R::Profile(Refused::Full), 503, "temporarily_unavailable"),
        (R::Profile(Refused::Unwritten), 503, "temporarily_unavailable"),
        (R::Profile(Refused::Overtaken), 503, "temporarily_unavailable"),
        (mint, 500, "server_error"),
        (R::Primary(UpstreamError::Broken(io::Error::other(INNER))), 503, "temporarily_unavailable"),
        (R::NoPrimary, 503, "temporarily_unavailable"),
        (R::Upstream(UpstreamError::Connect(io::Error::other(INNER))), 502, "bad_gateway"),
        (R::Upstream(UpstreamError::Broken(io::Error::other(INNER))), 502, "bad_gateway"),
        (R::Upstream(UpstreamError::Garbled(Garbled(INNER))), 502, "bad_gateway"),
        (R::Upstream(UpstreamError::Upload(io::Error::other(INNER))), 400, "invalid_request"),
        (R::Upstream(UpstreamError::UploadTimeout), 408, "invalid_request"),
        (R::Upstream(UpstreamError::ConnectTimeout), 504, "gateway_timeout"),
        (R::Upstream(UpstreamError::AnswerTimeout), 504, "gateway_timeout"),
        (R::Upstream(UpstreamError::TooManyTunnels), 503, "temporarily_unavailable"),
        (R::Upstream(UpstreamError::NoUpgrade), 501, "invalid_request"),
        (R::Upstream(UpstreamError::Ended), 401, "invalid_token"),
        (R::NoTunnel, 502, "bad_gateway"),
    ];
    all.extend(token_errors().into_iter().map(|error| (R::Token(error), 401, "invalid_token")));
    let refused = |refresh| (R::Profile(Refused::Refresh(refresh)), 401, "invalid_token");
    all.extend(refreshes().into_iter().map(refused));
    all
}

#[test]
fn every_refusal_has_the_status_and_code_of_the_contract() {
    for (refusal, status, error) in all() {
        let wording = refusal.wording("portcullis");
        assert_eq!((wording.status.as_u16(), wording.error), (status, error), "{refusal:?}");
        assert!(wording.message.starts_with(char::is_alphabetic), "{refusal:?}: {}", wording.message);
    }
}

#[test]
fn every_401_has_a_challenge_that_a_header_can_carry() {
    for (refusal, status, error) in all() {
        let wording = refusal.wording("portcullis");
        let challenge = wording.challenge.as_deref();
        assert_eq!(challenge.is_some(), status == 401 || error == "insufficient_scope", "{refusal:?}");
        let Some(challenge) = challenge else { continue };
        assert!(HeaderValue::from_str(challenge).is_ok(), "{challenge}");
        let scheme = if error == "invalid_client" { "Basic" } else { "Bearer" };
        assert!(challenge.starts_with(&format!("{scheme} realm=\"portcullis\"")), "{challenge}");
        // RFC 6750 section 3.1: no code for a request without a token.
        let without = matches!(refusal, Refusal::NoCredentials | Refusal::UnknownScheme | Refusal::BasicSwitchedOff(_));
        assert_eq!(challenge.contains(&format!("error=\"{error}\"")), !without && scheme == "Bearer", "{challenge}");
    }
}

fn missing(role: &str) -> Refusal {
    Refusal::RoleMissing { subject: "ann".into(), role: role.into() }
}

#[test]
fn a_missing_role_is_told_in_the_words_of_the_guide() {
    for (role, expected) in [
        ("admin", "Access denied. User ann is not an admin."),
        ("Editor", "Access denied. User ann is not an Editor."),
        ("manager", "Access denied. User ann is not a manager."),
    ] {
        assert_eq!(missing(role).wording("x").message, expected, "seed Z17");
        assert_eq!(missing(role).plain_wording("x").message, expected, "seed Z17");
    }
}

#[test]
fn in_plain_words_every_bad_or_missing_token_reads_alike() {
    for (refusal, status, error) in all() {
        let wording = refusal.plain_wording("Members");
        assert_eq!(wording.dress, Dress::Plain);
        assert_eq!(wording.status.as_u16(), status);
        if status == 401 && error != "invalid_client" {
            assert_eq!(wording.message, "Invalid or expired token.", "seed Z16");
            assert_eq!(wording.challenge.as_deref(), Some("Bearer realm=\"Members\""), "seed Z16");
        }
    }
}

#[test]
fn no_name_breaks_out_of_a_challenge() {
    for role in ["a\", error=\"x", "a\\", "a\r\nb: c", "Verk\u{e4}ufer", "\u{0}"] {
        let challenge = missing(role).wording("portcullis").challenge.unwrap();
        assert!(HeaderValue::from_str(&challenge).is_ok_and(|value| value.to_str().is_ok()), "{challenge}");
        assert_eq!(challenge.matches('"').count(), 6, "{challenge}");
        assert_eq!(challenge.matches('\\').count(), 0, "{challenge}");
    }
    let challenge = Refusal::ScopeMissing("messages:send".into()).wording("portcullis").challenge.unwrap();
    assert!(challenge.ends_with("description=\"scope required: messages:send\", scope=\"messages:send\""));
}

#[test]
fn no_wording_holds_an_inner_error() {
    for (refusal, ..) in all() {
        let wording = refusal.wording("portcullis");
        let told = format!("{} {} {:?}", wording.error, wording.message, wording.challenge);
        for inner in [INNER, "10.7", "hunter2"] {
            assert!(!told.contains(inner), "{refusal:?}: {told}");
        }
        assert!(!refusal.reason().contains("hunter2"));
    }
}

#[test]
fn in_oauth_a_client_a_grant_and_all_else_are_told_apart() {
    for (refusal, status, error) in all() {
        let expected = match &refusal {
            Refusal::NoCredentials | Refusal::UnknownScheme => (401, "invalid_client"),
            Refusal::MalformedBasic | Refusal::WrongCredentials => (401, "invalid_client"),
            Refusal::Profile(Refused::Refresh(_)) => (400, "invalid_grant"),
            _ => (status, error),
        };
        let (reason, told) = (refusal.reason(), format!("{refusal:?}"));
        let refusal = Refusal::InOauth(Box::new(refusal));
        let wording = refusal.wording("portcullis");
        assert_eq!((wording.status.as_u16(), wording.error), expected, "{told}");
        assert_eq!((wording.dress, refusal.reason()), (Dress::Oauth, reason));
        if error != "insufficient_scope" {
            assert_eq!(wording.challenge.is_some(), expected.0 == 401, "{told}");
        }
        // RFC 6749 section 5.2: what an error_description may hold.
        let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        assert!(wording.message.chars().all(plain), "{}", wording.message);
    }
}

#[test]
fn a_failed_refresh_tells_nobody_why() {
    let told = |refresh| {
        let wording = Refusal::Profile(Refused::Refresh(refresh)).wording("portcullis");
        (wording.status, wording.error, wording.message, wording.challenge, wording.retry_after)
    };
    let expected = told(RefreshRefusal::Raced);
    assert_eq!(expected.2, "Invalid refresh token");
    for refresh in refreshes().into_iter().chain(token_errors().into_iter().map(RefreshRefusal::Token)) {
        assert_eq!(told(refresh), expected);
    }
}

#[test]
fn reasons_are_unique_words() {
    let mut seen = HashSet::new();
    for (refusal, ..) in all() {
        let reason = refusal.reason();
        assert!(seen.insert(reason), "{reason} twice");
        assert!(reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{reason}");
        assert!(reason.split('_').all(|word| !word.is_empty()), "{reason}");
    }
    // A token is refused for the same reason wherever it was presented.
    for error in token_errors() {
        let reason = error.reason();
        assert_eq!(Refusal::Profile(Refused::Refresh(RefreshRefusal::Token(error))).reason(), reason);
    }
}

#[test]
fn only_what_passes_by_itself_says_when_to_try_again() {
    for (refusal, status, _) in all() {
        let expected = matches!(status, 429 | 503);
        assert_eq!(refusal.wording("portcullis").retry_after.is_some(), expected, "{refusal:?}");
        let allow = refusal.wording("portcullis").allow;
        assert_eq!(allow, (status == 405).then_some("POST"), "{refusal:?}");
    }
    let throttled = Refusal::Throttled { retry_after: Duration::from_secs(7) };
    assert_eq!(throttled.wording("portcullis").retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn every_refusal_is_a_status_of_grpc_and_none_is_success() {
    for (refusal, status, _) in all() {
        let expected = match status {
            401 => 16,
            403 => 7,
            429 | 502 | 503 | 504 => 14,
            400 | 500 => 13,
            404 | 405 | 501 => 12,
            408 => 4,
            409 => 6,
            413 | 414 | 431 => 8,
            415 => 2,
            _ => 0,
        };
        assert_eq!(refusal.wording("portcullis").grpc_status(), expected, "{refusal:?}");
    }
}
