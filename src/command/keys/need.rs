//! Until when something that a key has signed can still be of use.
//!
//! Guarantees: never too early, as long as the settings and clocks are those of the gate, which looks at its keys every
//! second; nothing else is counted on, not even that clients refresh.
//! Does not know: files; and whether a client that holds no answer to its last refresh will ask again.

use std::time::Duration;

use crate::config::Config;
use crate::keys::{KeyEntry, State};
use crate::token::{Session, Timestamp};

/// A gate signs with the key before until it has looked.
const UNNOTICED: Duration = Duration::from_secs(5);

/// How long what the gate hands out may live, besides what sessions were promised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub access_ttl: Duration,
    pub leeway: Duration,
}

impl Bounds {
    pub(super) fn of(config: &Config) -> Self {
        let (token, form) = (&config.token, &config.profiles.form);
        let of_form = if form.enabled { form.access_ttl } else { Duration::ZERO };
        let access_ttl = token.access_ttl_max.max(token.access_ttl).max(of_form);
        Self { access_ttl, leeway: token.leeway }
    }
}

/// What depends on one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// Live sessions whose current pair is by it: they have to sign in again if it goes.
    pub sessions: usize,
    /// Of a retiring key: until when its refresh tokens can be valid. `None`: there are none.
    pub refresh_until: Option<Timestamp>,
    /// Likewise of its access tokens.
    pub access_until: Option<Timestamp>,
}

impl Need {
    /// `sessions` are all that are known.
    pub(super) fn of(key: &KeyEntry, sessions: &[Session], now: Timestamp, bounds: Bounds) -> Self {
        let live = || sessions.iter().filter(|session| !session.expired(now));
        let own = || live().filter(|session| *session.kid == *key.kid);
        let need = Self { sessions: own().count(), ..Self::default() };
        if key.state != State::Retiring {
            return need;
        }
        // A gate does not know since when a key of the configuration retires: perhaps since just now.
        let retired = key.since.map_or(now, instant) + UNNOTICED;
        // The last refresh failed when it was to be written down, and the token before may be all that the client has.
        let doubtful = live().filter(|session| session.in_doubt && session.created_at < retired);
        let ends = own().chain(doubtful).map(|session| session.idle_expires_at.min(session.expires_at));
        // Sessions keep the lifetime that they were begun with.
        let ttl = live().map(|session| session.access_ttl).max().unwrap_or_default().max(bounds.access_ttl);
        // Later than it was retired, if a gate has been unable to read its keys.
        let signed = own().map(|session| session.rotated_at).max().unwrap_or_default().max(retired);
        let access_until = signed + ttl + bounds.leeway;
        Self { refresh_until: ends.max(), access_until: (access_until > now).then_some(access_until), ..need }
    }

    /// When nothing depends on it any more; `None` if nothing does now.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.refresh_until.max(self.access_until)
    }
}

/// Times of files before 1970 are as good as 1970.
pub(super) fn instant(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(u64::try_from(time.as_microsecond()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
