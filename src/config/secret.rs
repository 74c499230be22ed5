//! A value that must not be seen: signing secrets and passwords.
//!
//! Guarantees: formatting shows `[secret]`, and the bytes are wiped when the last copy is dropped.
//! Does not know: what the bytes are for. It cannot wipe the copies that the environment and the TOML parser hold.

use std::fmt;

use zeroize::Zeroizing;

/// What stands in the place of a secret wherever one would be shown.
pub(super) const PLACEHOLDER: &str = "[secret]";

/// Bytes that formatting never shows.
///
/// Comparison is not in constant time: it serves comparing configurations, never what a client presented.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves. Whoever calls this answers for where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PLACEHOLDER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_shows_nothing() {
        assert_eq!(format!("{:?} {:#?}", Secret::new("hush"), Secret::new("hush")), "[secret] [secret]");
        assert_eq!(Secret::new("hush").expose(), b"hush");
    }
}
