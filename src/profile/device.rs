//! What a client may say of its device.
//!
//! Guarantees: short texts that can be shown back in a list and in a log.
//! Does not know: how they were sent.

use crate::token::Device;

use super::Refused;

/// Characters of a device's id or name.
pub(super) const MAX_DEVICE_TEXT: usize = 128;

/// # Errors
/// [`Refused::Body`] if a text is too long or holds control characters.
pub(super) fn check(device: Option<&Device>) -> Result<(), Refused> {
    let texts = device.into_iter().flat_map(|device| [&device.id, &device.name]).flatten();
    for text in texts {
        if text.chars().count() > MAX_DEVICE_TEXT || text.chars().any(char::is_control) {
            return Err(Refused::Body("device id and name must be short texts without control characters"));
        }
    }
    Ok(())
}
