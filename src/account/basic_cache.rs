//! Successful verifications of Basic credentials, remembered for API routes.
//!
//! Guarantees: holds no password, only a tag under a key of this process; bounded; forgets after at most a minute;
//! nothing from before a [`BasicCache::clear`] is ever found after it, even if its verification ends later.
//! Does not know: how a password is verified. It spares work where a request is let through; tokens are never issued
//! from it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use dashmap::DashMap;

use crate::token::Timestamp;

use super::basic::Credentials;
use super::users::User;

/// Past this a removed password would go on opening doors for too long if a clearing were ever missed.
const LONGEST_MEMORY: Duration = Duration::from_secs(60);

/// How long and how many successes are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicPolicy {
    /// Cut to 60 s. Zero remembers nothing.
    pub ttl: Duration,
    /// Zero remembers nothing.
    pub capacity: usize,
}

impl Default for BasicPolicy {
    fn default() -> Self {
        Self { ttl: LONGEST_MEMORY, capacity: 4096 }
    }
}

/// What stands for credentials in memory: HMAC-SHA256 under a key that only this process has ever had.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct CredentialKey([u8; 32]);

/// Which stretch between two clearings a verification began in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch(u64);

/// The memory. Shared by all workers.
pub struct BasicCache {
    key: hmac::Key,
    ttl: Duration,
    capacity: usize,
    epoch: AtomicU64,
    entries: DashMap<CredentialKey, Remembered>,
}

struct Remembered {
    user: Arc<User>,
    at: Timestamp,
    epoch: Epoch,
}

impl BasicCache {
    #[expect(clippy::expect_used, reason = "no input reaches this; without randomness no token could be made either")]
    pub fn new(policy: BasicPolicy) -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
                .expect("the system gives random bytes"),
            ttl: policy.ttl.min(LONGEST_MEMORY),
            capacity: policy.capacity,
            epoch: AtomicU64::new(0),
            entries: DashMap::new(),
        }
    }

    /// Whether anything can be remembered at all.
    pub fn is_on(&self) -> bool {
        self.capacity > 0 && !self.ttl.is_zero()
    }

    pub(super) fn key(&self, credentials: &Credentials) -> CredentialKey {
        self.key_of(&[credentials.name.as_bytes(), credentials.password.as_bytes()])
    }

    /// What stands for these texts in memory.
    pub(super) fn key_of(&self, texts: &[&[u8]]) -> CredentialKey {
        let mut context = hmac::Context::with_key(&self.key);
        for text in texts {
            // The length keeps ("ab", "c") apart from ("a", "bc").
            context.update(&text.len().to_le_bytes());
            context.update(text);
        }
        let tag = context.sign();
        let mut key = [0; 32];
        key.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        CredentialKey(key)
    }

    /// The user these credentials were verified for within the last `ttl`. Not to be used for issuing tokens.
    pub fn find(&self, credentials: &Credentials, now: Timestamp) -> Option<Arc<User>> {
        self.find_key(&self.key(credentials), now)
    }

    pub(super) fn find_key(&self, key: &CredentialKey, now: Timestamp) -> Option<Arc<User>> {
        let entry = self.entries.get(key)?;
        self.stands(&entry, now).then(|| Arc::clone(&entry.user))
    }

    /// Whether these credentials were verified at `since` or later.
    pub(super) fn is_verified_since(&self, key: &CredentialKey, since: Timestamp) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.epoch == self.epoch() && entry.at >= since)
    }

    /// To be taken before the list of users is read for a verification that may be remembered.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Remembers that `credentials` were verified, by work that began in `epoch`.
    pub fn remember(&self, credentials: &Credentials, user: &Arc<User>, epoch: Epoch, now: Timestamp) {
        self.remember_key(self.key(credentials), user, epoch, now);
    }

    pub(super) fn remember_key(&self, key: CredentialKey, user: &Arc<User>, epoch: Epoch, now: Timestamp) {
        if !self.is_on() || epoch != self.epoch() {
            return;
        }
        // Only successes come here, each after costly work, so walking the whole map is affordable.
        if self.entries.len() >= self.capacity {
            self.entries.retain(|_, entry| self.stands(entry, now));
        }
        if self.entries.len() >= self.capacity {
            let oldest = self.entries.iter().min_by_key(|entry| entry.at).map(|entry| *entry.key());
            oldest.map(|key| self.entries.remove(&key));
        }
        self.entries.insert(key, Remembered { user: Arc::clone(user), at: now, epoch });
    }

    /// Forgets everything, including what verifications still under way will want to remember.
    pub fn clear(&self) {
        // An entry written between these two steps, or after them by a slow verification, carries the old epoch and
        // is never found.
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.entries.clear();
    }

    /// A clock that was set back must not lengthen an entry's life, so `at` in the future counts only within `ttl`
    /// too (two requests need not arrive in the order in which their checks end).
    fn stands(&self, entry: &Remembered, now: Timestamp) -> bool {
        let age = now.saturating_since(entry.at).max(entry.at.saturating_since(now));
        entry.epoch == self.epoch() && age < self.ttl
    }
}

