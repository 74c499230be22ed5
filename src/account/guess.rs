//! Limits on guessing passwords: a budget of wrong guesses for each source address, and for each user from each
//! address.
//!
//! Guarantees: every attempt is charged before the work and paid back exactly when it turns out right, so guesses made
//! in parallel cannot slip through and honest sign-ins cost nothing; nothing that happens at one address touches
//! another one, so no stranger can lock a user out; memory is bounded by `max_tracked`, names and addresses are kept
//! only as keyed hashes.
//! Does not know: passwords, users, how a refusal is worded.
//!
//! What a flood can do. It can use up the budget of the addresses it comes from, and of everybody behind the same
//! address (NAT; the same /64): there the gate cannot tell them apart. From very many addresses it can make the gate
//! forget charges early, the smallest first: a newcomer takes the place of the least charged of the eight entries
//! it shares a row with. It cannot get anybody refused at an address it does not use, cannot aim at a row (rows follow
//! from a hash under a process-random key), cannot make a busy guesser forgotten without being charged as much itself
//! in the same row, and cannot make memory or the cost of an attempt grow. Guesses at one user that are spread over many
//! addresses make attempts at that user from addresses wait that the user has not signed in from lately, the longer the
//! more of them were wrong, and never for long: a refusal would be a lock-out for strangers to trigger. What holds such a
//! flood is the bound on password work, of which a part is kept for addresses that are known.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::token::Timestamp;

use super::guess_book::{Book, Key};

/// Wrong guesses at one user from all addresses together, as a multiple of what one address may make, before strangers
/// have to wait.
const CROWD: u32 = 5;
/// Each further one makes them wait for so much longer,
const CROWD_STEP: Duration = Duration::from_secs(1);
/// and for this at most.
const LONGEST_DELAY: Duration = Duration::from_secs(3);
/// How often the wait for one user from one address doubles.
const DOUBLINGS: u32 = 4;
/// Forged refresh tokens, as a multiple of wrong passwords: nobody can guess one, and clients try old ones in vain.
const FORGERIES: u32 = 10;

/// How many wrong guesses are borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Wrong guesses in a row before the first refusal; at least 1. Attempts still being judged count too, so it also
    /// bounds how many may be under way at once.
    pub burst: u32,
    /// The time in which one guess is regained. Zero lifts the limit.
    pub every: Duration,
}

/// The limits of [`GuessLimits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuessPolicy {
    /// Per source address, whatever names are tried. IPv6 counts by /64: the least that one customer is given.
    pub per_address: Allowance,
    /// Per name from one source address.
    pub per_user: Allowance,
    /// Entries kept, half of them for each of the two.
    pub max_tracked: usize,
}

impl Default for GuessPolicy {
    fn default() -> Self {
        Self {
            per_address: Allowance { burst: 50, every: Duration::from_secs(3) },
            per_user: Allowance { burst: 10, every: Duration::from_secs(30) },
            max_tracked: 65_536,
        }
    }
}

/// Too many wrong guesses: how long until another is borne, if all that are under way fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("too many attempts")]
pub struct RetryAfter(pub Duration);

/// The budgets. Shared by all workers; no lock is held longer than a look at one row.
#[derive(Debug)]
pub struct GuessLimits {
    books: Arc<Books>,
}

#[derive(Debug)]
struct Books {
    per_address: Book,
    per_user: Book,
    /// Of one user from all addresses: never a reason to refuse.
    crowd: Book,
    /// Refresh tokens that nobody has issued, by address.
    forgeries: Book,
    familiar: Familiar,
}

/// Addresses from which users have signed in: hashes under a key of this process, each in its one place, where a later
/// one takes it.
#[derive(Debug)]
struct Familiar {
    hash: RandomState,
    places: Box<[AtomicU64]>,
}

impl Familiar {
    fn new(entries: usize) -> Self {
        Self { hash: RandomState::new(), places: (0..entries.max(1)).map(|_| AtomicU64::new(0)).collect() }
    }

    fn place(&self, who: impl Hash) -> Option<(&AtomicU64, u64)> {
        let hash = self.hash.hash_one(who);
        // The remainder is smaller than the number of places, of which there is at least one.
        self.places.get((hash % self.places.len() as u64) as usize).map(|place| (place, hash))
    }

