//! Who may sign in: users file, htpasswd, the upstream's own word, OAuth clients, the password work, the limits on
//! guessing.
//!
//! Guarantees: a wrong password and an unknown name are one answer at one cost; what is decided about a user holds for
//! the list in force when the answer is given, even if the file changed during the work; neither passwords nor hashes
//! can be printed.
//! Does not know: HTTP beyond the `Authorization` value, tokens, sessions, who polls the file.
//!
//! [`Accounts::sign_in`] is the way to tokens and always does the password work. [`Accounts::admit_basic`] is the way
//! to API routes and may answer from memory. Both pass the limits on guessing: a remembered success spares the work,
//! not the limit.

mod basic;
mod basic_cache;
mod clients;
mod directory;
mod flight;
mod guess;
mod guess_book;
mod hash;
mod htpasswd;
mod password;
mod realm;
mod upstream_check;
mod user_claims;
mod users;
mod users_file;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::token::{Subject, Timestamp};

pub use basic::{BasicError, Credentials, Password};
pub use basic_cache::{BasicCache, BasicPolicy};
pub use clients::{Client, Clients, Grant};
pub use directory::{Directory, FileTrouble, Found, Reload};
pub use guess::{Allowance, Attempt, GuessLimits, GuessPolicy, RetryAfter};
pub use hash::{HashFailed, HashMistake, StoredHash};
pub use password::{Busy, MAX_PASSWORD_BYTES, PasswordPolicy, Passwords};
pub use realm::{Realm, RealmId};
pub use upstream_check::{CheckTerms, StatusRange, Statuses, UpstreamCheck, basic};
pub use users::{Form, User, Users};
pub use users_file::UserMistake;

use flight::{Flights, Turn};
use realm::{Judge, Realms};
use upstream_check::Unjudged;

/// Guesses that wait at once.
const MOST_HELD: usize = 1024;

/// The bounds of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountPolicy {
    pub passwords: PasswordPolicy,
    pub guesses: GuessPolicy,
    pub basic: BasicPolicy,
}

/// The room as one. Shared by all workers.
#[derive(Debug)]
pub struct Accounts {
    realms: Realms,
    clients: Clients,
    passwords: Arc<Passwords>,
    guesses: Arc<GuessLimits>,
    basic_cache: BasicCache,
    flights: Flights,
    /// Guesses that are made to wait.
    held: Semaphore,
    policy: AccountPolicy,
}

/// Why nobody was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Unknown name, wrong password, or a user that changed while the password was checked: never say which.
    #[error("wrong name or password")]
    Wrong,
    #[error("too many attempts")]
    Throttled { retry_after: Duration },
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Whoever could tell does not answer.
    #[error("the upstream says nothing about this password")]
    Unjudged,
}

impl From<Unjudged> for SignInError {
    fn from(unjudged: Unjudged) -> Self {
        match unjudged {
            Unjudged::Busy(busy) => busy.into(),
            Unjudged::Trouble(_) => Self::Unjudged,
        }
    }
}

impl From<RetryAfter> for SignInError {
    fn from(RetryAfter(retry_after): RetryAfter) -> Self {
        Self::Throttled { retry_after }
    }
}

impl Accounts {
    /// The first of `realms` is the default one.
    ///
    /// # Errors
    /// [`HashFailed`] when the system gives no random bytes.
    pub fn new(realms: Vec<Realm>, clients: Clients, policy: AccountPolicy) -> Result<Self, HashFailed> {
        Ok(Self {
            realms: Realms::new(realms),
            clients,
            passwords: Arc::new(Passwords::new(policy.passwords)?),
            guesses: Arc::new(GuessLimits::new(policy.guesses)),
            basic_cache: BasicCache::new(policy.basic),
            flights: Flights::default(),
            held: Semaphore::new(MOST_HELD),
            policy,
        })
    }

    /// Others in its place. Wrong guesses and password work under way still count, unless their bounds are others now;
    /// what was found right is checked anew.
    ///
    /// # Errors
    /// As for [`Accounts::new`].
    pub fn succeeded_by(
        &self,
        realms: Vec<Realm>,
        clients: Clients,
        policy: AccountPolicy,
    ) -> Result<Self, HashFailed> {
        let mut new = Self::new(realms, clients, policy)?;
        if policy.passwords == self.policy.passwords {
            new.passwords = Arc::clone(&self.passwords);
        }
        if policy.guesses == self.policy.guesses {
            new.guesses = Arc::clone(&self.guesses);
        }
        Ok(new)
    }

