//! The rows: kinds of tokens, what has become of their sessions, and forgeries.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::World;
use crate::support::dialect::client;
use crate::support::forge::{forge, parts, signed, with, without};
use crate::support::{Dialect, Gate, SECRET, Tokens, until};

/// All kinds, in the order of the table.
pub(super) const NAMES: [&str; 28] = [
    "smsgate access",
    "smsgate access, few",
    "smsgate access, replaced",
    "smsgate access, ended",
    "smsgate access, expired",
    "smsgate refresh",
    "smsgate refresh, used",
    "smsgate refresh, ended",
    "smsgate refresh, expired",
    "form access",
    "form access, replaced",
    "form access, ended",
    "form access, expired",
    "form refresh",
    "form refresh, used",
    "form refresh, ended",
    "form refresh, expired",
    "web access",
    "web access, replaced",
    "web access, ended",
    "web access, expired",
    "web refresh",
    "web refresh, used",
    "web refresh, ended",
    "web refresh, expired",
    "phone refresh",
    "reports access",
    "forged",
];

/// How long tokens live in the world where a kind can be had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Life {
    Lasting,
    BriefAccess,
    BriefRefresh,
}

/// A token of a kind, with the session that it belongs to and one beside it.
pub(super) struct Holder {
    pub name: String,
    pub token: String,
    /// The newest pair of its session.
    pub pair: Tokens,
    /// `None`: the session cannot be renewed.
    pub dialect: Option<Dialect>,
    user: &'static str,
    /// Another session of the same user; where that has none, of somebody.
    pub bystander: Tokens,
}

impl Life {
    pub fn settings(self) -> Vec<(&'static str, &'static str)> {
        let access =
            [("token.access_ttl", "1s"), ("profiles.form.access_ttl", "1s"), ("profiles.oauth.access_ttl", "1s")];
        let refresh = ["token.refresh_ttl", "profiles.form.refresh_ttl", "profiles.oauth.refresh_ttl"];
        match self {
            Self::Lasting => Vec::new(),
            Self::BriefAccess => access.to_vec(),
            Self::BriefRefresh => access.into_iter().chain(refresh.map(|name| (name, "1s"))).collect(),
        }
    }

    /// Waits until what is brief is over.
    #[track_caller]
    pub fn wait(self, gate: &Gate, holder: &Holder) {
        let over = |token: &str| {
            until("a token to expire", || (gate.get("/any").bearer(token).send().status == 401).then_some(()))
        };
        if self != Self::Lasting {
            over(&holder.pair.access);
            over(&holder.bystander.access);
        }
        if self == Self::BriefRefresh {
            let listed =
                || gate.get("/3rdparty/v1/auth/sessions").basic("alice", "wonderland").send().expect(200).text();
            until("all sessions to expire", || (listed() == "[]").then_some(()));
        }
    }
}

pub(super) fn life_of(name: &str) -> Life {
    match name.split_once(", ") {
        Some((kind, "expired")) if kind.ends_with("access") => Life::BriefAccess,
        Some((_, "expired")) => Life::BriefRefresh,
        _ => Life::Lasting,
    }
}

/// Whether the session of such a token is alive.
pub(super) fn lives(name: &str) -> bool {
    !name.ends_with(", ended") && life_of(name) != Life::BriefRefresh
}

impl Holder {
    /// The id of its session.
    pub fn session(&self) -> String {
        self.pair.session()
    }

    /// With which all its sessions can be told; a client that speaks for itself has none.
    pub fn password(&self) -> Option<(&'static str, &'static str)> {
        match self.user {
            "alice" => Some(("alice", "wonderland")),
            "bob" => Some(("bob", "builder")),
            _ => None,
        }
    }
}

/// Tokens of a kind, made anew: mostly one.
#[track_caller]
pub(super) fn make(world: &World, name: &'static str) -> Vec<Holder> {
    let gate = &world.gate;
    let bystander = Dialect::Smsgate.alice(gate);
    let alices = |dialect: Dialect, pair: Tokens, token: &str, name: &str| Holder {
        name: name.into(),
        token: token.into(),
        pair,
        dialect: Some(dialect),
        user: "alice",
        bystander: bystander.clone(),
    };
    let (kind, fate) = name.split_once(", ").unwrap_or((name, ""));
    if (kind, fate) == ("smsgate access", "few") {
        let few = |_: &str| Dialect::Smsgate.tokens(&gate.sign_in("bob", "builder", &["messages:send"]));
        let (pair, bystander) = (few("its own"), few("beside it"));
        let token = pair.access.clone();
        return vec![Holder { bystander, user: "bob", ..alices(Dialect::Smsgate, pair, &token, name) }];
    }
    if kind == "reports access" {
        let own = client(gate, "reports", "/oauth/token", &[("grant_type", "client_credentials")]).send().expect(200);
        let access = own.field("access_token");
        let pair = Tokens { access: access.clone(), refresh: String::new() };
        return vec![Holder { user: "reports", dialect: None, ..alices(Dialect::Web, pair, &access, name) }];
    }
    if kind == "forged" {
        let holder = |dialect: Dialect, pair: &Tokens, (name, token): (String, String)| {
            alices(dialect, pair.clone(), &token, &name)
        };
        let (jwt, opaque) = (Dialect::Smsgate.alice(gate), world.form().alice(gate));
        let jwts = forged_jwts(&jwt).into_iter().map(|forged| holder(Dialect::Smsgate, &jwt, forged));
        let opaques = forged_opaques(&opaque).into_iter().map(|forged| holder(world.form(), &opaque, forged));
        return jwts.chain(opaques).collect();
    }
    let (dialect, kind) = match kind.split_once(' ').unwrap() {
        ("smsgate", kind) => (Dialect::Smsgate, kind),
        ("form", kind) => (world.form(), kind),
        ("web", kind) => (Dialect::Web, kind),
        ("phone", kind) => (Dialect::Phone, kind),
        other => panic!("{other:?}"),
    };
    let first = dialect.alice(gate);
    let token = if kind == "access" { first.access.clone() } else { first.refresh.clone() };
    let newest = match fate {
        "replaced" | "used" => dialect.refreshed(gate, &first.refresh),
        "ended" => {
            let end = format!("/3rdparty/v1/auth/sessions/{}", first.session());
            gate.call("DELETE", &end).basic("alice", "wonderland").send().expect(204);
            first
        }
        "" | "expired" => first,
        other => panic!("{other}"),
    };
    vec![alices(dialect, newest, &token, name)]
}

