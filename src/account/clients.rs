//! OAuth clients: programs that ask for tokens, for themselves or for a user (RFC 6749 section 2).
//!
//! Guarantees: each id is there once; a secret is kept as its hash alone, and what spares checking that hash again tells
//! nothing without a key of this process.
//! Does not know: where clients are written down, how they prove themselves on the wire, what a grant hands out.
//!
//! The list never changes, and another one takes its place: that is why a secret that was found right once stays right.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::{hmac, rand};

use crate::token::{CredentialVersion, Scopes};

use super::basic::Password;
use super::hash::StoredHash;

/// A way to come by a token (RFC 6749 section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// With a user's name and password.
    Password,
    /// For the client itself.
    ClientCredentials,
    RefreshToken,
}

impl Grant {
    pub const ALL: [Self; 3] = [Self::Password, Self::ClientCredentials, Self::RefreshToken];

    /// As `grant_type` names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == name)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An OAuth client.
#[derive(Debug)]
pub struct Client {
    pub id: Arc<str>,
    /// What its secret is checked against. `None`: a public client, which cannot keep one.
    pub secret_hash: Option<StoredHash>,
    pub grants: Vec<Grant>,
    /// The most that tokens may carry that it asks for.
    pub scopes: Scopes,
    pub access_ttl: Duration,
    pub refresh_ttl: Duration,
}

impl Client {
    pub fn is_public(&self) -> bool {
        self.secret_hash.is_none()
    }

    pub fn may(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }

    /// A fingerprint under `key`, as of a user: different after a change of the secret.
    pub fn credential_version(&self, key: &[u8; 32]) -> CredentialVersion {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        // No user's name begins so, and no id contains a zero byte.
        context.update(b"\0client\0");
        context.update(self.id.as_bytes());
        context.update(&[0]);
        context.update(self.secret_hash.as_ref().map_or("", StoredHash::reveal).as_bytes());
        let tag = context.sign();
        let mut version = [0; 8];
        version.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        CredentialVersion(version)
    }
}

/// Every client, by id.
pub struct Clients {
    /// Sorted by id.
    list: Vec<Known>,
    key: hmac::Key,
}

struct Known {
    client: Arc<Client>,
    /// The secret that was found right, under the key of this process: a hash is made to be slow, and a resource server
    /// asks about every token that it is shown.
    proven: OnceLock<hmac::Tag>,
}

impl Clients {
    /// `clients`, of which no two have one id.
    #[expect(clippy::expect_used, reason = "no input reaches this; without randomness no token could be made either")]
    pub fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        let known = |client| Known { client: Arc::new(client), proven: OnceLock::new() };
        let mut list: Vec<Known> = clients.into_iter().map(known).collect();
        list.sort_by(|a, b| a.client.id.cmp(&b.client.id));
        let random = rand::SystemRandom::new();
        Self { list, key: hmac::Key::generate(hmac::HMAC_SHA256, &random).expect("the system gives random bytes") }
    }

    pub fn find(&self, id: &str) -> Option<&Arc<Client>> {
        self.known(id).map(|known| &known.client)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The hash of some client, the same one for the same `choice`; `None` if none has one.
    pub(super) fn any_hash(&self, choice: u64) -> Option<&StoredHash> {
        let hashes: Vec<_> = self.list.iter().filter_map(|known| known.client.secret_hash.as_ref()).collect();
        let count = u64::try_from(hashes.len()).ok().filter(|count| *count > 0)?;
        hashes.get(usize::try_from(choice % count).ok()?).copied()
    }

    /// Whether this secret of the client's was found right before.
    pub(super) fn is_proven(&self, id: &str, secret: &Password) -> bool {
        let tag = self.known(id).and_then(|known| known.proven.get());
        tag.is_some_and(|tag| hmac::verify(&self.key, secret.as_bytes(), tag.as_ref()).is_ok())
    }

    /// Notes that it was.
    pub(super) fn prove(&self, id: &str, secret: &Password) {
        if let Some(known) = self.known(id) {
            known.proven.get_or_init(|| hmac::sign(&self.key, secret.as_bytes()));
        }
    }

    fn known(&self, id: &str) -> Option<&Known> {
        self.list.binary_search_by(|known| (*known.client.id).cmp(id)).ok().and_then(|at| self.list.get(at))
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|known| &known.client.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::cheap;
    use super::*;

    fn client(id: &str, secret: &str) -> Client {
        Client {
            id: id.into(),
            secret_hash: Some(StoredHash::parse(&cheap::argon2id(secret)).unwrap()),
            grants: vec![Grant::ClientCredentials],
            scopes: Scopes::new(["a:x"]),
            access_ttl: Duration::from_secs(60),
            refresh_ttl: Duration::from_secs(600),
        }
    }

    #[test]
    fn a_grant_reads_back_from_its_name() {
        for grant in Grant::ALL {
            assert_eq!(Grant::named(grant.as_str()), Some(grant));
        }
        for other in ["", "Password", "implicit", "authorization_code"] {
            assert_eq!(Grant::named(other), None);
        }
    }

    #[test]
    fn only_the_secret_that_was_proven_is_remembered_and_only_for_its_client() {
        let clients = Clients::new([client("b", "hush"), client("a", "hush")]);
        let secret = |text: &str| Password::new(text.into());
        assert!(!clients.is_proven("a", &secret("hush")));
        clients.prove("a", &secret("hush"));
        assert!(clients.is_proven("a", &secret("hush")));
        assert!(!clients.is_proven("a", &secret("hush2")));
        assert!(!clients.is_proven("b", &secret("hush")));
        assert!(!clients.is_proven("c", &secret("hush")));
    }

    #[test]
    fn the_credential_version_follows_id_secret_and_key_and_is_no_users() {
        let (first, second) = (client("a", "x"), client("a", "x"));
        let version = first.credential_version(&[1; 32]);
        assert_eq!(version, first.credential_version(&[1; 32]));
        for other in [
            second.credential_version(&[1; 32]),
            first.credential_version(&[2; 32]),
            Client { id: "b".into(), ..client("a", "x") }.credential_version(&[1; 32]),
            Client { secret_hash: None, ..client("a", "x") }.credential_version(&[1; 32]),
        ] {
            assert_ne!(version, other);
        }
    }

    #[test]
    fn debug_shows_no_hash() {
        let shown = format!("{:?} {:?}", client("a", "x"), Clients::new([client("a", "x")]));
        assert!(shown.contains("\"a\"") && !shown.contains("argon2"), "{shown}");
    }
}
