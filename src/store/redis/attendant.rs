//! The attendant: keeps the line, follows the log, reads everything where the log does not say enough, pays what is owed.
//!
//! Guarantees: nothing is changed over a line before memory knows all that the engine knew when it was connected; what one
//! engine knew and the next one lacks is put there again before; trouble is said once until there is other trouble or none.
//! Does not know: threads, what a session may do.
//!
//! # Another engine, or the same one in another life
//!
//! After a failover or a restart the engine may have lost its last changes. Every gate reads all keys then, and puts there
//! what it knows and the engine does not: newer generations, ends, and sessions that were begun or renewed in the last
//! minute that it had heard of. Then it waits until [`PAUSE`] has passed since it found out, so that other gates have done
//! the same before it takes a change. A gate that was cut off for longer than [`RECENT`] puts nothing: what it misses may
//! have ended, and the end be forgotten.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::{interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::super::files::Record;
use super::super::memory::Change;
use super::super::{Source, Store};
use super::connecting::{Connected, connect};
use super::ends::end_orphans;
use super::line::Line;
use super::{Desk, PAUSE, Redis, State, reading};

/// Less than ends are kept in the engine: see [`super::line`].
const RECENT: Duration = Duration::from_mins(10);
/// What an engine may have lost by copying to its replicas behind its answers.
const LOST: Duration = Duration::from_mins(1);
const PAY_EVERY: Duration = Duration::from_secs(1);
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Keeps one store up with the engine.
pub struct Attendant {
    store: Arc<Store>,
    place: String,
    lineage: Option<String>,
    heard_at: Instant,
    lines: u64,
}