/// By somebody who has both tokens of a pair and the secret that signs access tokens.
fn forged_jwts(pair: &Tokens) -> Vec<(String, String)> {
    let ((header, claims), (renewing, renewal)) = (parts(&pair.access), parts(&pair.refresh));
    let jwt = |header: &serde_json::Value, claims: &serde_json::Value| forge(header.to_string(), claims.to_string());
    let relabelled = |token: &str, header: &serde_json::Value| {
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", crate::support::forge::encode(header.to_string()))
    };
    let jti = format!("{}r", claims["jti"].as_str().unwrap());
    let newer = claims["jti"].as_str().unwrap().replace(".0", ".1");
    [
        ("access with a refresh token's jti", jwt(&header, &with(&claims, "jti", jti))),
        ("access of another session than its jti's", jwt(&header, &with(&claims, "sid", "AAAAAAAAAAAAAAAA"))),
        ("access claims under the refresh type", jwt(&with(&header, "typ", "rt+jwt"), &claims)),
        ("refresh claims, signed as access tokens are", jwt(&renewing, &renewal)),
        ("refresh claims of a newer generation", jwt(&renewing, &with(&renewal, "jti", format!("{newer}r")))),
        ("refresh claims under the access type", jwt(&header, &renewal)),
        ("refresh claims and access claims at once", jwt(&renewing, &with(&claims, "jti", renewal["jti"].clone()))),
        ("access under no type", jwt(&without(&header, "typ"), &claims)),
        ("access under the old type", jwt(&with(&header, "typ", "JWT"), &claims)),
        ("access of no key", jwt(&without(&header, "kid"), &claims)),
        ("access of an unknown key", jwt(&with(&header, "kid", "AAAAAAAAAAAAAAAA"), &claims)),
        ("access that nobody signed", relabelled(&pair.access, &with(&header, "alg", "none"))),
        ("access of another issuer", jwt(&header, &with(&claims, "iss", "somebody"))),
        ("access relabelled", relabelled(&pair.access, &renewing)),
        ("refresh relabelled", relabelled(&pair.refresh, &header)),
        ("refresh of an unknown key", relabelled(&pair.refresh, &with(&renewing, "kid", "AAAAAAAAAAAAAAAA"))),
        ("refresh of another session", {
            let (_, signature) = pair.refresh.rsplit_once('.').unwrap();
            let message = jwt(&renewing, &with(&renewal, "jti", "AAAAAAAAAAAAAAAA.0r"));
            format!("{}.{signature}", message.rsplit_once('.').unwrap().0)
        }),
        ("a profile as a claim", jwt(&renewing, &with(&renewal, "profile", "form"))),
        ("another secret", signed(hmac::HMAC_SHA256, b"somebody else's", header.to_string(), claims.to_string())),
        ("an empty object", forge(header.to_string(), json!({}).to_string())),
        ("a word", "x".into()),
    ]
    .map(|(name, token)| (name.to_owned(), token))
    .into()
}

/// By somebody who has an opaque refresh token and the secret that signs access tokens: version (1 byte), session (12),
/// generation (4), issued and expires (8 each).
fn forged_opaques(pair: &Tokens) -> Vec<(String, String)> {
    let (body, signature) = pair.refresh.split_at(44);
    let bytes = URL_SAFE_NO_PAD.decode(body).unwrap();
    let edited = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let resigned = |message: &[u8]| {
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message);
        format!("{body}{}", URL_SAFE_NO_PAD.encode(signature))
    };
    [
        ("opaque of another version", edited(0, 2) + signature),
        ("opaque of another session", edited(1, bytes[1] ^ 1) + signature),
        ("opaque of a newer generation", edited(16, 1) + signature),
        ("opaque of a longer life", edited(28, 0xff) + signature),
        ("opaque, signed as access tokens are", resigned(&bytes)),
        ("opaque, signed as access tokens are, for its purpose", {
            resigned(&[b"\0portcullis opaque refresh token\0", &bytes[..]].concat())
        }),
        ("opaque, cut", pair.refresh[..pair.refresh.len() - 1].to_owned()),
        ("opaque, padded", format!("{}=", pair.refresh)),
        ("opaque in segments", format!("{}.{}.{signature}", &body[..20], &body[20..])),
    ]
    .map(|(name, token)| (name.to_owned(), token))
    .into()
}