    fn knows(&self, who: impl Hash) -> bool {
        self.place(who).is_some_and(|(place, hash)| place.load(Ordering::Relaxed) == hash)
    }

    fn remember(&self, who: impl Hash) {
        if let Some((place, hash)) = self.place(who) {
            place.store(hash, Ordering::Relaxed);
        }
    }
}

impl GuessLimits {
    pub fn new(policy: GuessPolicy) -> Self {
        let entries = policy.max_tracked / 2;
        let (address, user) = (policy.per_address, policy.per_user);
        let every = if user.every.is_zero() { user.every } else { CROWD_STEP };
        let crowd = Allowance { burst: user.burst.saturating_mul(CROWD), every };
        let forgeries = Allowance { burst: address.burst.saturating_mul(FORGERIES), every: address.every / FORGERIES };
        let books = Books {
            per_address: Book::new(address, entries, 0),
            per_user: Book::new(user, entries, DOUBLINGS),
            crowd: Book::new(crowd, entries / 4, 0),
            forgeries: Book::new(forgeries, entries / 4, 0),
            familiar: Familiar::new(entries),
        };
        Self { books: Arc::new(books) }
    }

    /// Charges an attempt to sign in as `user` from `address`, before any work is done for it.
    ///
    /// # Errors
    /// [`RetryAfter`] if either budget is used up; nothing is charged then.
    pub fn admit(&self, user: &str, address: IpAddr, now: Timestamp) -> Result<Attempt, RetryAfter> {
        let source = source(address);
        let familiar = self.books.familiar.knows((source, user));
        let mut attempt = Attempt {
            books: Arc::clone(&self.books),
            at: now,
            address: None,
            user: None,
            failed: false,
            name: user.into(),
            source,
            familiar,
        };
        let (address, user) = (self.books.per_address.open(source, now), self.books.per_user.open((source, user), now));
        // On a refusal the attempt is dropped as not failed, which gives back what the other book took.
        attempt.address = address.ok().flatten();
        attempt.user = user.ok().flatten();
        longer(address, user)?;
        attempt.failed = true;
        Ok(attempt)
    }

    /// Whether refresh tokens from `address` are looked at: not if too many were forged. That costs no sign-in anything.
    ///
    /// # Errors
    /// [`RetryAfter`] if the budget is used up.
    pub fn check_token(&self, address: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        self.books.forgeries.check(source(address), now)
    }

    /// Charges for a refresh token that nobody has issued.
    pub fn forged(&self, address: IpAddr, now: Timestamp) {
        self.books.forgeries.charge(source(address), now);
    }

    /// Whether [`GuessLimits::admit`] would refuse; charges nothing. To be asked where a remembered success spares the
    /// work: else whoever is refused here could go on guessing there until a guess is not refused.
    ///
    /// # Errors
    /// As for [`GuessLimits::admit`].
    pub fn check(&self, user: &str, address: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        let source = source(address);
        longer(self.books.per_address.check(source, now), self.books.per_user.check((source, user), now))
    }
}

/// A charged attempt. Dropping it (also when its caller goes away) leaves the charge.
#[derive(Debug)]
#[must_use = "dropping an attempt counts it as a wrong guess"]
pub struct Attempt {
    books: Arc<Books>,
    at: Timestamp,
    address: Option<Key>,
    user: Option<Key>,
    failed: bool,
    name: Box<str>,
    source: [u8; 8],
    familiar: bool,
}

impl Attempt {
    /// Whether the user has signed in from there lately.
    pub fn is_familiar(&self) -> bool {
        self.familiar
    }

    /// How long it has to wait, for the guesses of others at the same user.
    pub fn delay(&self) -> Duration {
        let waits = !self.familiar;
        let excess = self.books.crowd.check(&*self.name, self.at).err().filter(|_| waits);
        excess.map_or(Duration::ZERO, |RetryAfter(excess)| excess.min(LONGEST_DELAY))
    }

