//! What happens to sessions and tokens, which is rare and everybody's.
//!
//! Guarantees: every event is counted once; the names are words of this code.
//! Does not know: whose sessions they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::Histogram;

/// What became of a session, by the words of the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    SignIn,
    Refresh,
    /// A refresh token presented again within the window for that, and answered with the same pair.
    Retry,
    /// Two requests with one refresh token at the same time: the later one was refused, and the session lives.
    Race,
    Reuse,
    Disowned,
    LostToken,
    Revoke,
    /// A refresh token without a certificate of the one who has begun its session.
    OtherCertificate,
}

/// What tokens go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Issuance,
    Revocation,
}

#[derive(Debug, Default)]
pub struct Events {
    counts: [AtomicU64; Event::ALL.len()],
    steps: [OfStep; 2],
    reloads: [AtomicU64; 2],
    /// In seconds since 1970.
    configured_at: AtomicU64,
    /// Of access tokens that were not known from the last time.
    pub verification: Histogram,
}

#[derive(Debug, Default)]
struct OfStep {
    succeeded: AtomicU64,
    failed: AtomicU64,
    took: Histogram,
}

impl Event {
    pub(super) const ALL: [Self; 9] = [
        Self::SignIn,
        Self::Refresh,
        Self::Retry,
        Self::Race,
        Self::Reuse,
        Self::Disowned,
        Self::LostToken,
        Self::Revoke,
        Self::OtherCertificate,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Refresh => "refresh",
            Self::Retry => "retry",
            Self::Race => "race",
            Self::Reuse => "reuse",
            Self::Disowned => "disowned",
            Self::LostToken => "lost_token",
            Self::Revoke => "revoke",
            Self::OtherCertificate => "other_certificate",
        }
    }
}

impl Events {
    pub fn count(&self, event: Event) {
        self.counts[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counted(&self, event: Event) -> u64 {
        self.counts[event as usize].load(Ordering::Relaxed)
    }

    pub fn step(&self, step: Step, succeeded: bool, took: Duration) {
        let of_step = &self.steps[step as usize];
        if succeeded { &of_step.succeeded } else { &of_step.failed }.fetch_add(1, Ordering::Relaxed);
        of_step.took.observe(took);
    }

    /// A configuration is in force since `at`, in seconds since 1970.
    pub fn configured(&self, at: u64) {
        self.configured_at.store(at, Ordering::Relaxed);
    }

    pub(super) fn configured_at(&self) -> u64 {
        self.configured_at.load(Ordering::Relaxed)
    }

    /// The configuration was read anew, and took effect or did not.
    pub fn reloaded(&self, succeeded: bool) {
        self.reloads[usize::from(succeeded)].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it did, and did not.
    pub(super) fn reloads(&self) -> (u64, u64) {
        (self.reloads[1].load(Ordering::Relaxed), self.reloads[0].load(Ordering::Relaxed))
    }

    /// How often it succeeded and failed.
    pub(super) fn outcomes(&self, step: Step) -> (u64, u64) {
        let of_step = &self.steps[step as usize];
        (of_step.succeeded.load(Ordering::Relaxed), of_step.failed.load(Ordering::Relaxed))
    }

    pub(super) fn took(&self, step: Step) -> &Histogram {
        &self.steps[step as usize].took
    }
}