impl Attendant {
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, place: String::new(), lineage: None, heard_at: Instant::now(), lines: 0 }
    }

    /// Goes on until it is told to stop. Calls `ready` each time when all is known and changes are taken.
    pub async fn run(mut self, mut ready: impl FnMut(), stop: CancellationToken) {
        let store = Arc::clone(&self.store);
        let Source::Redis(redis) = &store.source else { return };
        let (mut failures, mut said) = (0, None);
        loop {
            let began = Instant::now();
            let attended = async {
                let connected = connect(&redis.terms, &redis.places).await?;
                self.attend(redis, connected, &mut ready).await
            };
            let why = tokio::select! {
                () = stop.cancelled() => return,
                attended = attended => attended.err().unwrap_or_default(),
            };
            redis.down(&why);
            failures = if began.elapsed() > AGAIN_AFTER[1] { 0 } else { failures + 1 };
            if said.as_ref() != Some(&why) {
                warn!(why = &*why, "the store on Redis cannot be used; what is known stays in force");
                said = Some(why);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(AGAIN_AFTER[usize::from(failures > 10)]) => {}
            }
        }
    }

    /// Uses a connection for as long as it is of use; the error says why it is not.
    async fn attend(&mut self, redis: &Redis, connected: Connected, ready: &mut impl FnMut()) -> Result<(), String> {
        let Connected { mut connection, mut waiting, lineage, slot, notice } = connected;
        if let Some(notice) = notice {
            warn!("{notice}");
        }
        // For those who would move the sessions; the account may not have the right.
        let mut name = ::redis::cmd("CLIENT");
        let name = name.arg("SETNAME").arg(redis.places.gate());
        let _ = reading::within::<()>(redis.terms.timeout, name.query_async(&mut connection)).await;
        self.lines += 1;
        let line = Line::new(connection.clone(), self.lines).await.map_err(|error| crate::observe::chain(&error))?;
        let limit = redis.terms.timeout;
        let known = self.lineage.as_ref() == Some(&lineage);
        if !(known && reading::still_has(&mut connection, &redis.places, &self.place, limit).await?) {
            let began = tokio::time::Instant::now();
            let another = !known && self.lineage.is_some();
            self.read_all(redis, &mut connection, slot, another).await?;
            self.lineage = Some(lineage);
            if another {
                self.desk(redis, &line).pay().await;
                sleep_until(began + PAUSE).await;
            }
        }
        while self.read_on(redis, &mut connection, false).await? {}
        self.desk(redis, &line).pay().await;
        let mut given_up = redis.up(line, self.lines > 1);
        let given_up = given_up.wait_for(|state| matches!(state, State::Down { .. }));
        info!(sessions = self.store.live(), "the store on Redis is in use");
        ready();
        let store = Arc::clone(&self.store);
        let follow = async {
            loop {
                self.read_on(redis, &mut waiting, true).await?;
            }
        };
        tokio::select! {
            why = follow => why,
            () = keep_paying(&store, redis) => Ok(()),
            _ = given_up => Err(redis.why()),
        }
    }

    fn desk<'a>(&'a self, redis: &'a Redis, line: &'a Line) -> Desk<'a> {
        // There may be much, and nobody waits for it.
        let deadline = tokio::time::Instant::now() + redis.terms.timeout * 10;
        Desk { line: Some(line), deadline, ..Desk::of(&self.store, redis) }
    }

    /// Reads everything. The place in the log comes first: what changes meanwhile is found behind it.
    async fn read_all(
        &mut self,
        redis: &Redis,
        connection: &mut MultiplexedConnection,
        slot: Option<u16>,
        another: bool,
    ) -> Result<(), String> {
        let limit = redis.terms.timeout;
        let place = reading::end_of_log(connection, &redis.places, limit).await?;
        let store = Arc::clone(&self.store);
        let recent = self.heard_at.elapsed() < RECENT;
        let (mut named, since) = (HashSet::new(), store.newest().before(LOST));
        reading::all(connection, &redis.places, slot, limit, |record| {
            if let Record::Tombstone { id, .. } = &record {
                named.insert(*id);
            }
            if let Record::Session(session) = &record {
                named.insert(session.id);
                let ahead = store.memory.find(session.id).is_some_and(|known| known.generation > session.generation);
                if another && recent && ahead {
                    redis.pending.lost(session.id);
                }
                if store.memory.has_ended(session.id) {
                    redis.pending.end(session.id);
                }
            }
            self.take(redis, record);
        })
        .await?;
        let missing = |change: Change<'_>| {
            match change {
                Change::Session(session) if session.rotated_at >= since && !named.contains(&session.id) => {
                    redis.pending.lost(session.id);
                }
                Change::Tombstone { id, until } if !named.contains(&id) => redis.pending.forgotten(id, until),
                Change::Session(_) | Change::Tombstone { .. } => {}
            }
            Ok::<_, std::convert::Infallible>(())
        };
        if another && recent {
            let Ok(()) = store.memory.visit(missing);
        } else if self.lineage.is_some() {
            // It was away for long. Ends stay: they go by themselves.
            store.memory.retain(|id| named.contains(id) || store.memory.has_ended(*id));
        }
        redis.figures.readings.fetch_add(1, Ordering::Relaxed);
        self.place = place;
        self.heard(redis);
        Ok(())
    }

    /// Whether there may be more.
    async fn read_on(
        &mut self,
        redis: &Redis,
        connection: &mut MultiplexedConnection,
        wait: bool,
    ) -> Result<bool, String> {
        let entries = reading::behind(connection, &redis.places, &self.place, wait, redis.terms.timeout).await?;
        let more = !entries.is_empty();
        for (place, record) in entries {
            self.take(redis, record);
            self.place = place;
        }
        self.heard(redis);
        Ok(more)
    }

    fn heard(&mut self, redis: &Redis) {
        self.heard_at = Instant::now();
        redis.pace.news(self.heard_at);
    }

    /// Teaches memory what the engine tells. A session never outlives the one whose token minted it, in whichever order
    /// the two are told of.
    fn take(&self, redis: &Redis, record: Record) {
        let memory = &self.store.memory;
        match record {
            Record::Session(session) => {
                let desk = Desk::of(&self.store, redis);
                let (id, orphaned) = (session.id, session.parent.is_some_and(|parent| memory.has_ended(parent)));
                memory.learn(desk.as_known(*session));
                if orphaned && desk.end_here(id).is_some() {
                    redis.pending.end(id);
                }
            }
            Record::Tombstone { id, until } => {
                let subject = memory.find(id).map(|session| session.subject);
                memory.bury(id, until);
                redis.pending.paid_end(id);
                if let Some(subject) = subject {
                    end_orphans(&self.store, redis, &subject, id);
                }
            }
            Record::Pulse { .. } | Record::Restored(_) => {}
        }
    }
}

async fn keep_paying(store: &Store, redis: &Redis) {
    let mut every = interval(PAY_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = redis.pending.more.notified() => {}
        }
        if redis.pending.count() > 0 {
            Desk::of(store, redis).pay().await;
            // What was not taken is not tried again at once.
            sleep(AGAIN_AFTER[0]).await;
        }
        redis.try_again().await;
    }
}

impl Redis {
    fn up(&self, line: Line, again: bool) -> watch::Receiver<State> {
        self.taken();
        self.state.send_replace(State::Up { line, since: Instant::now(), again });
        self.state.subscribe()
    }

    fn down(&self, why: &str) {
        self.pace.trouble(why);
        self.state.send_modify(|state| {
            let since = match state {
                State::Down { since, .. } => *since,
                State::Up { .. } => Instant::now(),
            };
            *state = State::Down { since, why: why.into() };
        });
    }

    fn why(&self) -> String {
        match &*self.state.borrow() {
            State::Down { why, .. } => why.to_string(),
            State::Up { .. } => "the connection was given up".into(),
        }
    }

    /// An engine that has refused a change is asked whether it still does.
    async fn try_again(&self) {
        if self.refusal().is_none() {
            return;
        }
        if let Some(line) = self.line()
            && let Ok(Ok(())) = tokio::time::timeout(self.terms.timeout, line.probe(&self.places)).await
        {
            self.taken();
        }
    }
}