impl fmt::Debug for BasicCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCache").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::basic::Password;
    use super::super::hash::cheap;
    use super::super::users::Users;
    use super::*;

    fn credentials(name: &str, password: &str) -> Credentials {
        Credentials { name: name.to_owned(), password: Password::new(password.to_owned()) }
    }

    fn user() -> Arc<User> {
        let text = format!("[[user]]\nname = \"a\"\npassword_hash = {:?}", cheap::argon2id("x"));
        Arc::clone(Users::parse(&text).unwrap().find("a").unwrap())
    }

    fn cache(ttl_secs: u64, capacity: usize) -> BasicCache {
        BasicCache::new(BasicPolicy { ttl: Duration::from_secs(ttl_secs), capacity })
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn later(secs: u64) -> Timestamp {
        NOW + Duration::from_secs(secs)
    }

    #[test]
    fn exactly_the_remembered_credentials_are_found() {
        let cache = cache(60, 10);
        cache.remember(&credentials("ab", "c"), &user(), cache.epoch(), NOW);
        assert!(cache.find(&credentials("ab", "c"), NOW).is_some());
        for (name, password) in [("a", "bc"), ("ab", "d"), ("ab", ""), ("abc", "")] {
            assert!(cache.find(&credentials(name, password), NOW).is_none());
        }
    }

    #[test]
    fn nothing_is_remembered_for_more_than_a_minute_in_either_direction() {
        let cache = cache(3600, 10);
        cache.remember(&credentials("a", "x"), &user(), cache.epoch(), later(100));
        assert!(cache.find(&credentials("a", "x"), later(159)).is_some());
        assert!(cache.find(&credentials("a", "x"), later(99)).is_some());
        assert!(cache.find(&credentials("a", "x"), later(160)).is_none());
        assert!(cache.find(&credentials("a", "x"), later(40)).is_none());
    }

    #[test]
    fn a_verification_from_before_the_clearing_is_not_remembered() {
        let cache = cache(60, 10);
        let epoch = cache.epoch();
        cache.remember(&credentials("a", "x"), &user(), epoch, NOW);
        cache.clear();
        cache.remember(&credentials("a", "x"), &user(), epoch, NOW);
        assert!(cache.find(&credentials("a", "x"), NOW).is_none());
    }

    #[test]
    fn an_entry_that_slips_in_during_the_clearing_is_not_found() {
        let cache = cache(60, 10);
        let late = Remembered { user: user(), at: NOW, epoch: cache.epoch() };
        cache.clear();
        cache.entries.insert(cache.key(&credentials("a", "x")), late);
        assert!(cache.find(&credentials("a", "x"), NOW).is_none());
    }

    #[test]
    fn at_the_bound_the_expired_go_first_and_then_the_oldest() {
        let cache = cache(60, 2);
        let user = user();
        for (name, secs) in [("expired", 0), ("old", 30), ("young", 70), ("new", 71)] {
            cache.remember(&credentials(name, "x"), &user, cache.epoch(), later(secs));
            assert!(cache.entries.len() <= 2);
        }
        let found =
            ["expired", "old", "young", "new"].map(|name| cache.find(&credentials(name, "x"), later(71)).is_some());
        assert_eq!(found, [false, false, true, true]);
    }

    #[test]
    fn a_cache_without_room_or_time_remembers_nothing() {
        for cache in [cache(0, 10), cache(60, 0)] {
            assert!(!cache.is_on());
            cache.remember(&credentials("a", "x"), &user(), cache.epoch(), NOW);
            assert!(cache.find(&credentials("a", "x"), NOW).is_none());
        }
    }
}
