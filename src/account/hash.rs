//! Password hashes: which kinds are taken, and whether a password fits one.
//!
//! Guarantees: a [`StoredHash`] was parsed and found affordable, so checking a password against it can fail only for
//! want of memory; neither its `Debug` nor any error shows a part of it; comparisons take constant time.
//! Does not know: users, threads, limits on guessing.

use std::fmt;

use argon2::password_hash::{self, PasswordHasher, PasswordVerifier, phc};
use argon2::{Argon2, Params};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// One GiB in the KiB that argon2 counts: more would let a few sign-ins at once exhaust the machine.
const ARGON2_MAX_MEMORY_KIB: u32 = 1024 * 1024;
const ARGON2_MAX_PASSES: u32 = 64;
/// Cost 15 is about two seconds on a server core; each step doubles it.
const BCRYPT_MAX_COST: u32 = 15;
const BCRYPT_MIN_COST: u32 = 4;
/// bcrypt reads no more than this (its key schedule has 18 words of 4 bytes).
const BCRYPT_MAX_PASSWORD: usize = 72;
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// The hash of a user's password, of a kind that is still fit to hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredHash {
    kind: Kind,
    text: Zeroizing<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argon2id,
    Bcrypt,
}

impl StoredHash {
    /// Takes argon2id PHC strings and bcrypt (`$2y$`, `$2b$`, `$2a$`).
    ///
    /// # Errors
    /// [`HashMistake`] says which kind was found, never what was written: it may be a password in the clear.
    pub fn parse(text: &str) -> Result<Self, HashMistake> {
        let kind = match scheme(text) {
            Some("argon2id") => argon2id(text)?,
            Some("2y" | "2b" | "2a") => bcrypt_hash(text)?,
            Some("2x" | "2") => return Err(HashMistake::Unsupported("a bcrypt variant with a known defect")),
            Some("argon2i" | "argon2d") => return Err(HashMistake::Unsupported("argon2 but not argon2id")),
            Some("apr1") => return Err(HashMistake::Unsupported("$apr1$ (Apache MD5)")),
            Some("1") => return Err(HashMistake::Unsupported("crypt (MD5)")),
            Some("5" | "6") => return Err(HashMistake::Unsupported("crypt (SHA-2)")),
            Some("y" | "7" | "gy") => return Err(HashMistake::Unsupported("crypt (yescrypt or scrypt)")),
            Some(_) => return Err(HashMistake::Unknown),
            None if text.starts_with("{SHA}") => return Err(HashMistake::Unsupported("{SHA} (SHA-1 without salt)")),
            None if text.starts_with('{') => return Err(HashMistake::Unsupported("an LDAP hash")),
            None => return Err(HashMistake::NoHash),
        };
        Ok(Self { kind, text: Zeroizing::new(text.to_owned()) })
    }

    /// Hashes with argon2id, 19 MiB, two passes, one lane, and a random salt: the first choice of the OWASP password
    /// storage guide. Takes tens of milliseconds.
    ///
    /// # Errors
    /// [`HashFailed`] when memory or the system's randomness is not to be had.
    pub fn of(password: &[u8]) -> Result<Self, HashFailed> {
        Self::with(password, Params::DEFAULT)
    }

    fn with(password: &[u8], params: Params) -> Result<Self, HashFailed> {
        let hash = Argon2::from(params).hash_password_with_salt(password, &random::<SALT_BYTES>()?)?;
        Ok(Self { kind: Kind::Argon2id, text: Zeroizing::new(hash.to_string()) })
    }

    /// A hash that costs what [`StoredHash::of`] costs and that no known password fits: its output is random.
    pub fn unmatchable() -> Result<Self, HashFailed> {
        let hash = phc::PasswordHash {
            algorithm: argon2::ARGON2ID_IDENT,
            version: Some(argon2::Version::V0x13.into()),
            params: phc::ParamsString::try_from(&Params::DEFAULT)?,
            salt: Some(phc::Salt::new(&random::<SALT_BYTES>()?).map_err(password_hash::Error::from)?),
            hash: Some(phc::Output::new(&random::<OUTPUT_BYTES>()?).map_err(password_hash::Error::from)?),
        };
        Ok(Self { kind: Kind::Argon2id, text: Zeroizing::new(hash.to_string()) })
    }

