//! The fields of a form that was posted.
//!
//! Guarantees: a field that was sent twice is not chosen from.
//! Does not know: which fields there are, how a missing one is worded.

use std::borrow::Cow;

use super::Refused;

/// The fields of a form body.
pub struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// Reads a body (application/x-www-form-urlencoded as the URL standard has it).
    pub fn read(body: &'a [u8]) -> Self {
        Self(form_urlencoded::parse(body).collect())
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// When it is not, or is there twice.
    pub(super) fn one(&self, name: &str, missing: &'static str) -> Result<&str, Refused> {
        self.optional(name)?.ok_or(Refused::Body(missing))
    }

    /// # Errors
    /// When it is there twice.
    pub(super) fn optional(&self, name: &str) -> Result<Option<&str>, Refused> {
        let mut values = self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Refused::Body("A field was sent twice")),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// A field that has a value: one without is as good as not sent (RFC 6749 section 3.2).
    ///
    /// # Errors
    /// When it is there twice.
    pub(super) fn filled(&self, name: &str) -> Result<Option<&str>, Refused> {
        Ok(self.optional(name)?.filter(|value| !value.is_empty()))
    }
}
