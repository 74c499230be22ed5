//! Basic credentials, as presented.
//!
//! Guarantees: a header has exactly one reading or none (RFC 7617); a password is unprintable and wiped when dropped.
//! Does not know: whether a password is right.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A password as presented. Wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(password: String) -> Self {
        Self(Zeroizing::new(password))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// For what is encoded once more inside Basic.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A name and a password, both unproven.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub name: String,
    pub password: Password,
}

impl Credentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`BasicError::OtherScheme`] if it is not Basic at all; the others for a Basic value that has no sound reading.
    pub fn from_header(value: &[u8]) -> Result<Self, BasicError> {
        let (scheme, rest) = value.split_at_checked(5).ok_or(BasicError::OtherScheme)?;
        if !scheme.eq_ignore_ascii_case(b"basic") || !matches!(rest.first(), None | Some(b' ')) {
            return Err(BasicError::OtherScheme);
        }
        // RFC 9110 section 11.4: one or more spaces, and nothing but spaces.
        let text = rest.trim_ascii_start();
        if rest.get(..rest.len() - text.len()).is_some_and(|gap| gap.iter().any(|byte| *byte != b' ')) {
            return Err(BasicError::NotBase64);
        }
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| BasicError::NotBase64)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| BasicError::NotUtf8)?;
        // RFC 7617 section 2 forbids them; in a name they would also forge log lines.
        if text.contains(char::is_control) {
            return Err(BasicError::ControlCharacter);
        }
        let (name, password) = text.split_once(':').ok_or(BasicError::NoColon)?;
        if name.is_empty() {
            return Err(BasicError::NoName);
        }
        Ok(Self { name: name.to_owned(), password: Password::new(password.to_owned()) })
    }
}

/// Why an `Authorization` value is no Basic credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    #[error("not the Basic scheme")]
    OtherScheme,
    #[error("not canonical base64 with padding")]
    NotBase64,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("contains control characters")]
    ControlCharacter,
    #[error("no colon between name and password")]
    NoColon,
    #[error("the name is empty")]
    NoName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(value: &str, name: &str, password: &str) {
        let credentials = Credentials::from_header(value.as_bytes()).unwrap();
        assert_eq!((&*credentials.name, credentials.password.as_bytes()), (name, password.as_bytes()));
    }

    #[track_caller]
    fn refused(value: impl AsRef<[u8]>, expected: BasicError) {
        assert_eq!(Credentials::from_header(value.as_ref()).unwrap_err(), expected);
    }

    fn encoded(text: impl AsRef<[u8]>) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn sound_headers_are_read() {
        read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame");
        read("bASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame");
        read(&encoded("a:b:c"), "a", "b:c");
        read(&encoded("a:"), "a", "");
        read(&encoded("änne:pässwörd"), "änne", "pässwörd");
    }

    #[test]
    fn other_schemes_are_told_apart() {
        for value in ["", "Bearer abc", "Basi", "Basics abc", "Basic\tYTpi", "BasicYTpi"] {
            refused(value, BasicError::OtherScheme);
        }
    }

    #[test]
    fn unsound_headers_are_refused() {
        refused("Basic \tYTpi", BasicError::NotBase64);
        refused("Basic YTpi YTpi", BasicError::NotBase64);
        refused("Basic YTpi ", BasicError::NotBase64);
        refused("Basic YTpiYw", BasicError::NotBase64);
        refused("Basic YTpiYx==", BasicError::NotBase64);
        refused("Basic YTpi_-==", BasicError::NotBase64);
        refused("Basic", BasicError::NoColon);
        refused(encoded("nobody"), BasicError::NoColon);
        refused(encoded(":secret"), BasicError::NoName);
        refused(encoded("a\n:b"), BasicError::ControlCharacter);
        refused(encoded("a:b\0"), BasicError::ControlCharacter);
        refused(encoded("a:b\u{85}"), BasicError::ControlCharacter);
        refused(encoded(b"a:\xff"), BasicError::NotUtf8);
    }

    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?}", Credentials::from_header(encoded("anna:hunter2").as_bytes()).unwrap());
        assert!(shown.contains("anna") && !shown.contains("hunter2"), "{shown}");
    }
}
