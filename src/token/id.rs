//! Names: of subjects, sessions and tokens.
//!
//! Guarantees: a token id (`jti`) contains its session's id and generation, so revoking by `jti` needs no index; each
//! id has exactly one spelling.
//! Does not know: where randomness comes from; ids are made from bytes handed in.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// What the name of a client's subject begins with. No user's name has a colon in it (the users file refuses them), so
/// that no client, whatever it is called, is ever taken for a user, nor a user for a client.
const CLIENT: &str = "client:";

/// Whom a token speaks for: a user, by name, or an OAuth client that speaks for itself. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject(Arc<str>);

impl Subject {
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The client called `id`.
    pub fn of_client(id: &str) -> Self {
        Self::new(format!("{CLIENT}{id}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the client that this is; `None` for a user.
    pub fn client(&self) -> Option<&str> {
        self.0.strip_prefix(CLIENT)
    }
}

impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 96 random bits that name one session; 16 characters of base64url on the wire (claim `sid`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId([u8; SessionId::BYTES]);

impl SessionId {
    pub const BYTES: usize = 12;
    const TEXT: usize = 16;

    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::TEXT];
        // 12 bytes are exactly 16 characters, so the buffer always fits and the text is ASCII.
        let used = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(str::from_utf8(&text[..used]).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// The text is not an id that this gateway could have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this gateway")]
pub struct NotAnId;

impl FromStr for SessionId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text.len() != Self::TEXT {
            return Err(NotAnId);
        }
        let mut bytes = [0; Self::BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(Self::BYTES) => Ok(Self(bytes)),
            _ => Err(NotAnId),
        }
    }
}

/// Which of the two tokens of a generation is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    Access,
    Refresh,
}

/// The `jti` of a token: `{session}.{generation}`, with an `r` behind it for the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenId {
    pub session: SessionId,
    pub generation: u32,
    pub kind: TokenKind,
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.kind {
            TokenKind::Access => "",
            TokenKind::Refresh => "r",
        };
        write!(f, "{}.{}{mark}", self.session, self.generation)
    }
}

impl FromStr for TokenId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (session, rest) = text.split_at_checked(SessionId::TEXT).ok_or(NotAnId)?;
        let generation = rest.strip_prefix('.').ok_or(NotAnId)?;
        let (digits, kind) = match generation.strip_suffix('r') {
            Some(digits) => (digits, TokenKind::Refresh),
            None => (generation, TokenKind::Access),
        };
        let canonical = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
        if !canonical {
            return Err(NotAnId);
        }
        Ok(Self { session: session.parse()?, generation: digits.parse().map_err(|_| NotAnId)?, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([0xfb; 12]);

    #[test]
    fn a_client_is_nobody_else() {
        assert_eq!(Subject::of_client("anna").client(), Some("anna"));
        assert_eq!(Subject::new("anna").client(), None);
        assert_ne!(Subject::of_client("anna"), Subject::new("anna"));
    }

    #[test]
    fn a_token_id_survives_its_text() {
        for kind in [TokenKind::Access, TokenKind::Refresh] {
            for generation in [0, 7, 10, u32::MAX] {
                let id = TokenId { session: SESSION, generation, kind };
                assert_eq!(id.to_string().parse(), Ok(id));
            }
        }
    }

    #[test]
    fn only_one_spelling_is_read() {
        let good = SESSION.to_string();
        for bad in [
            String::new(),
            good.clone(),
            format!("{good}.01"),
            format!("{good}."),
            format!("{good}.+1"),
            format!("{good}.1rr"),
            format!("{good}.4294967296"),
            format!("{good}=.1"),
            format!("{}.1", &good[1..]),
            format!(" {good}.1"),
        ] {
            assert_eq!(bad.parse::<TokenId>(), Err(NotAnId), "{bad}");
        }
    }
}
