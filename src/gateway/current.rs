//! The charter that a worker goes by now.
//!
//! Guarantees: whoever asks gets the one of now, also if it has changed since they came; one thread, so nothing is locked.
//! Does not know: why there is another one.
//!
//! A request is served by the charter that it began with. What lasts must not be: users, keys and issuers are followed in
//! the charter of now alone, and a stream that asked those of its own day would never hear that they have changed.

use std::cell::RefCell;
use std::sync::Arc;

use super::Charter;

/// Shared by all that one worker serves.
pub struct Current(RefCell<Arc<Charter>>);

impl Current {
    pub(super) fn new(charter: Arc<Charter>) -> Self {
        Self(RefCell::new(charter))
    }

    pub(super) fn charter(&self) -> Arc<Charter> {
        Arc::clone(&self.0.borrow())
    }

    pub(super) fn replace(&self, charter: Arc<Charter>) {
        *self.0.borrow_mut() = charter;
    }
}
