//! The cache of verified tokens, one per worker.
//!
//! Guarantees: only a token that passed the full check is remembered, under its whole text, which is compared in full,
//! so no collision can admit another; time and revocation are asked again on every hit (the judge does); bounded, and
//! a flood of distinct tokens displaces only what is not in use.
//! Does not know: how tokens are verified.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use http::header::HeaderValue;

use crate::issuer::Foreign;
use crate::tls::ClientCertificate;
use crate::token::{Policy, Scopes, Timestamp, TokenError, Verified};
use crate::upstream::headers::Identity;

/// A verified token and what follows from it, made once.
#[derive(Debug)]
pub struct Admitted {
    pub token: Token,
    pub identity: Rc<Identity>,
    /// The user's own name and password, once they were needed.
    pub own: OnceCell<HeaderValue>,
}

/// Whose token it is.
#[derive(Debug)]
pub enum Token {
    Own {
        verified: Arc<Verified>,
        /// The store's last word on it: good while the store's epoch is this, and until this time.
        good: Cell<Good>,
    },
    /// Of another issuer: it has no session that could have ended.
    Foreign(Arc<Foreign>),
}

#[derive(Clone, Copy, Debug)]
pub struct Good {
    pub epoch: u64,
    pub until: Option<Timestamp>,
}

impl Token {
    pub fn subject(&self) -> &str {
        match self {
            Self::Own { verified, .. } => verified.subject.as_str(),
            Self::Foreign(foreign) => foreign.subject.as_str(),
        }
    }

    pub fn scopes(&self) -> &Scopes {
        match self {
            Self::Own { verified, .. } => &verified.scopes,
            Self::Foreign(foreign) => &foreign.scopes,
        }
    }

    pub fn roles(&self) -> &[String] {
        match self {
            Self::Own { verified, .. } => &verified.roles,
            Self::Foreign(foreign) => &foreign.roles,
        }
    }

    /// The part of the judgement that the connection can change: whether it is the one who may use it that does
    /// (RFC 8705 section 3).
    ///
    /// # Errors
    /// [`TokenError::Certificate`] if it is bound to another certificate than is `shown`.
    pub fn check_certificate(&self, shown: Option<&ClientCertificate>) -> Result<(), TokenError> {
        let certificate = match self {
            Self::Own { verified, .. } => &verified.certificate,
            Self::Foreign(foreign) => &foreign.certificate,
        };
        match certificate {
            Some(bound) if shown.is_none_or(|shown| shown.thumbprint != *bound) => Err(TokenError::Certificate),
            Some(_) | None => Ok(()),
        }
    }

    /// The part of the judgement that time can change.
    ///
    /// # Errors
    /// When it is too early or too late for it.
    pub fn check_time(&self, now: Timestamp, policy: &Policy) -> Result<(), TokenError> {
        match self {
            Self::Own { verified, .. } => verified.check_time(now, policy),
            Self::Foreign(foreign) => foreign.check_time(now, policy),
        }
    }
}

/// Two generations: a full young one becomes the old one, and what is used in the old one moves up. That is nearly
/// least-recently-used, without a list to maintain on every hit.
pub struct VerifiedTokens {
    half: usize,
    generations: RefCell<Generations>,
}

type Tokens = HashMap<Box<[u8]>, Rc<Admitted>, BuildHasherDefault<TailHasher>>;

#[derive(Default)]
struct Generations {
    young: Tokens,
    old: Tokens,
}

impl VerifiedTokens {
    /// Remembers at most `capacity` tokens; none if it is below two.
    pub fn new(capacity: usize) -> Self {
        Self { half: capacity / 2, generations: RefCell::default() }
    }

    pub fn find(&self, token: &[u8]) -> Option<Rc<Admitted>> {
        let mut generations = self.generations.borrow_mut();
        if let Some(admitted) = generations.young.get(token) {
            return Some(Rc::clone(admitted));
        }
        let (token, admitted) = generations.old.remove_entry(token)?;
        generations.remember(token, &admitted, self.half);
        Some(admitted)
    }

    pub fn remember(&self, token: &[u8], admitted: &Rc<Admitted>) {
        if self.half > 0 {
            self.generations.borrow_mut().remember(token.into(), admitted, self.half);
        }
    }

    pub fn forget(&self, token: &[u8]) {
        let mut generations = self.generations.borrow_mut();
        generations.young.remove(token);
        generations.old.remove(token);
    }

    /// Forgets all.
    pub fn clear(&self) {
        let mut generations = self.generations.borrow_mut();
        generations.young.clear();
        generations.old.clear();
    }
}

