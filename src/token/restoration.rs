//! What the restoration of an older store means for the tokens that it does not know.
//!
//! Guarantees: a lost token never rotates but by adoption, which happens once for each session; it never ends a session,
//! since two tokens may bear one generation number and only one of them is known; without a restoration nothing here
//! changes anything, and asking is a look at an empty list.
//! Does not know: files, clocks, how a backup is read.
//!
//! The *lost time* begins with the newest record of the backup and ends with the restoration. What was issued in it is
//! authentic, and no record of it is left. Tokens say when they were issued in whole seconds, records in microseconds: the
//! lost time ends with a whole second, so that its end is exact. At its beginning a second is shared. There an access
//! token is refused, for its client refreshes; a refresh token is told by its generation, for its client would have to
//! sign in.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Policy, Presented, Rotation, RotationRefusal, Session, Standing, Timestamp};

/// A record bears the time at which its request came, and is written when that is answered: with a queue before the
/// password work that may be a while. So long before the backup's newest record an access token may date from and be
/// missing there.
const UNDER_WAY: Duration = Duration::from_mins(1);
/// The last instant of a second, told from its first.
const REST_OF_A_SECOND: Duration = Duration::from_micros(999_999);

/// One restoration, as the operator asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    /// The newest time in the backup.
    pub backup: Timestamp,
    /// The first instant of a whole second: what was issued before the restoration is older, what was issued since is not.
    pub restored: Timestamp,
    /// Lost tokens are taken as they are: access tokens count, and the refresh token of a newer generation than is known
    /// carries its session on.
    pub adopt: bool,
    /// What was issued after this and before the restoration is refused, whatever `adopt` says.
    pub revoked_after: Option<Timestamp>,
    /// The last absolute end of the sessions in the backup: a token of another line of the same session may be presented
    /// until then.
    pub sessions_end: Timestamp,
}

/// All restorations whose lost tokens may still be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restorations(Vec<Restoration>);

/// What a presented refresh token is to a store that was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// The store's own, as far as it can tell.
    Own,
    /// To be taken for the session's current one.
    Ahead,
    /// The one that was adopted, once more: a client that lost the answer, or the loser of a race.
    Adopted,
    Lost,
}

impl Restoration {
    /// Whether the access token that was issued in this second is refused.
    pub fn refuses_access(&self, issued: Timestamp) -> bool {
        let lost = issued < self.restored && issued + REST_OF_A_SECOND + UNDER_WAY > self.backup;
        (lost && !self.adopt) || self.revokes(issued)
    }

    /// Whether no token that it speaks of can be accepted any more.
    pub fn is_spent(&self, now: Timestamp, policy: &Policy) -> bool {
        now >= (self.restored + policy.session_ttl).max(self.sessions_end) + policy.leeway
    }

    fn revokes(&self, issued: Timestamp) -> bool {
        issued < self.restored && self.revoked_after.is_some_and(|after| issued + REST_OF_A_SECOND > after)
    }

    /// Whether what was issued in this second may be lost.
    fn covers(&self, issued: Timestamp) -> bool {
        self.backup.as_secs() <= issued.as_secs() && issued < self.restored
    }

    /// Whether the session has come about or rotated since.
    fn precedes(&self, session: &Session) -> bool {
        self.restored <= session.rotated_at
    }
}

impl Restorations {
    /// How many are kept at most: more of them in the lifetime of a session are no accident.
    pub const MOST: usize = 64;

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Restoration> {
        self.0.iter()
    }

    /// The same restoration twice is one.
    pub fn add(&mut self, restoration: Restoration) {
        if !self.0.contains(&restoration) {
            self.0.push(restoration);
        }
    }

    /// Whether the access token that was issued in this second is refused, whatever is known of its session.
    pub fn refuse_access(&self, issued: Timestamp) -> bool {
        self.0.iter().any(|restoration| restoration.refuses_access(issued))
    }

    /// [`Session::rotate`], with an eye on tokens that are lost.
    ///
    /// | presented generation | issued | outcome |
    /// |---|---|---|
    /// | current | when the store says so | as ever |
    /// | current | at another time | lost: another line of the session |
    /// | newer | before a restoration that adopts, and the session not rotated since | rotates from there |
    /// | newer | else | as ever: refused |
    /// | older, the parent with which the session has outlived a restoration | then | as ever, but an adopted one is no reuse |
    /// | any other older one | in a lost time, and the session rotated since; or revoked | lost |
    /// | any other older one | else | as ever |
    ///
    /// The dangerous wrong answer is `Rotated` for a number that two tokens bear.
    pub fn rotate(
        &self,
        session: &mut Session,
        presented: &Presented,
        user: Option<&Standing>,
        kid: &Arc<str>,
        now: Timestamp,
        policy: &Policy,
    ) -> Rotation {
        let outlives = self.0.iter().any(|restoration| !restoration.precedes(session));
        let outlived = outlives.then_some(presented.issued_at);
        let line = if self.is_empty() { Line::Own } else { self.line(session, presented) };
        let mut rotation = match line {
            Line::Own => session.rotate(presented, user, kid, now, policy),
            Line::Ahead => {
                let mut adopted = Session { generation: presented.generation, ..session.clone() };
                let rotation = adopted.rotate(presented, user, kid, now, policy);
                if matches!(rotation, Rotation::Rotated(_)) {
                    *session = adopted;
                }
                rotation
            }
            Line::Adopted => match session.rotate(presented, user, kid, now, policy) {
                Rotation::Reused(_) => Rotation::Refused(RotationRefusal::Lost),
                other => other,
            },
            Line::Lost => Rotation::Refused(RotationRefusal::Lost),
        };
        if let Rotation::Rotated(next) = &mut rotation {
            (session.outlived, next.outlived) = (outlived, outlived);
        }
        rotation
    }

    fn line(&self, session: &Session, presented: &Presented) -> Line {
        let issued = presented.issued_at;
        let revoked = self.0.iter().any(|restoration| restoration.revokes(issued));
        match presented.generation.cmp(&session.generation) {
            Ordering::Equal if issued.as_secs() == session.rotated_at.as_secs() => Line::Own,
            Ordering::Equal => Line::Lost,
            Ordering::Greater => {
                let refuses = |restoration: &Restoration| {
                    restoration.covers(issued) && (!restoration.adopt || restoration.precedes(session))
                };
                let adopts = |restoration: &Restoration| {
                    restoration.adopt && !restoration.precedes(session) && issued < restoration.restored
                };
                if !revoked && !self.0.iter().any(refuses) && self.0.iter().any(adopts) {
                    Line::Ahead
                } else {
                    Line::Own
                }
            }
            Ordering::Less => {
                let is_parent = presented.generation + 1 == session.generation && session.outlived == Some(issued);
                let lost = |restoration: &Restoration| restoration.precedes(session) && restoration.covers(issued);
                // In the shared second it is the backup's.
                let adopted = |restoration: &Restoration| {
                    restoration.covers(issued) && restoration.backup.as_secs() < issued.as_secs()
                };
                match is_parent {
                    true if self.0.iter().any(adopted) => Line::Adopted,
                    true => Line::Own,
                    false if revoked || self.0.iter().any(lost) => Line::Lost,
                    false => Line::Own,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
