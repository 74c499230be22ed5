//! A user's own password, sealed into the tokens of a session.
//!
//! Guarantees: it opens for the issuer, the upstream, the session and the subject that it was sealed for and for nothing
//! else, so that what is cut out of one token is of no use in another; its length tells little; it cannot be printed.
//! Does not know: keys and their files, what becomes of an opened one.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::keys::{SEAL_BYTES, SealingKeys};

use super::{SessionId, Subject, Timestamp};

/// What a token may carry; a longer password would make tokens that no header holds.
pub const MAX_SEALED_PASSWORD: usize = 1024;
/// Passwords are filled up to a multiple of this, or every token would tell how long one is.
const STEP: usize = 32;
/// How long the password is.
const LENGTH: usize = 2;
/// No sealed part is longer.
const LONGEST: usize = (MAX_SEALED_PASSWORD + LENGTH).next_multiple_of(STEP) + SEAL_BYTES;

/// A sealed password. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Arc<[u8]>);

/// Seals and opens.
#[derive(Debug)]
pub struct Sealing {
    pub keys: SealingKeys,
    pub issuer: String,
    /// Its URL.
    pub upstream: String,
}

/// A password was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("longer than {MAX_SEALED_PASSWORD} bytes")]
    TooLong,
    #[error("there is no key to seal with, or no randomness")]
    NoKey,
}

impl Sealing {
    /// Seals the password of `subject` for one session.
    ///
    /// # Errors
    /// When it is too long, or cannot be sealed at the moment.
    pub fn seal(
        &self,
        session: SessionId,
        subject: &Subject,
        password: &[u8],
        now: Timestamp,
    ) -> Result<Sealed, SealError> {
        if password.len() > MAX_SEALED_PASSWORD {
            return Err(SealError::TooLong);
        }
        let length = u16::try_from(password.len()).map_err(|_| SealError::TooLong)?;
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST));
        text.extend(length.to_be_bytes());
        text.extend_from_slice(password);
        let filled = text.len().next_multiple_of(STEP);
        text.resize(filled, 0);
        let sealed = self.keys.seal(&text, &self.binding(session, subject), now.as_secs());
        sealed.map(|bytes| Sealed(bytes.into())).map_err(|_| SealError::NoKey)
    }

    /// The password that was sealed for this session of this subject.
    pub fn open(&self, sealed: &Sealed, session: SessionId, subject: &Subject) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = self.keys.open_sealed(&sealed.0, &self.binding(session, subject))?;
        let length = usize::from(u16::from_be_bytes(*text.first_chunk::<LENGTH>()?));
        text.drain(..LENGTH);
        (length <= text.len()).then(|| text.truncate(length))?;
        Some(text)
    }

    fn binding(&self, session: SessionId, subject: &Subject) -> Vec<u8> {
        let mut binding = b"portcullis sealed 1".to_vec();
        for part in [self.issuer.as_bytes(), self.upstream.as_bytes(), session.as_bytes(), subject.as_str().as_bytes()]
        {
            // The length keeps one part from running into the next.
            binding.extend((part.len() as u64).to_be_bytes());
            binding.extend_from_slice(part);
        }
        binding
    }
}

impl Sealed {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (SEAL_BYTES..=LONGEST).contains(&bytes.len()).then(|| Self(bytes.into()))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(&*text).map_err(|_| D::Error::custom("no sealed part"))?;
        Self::from_bytes(&bytes).ok_or_else(|| D::Error::custom("no sealed part"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::keys::SealingTerms;
    use crate::token::tests::T0;

    const SESSION: SessionId = SessionId::from_bytes([7; 12]);

    fn sealing(dir: &TempDir, issuer: &str, upstream: &str) -> Sealing {
        let terms = SealingTerms { rotation: Duration::from_hours(1), keep: Duration::from_hours(1) };
        let keys = SealingKeys::open(dir.path(), terms).unwrap();
        keys.tend(T0.as_secs()).unwrap();
        Sealing { keys, issuer: issuer.into(), upstream: upstream.into() }
    }

    #[test]
    fn a_password_opens_for_what_it_was_sealed_for_and_nothing_else() {
        let dir = TempDir::new().unwrap();
        let (own, anna) = (sealing(&dir, "gate", "http://phone"), Subject::new("anna"));
        let sealed = own.seal(SESSION, &anna, "pässword".as_bytes(), T0).unwrap();
        let opens = |sealing: &Sealing, session, subject: &str| {
            sealing.open(&sealed, session, &Subject::new(subject)).map(|text| text.to_vec())
        };
        assert_eq!(opens(&own, SESSION, "anna").as_deref(), Some("pässword".as_bytes()));
        assert_eq!(opens(&own, SessionId::from_bytes([8; 12]), "anna"), None);
        assert_eq!(opens(&own, SESSION, "bob"), None);
        assert_eq!(opens(&sealing(&dir, "other", "http://phone"), SESSION, "anna"), None);
        assert_eq!(opens(&sealing(&dir, "gate", "http://other"), SESSION, "anna"), None);
        assert_eq!(opens(&sealing(&TempDir::new().unwrap(), "gate", "http://phone"), SESSION, "anna"), None);
    }

    #[test]
    fn lengths_of_ordinary_passwords_look_alike_and_absurd_ones_are_refused() {
        let dir = TempDir::new().unwrap();
        let (own, anna) = (sealing(&dir, "gate", "http://phone"), Subject::new("anna"));
        let sealed = |length: usize| own.seal(SESSION, &anna, &vec![b'x'; length], T0);
        for length in 0..=MAX_SEALED_PASSWORD {
            let sealed = sealed(length).unwrap();
            assert_eq!(own.open(&sealed, SESSION, &anna).unwrap().len(), length);
            let text = serde_json::to_string(&sealed).unwrap();
            assert_eq!(serde_json::from_str::<Sealed>(&text).unwrap(), sealed);
            assert!(length > 30 || sealed.as_bytes().len() == 76);
        }
        assert_eq!(sealed(MAX_SEALED_PASSWORD + 1).unwrap_err(), SealError::TooLong);
        assert_eq!(format!("{:?}", sealed(1).unwrap()), "Sealed(..)");
    }
}
