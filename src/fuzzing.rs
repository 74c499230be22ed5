//! The readers of what strangers send, to be fed with anything. No part of the gate: only tests and `fuzz/` have it.
//!
//! Guarantees: a target panics exactly if its reader breaks a promise, so that whoever feeds it needs to know nothing of
//! it.
//! Does not know: where the bytes come from.

use std::sync::LazyLock;
use std::time::Duration;

use crate::issuer::KeySet;
use crate::keys::{Algorithm, KeyRing};
use crate::profile::Fields;
use crate::profile::oauth::ClientFields;
use crate::token::{
    AccessOverlap, CredentialVersion, Lifetimes, OnReuse, Pair, Person, Policy, Profile, Scopes, Sender, Session,
    SessionId, Subject, Timestamp, access, opaque, refresh,
};
use crate::{edge, gateway, store, upstream};

/// A reader, with the name of its folder under `fuzz/corpus`.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 12] = [
    ("answer", upstream::fuzzing::answer),
    ("authorization", gateway::fuzzing::authorization),
    ("body", upstream::fuzzing::body),
    ("cookie", gateway::fuzzing::cookie),
    ("file", store::fuzzing::file),
    ("form", form),
    ("jwks", jwks),
    ("path", gateway::fuzzing::path),
    ("preamble", edge::fuzzing::preamble),
    ("record", store::fuzzing::record),
    ("rules", gateway::fuzzing::rules),
    ("token", token),
];

fn form(data: &[u8]) {
    let fields = Fields::read(data);
    let _ = (fields.login().is_ok(), fields.refresh_token().is_ok(), ClientFields::read(&fields).is_ok());
    if let Ok(login) = fields.login() {
        assert!(login.device.is_none_or(|device| device.name.is_none_or(|name| name.chars().count() <= 128)));
    }
}

fn jwks(data: &[u8]) {
    const MOST: usize = 3;
    if let Ok(parsed) = KeySet::parse(data, &[Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA], MOST) {
        let kids = parsed.set.kids().count();
        assert!((1..=MOST).contains(&kids), "{kids} keys in force");
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A gate's keys and what it has issued with them.
struct Issued {
    ring: KeyRing,
    policy: Policy,
    tokens: [String; 3],
}

static ISSUED: LazyLock<Issued> = LazyLock::new(issued);

#[expect(clippy::expect_used, reason = "nothing can be tried out without")]
fn issued() -> Issued {
    let ring = KeyRing::in_memory(Algorithm::HS256).expect("a key");
    let hour = Duration::from_hours(1);
    let lifetimes = Lifetimes { access_ttl: hour, refresh_ttl: hour };
    let policy = Policy {
        issuer: "portcullis".into(),
        audience: Vec::new(),
        access_type: "at+jwt".into(),
        leeway: Duration::ZERO,
        max_token_bytes: 8192,
        smsgate: lifetimes,
        form: lifetimes,
        oauth: lifetimes,
        access_ttl_max: hour,
        session_ttl: hour,
        access_overlap: AccessOverlap::For(Duration::ZERO),
        retry_window: Duration::ZERO,
        on_reuse: OnReuse::Session,
    };
    let session = |profile| Session {
        id: SessionId::from_bytes([7; SessionId::BYTES]),
        subject: Subject::new("anna"),
        profile,
        scopes: Scopes::new(["a:b"]),
        granted: Scopes::new(["a:b"]),
        access_ttl: hour,
        device: None,
        begun_from: Sender::default(),
        used_from: Sender::default(),
        created_at: NOW,
        rotated_at: NOW,
        answered_at: NOW,
        idle_expires_at: NOW + hour,
        expires_at: NOW + hour,
        generation: 3,
        kid: ring.current().kid().clone(),
        credential: CredentialVersion([0; 8]),
        parent: None,
        access_floor: 0,
        in_doubt: false,
        outlived: None,
        client: None,
        certificate: None,
    };
    let nobody = || Person { email: None, roles: &[], claims: None };
    let pair = |profile| Pair::mint(&session(profile), nobody(), None, ring.current(), &policy, None).expect("a pair");
    let (smsgate, form) = (pair(Profile::Smsgate), pair(Profile::Form));
    let tokens = [smsgate.access_token, smsgate.refresh_token, form.refresh_token];
    Issued { ring, policy, tokens }
}

/// The first byte says what the rest is: a token as it is presented, or changes to one that was issued, each a place (two
/// bytes) and what stands there then.
fn token(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let Issued { ring, policy, tokens } = &*ISSUED;
    let read = |token: &str| {
        [
            access::verify(token, ring, policy, NOW).is_ok(),
            refresh::verify(token, ring, policy, NOW).is_ok(),
            opaque::verify(token, ring, NOW).is_ok(),
        ]
    };
    let Some(issued) = tokens.get(usize::from(*kind)) else {
        if let Ok(text) = str::from_utf8(rest) {
            assert_eq!(read(text), [false; 3], "nobody issued {text}");
        }
        return;
    };
    let mut bytes = issued.clone().into_bytes();
    for change in rest.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    let Ok(text) = String::from_utf8(bytes) else { return };
    let own: [bool; 3] = std::array::from_fn(|n| n == usize::from(*kind) && text == *issued);
    assert_eq!(read(&text), own, "{text}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Of each file of the corpus.
    const VARIANTS: u64 = 600;

    /// Marsaglia's xorshift: the same variants on every machine.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 11).unwrap() % bound.max(1)
        }

        /// One to four small changes.
        fn variant(&mut self, file: &[u8], all: &[Vec<u8>]) -> Vec<u8> {
            let mut bytes = file.to_vec();
            for _ in 0..=self.below(4) {
                let at = self.below(bytes.len() + 1);
                match self.below(6) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, self.below(256) as u8),
                    2 => bytes.insert(at, b" \r\n\0%/.;:=\"\\\t,-0"[self.below(16)]),
                    3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                    4 => {
                        let end = at + self.below(bytes.len() + 1 - at);
                        let piece = bytes[at..end].to_vec();
                        bytes.splice(at..at, piece);
                    }
                    _ => {
                        let other = &all[self.below(all.len())];
                        bytes.extend(&other[self.below(other.len())..]);
                    }
                }
            }
            bytes
        }
    }

    #[test]
    fn no_target_breaks_on_the_corpus_or_on_variants_of_it() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            names.sort();
            let files: Vec<Vec<u8>> = names.iter().map(|file| fs::read(file).unwrap()).collect();
            assert!(files.len() > 3, "{name} has a corpus");
            let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
            for file in &files {
                target(file);
                for _ in 0..VARIANTS {
                    target(&chance.variant(file, &files));
                }
            }
        }
    }

    #[test]
    fn every_folder_of_the_corpus_has_a_target() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for folder in fs::read_dir(corpus).unwrap() {
            let name = folder.unwrap().file_name();
            assert!(TARGETS.iter().any(|(own, _)| name == *own), "{name:?}");
        }
    }

    #[test]
    fn a_token_that_was_issued_is_read() {
        for kind in 0..3 {
            token(&[kind]);
        }
    }
}