    /// The guess was right: it costs nothing.
    pub fn succeeded(mut self) {
        self.failed = false;
        self.books.familiar.remember((self.source, &*self.name));
    }

    /// The guess was never judged: it costs nothing either.
    pub fn forgive(mut self) {
        self.failed = false;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.failed && !self.familiar {
            self.books.crowd.charge(&*self.name, self.at);
        }
        for (book, key) in [(&self.books.per_address, self.address), (&self.books.per_user, self.user)] {
            if let Some(key) = key {
                book.close(key, self.at, self.failed);
            }
        }
    }
}

/// The refusal of whichever budget takes longer to open again.
fn longer<T>(address: Result<T, RetryAfter>, user: Result<T, RetryAfter>) -> Result<(), RetryAfter> {
    address.err().max(user.err()).map_or(Ok(()), Err)
}

/// Where an attempt comes from, as far as it can be told apart from its neighbours.
pub(super) fn source(address: IpAddr) -> [u8; 8] {
    let mut source = [0; 8];
    let octets: &[u8] = match address.to_canonical() {
        // ::/64 and 0::/8 are not given to anybody, so no IPv6 network reads like an IPv4 address.
        IpAddr::V4(v4) => &v4.octets(),
        IpAddr::V6(v6) => &v6.octets(),
    };
    let tail = if octets.len() == 4 { 4 } else { 0 };
    source.iter_mut().skip(tail).zip(octets).for_each(|(to, from)| *to = *from);
    source
}

#[cfg(test)]
mod tests {
    use super::super::guess_book::WAYS;
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
    const HOME: &str = "192.0.2.1";
    const AWAY: &str = "198.51.100.1";

    fn later(secs: u64) -> Timestamp {
        NOW + Duration::from_secs(secs)
    }

    fn limits() -> GuessLimits {
        sized(1024)
    }

    /// Three guesses and one in ten seconds per user, six and one a second per address.
    fn sized(max_tracked: usize) -> GuessLimits {
        GuessLimits::new(GuessPolicy {
            per_address: Allowance { burst: 6, every: Duration::from_secs(1) },
            per_user: Allowance { burst: 3, every: Duration::from_secs(10) },
            max_tracked,
        })
    }

    fn admit(limits: &GuessLimits, user: &str, address: &str, now: Timestamp) -> Result<Attempt, RetryAfter> {
        limits.admit(user, address.parse().unwrap(), now)
    }

    /// How many wrong guesses get through before the first refusal, and the wait it names.
    fn fail_until_refused(limits: &GuessLimits, user: &str, address: &str, now: Timestamp) -> (u32, Duration) {
        let mut failures = 0;
        loop {
            match admit(limits, user, address, now) {
                Ok(attempt) => drop(attempt),
                Err(RetryAfter(wait)) => return (failures, wait),
            }
            failures += 1;
        }
    }

    #[test]
    fn a_budget_is_used_up_and_regained() {
        let limits = limits();
        assert_eq!(fail_until_refused(&limits, "anna", HOME, NOW), (3, Duration::from_secs(10)));
        assert_eq!(fail_until_refused(&limits, "anna", HOME, later(9)), (0, Duration::from_secs(1)));
        // It takes longer each time, up to a bound.
        let mut at = 10;
        for wait in [20, 40, 80, 160, 160] {
            assert_eq!(fail_until_refused(&limits, "anna", HOME, later(at)), (1, Duration::from_secs(wait)));
            at += wait;
        }
        assert_eq!(fail_until_refused(&limits, "anna", HOME, later(at + 1000)), (3, Duration::from_secs(10)));
    }

    #[test]
    fn many_names_from_one_address_share_its_budget() {
        let limits = limits();
        assert_eq!(fail_until_refused(&limits, "anna", HOME, NOW).0, 3);
        assert_eq!(fail_until_refused(&limits, "bob", HOME, NOW), (3, Duration::from_secs(10)));
        assert_eq!(fail_until_refused(&limits, "zoe", HOME, NOW), (0, Duration::from_secs(1)));
    }

