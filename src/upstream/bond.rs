//! What keeps a stream alive: whoever it is forwarded for must go on being admitted.
//!
//! Guarantees: none; a word between who admits and who forwards.
//! Does not know: tokens, sessions, users.

use crate::token::Timestamp;

/// What a forwarded stream hangs on. Asked once per round for each stream that is under way then.
pub trait Bond {
    /// Whether the stream may go on at `now`.
    fn holds(&self, now: Timestamp) -> bool;
}
