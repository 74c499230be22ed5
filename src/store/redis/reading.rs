//! What the engine tells of all sessions, and of what has changed.
//!
//! Guarantees: what stands in the engine from the beginning of a reading to its end is read; a place in the log that is gone
//! is never taken for one behind which nothing happened.
//! Does not know: what is done with what is read.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value, cmd};
use tokio::time::timeout;

use crate::observe::chain;

use super::super::files::Record;
use super::line::Places;
use super::spelling;

/// Keys for each question: little enough that the engine does something else in between.
pub(super) const AT_ONCE: usize = 1000;
/// How long the engine is asked to wait for something to come.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Before the first entry of any log.
const BEGINNING: &str = "0-0";

/// Shows all that stands in the engine; in a cluster, of `slot`.
pub(super) async fn all(
    connection: &mut MultiplexedConnection,
    places: &Places,
    slot: Option<u16>,
    limit: Duration,
    mut see: impl FnMut(Record),
) -> Result<(), String> {
    let before = whole(connection, slot, limit).await?;
    let mut cursor = "0".to_owned();
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(places.sessions()).arg("COUNT").arg(AT_ONCE);
        let (next, names): (String, Vec<String>) = within(limit, scan.query_async(connection)).await?;
        if !names.is_empty() {
            let mut get = cmd("MGET");
            get.arg(&names);
            let values: Vec<Value> = within(limit, get.query_async(connection)).await?;
            for (name, value) in names.iter().zip(values) {
                match value {
                    // It has expired in between.
                    Value::Nil => {}
                    Value::BulkString(value) => see(spelling::read(&value).map_err(|flaw| format!("{name}: {flaw}"))?),
                    _ => return Err(format!("{name}: not a value of portcullis")),
                }
            }
        }
        if next == "0" {
            break;
        }
        cursor = next;
    }
    let after = whole(connection, slot, limit).await?;
    if before == after { Ok(()) } else { Err("the cluster has moved slots meanwhile".into()) }
}

/// The epoch of this node's slots, all of which it has to itself. Of one that is being moved it has a part only, and would
/// not say so to whoever looks through its keys.
async fn whole(
    connection: &mut MultiplexedConnection,
    slot: Option<u16>,
    limit: Duration,
) -> Result<Option<String>, String> {
    let Some(slot) = slot else { return Ok(None) };
    let mut nodes = cmd("CLUSTER");
    let nodes: String = within(limit, nodes.arg("NODES").query_async(connection)).await?;
    let own = nodes.lines().find(|line| line.contains("myself")).ok_or("the cluster does not know this node")?;
    match own.split(' ').any(|part| part.starts_with(&format!("[{slot}-"))) {
        true => Err(format!("slot {slot} is being moved to another node")),
        // Id, address, flags, primary, two times, epoch.
        false => Ok(own.split(' ').nth(6).map(str::to_owned)),
    }
}

/// The last place in the log.
pub(super) async fn end_of_log(
    connection: &mut MultiplexedConnection,
    places: &Places,
    limit: Duration,
) -> Result<String, String> {
    let mut range = cmd("XREVRANGE");
    range.arg(&places.log).arg("+").arg("-").arg("COUNT").arg(1);
    let entries: Value = within(limit, range.query_async(connection)).await?;
    Ok(read_entries(entries)?.pop().map_or_else(|| BEGINNING.to_owned(), |(place, _)| place))
}

/// Whether the log still goes back to `place`: it is trimmed from its beginning.
pub(super) async fn still_has(
    connection: &mut MultiplexedConnection,
    places: &Places,
    place: &str,
    limit: Duration,
) -> Result<bool, String> {
    let mut range = cmd("XRANGE");
    range.arg(&places.log).arg(place).arg(place);
    let entries: Value = within(limit, range.query_async(connection)).await?;
    Ok(!read_entries(entries)?.is_empty())
}

/// What comes behind `place`; waited for if `wait`, for [`PATIENCE`].
pub(super) async fn behind(
    connection: &mut MultiplexedConnection,
    places: &Places,
    place: &str,
    wait: bool,
    limit: Duration,
) -> Result<Vec<(String, Record)>, String> {
    let mut read = cmd("XREAD");
    read.arg("COUNT").arg(AT_ONCE);
    if wait {
        read.arg("BLOCK").arg(u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX));
    }
    read.arg("STREAMS").arg(&places.log).arg(place);
    let streams: Value = within(limit + PATIENCE, read.query_async(connection)).await?;
    let Value::Array(mut streams) = streams else { return Ok(Vec::new()) };
    let Some(Value::Array(mut stream)) = streams.pop() else { return Ok(Vec::new()) };
    let entries = stream.pop().ok_or("the log makes no sense")?;
    let entries = read_entries(entries)?.into_iter();
    entries
        .map(|(place, value)| match spelling::read(&value) {
            Ok(record) => Ok((place, record)),
            Err(flaw) => Err(format!("{} at {place}: {flaw}", places.log)),
        })
        .collect()
}

fn read_entries(entries: Value) -> Result<Vec<(String, Vec<u8>)>, String> {
    let entries: Vec<(String, Vec<Vec<u8>>)> = redis::from_redis_value(entries).map_err(|error| error.to_string())?;
    let valued = |(place, mut fields): (String, Vec<Vec<u8>>)| {
        let value = fields.pop().ok_or_else(|| "an entry of the log has no value".to_owned())?;
        Ok((place, value))
    };
    entries.into_iter().map(valued).collect()
}

pub(super) async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, String> {
    match timeout(limit, asked).await {
        Ok(told) => told.map_err(|error| chain(&error)),
        Err(_) => Err("no answer within store.timeout".into()),
    }
}
