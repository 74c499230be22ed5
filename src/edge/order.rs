//! What is in force, as one value: how connections are served, and the charter that requests are judged and forwarded by.
//!
//! Guarantees: it is replaced whole; each worker takes up the one of now at its next round, or when it is mustered, and
//! what is under way ends with the one it began with; a request pays nothing for that it can change.
//! Does not know: where it comes from.

use std::cell::Cell;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::gateway::{Charter, Gateway};

use super::Shift;

/// All that a configuration decides about serving. It never changes.
pub struct Order {
    pub charter: Arc<Charter>,
    pub shift: Shift,
}

/// The one of now, for all workers.
pub struct InForce(ArcSwap<Order>);

/// An order as one worker carries it out.
pub(super) struct Duty {
    pub(super) gateway: Gateway,
    pub(super) order: Arc<Order>,
    leaving: Cell<bool>,
}

impl InForce {
    pub fn new(order: Order) -> Self {
        Self(ArcSwap::from_pointee(order))
    }

    pub fn order(&self) -> Arc<Order> {
        self.0.load_full()
    }

    pub fn charter(&self) -> Arc<Charter> {
        Arc::clone(&self.0.load().charter)
    }

    /// Workers take it up soon; at once when they are mustered.
    pub fn replace(&self, order: Order) {
        self.0.store(Arc::new(order));
    }

    /// The one of now, if it is another than `known`.
    pub(super) fn other_than(&self, known: &Arc<Order>) -> Option<Arc<Order>> {
        let now = self.0.load();
        (!Arc::ptr_eq(&now, known)).then(|| Arc::clone(&now))
    }
}

impl Duty {
    pub(super) fn first(order: Arc<Order>) -> Self {
        Self { gateway: Gateway::new(Arc::clone(&order.charter)), order, leaving: Cell::new(false) }
    }

    pub(super) fn succeeded_by(&self, order: Arc<Order>) -> Self {
        let gateway = self.gateway.succeeded_by(Arc::clone(&order.charter));
        Self { gateway, order, leaving: self.leaving.clone() }
    }

    /// From now on every request is the last of its connection.
    pub(super) fn leave(&self) {
        self.leaving.set(true);
    }

    /// Whether a connection ends with its request of this number, from one on.
    pub(super) fn is_last(&self, number: u32) -> bool {
        let most = self.shift().max_requests;
        // Beyond it too: the limit may have been another one when the connection began.
        self.leaving.get() || (most > 0 && number >= most)
    }

    pub(super) fn shift(&self) -> &Shift {
        &self.order.shift
    }
}