    /// Whether `password` fits. Blocks for as long as the hash was made to cost.
    ///
    /// # Errors
    /// [`HashFailed`] when the memory that the hash asks for is not to be had: that is no verdict on the password.
    pub fn fits(&self, password: &[u8]) -> Result<bool, HashFailed> {
        match self.kind {
            Kind::Argon2id => {
                let hash = phc::PasswordHash::new(&self.text).map_err(password_hash::Error::from)?;
                match Argon2::default().verify_password(password, &hash) {
                    Ok(()) => Ok(true),
                    Err(password_hash::Error::PasswordInvalid) => Ok(false),
                    Err(error) => Err(error.into()),
                }
            }
            Kind::Bcrypt => {
                // A longer password would be cut and then fit with any ending; one with a zero byte is read as its
                // own repetition. Both are refused, but only after the same work, so that time tells nothing.
                let readable = password.len() <= BCRYPT_MAX_PASSWORD && !password.contains(&0);
                Ok(bcrypt::verify(password, &self.text).map_err(HashFailed::Bcrypt)? && readable)
            }
        }
    }

    /// The text as the users file has it: for fingerprints and for printing a fresh one, never for logs.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash(..)")
    }
}

/// Why a text is not taken as a password hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashMistake {
    #[error("is not a password hash (a password in the clear, or DES crypt?)")]
    NoHash,
    #[error("is {0}, which is not accepted")]
    Unsupported(&'static str),
    #[error("is a kind of hash that is not known here")]
    Unknown,
    #[error("is a damaged {0} hash")]
    Damaged(&'static str),
    #[error("says no argon2 version; `v=19` is expected")]
    NoVersion,
    #[error("asks for more than 1 GiB of memory or 64 passes")]
    TooDear,
    #[error("has a bcrypt cost outside {BCRYPT_MIN_COST} to {BCRYPT_MAX_COST}")]
    BcryptCost,
}

/// The work could not be done; says nothing about the password.
#[derive(Debug, thiserror::Error)]
pub enum HashFailed {
    #[error("argon2 failed")]
    Argon2(#[from] password_hash::Error),
    #[error("bcrypt failed")]
    Bcrypt(#[source] bcrypt::BcryptError),
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// The word between the first two dollar signs.
fn scheme(text: &str) -> Option<&str> {
    text.strip_prefix('$')?.split('$').next()
}

fn argon2id(text: &str) -> Result<Kind, HashMistake> {
    let damaged = HashMistake::Damaged("argon2id");
    let hash = phc::PasswordHash::new(text).map_err(|_| damaged)?;
    // Without `v=` the PHC form means version 16, the crate takes it as 19, and no password would ever fit.
    let version = hash.version.ok_or(HashMistake::NoVersion)?;
    argon2::Version::try_from(version).map_err(|_| damaged)?;
    // A parameter that is left out would silently become the crate's default.
    if hash.salt.is_none()
        || hash.hash.is_none()
        || ["m", "t", "p"].into_iter().any(|name| hash.params.get(name).is_none())
    {
        return Err(damaged);
    }
    let params = Params::try_from(&hash).map_err(|_| damaged)?;
    if params.m_cost() > ARGON2_MAX_MEMORY_KIB || params.t_cost() > ARGON2_MAX_PASSES {
        return Err(HashMistake::TooDear);
    }
    Ok(Kind::Argon2id)
}

fn bcrypt_hash(text: &str) -> Result<Kind, HashMistake> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| HashMistake::Damaged("bcrypt"))?;
    if !(BCRYPT_MIN_COST..=BCRYPT_MAX_COST).contains(&parts.get_cost()) {
        return Err(HashMistake::BcryptCost);
    }
    Ok(Kind::Bcrypt)
}

fn random<const N: usize>() -> Result<[u8; N], HashFailed> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| HashFailed::NoRandomness)?;
    Ok(bytes)
}

/// Hashes that cost nothing, for the tests of the whole room.
#[cfg(test)]
pub mod cheap {
    use super::*;

    pub fn argon2id(password: &str) -> String {
        let params = Params::new(8, 1, 1, None).unwrap();
        StoredHash::with(password.as_bytes(), params).unwrap().reveal().to_owned()
    }