    /// The file of users that is already followed, if it is one of these.
    pub fn directory(&self, path: &Path, form: &Form, realm: &str) -> Option<Arc<Directory>> {
        self.realms.iter().flat_map(Realm::files).find(|file| file.is_of(path, form, realm)).cloned()
    }

    pub fn realms(&self) -> impl Iterator<Item = &Realm> {
        self.realms.iter()
    }

    /// The user in force that `subject` is.
    pub fn find(&self, subject: &str) -> Option<Arc<User>> {
        self.realms.of(subject)?.find(subject)
    }

    /// `credentials` that were presented in a realm, by the name of the subject that they are of.
    pub fn within(&self, realm: RealmId, mut credentials: Credentials) -> Credentials {
        if realm != RealmId::default() || credentials.name.contains(':') {
            credentials.name = self.realms.subject(realm, &credentials.name);
        }
        credentials
    }

    /// The name by which its sources know a subject.
    pub fn name_of<'a>(&self, subject: &'a str) -> &'a str {
        self.realms.of(subject).map_or(subject, |realm| realm.name_of(subject))
    }

    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// For guesses that others judge: an upstream's own 401 on a passthrough route.
    pub fn guesses(&self) -> &GuessLimits {
        &self.guesses
    }

    /// Looks at the files of users, and tells of those with news. Blocks for the time of the reading; to be called from
    /// a thread that may.
    pub fn reload(&self) -> Vec<(&Path, Reload)> {
        let files = self.realms.iter().flat_map(Realm::files);
        let reloads = files.map(|file| (file.path(), file.reload()));
        let news: Vec<_> = reloads.filter(|(_, reload)| !matches!(reload, Reload::Unchanged)).collect();
        if news.iter().any(|(_, reload)| matches!(reload, Reload::Changed { .. })) {
            self.basic_cache.clear();
        }
        news
    }

    /// Judges credentials by their password, always afresh: the only way to tokens. Their name is a subject's; see
    /// [`Accounts::within`].
    ///
    /// # Errors
    /// [`SignInError`]; only `Wrong` is a verdict, and only it is charged. Dropping the future is charged too.
    pub async fn sign_in(
        &self,
        credentials: &Credentials,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Arc<User>, SignInError> {
        let attempt = self.guesses.admit(&credentials.name, address, now)?;
        self.hold(attempt.delay()).await;
        let verified = match self.verify(credentials, address, attempt.is_familiar()).await {
            Ok(verified) => verified.ok_or(SignInError::Wrong)?,
            Err(unjudged) => {
                attempt.forgive();
                return Err(unjudged);
            }
        };
        // The file may have been read anew during the work: a changed password must not let anybody in any more, and
        // the scopes of today count.
        let user = self.in_force(&verified).ok_or(SignInError::Wrong)?;
        attempt.succeeded();
        Ok(user)
    }

    /// Lets a guess wait. Of too many that wait the others do not: they would hold memory, and gain nothing where the work
    /// itself is bounded.
    async fn hold(&self, delay: Duration) {
        if !delay.is_zero()
            && let Ok(_place) = self.held.try_acquire()
        {
            sleep(delay).await;
        }
    }

    /// The user that the first source names which knows the name; `None` if the password is wrong.
    async fn verify(
        &self,
        credentials: &Credentials,
        address: IpAddr,
        familiar: bool,
    ) -> Result<Option<Arc<User>>, SignInError> {
        let Credentials { name: subject, password } = credentials;
        let realm = self.realms.of(subject);
        match realm.map_or(Judge::Files(Vec::new()), |realm| realm.judge(subject)) {
            Judge::Files(lists) => Ok(self.passwords.verify(&lists, subject, password, familiar).await?),
            Judge::Upstream { .. } if password.as_bytes().len() > MAX_PASSWORD_BYTES => Ok(None),
            Judge::Upstream { check, name } => {
                // One at a time for a user from one address: guesses from elsewhere must not stand in the way of the
                // user's own.
                let source = guess::source(address);
                let flight = self.flights.join(self.basic_cache.key_of(&[b"check", &source, subject.as_bytes()]))?;
                let _turn = flight.turn().await;
                let right = check.ask(name, password).await?;
                Ok(self.find(subject).filter(|_| right))
            }
        }
    }

    /// Judges what an OAuth client says of itself: the id of a public one without a secret, or id and secret. A secret
    /// that was right once is not worked on again. There is more than one of them where what came over the wire can be
    /// read in more than one way: then one of the readings has to be right, and together they are one guess.
    ///
    /// # Errors
    /// As for [`Accounts::sign_in`], within the same limits on guessing: an id counts as a name of its own, so that
    /// nobody uses up a user's budget with a client of that name.
    pub async fn authenticate(
        &self,
        id: &str,
        secrets: &[Password],
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Arc<Client>, SignInError> {
        let client = self.clients.find(id);
        if secrets.is_empty() {
            return client.filter(|client| client.is_public()).cloned().ok_or(SignInError::Wrong);
        }
        let name = Subject::of_client(id);
        // Before the memory is asked, for the reason given below.
        self.guesses.check(name.as_str(), address, now)?;
        if let Some(client) = client
            && secrets.iter().any(|secret| self.clients.is_proven(id, secret))
        {
            return Ok(Arc::clone(client));
        }
        let attempt = self.guesses.admit(name.as_str(), address, now)?;
        match self.passwords.verify_secret(&self.clients, id, secrets, attempt.is_familiar()).await {
            Ok(Some((client, secret))) => {
                attempt.succeeded();
                self.clients.prove(id, &secret);
                Ok(client)
            }
            Ok(None) => Err(SignInError::Wrong),
            Err(busy) => {
                attempt.forgive();
                Err(busy.into())
            }
        }
    }

    /// Judges Basic credentials on an API route, from memory if they were found right within the last minute. Equal
    /// credentials that arrive together wait for one check instead of each making its own; wrong ones are charged to each.
    ///
    /// # Errors
    /// As for [`Accounts::sign_in`].
    pub async fn admit_basic(
        &self,
        credentials: &Credentials,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Arc<User>, SignInError> {
        if !self.basic_cache.is_on() {
            return self.sign_in(credentials, address, now).await;
        }
        let key = self.basic_cache.key(credentials);
        let remembered = || self.basic_cache.find_key(&key, now).and_then(|user| self.in_force(&user));
        // Before the memory is asked: a right guess would else be let in where all wrong ones are refused for lack of
        // budget, and the limit would hide nothing.
        self.guesses.check(&credentials.name, address, now)?;
        if let Some(user) = remembered() {
            return Ok(user);
        }
        let flight = self.flights.join(key)?;
        let mut turn = flight.turn().await;
        if let Some(user) = remembered() {
            return Ok(user);
        }
        if turn.as_ref().is_some_and(Turn::is_known_wrong) {
            // Dropping the attempt charges it.
            drop(self.guesses.admit(&credentials.name, address, now)?);
            return Err(SignInError::Wrong);
        }
        let epoch = self.basic_cache.epoch();
        let judged = self.sign_in(credentials, address, now).await;
        if matches!(judged, Err(SignInError::Wrong)) {
            turn.as_mut().map(Turn::found_wrong);
        }
        let user = judged?;
        self.basic_cache.remember_key(key, &user, epoch, now);
        Ok(user)
    }

    /// Whether credentials that the upstream has just refused are right all the same, by its own word. One at a time for
    /// each user; who waited in line takes the answer that was asked for meanwhile. `stands` tells whether the question
    /// still matters. `None`: nobody can say, or nothing is there to ask.
    pub async fn still_right(
        &self,
        credentials: &Credentials,
        clock: &dyn Fn() -> Timestamp,
        stands: &dyn Fn() -> bool,
    ) -> Option<bool> {
        let Credentials { name: subject, password } = credentials;
        let realm = self.realms.of(subject)?;
        let (check, refused_at) = (realm.check()?, clock());
        let key = self.basic_cache.key(credentials);
        let flight = self.flights.join(self.basic_cache.key_of(&[b"again", subject.as_bytes(), b""])).ok()?;
        let _turn = flight.turn().await;
        if !stands() {
            return Some(false);
        }
        if self.basic_cache.is_verified_since(&key, refused_at) {
            return Some(true);
        }
        let (epoch, began_at) = (self.basic_cache.epoch(), clock());
        let right = check.ask(realm.name_of(subject), password).await.ok()?;
        // Only of users whom the upstream judges at sign-in as well: the others' memory is of their hash.
        if let Some(user) = self.find(subject).filter(|user| right && user.hash.is_none()) {
            self.basic_cache.remember_key(key, &user, epoch, began_at);
        }
        Some(right)
    }

    /// The user as the list in force has them, if it still has them with the same password hash.
    fn in_force(&self, user: &User) -> Option<Arc<User>> {
        self.find(&user.name).filter(|current| current.same_credential(user))
    }
}

#[cfg(test)]
mod tests;
