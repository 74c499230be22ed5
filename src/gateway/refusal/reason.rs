//! Why it was refused, for logs and counters.
//!
//! Guarantees: fine and stable words, each for one reason.
//! Does not know: what the client reads.

use crate::profile::Refused;
use crate::token::{RotationRefusal, SealError};
use crate::upstream::UpstreamError;

use super::super::Outcome;
use super::Refusal;

impl Refusal {
    /// For logs and counters: fine and stable.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AmbiguousPath => "path_ambiguous",
            Self::AmbiguousHost => "host_ambiguous",
            Self::AmbiguousFraming => "framing_ambiguous",
            Self::AmbiguousAuthorization => "authorization_ambiguous",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::MethodUnsupported => "method_unsupported",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NoCredentials => "credentials_missing",
            Self::UnknownScheme => "credentials_scheme",
            Self::MalformedBasic => "basic_malformed",
            Self::WrongCredentials => "credentials_wrong",
            Self::Unjudged => "credentials_unjudged",
            Self::BasicSwitchedOff(_) => "basic_off",
            Self::Token(error) => error.reason(),
            Self::Superseded => "token_superseded",
            Self::Ended => "session_ended",
            Self::Lost => "token_lost",
            Self::OtherRealm => "token_other_realm",
            Self::NothingSealed => "credentials_not_sealed",
            Self::UpstreamCredentials => "upstream_credentials_rejected",
            Self::Repeated(Outcome::Answered(_)) => "request_answered_before",
            Self::Repeated(Outcome::UnderWay) => "request_under_way",
            Self::Repeated(Outcome::Unknown) => "request_outcome_unknown",
            Self::ScopeMissing(_) => "scope_missing",
            Self::RoleMissing { .. } => "role_missing",
            Self::CertificateMissing => "certificate_missing",
            Self::NoRule => "no_rule",
            Self::Closed => "route_closed",
            Self::Throttled { .. } => "guess_limit",
            Self::Busy => "password_queue_full",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::NoEndpoint => "no_endpoint",
            Self::NoOrigin => "origin_missing",
            Self::ForeignOrigin => "origin_foreign",
            Self::AmbiguousCookie => "cookie_ambiguous",
            Self::Profile(refused) => refused_reason(refused),
            Self::Upstream(UpstreamError::Connect(_)) => "upstream_unreachable",
            Self::Upstream(UpstreamError::ConnectTimeout) => "upstream_connect_timeout",
            Self::Upstream(UpstreamError::AnswerTimeout) => "upstream_first_byte_timeout",
            Self::Upstream(UpstreamError::TooManyTunnels) => "tunnels_full",
            Self::Upstream(UpstreamError::NoUpgrade) => "upgrade_impossible",
            Self::Upstream(UpstreamError::Ended) => "token_ended_meanwhile",
            Self::NoTunnel => "upstream_no_tunnel",
            Self::Upstream(UpstreamError::Broken(_)) => "upstream_broke_off",
            Self::Upstream(UpstreamError::Garbled(_)) => "upstream_garbled",
            Self::Upstream(UpstreamError::Upload(_)) => "upload_broken",
            Self::Upstream(UpstreamError::UploadTimeout) => "upload_timeout",
            Self::Primary(_) => "primary_unavailable",
            Self::NoPrimary => "primary_is_replica",
            Self::InForm { refusal, .. } | Self::InOauth(refusal) => refusal.reason(),
        }
    }
}

fn refused_reason(refused: &Refused) -> &'static str {
    use crate::profile::RefreshRefusal as R;
    match refused {
        Refused::Disabled => "profile_disabled",
        Refused::NotJson => "body_not_json",
        Refused::Body(_) => "body_invalid",
        Refused::NoScopes => "scopes_empty",
        Refused::NoKnownScope => "scopes_unknown",
        Refused::BeyondUser => "scopes_beyond_user",
        Refused::BeyondCaller => "scopes_beyond_caller",
        Refused::BeyondClient => "scopes_beyond_client",
        Refused::BeyondGrant => "scopes_beyond_grant",
        Refused::MalformedScope => "scopes_malformed",
        Refused::NoUser => "token_of_client",
        Refused::UnknownGrant => "grant_unknown",
        Refused::GrantNotAllowed => "grant_not_allowed",
        Refused::WrongPassword => "grant_password_wrong",
        Refused::Foreign => "token_of_other_client",
        Refused::Refresh(R::Token(error)) => error.reason(),
        Refused::Refresh(R::Raced) => "refresh_raced",
        Refused::Refresh(R::Reused) => "refresh_reused",
        Refused::Refresh(R::Disowned) => "refresh_user_changed",
        Refused::Refresh(R::Rotation(RotationRefusal::Unknown)) => "refresh_session_unknown",
        Refused::Refresh(R::Rotation(RotationRefusal::Ended)) => "refresh_session_ended",
        Refused::Refresh(R::Rotation(RotationRefusal::Expired)) => "refresh_session_expired",
        Refused::Refresh(R::Rotation(RotationRefusal::OtherProfile)) => "refresh_other_profile",
        Refused::Refresh(R::Rotation(RotationRefusal::OtherClient)) => "refresh_other_client",
        Refused::Refresh(R::Rotation(RotationRefusal::OtherCertificate)) => "refresh_other_certificate",
        Refused::Refresh(R::Rotation(RotationRefusal::Scopes)) => "refresh_scopes",
        Refused::Refresh(R::Rotation(RotationRefusal::Ahead)) => "refresh_ahead_of_store",
        Refused::Refresh(R::Rotation(RotationRefusal::Lost)) => "refresh_lost",
        Refused::Forgeries(_) => "refresh_forged_too_often",
        Refused::Unsealed(SealError::TooLong) => "password_unsealable",
        Refused::Unsealed(SealError::NoKey) => "sealing_key_missing",
        Refused::NothingSealed => "sealed_part_missing",
        Refused::Full => "store_full",
        Refused::Unwritten => "store_unwritten",
        Refused::Overtaken => "sign_in_overtaken",
        Refused::Mint(_) => "mint_failed",
    }
}