    #[test]
    fn a_strangers_failures_do_not_touch_a_user_at_another_address() {
        let limits = limits();
        fail_until_refused(&limits, "anna", AWAY, NOW);
        assert!(admit(&limits, "anna", AWAY, NOW).is_err());
        for _ in 0..100 {
            admit(&limits, "anna", HOME, NOW).unwrap().succeeded();
        }
    }

    #[test]
    fn what_succeeds_or_is_never_judged_costs_nothing() {
        let limits = limits();
        for _ in 0..100 {
            admit(&limits, "anna", HOME, NOW).unwrap().succeeded();
            admit(&limits, "anna", HOME, NOW).unwrap().forgive();
        }
        assert_eq!(fail_until_refused(&limits, "anna", HOME, NOW).0, 3);
    }

    #[test]
    fn nothing_is_kept_of_what_cost_nothing() {
        let limits = limits();
        admit(&limits, "anna", HOME, NOW).unwrap().succeeded();
        limits.check("anna", HOME.parse().unwrap(), NOW).unwrap();
        assert_eq!((limits.books.per_address.entries(), limits.books.per_user.entries()), (0, 0));
    }

    #[test]
    fn own_successes_do_not_wash_away_other_failures() {
        let limits = limits();
        for _ in 0..2 {
            drop(admit(&limits, "anna", HOME, NOW).unwrap());
            admit(&limits, "anna", HOME, NOW).unwrap().succeeded();
            admit(&limits, "mallory", HOME, NOW).unwrap().succeeded();
        }
        // Also not when the success takes longer than it takes to regain a guess.
        let slow = admit(&limits, "anna", HOME, NOW).unwrap();
        drop(admit(&limits, "anna", HOME, later(10)).unwrap());
        slow.succeeded();
        assert_eq!(fail_until_refused(&limits, "anna", HOME, later(10)).0, 1);
    }

    #[test]
    fn guesses_in_parallel_do_not_slip_through() {
        let limits = limits();
        let open: Vec<_> = (0..3).map(|_| admit(&limits, "anna", HOME, NOW).unwrap()).collect();
        assert_eq!(admit(&limits, "anna", HOME, NOW).unwrap_err(), RetryAfter(Duration::from_secs(10)));
        drop(open);
        assert_eq!(fail_until_refused(&limits, "anna", HOME, NOW).0, 0);
    }

