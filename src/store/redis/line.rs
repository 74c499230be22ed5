//! A connection to the engine, and the one script that changes anything there.
//!
//! Guarantees: a session's value is replaced only if it is what it was believed to be, in the same step in which the log
//! tells of it; an error says whether the change may have happened all the same.
//! Does not know: what a value means, how a connection is found, how long anybody waits.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value, cmd};

use crate::observe::chain;
use crate::token::{SessionId, Timestamp};

/// KEYS: the session, the log. ARGV: the value that is believed to stand there, empty for none; the new one; the
/// millisecond until which it is needed; for how long that is kept beyond it, and for how long the log goes back.
///
/// The log first: should it fail nothing has happened. Trimmed by the server's clock, which also makes the ids.
const CHANGE: &str = "\
local there = redis.call('GET', KEYS[1]) or '' \
if there ~= ARGV[1] then return there end \
local time = redis.call('TIME') \
local now = time[1] * 1000 + math.floor(time[2] / 1000) \
redis.call('XADD', KEYS[2], 'MINID', '~', string.format('%.0f', now - ARGV[5]), '*', 'v', ARGV[2]) \
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', string.format('%.0f', math.max(now, ARGV[3]) + ARGV[4])) \
return 1";

/// Milliseconds for which a value is kept after it is needed, and an end after it was made: longer than any gate that is
/// cut off may take what it knows for recent (see [`super::attendant`]), and than clocks are apart.
pub(super) const KEPT: u64 = 3_600_000;
/// Milliseconds that the log goes back. Who was away for longer reads everything anew.
const LOGGED: u64 = 600_000;

/// Where things stand in the engine.
#[derive(Debug)]
pub(super) struct Places {
    prefix: String,
    pub log: String,
}

impl Places {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{prefix}s:"), log: format!("{prefix}log") }
    }

    pub(super) fn session(&self, id: SessionId) -> String {
        format!("{}{id}", self.prefix)
    }

    fn mark(&self) -> String {
        format!("{}:keys", self.log)
    }

    /// What gates call their connections.
    pub(super) fn gate(&self) -> String {
        format!("{}gate", self.log)
    }

    /// What the names of all sessions look like.
    pub(super) fn sessions(&self) -> String {
        format!("{}*", self.prefix)
    }
}

#[derive(Clone)]
pub(super) struct Line {
    connection: MultiplexedConnection,
    script: Arc<str>,
    /// Tells it from those before and after it.
    pub number: u64,
}

/// What the script said.
pub(super) enum Answer {
    Changed,
    /// Something else stands there: nothing, if it is empty.
    Found(Vec<u8>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The engine takes no change at the moment; nothing has happened.
    Refused(String),
    /// It takes none on this connection; nothing has happened.
    Unusable(String),
    /// Nobody can say what has happened.
    Unsure(String),
}

impl Line {
    pub(super) async fn new(mut connection: MultiplexedConnection, number: u64) -> Result<Self, RedisError> {
        let script: String = cmd("SCRIPT").arg("LOAD").arg(CHANGE).query_async(&mut connection).await?;
        Ok(Self { connection, script: script.into(), number })
    }

    /// Puts `new` in the place of `believed`, if that is what stands there.
    pub(super) async fn change(
        &self,
        places: &Places,
        id: SessionId,
        believed: &[u8],
        new: &[u8],
        needed_until: Timestamp,
    ) -> Result<Answer, Trouble> {
        let mut script = cmd("EVALSHA");
        script.arg(&*self.script).arg(2).arg(places.session(id)).arg(&places.log);
        script.arg(believed).arg(new).arg(needed_until.as_micros() / 1000).arg(KEPT).arg(LOGGED);
        match script.query_async(&mut self.connection.clone()).await.map_err(|error| Trouble::of(&error))? {
            Value::Int(1) => Ok(Answer::Changed),
            Value::BulkString(there) => Ok(Answer::Found(there)),
            _ => Err(Trouble::Unsure("the answer makes no sense".into())),
        }
    }

    /// What stands there; nothing, if it is empty.
    pub(super) async fn read(&self, places: &Places, id: SessionId) -> Result<Vec<u8>, Trouble> {
        let mut get = cmd("GET");
        let value = get.arg(places.session(id)).query_async(&mut self.connection.clone()).await;
        match value.map_err(|error| Trouble::of(&error))? {
            Value::Nil => Ok(Vec::new()),
            Value::BulkString(there) => Ok(there),
            _ => Err(Trouble::Unsure("the answer makes no sense".into())),
        }
    }

    /// Waits until so many of the engine's replicas have what was changed here, and tells how many do.
    pub(super) async fn replicated(&self, replicas: u32, millis: u128) -> Result<u32, Trouble> {
        let mut wait = cmd("WAIT");
        wait.arg(replicas).arg(u64::try_from(millis).unwrap_or(u64::MAX));
        wait.query_async(&mut self.connection.clone()).await.map_err(|error| Trouble::of(&error))
    }

    /// The mark of the gates that share this store; `mark` becomes it if there is none and one is given.
    pub(super) async fn claim(&self, places: &Places, mark: Option<&str>) -> Result<Option<String>, Trouble> {
        let mut connection = self.connection.clone();
        if let Some(mark) = mark {
            let mut set = cmd("SETNX");
            let set = set.arg(places.mark()).arg(mark);
            set.query_async::<()>(&mut connection).await.map_err(|error| Trouble::of(&error))?;
        }
        cmd("GET").arg(places.mark()).query_async(&mut connection).await.map_err(|error| Trouble::of(&error))
    }

    /// Whether the engine takes anything.
    pub(super) async fn probe(&self, places: &Places) -> Result<(), Trouble> {
        let mut set = cmd("SET");
        set.arg(format!("{}:probe", places.log)).arg(1).arg("PX").arg(1000);
        set.query_async(&mut self.connection.clone()).await.map_err(|error| Trouble::of(&error))
    }
}

impl Trouble {
    /// An error that the server has spelled out comes from before anything was changed: the script asks for no more once
    /// the log has taken the change.
    pub(super) fn of(error: &RedisError) -> Self {
        use ServerErrorKind::{BusyLoading, ClusterDown, CrossSlot, MasterDown, Moved, NoPerm, NoScript, ReadOnly};
        let why = chain(error);
        match (error.kind(), error.code()) {
            (
                ErrorKind::Server(
                    BusyLoading | ClusterDown | CrossSlot | MasterDown | Moved | NoPerm | NoScript | ReadOnly,
                )
                | ErrorKind::AuthenticationFailed,
                _,
            )
            | (_, Some("NOAUTH" | "WRONGPASS")) => Self::Unusable(why),
            // `ASK` and `TRYAGAIN` among them: what else is in that slot may still be here.
            (ErrorKind::Server(_) | ErrorKind::Extension, _) => Self::Refused(why),
            _ => Self::Unsure(why),
        }
    }
}
