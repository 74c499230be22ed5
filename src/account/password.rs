//! Password work: off the asynchronous threads, bounded in parallel and in line.
//!
//! Guarantees: at most `parallel` hashes are worked on at once and at most `queue` callers wait; the next one hears
//! [`Busy`] at once instead of waiting; a caller that goes away frees its place, but work that has begun keeps it until
//! it is done; an unknown name costs what a known one costs.
//! Does not know: who is guessing, and how often. That is [`super::guess`].

use std::hash::{BuildHasher, RandomState};
use std::slice;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task;

use super::basic::Password;
use super::clients::{Client, Clients};
use super::hash::{HashFailed, StoredHash};
use super::users::{User, Users};

/// No honest password is longer; a longer one is wrong without any work.
pub const MAX_PASSWORD_BYTES: usize = 4096;

/// Bounds on password work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Hashes worked on at once; at least 1. Each takes a core and, for argon2id, its memory.
    pub parallel: usize,
    /// Callers that may wait for their turn.
    pub queue: usize,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { parallel: 2, queue: 64 }
    }
}

/// Too much password work is waiting already, or this piece of it could not be done. Says nothing about the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// The workbench. Shared by all runtimes of the process.
#[derive(Debug)]
pub struct Passwords {
    /// One for each caller, waiting or being served.
    places: Arc<Semaphore>,
    /// One for each hash being worked on.
    turns: Arc<Semaphore>,
    /// The places for those who come from where they are not known: a flood of these leaves the others theirs.
    strangers: Arc<Semaphore>,
    stand_in: StoredHash,
    choice: RandomState,
}

impl Passwords {
    /// # Errors
    /// [`HashFailed`] when the system gives no random bytes for the stand-in.
    pub fn new(policy: PasswordPolicy) -> Result<Self, HashFailed> {
        let parallel = policy.parallel.clamp(1, Semaphore::MAX_PERMITS / 2);
        let places = parallel.saturating_add(policy.queue).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            places: Arc::new(Semaphore::new(places)),
            turns: Arc::new(Semaphore::new(parallel)),
            strangers: Arc::new(Semaphore::new(places - places / 4)),
            stand_in: StoredHash::unmatchable()?,
            choice: RandomState::new(),
        })
    }

    /// The user called `name`, if `password` is theirs. Of several lists the first one that knows the name decides.
    ///
    /// For a name that nobody has, the same work is done against the hash of some user of the lists, always the same
    /// one for that name (the built-in stand-in, if they have none): hashes of several kinds and costs may stand
    /// beside each other, and a fixed cost for strangers would tell them from users.
    ///
    /// # Errors
    /// [`Busy`] when the line is full, or the work could not be done.
    pub async fn verify(
        &self,
        lists: &[Arc<Users>],
        name: &str,
        password: &Password,
        familiar: bool,
    ) -> Result<Option<Arc<User>>, Busy> {
        let user = lists.iter().find_map(|users| users.find(name)).cloned();
        let any = || lists.iter().find_map(|users| users.any(self.choice.hash_one(name)));
        let hash = user.as_ref().or_else(any).and_then(|user| user.hash.as_ref());
        let fitting = self.fitting(hash, slice::from_ref(password), familiar).await?;
        Ok(user.filter(|_| fitting.is_some()))
    }

    /// The client called `id`, with the one of `secrets` that is its own; in the same way. One that has no secret is as
    /// good as unknown.
    ///
    /// # Errors
    /// As for [`Passwords::verify`].
    pub async fn verify_secret(
        &self,
        clients: &Clients,
        id: &str,
        secrets: &[Password],
        familiar: bool,
    ) -> Result<Option<(Arc<Client>, Password)>, Busy> {
        let client = clients.find(id).filter(|client| !client.is_public());
        let own = client.and_then(|client| client.secret_hash.as_ref());
        let fitting =
            self.fitting(own.or_else(|| clients.any_hash(self.choice.hash_one(id))), secrets, familiar).await?;
        Ok(client.cloned().zip(fitting))
    }

    /// Which of `passwords` fits `hash`, or the stand-in where there is none. They are one piece of work, so that all of
    /// them are judged or none.
    async fn fitting(
        &self,
        hash: Option<&StoredHash>,
        passwords: &[Password],
        familiar: bool,
    ) -> Result<Option<Password>, Busy> {
        let short = |password: &&Password| password.as_bytes().len() <= MAX_PASSWORD_BYTES;
        let tried: Vec<_> = passwords.iter().filter(short).cloned().collect();
        if tried.is_empty() {
            return Ok(None);
        }
        let hash = hash.unwrap_or(&self.stand_in).clone();
        let strangers = Arc::clone(&self.strangers);
        let place = if familiar { None } else { Some(strangers.try_acquire_owned().map_err(|_| Busy)?) };
        let first_fitting = move || -> Result<Option<Password>, HashFailed> {
            let _place = place;
            for password in tried {
                if hash.fits(password.as_bytes())? {
                    return Ok(Some(password));
                }
            }
            Ok(None)
        };
        self.work(first_fitting).await?.map_err(|_| Busy)
    }

    /// Runs `job` on a blocking thread when its turn comes.
    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        // Both go into the closure: an aborted caller cannot stop a blocking thread, so the bound must outlive it.
        let running = task::spawn_blocking(move || {
            step_back();
            let done = job();
            drop((turn, place));
            done
        });
        running.await.map_err(|_| Busy)
    }
}