    pub fn bcrypt(password: &str) -> String {
        bcrypt::hash(password, BCRYPT_MIN_COST).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";

    #[track_caller]
    fn refused(text: &str, expected: HashMistake) {
        assert_eq!(StoredHash::parse(text).unwrap_err(), expected);
    }

    #[track_caller]
    fn taken(text: &str) {
        StoredHash::parse(text).unwrap();
    }

    fn argon2(head: &str) -> String {
        format!("{head}$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
    }

    #[test]
    fn sound_hashes_are_taken() {
        taken(&argon2("$argon2id$v=19$m=19456,t=2,p=1"));
        taken(&argon2("$argon2id$v=16$m=65536,t=3,p=4"));
        taken(&argon2("$argon2id$v=19$m=1048576,t=64,p=1"));
        taken(BCRYPT);
        taken(&BCRYPT.replace("$2y$12$", "$2b$04$"));
        taken(&BCRYPT.replace("$2y$12$", "$2a$15$"));
    }

    #[test]
    fn unfit_kinds_are_refused_by_name() {
        refused("hunter2", HashMistake::NoHash);
        refused("", HashMistake::NoHash);
        refused("rqXexS6ZhobKA", HashMistake::NoHash);
        refused("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", HashMistake::Unsupported("{SHA} (SHA-1 without salt)"));
        refused("{SSHA}abc", HashMistake::Unsupported("an LDAP hash"));
        refused("$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00", HashMistake::Unsupported("$apr1$ (Apache MD5)"));
        refused("$1$abc$def", HashMistake::Unsupported("crypt (MD5)"));
        refused("$6$abc$def", HashMistake::Unsupported("crypt (SHA-2)"));
        refused("$y$j9T$abc$def", HashMistake::Unsupported("crypt (yescrypt or scrypt)"));
        refused(&argon2("$argon2i$v=19$m=65536,t=2,p=1"), HashMistake::Unsupported("argon2 but not argon2id"));
        refused(&argon2("$argon2d$v=19$m=65536,t=2,p=1"), HashMistake::Unsupported("argon2 but not argon2id"));
        refused(&BCRYPT.replace("2y", "2x"), HashMistake::Unsupported("a bcrypt variant with a known defect"));
        refused("$pbkdf2-sha256$i=1$a$b", HashMistake::Unknown);
    }

    #[test]
    fn damaged_and_absurd_hashes_are_refused() {
        refused("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ", HashMistake::Damaged("argon2id"));
        refused("$argon2id$", HashMistake::Damaged("argon2id"));
        refused(&argon2("$argon2id$v=19$m=19456,t=2"), HashMistake::Damaged("argon2id"));
        refused(&argon2("$argon2id$v=19$m=1,t=2,p=1"), HashMistake::Damaged("argon2id"));
        refused(&argon2("$argon2id$v=17$m=19456,t=2,p=1"), HashMistake::Damaged("argon2id"));
        refused(&argon2("$argon2id$m=19456,t=2,p=1"), HashMistake::NoVersion);
        refused(&argon2("$argon2id$v=19$m=1048577,t=2,p=1"), HashMistake::TooDear);
        refused(&argon2("$argon2id$v=19$m=19456,t=65,p=1"), HashMistake::TooDear);
        refused(&BCRYPT.replace("$12$", "$16$"), HashMistake::BcryptCost);
        refused(&BCRYPT.replace("$12$", "$03$"), HashMistake::BcryptCost);
        refused(&BCRYPT[..59], HashMistake::Damaged("bcrypt"));
    }

    #[test]
    fn only_the_right_password_fits() {
        for text in [cheap::argon2id("secret"), cheap::bcrypt("secret")] {
            let hash = StoredHash::parse(&text).unwrap();
            assert!(hash.fits(b"secret").unwrap());
            assert!(!hash.fits(b"Secret").unwrap());
            assert!(!hash.fits(b"").unwrap());
        }
    }

    #[test]
    fn bcrypt_refuses_what_it_would_cut_or_repeat() {
        let longest = "x".repeat(72);
        let hash = StoredHash::parse(&cheap::bcrypt(&longest)).unwrap();
        assert!(hash.fits(longest.as_bytes()).unwrap());
        assert!(!hash.fits(format!("{longest}y").as_bytes()).unwrap());
        let hash = StoredHash::parse(&cheap::bcrypt("ab")).unwrap();
        assert!(!hash.fits(b"ab\0ab").unwrap());
    }

    #[test]
    fn a_fresh_hash_has_the_recommended_cost_and_its_own_salt() {
        let hash = StoredHash::of(b"secret").unwrap();
        assert!(hash.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(StoredHash::parse(hash.reveal()).unwrap().fits(b"secret").unwrap());
        assert_ne!(cheap::argon2id("secret"), cheap::argon2id("secret"));
    }

    #[test]
    fn the_stand_in_is_a_sound_hash() {
        let stand_in = StoredHash::unmatchable().unwrap();
        assert!(stand_in.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        taken(stand_in.reveal());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", StoredHash::parse(BCRYPT).unwrap()), "StoredHash(..)");
    }
}
