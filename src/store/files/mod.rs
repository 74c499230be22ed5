//! The files of the store: a snapshot, and the journal of what has changed since.
//!
//! Guarantees: a change whose receipt said yes is found by every later start; files that may miss one are refused with the
//! name of the file, the byte and what to do; the files hold nothing that could be presented as a token, and are mode
//! 0600.
//! Does not know: what a session may do, how memory looks, when a snapshot is due, who else might write: a lock keeps the
//! directory to one process.
//!
//! # In the directory
//!
//! | file | what |
//! |---|---|
//! | `sessions.snapshot` | all of memory, with the sequence `covers`: every change up to there is contained |
//! | `sessions.journal.` and 20 digits | a segment: changes, one sequence each, from the one in its name on |
//! | `sessions.tmp`, `sessions.journal.tmp` | the next of either, until it is whole and has its name |
//! | `replaced-` and a time | a folder with what stood here before a backup was restored; nobody reads it |
//!
//! The layouts stand in `snapshot.rs`, `segment.rs`, `frame.rs` and `record.rs`.
//!
//! Memory is the snapshot, and then the journal from `covers + 1` on, by the rules of [`Replay`]. A snapshot is written
//! beside live traffic, so it may have seen more than it covers; by those rules that is harmless.
//!
//! # The ways through
//!
//! - A start: [`read`], [`open`], [`Writer::run`] on a thread of its own, soon a round. `check` and the offline commands
//!   stop after [`read`]; those who follow the files of another process go on from [`Recovered::end`] with a
//!   [`SegmentReader`].
//! - A change: [`Journal::append`] under the lock of what changes, and [`Receipt::durable`] after letting go of it.
//! - A round: [`Snapshots::begin`], all of memory into [`Round::put`], [`Round::finish`]. Now and then, before the end,
//!   and as soon as [`Journal::health`] is not [`Health::Healthy`]: the round is the mend.
//! - After damage: [`salvage()`]. An older copy in the place of what is there: [`restore()`].
//!
//! # Why a snapshot and its segment fit together
//!
//! `begin` ends with a new segment; let its first sequence be *b*. A change below *b* had its sequence when *b* was taken,
//! and so its lock, under which memory changes too: whoever walks memory after `begin` finds that change or a later one
//! of the same session. A change from *b* on is in the new segment or one after it. So a snapshot of a walk after
//! `begin` covers all below *b*, and the older segments are not needed once it stands.
//!
//! # A round, step by step
//!
//! What a crash, or a power cut, leaves between two steps is in brackets.
//!
//! 1. What waits is written to the old segment, and that is synced. \[Old snapshot, old segments.\]
//! 2. The new segment is written under the scratch name and synced. \[A scratch file, deleted at the next start.\]
//! 3. It is given its name, and the directory is synced. Only then is anything added to it. \[Old snapshot, old segments,
//!    perhaps the new one, empty. Since step 1 came before, it never stands behind a gap.\]
//! 4. The snapshot is written under its scratch name, and synced. \[As before, and a scratch file.\]
//! 5. The journal is synced up to the last change appended. Without this a start might know, from the snapshot, a change
//!    that was never acknowledged, and not one before it. \[As before.\]
//! 6. The snapshot takes its name, and the directory is synced. \[Old or new snapshot, all segments. With the new one,
//!    those before its own are passed over.\]
//! 7. The older segments are deleted. \[The new snapshot, and some that are passed over and deleted at the next start.\]
//!
//! A step that fails ends the round. Up to step 2 and from 4 on the journal goes on as it was. When step 3 fails it is
//! broken, since nobody knows whether the new segment is there: if it is, its first record has to be *b*, and the old
//! segment must end before that. The next round goes on with a segment that no snapshot goes with yet, so rounds that fail
//! leave no row of them.
//!
//! # A break and its mend
//!
//! The journal breaks when a write or sync fails, when too much waits, or when step 3 fails. From then on:
//!
//! - Every receipt that waits fails, and none is promised. Changes go on in memory; they are *in doubt*.
//! - The segment is never written to again: after a failed sync the kernel may have dropped what it could not write, and
//!   report success the next time. Its end that nobody was told of is cut off; where that fails, too, a start may find
//!   some of it, which is what in doubt means.
//! - Changes are not recorded, but use up sequences. So the new segment's `first` is beyond the old one's end, its `after`
//!   says how far the old one is certain, and whoever reads both sees that there was a break and that nothing
//!   acknowledged is missing. Those who follow the files have to read the snapshot that is to come.
//!
//! The mend is a round whose steps 1 to 3 begin the new segment. From the instant at which its `first` is taken changes are
//! recorded again ([`Health::Mending`]), but those lost in between are on no disk until the snapshot is: a receipt would
//! vouch for a memory that a start could not rebuild. Hence they fail until step 6 is done; then the journal is healthy,
//! and what was in doubt is on the disk.
//!
//! A crash while it is broken or mending: the old snapshot, the old segments up to what was acknowledged, perhaps some
//! changes in doubt, perhaps those in the new segment. All that was acknowledged is there, since it was before the break.
//! Each session is in a state that it was in; some are older than what a client was told with an error.
//!
//! # Torn ends and damage
//!
//! Changes that wait together go to the disk with one write and one sync, and a power cut in between may keep any pages of
//! them. So the newest segment may end in a stretch in which some records are sound and some are not, none of them
//! acknowledged. Each record that shares a write with the one before it carries a mark that says so. A flaw behind which
//! there are only marked records is such an end, and is cut; a flaw before an unmarked one is damage, since that was
//! written after all before it had been synced, and stops the start. Without a sync for each write ([`Fsync::Interval`],
//! [`Fsync::Never`]) the stretch reaches back to the last sync. In the older segments, and in the snapshot, any flaw is
//! damage. A sound record that means nothing to us is never cut: something newer has written it.

mod desk;
mod disk;
mod error;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod journal;
mod opening;
mod record;
mod recovery;
mod replay;
mod restore;
mod round;
mod salvage;
mod segment;
mod segment_reader;
mod snapshot;
mod snapshot_reader;
mod version1;
mod writer;

pub use self::desk::Health;
pub use self::error::{FilesError, Notice};
pub use self::frame::Flaw;
pub use self::journal::{Fsync, Journal, NotDurable, Receipt};
#[cfg(test)]
pub(super) use self::opening::open_on;
pub use self::opening::{Opened, open};
pub use self::record::{Entry, Record};
pub(super) use self::record::{read as read_record, write as write_record};
pub use self::recovery::{Recovered, read};
pub use self::replay::{Known, Replay, Replayed};
pub use self::restore::{Plan, Restored, reach, restore};
pub use self::round::{Round, Snapshots};
pub use self::salvage::{Salvaged, Skipped, salvage};
pub use self::segment::{Segment, list};
pub use self::segment_reader::{Item, Place, SegmentReader};
pub(super) use self::segment_reader::{Named, Standing};
pub use self::snapshot::NAME as SNAPSHOT;
pub use self::snapshot_reader::SnapshotReader;
pub use self::writer::Writer;

#[cfg(test)]
pub(super) mod tests;
