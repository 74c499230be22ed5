//! Who may sign in: the users file, OAuth clients, the password work, the limits on guessing.
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
mod password;
mod user_claims;
mod users;
mod users_file;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::token::{Subject, Timestamp};

pub use basic::{BasicError, Credentials, Password};
pub use basic_cache::{BasicCache, BasicPolicy};
pub use clients::{Client, Clients, Grant};
pub use directory::{Directory, FileTrouble, Found, Reload};
pub use guess::{Allowance, Attempt, GuessLimits, GuessPolicy, RetryAfter};
pub use hash::{HashFailed, HashMistake, StoredHash};
pub use password::{Busy, MAX_PASSWORD_BYTES, PasswordPolicy, Passwords};
pub use users::{User, Users};
pub use users_file::UserMistake;

use flight::Flights;

/// The bounds of the room.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountPolicy {
    pub passwords: PasswordPolicy,
    pub guesses: GuessPolicy,
    pub basic: BasicPolicy,
}

/// The room as one. Shared by all workers.
#[derive(Debug)]
pub struct Accounts {
    directory: Directory,
    clients: Clients,
    passwords: Passwords,
    guesses: GuessLimits,
    basic_cache: BasicCache,
    flights: Flights,
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
}

impl From<RetryAfter> for SignInError {
    fn from(RetryAfter(retry_after): RetryAfter) -> Self {
        Self::Throttled { retry_after }
    }
}

impl Accounts {
    /// # Errors
    /// [`HashFailed`] when the system gives no random bytes.
    pub fn new(directory: Directory, clients: Clients, policy: AccountPolicy) -> Result<Self, HashFailed> {
        Ok(Self {
            directory,
            clients,
            passwords: Passwords::new(policy.passwords)?,
            guesses: GuessLimits::new(policy.guesses),
            basic_cache: BasicCache::new(policy.basic),
            flights: Flights::default(),
        })
    }

    /// The users in force.
    pub fn users(&self) -> Arc<Users> {
        self.directory.users()
    }

    /// The user in force called `name`.
    pub fn find(&self, name: &str) -> Option<Arc<User>> {
        self.directory.find(name)
    }

    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// For guesses that others judge: an upstream's own 401 on a passthrough route.
    pub fn guesses(&self) -> &GuessLimits {
        &self.guesses
    }

    /// Looks at the users file. Blocks for the time of the reading; to be called from a thread that may.
    pub fn reload(&self) -> Reload {
        let reload = self.directory.reload();
        if let Reload::Changed { .. } = reload {
            self.basic_cache.clear();
        }
        reload
    }

    /// Judges credentials by their password, always afresh: the only way to tokens.
    ///
    /// # Errors
    /// [`SignInError`]; only `Wrong` is a verdict, and only it is charged. Dropping the future is charged too.
    pub async fn sign_in(
        &self,
        credentials: &Credentials,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Arc<User>, SignInError> {
        let Credentials { name, password } = credentials;
        let attempt = self.guesses.admit(name, address, now)?;
        let verified = match self.passwords.verify(&self.directory.users(), name, password).await {
            Ok(verified) => verified.ok_or(SignInError::Wrong)?,
            Err(busy) => {
                attempt.forgive();
                return Err(busy.into());
            }
        };
        // The file may have been read anew during the work: a changed password must not let anybody in any more, and
        // the scopes of today count.
        let user = self.in_force(&verified).ok_or(SignInError::Wrong)?;
        attempt.succeeded();
        Ok(user)
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
        match self.passwords.verify_secret(&self.clients, id, secrets).await {
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
    /// credentials that arrive together wait for one check instead of each making its own.
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
        let _turn = flight.turn().await;
        if let Some(user) = remembered() {
            return Ok(user);
        }
        let epoch = self.basic_cache.epoch();
        let user = self.sign_in(credentials, address, now).await?;
        self.basic_cache.remember_key(key, &user, epoch, now);
        Ok(user)
    }

    /// The user as the list in force has them, if it still has them with the same password hash.
    fn in_force(&self, user: &User) -> Option<Arc<User>> {
        self.directory.find(&user.name).filter(|current| current.same_credential(user))
    }
}

#[cfg(test)]
mod tests;