/// Hashes a token by the end of its signature, which nobody can choose without the key: only verified tokens are ever
/// inserted, so nobody can make them collide. Hashing all of a token would cost more than comparing it.
#[derive(Default)]
struct TailHasher(u64);

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        // A slice hashes its length first, then its bytes.
        if let Some((rest, last)) = bytes.split_last_chunk::<8>() {
            let before = rest.last_chunk::<8>().copied().unwrap_or_default();
            // Base64 leaves bits unused in every byte: the product spreads what there is.
            let mixed = u128::from(u64::from_ne_bytes(*last) ^ u64::from_ne_bytes(before).rotate_left(31));
            let product = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            self.0 = (product >> 64) as u64 ^ product as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Generations {
    fn remember(&mut self, token: Box<[u8]>, admitted: &Rc<Admitted>, half: usize) {
        if self.young.len() >= half {
            // What is cleared keeps its room: growing anew would hash every token again.
            std::mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
        }
        self.young.insert(token, Rc::clone(admitted));
    }
}

#[cfg(test)]
mod tests {
    use crate::token::{SessionId, Subject, TokenId, TokenKind};

    use super::*;

    fn admitted(subject: &str) -> Rc<Admitted> {
        let id = TokenId { session: SessionId::from_bytes([1; 12]), generation: 0, kind: TokenKind::Access };
        let verified = Verified {
            subject: Subject::new(subject),
            scopes: Scopes::default(),
            roles: Vec::new(),
            id,
            kid: "key".into(),
            issued_at: Timestamp::default(),
            not_before: Timestamp::default(),
            expires_at: Timestamp::default(),
            sealed: None,
            certificate: None,
        };
        let identity = Identity::of_user(subject, "").unwrap();
        let good = Cell::new(Good { epoch: 0, until: None });
        Rc::new(Admitted {
            token: Token::Own { verified: verified.into(), good },
            identity: Rc::new(identity),
            own: OnceCell::new(),
        })
    }

    #[track_caller]
    fn finds(tokens: &VerifiedTokens, token: &str, expected: Option<&str>) {
        let found = tokens.find(token.as_bytes());
        assert_eq!(found.as_ref().map(|found| found.token.subject()), expected, "{token}");
    }

    fn size(tokens: &VerifiedTokens) -> usize {
        let generations = tokens.generations.borrow();
        generations.young.len() + generations.old.len()
    }

    #[test]
    fn a_token_is_found_by_its_whole_text_alone() {
        let tokens = VerifiedTokens::new(8);
        tokens.remember(b"header.payload.signature-of-anna", &admitted("anna"));
        tokens.remember(b"header.payload.signature-of-bert", &admitted("bert"));
        finds(&tokens, "header.payload.signature-of-anna", Some("anna"));
        finds(&tokens, "header.payload.signature-of-bert", Some("bert"));
        // The same signature under another payload, which hashes alike.
        for other in [
            "header.PAYLOAD.signature-of-anna",
            "eader.payload.signature-of-anna",
            "xheader.payload.signature-of-anna",
            "signature-of-anna",
            "re-of-anna",
            "anna",
            "",
        ] {
            finds(&tokens, other, None);
        }
    }

    #[test]
    fn short_texts_are_no_trouble() {
        let tokens = VerifiedTokens::new(64);
        let all: Vec<_> = (0..24).map(|length| "x".repeat(length)).collect();
        all.iter().for_each(|token| tokens.remember(token.as_bytes(), &admitted(token)));
        all.iter().for_each(|token| finds(&tokens, token, Some(token)));
    }

    #[test]
    fn no_room_is_no_memory() {
        for capacity in [0, 1] {
            let tokens = VerifiedTokens::new(capacity);
            tokens.remember(b"token", &admitted("anna"));
            finds(&tokens, "token", None);
            assert_eq!(size(&tokens), 0);
        }
    }

    #[test]
    fn a_flood_stays_within_bounds_and_displaces_only_what_is_not_in_use() {
        for capacity in [2, 3, 8, 100] {
            let tokens = VerifiedTokens::new(capacity);
            tokens.remember(b"in use", &admitted("anna"));
            tokens.remember(b"idle", &admitted("bert"));
            for n in 0..10 * capacity {
                if n % (capacity / 2) == 0 {
                    finds(&tokens, "in use", Some("anna"));
                }
                tokens.remember(format!("flood {n}").as_bytes(), &admitted("mallory"));
                assert!(size(&tokens) <= capacity, "{} of {capacity}", size(&tokens));
            }
            finds(&tokens, "idle", None);
        }
    }

    #[test]
    fn a_forgotten_token_is_in_neither_generation() {
        let tokens = VerifiedTokens::new(4);
        for (name, later) in [("young", 0), ("old", 2)] {
            tokens.remember(name.as_bytes(), &admitted(name));
            (0..later).for_each(|n| tokens.remember(format!("{name} {n}").as_bytes(), &admitted("x")));
            tokens.forget(name.as_bytes());
            finds(&tokens, name, None);
        }
        // Remembered twice, it may stand in both.
        tokens.remember(b"twice", &admitted("anna"));
        (0..2).for_each(|n| tokens.remember(&[n], &admitted("x")));
        tokens.remember(b"twice", &admitted("anna"));
        tokens.forget(b"twice");
        finds(&tokens, "twice", None);
    }
}