    #[test]
    fn threads_share_one_budget_exactly() {
        let limits = limits();
        let admitted: usize = std::thread::scope(|scope| {
            let guess = || (0..200).filter(|_| admit(&limits, "anna", HOME, NOW).map(drop).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(guess)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3);
    }

    #[test]
    fn a_refusal_charges_neither_budget() {
        let limits = limits();
        assert_eq!(fail_until_refused(&limits, "anna", HOME, NOW).0, 3);
        for _ in 0..100 {
            assert!(admit(&limits, "anna", HOME, NOW).is_err());
        }
        assert_eq!(fail_until_refused(&limits, "bob", HOME, NOW).0, 3);
        assert_eq!(fail_until_refused(&limits, "anna", HOME, later(10)).0, 1);
    }

    #[test]
    fn checking_agrees_with_admitting_and_charges_nothing() {
        let limits = limits();
        let home = HOME.parse().unwrap();
        for _ in 0..100 {
            limits.check("anna", home, NOW).unwrap();
        }
        let open: Vec<_> = (0..3).map(|_| admit(&limits, "anna", HOME, NOW).unwrap()).collect();
        assert_eq!(limits.check("anna", home, NOW).unwrap_err(), admit(&limits, "anna", HOME, NOW).unwrap_err());
        drop(open);
        assert_eq!(limits.check("anna", home, NOW).unwrap_err(), RetryAfter(Duration::from_secs(10)));
        limits.check("anna", home, later(10)).unwrap();
    }

    #[track_caller]
    fn same(a: &str, b: &str, expected: bool) {
        assert_eq!(source(a.parse().unwrap()) == source(b.parse().unwrap()), expected, "{a} {b}");
    }

    #[test]
    fn addresses_count_by_host_or_by_network() {
        same("192.0.2.1", "192.0.2.2", false);
        same("192.0.2.1", "::ffff:192.0.2.1", true);
        same("::ffff:192.0.2.1", "::ffff:192.0.2.2", false);
        same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
        same("2001:db8:1:2::1", "2001:db8:1:3::1", false);
        same("::1", "127.0.0.1", false);
    }

    #[test]
    fn a_flood_neither_grows_the_books_nor_refuses_a_newcomer_nor_hides_a_guesser() {
        let limits = sized(2 * 4 * WAYS);
        assert_eq!(fail_until_refused(&limits, "anna", AWAY, NOW).0, 3);
        for host in 0..2000_u32 {
            let flood = std::net::Ipv4Addr::from(0x0a00_0000 + host).to_string();
            drop(admit(&limits, "anna", &flood, NOW).unwrap());
        }
        assert!(limits.books.per_user.entries() <= 4 * WAYS);
        assert!(limits.books.per_address.entries() <= 4 * WAYS);
        assert!(admit(&limits, "anna", AWAY, NOW).is_err());
        admit(&limits, "anna", HOME, NOW).unwrap().succeeded();
    }

    #[test]
    fn when_all_places_are_of_open_attempts_one_more_is_let_through_uncounted() {
        let limits = sized(0);
        let open: Vec<_> =
            (1..=20).map(|host| admit(&limits, "anna", &format!("192.0.2.{host}"), NOW).unwrap()).collect();
        assert_eq!(open.iter().filter(|attempt| attempt.user.is_some()).count(), WAYS);
        open.into_iter().for_each(Attempt::succeeded);
        assert_eq!(limits.books.per_user.entries(), 0);
    }

    #[test]
    fn guesses_from_everywhere_make_strangers_wait_and_nobody_whom_the_user_is_known_by() {
        let limits = limits();
        admit(&limits, "anna", HOME, NOW).unwrap().succeeded();
        let guess = |host: u32| admit(&limits, "anna", &std::net::Ipv4Addr::from(0x0a00_0000 + host).to_string(), NOW);
        for host in 0..15 {
            assert_eq!(guess(host).unwrap().delay(), Duration::ZERO);
        }
        let delays: Vec<_> = (15..20).map(|host| guess(host).unwrap().delay().as_secs()).collect();
        assert_eq!(delays, [1, 2, 3, 3, 3]);
        assert_eq!(admit(&limits, "anna", HOME, NOW).unwrap().delay(), Duration::ZERO);
        assert_eq!(admit(&limits, "bob", AWAY, NOW).unwrap().delay(), Duration::ZERO);
        // A stranger who knows the password waits, and is none from then on.
        let own = admit(&limits, "anna", AWAY, NOW).unwrap();
        assert!(!own.delay().is_zero());
        own.succeeded();
        assert_eq!(admit(&limits, "anna", AWAY, NOW).unwrap().delay(), Duration::ZERO);
    }

    #[test]
    fn forged_tokens_cost_no_sign_in_anything() {
        let limits = limits();
        let home = HOME.parse().unwrap();
        for _ in 0..60 {
            limits.check_token(home, NOW).unwrap();
            limits.forged(home, NOW);
        }
        assert_eq!(limits.check_token(home, NOW).unwrap_err(), RetryAfter(Duration::from_millis(100)));
        limits.check_token(AWAY.parse().unwrap(), NOW).unwrap();
        admit(&limits, "anna", HOME, NOW).unwrap().succeeded();
        assert_eq!(fail_until_refused(&limits, "anna", HOME, NOW).0, 3);
    }

    #[test]
    fn odd_policies_are_borne() {
        let at = HOME.parse().unwrap();
        let policy = |burst, every| Allowance { burst, every };
        let unlimited = policy(0, Duration::ZERO);
        let limits = |per_user| GuessLimits::new(GuessPolicy { per_address: unlimited, per_user, max_tracked: 8 });
        let lifted = limits(unlimited);
        for _ in 0..1000 {
            drop(lifted.admit("anna", at, NOW).unwrap());
        }
        let none = limits(policy(0, Duration::MAX));
        none.admit("anna", at, NOW).unwrap().succeeded();
        drop(none.admit("anna", at, NOW).unwrap());
        assert!(none.admit("anna", at, NOW).is_err());
    }
}