/// For tests that must act while a password is being checked.
/// Lets all other threads go first, from now on: a flood of sign-ins must not slow down those who have signed in. It may
/// be refused, and a thread works as fast all the same where nobody else wants the processor.
#[cfg(target_os = "linux")]
fn step_back() {
    const LEAST_URGENT: i32 = 19;
    // There, that is the calling thread alone.
    let _ = rustix::process::setpriority_process(None, LEAST_URGENT);
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}

#[cfg(test)]
impl Passwords {
    /// Nobody's turn comes until this is dropped.
    pub(super) fn hold_turn(&self) -> tokio::sync::OwnedSemaphorePermit {
        Arc::clone(&self.turns).try_acquire_owned().unwrap()
    }

    /// One caller less finds a place until this is dropped.
    pub(super) fn hold_place(&self) -> tokio::sync::OwnedSemaphorePermit {
        Arc::clone(&self.places).try_acquire_owned().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::hash::cheap;
    use super::*;

    fn passwords(parallel: usize, queue: usize) -> Passwords {
        Passwords::new(PasswordPolicy { parallel, queue }).unwrap()
    }

    fn anna_and_bob() -> Arc<Users> {
        let (anna, bob) = (cheap::argon2id("secret"), cheap::bcrypt("hidden"));
        let entry = |name, hash| format!("[[user]]\nname = {name:?}\npassword_hash = {hash:?}\n");
        Arc::new(Users::parse(&(entry("anna", anna) + &entry("bob", bob))).unwrap())
    }

    async fn verify(users: &Arc<Users>, name: &str, password: &str) -> Option<Arc<User>> {
        passwords(1, 1).verify(&[Arc::clone(users)], name, &Password::new(password.to_owned()), false).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_own_password_lets_a_user_in() {
        let users = anna_and_bob();
        assert_eq!(&*verify(&users, "anna", "secret").await.unwrap().name, "anna");
        assert_eq!(&*verify(&users, "bob", "hidden").await.unwrap().name, "bob");
        assert!(verify(&users, "anna", "hidden").await.is_none());
        assert!(verify(&users, "anna", "").await.is_none());
    }

    #[tokio::test]
    async fn an_unknown_name_never_gets_in_even_with_the_password_of_its_stand_in() {
        let hash = cheap::argon2id("secret");
        let users = Arc::new(Users::parse(&format!("[[user]]\nname = \"anna\"\npassword_hash = {hash:?}")).unwrap());
        assert!(verify(&users, "nobody", "secret").await.is_none());
    }

    #[tokio::test]
    async fn with_no_users_nobody_gets_in() {
        assert!(verify(&Arc::default(), "anna", "secret").await.is_none());
    }

    #[tokio::test]
    async fn an_overlong_password_is_wrong_without_a_place_in_line() {
        let bench = passwords(1, 0);
        let _all = bench.hold_place();
        let long = Password::new("x".repeat(MAX_PASSWORD_BYTES + 1));
        assert_eq!(bench.verify(&[anna_and_bob()], "anna", &long, false).await.map(|user| user.is_some()), Ok(false));
        let longest = Password::new("x".repeat(MAX_PASSWORD_BYTES));
        assert_eq!(bench.verify(&[anna_and_bob()], "anna", &longest, false).await.unwrap_err(), Busy);
    }

    /// A job that ends when told to.
    fn held() -> (impl FnOnce() + Send + 'static, mpsc::Sender<()>) {
        let (release, wait) = mpsc::channel::<()>();
        (move || wait.recv().unwrap_or_default(), release)
    }

    #[tokio::test]
    async fn a_full_line_is_refused_at_once() {
        let bench = Arc::new(passwords(1, 1));
        let (job, release) = held();
        let first = tokio::spawn({
            let bench = Arc::clone(&bench);
            async move { bench.work(job).await }
        });
        let second = tokio::spawn({
            let bench = Arc::clone(&bench);
            async move { bench.work(|| ()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(bench.work(|| ()).await, Err(Busy));
        drop(release);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(()), Ok(())));
        assert_eq!(bench.work(|| ()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_waiting_caller_that_goes_away_frees_its_place() {
        let bench = Arc::new(passwords(1, 1));
        let (job, release) = held();
        let first = tokio::spawn({
            let bench = Arc::clone(&bench);
            async move { bench.work(job).await }
        });
        let second = tokio::spawn({
            let bench = Arc::clone(&bench);
            async move { bench.work(|| ()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(bench.places.available_permits(), 0);
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert_eq!(bench.places.available_permits(), 1);
        drop(release);
        assert_eq!(first.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn work_that_has_begun_keeps_its_turn_though_its_caller_went_away() {
        let bench = Arc::new(passwords(1, 1));
        let (job, release) = held();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let bench = Arc::clone(&bench);
            async move {
                bench
                    .work(move || {
                        let _ = begun.send(());
                        job()
                    })
                    .await
            }
        });
        has_begun.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!((bench.turns.available_permits(), bench.places.available_permits()), (0, 1));
        drop(release);
        assert_eq!(bench.work(|| ()).await, Ok(()));
    }

    #[tokio::test]
    async fn work_that_panics_is_no_verdict_and_frees_its_place() {
        let bench = passwords(1, 0);
        assert_eq!(bench.work(|| panic!("on purpose")).await, Err::<(), _>(Busy));
        assert_eq!((bench.turns.available_permits(), bench.places.available_permits()), (1, 1));
    }
}
