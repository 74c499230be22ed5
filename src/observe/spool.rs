//! The way of lines to their writer: a bounded buffer, and a thread that empties it.
//!
//! Guarantees: adding a line costs a short lock and a copy, and never waits for the one who reads the log; lines that
//! find no room are counted, and the count is told; [`Spool::flush`] returns in bounded time.
//! Does not know: what a line says, and where it is written to.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How much may wait. As much again may be on its way out. More than this is no burst, but a reader that has stalled.
const CAPACITY: usize = 1 << 20;
/// How long the thread rests between two writes, so that one write takes many lines.
const REST: Duration = Duration::from_millis(15);
/// Ends a rest early: the other half is room for what comes while this is written.
const PLENTY: usize = CAPACITY / 2;
/// How long an end waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lines that wait to be written.
#[derive(Debug)]
pub(super) struct Spool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    /// Lines that have not come in or not got out, and of which nobody has been told.
    lost: u64,
    /// Something waits that shall not wait for the end of a rest.
    urgent: bool,
    writer: Writer,
}

/// What the thread does. Who has called it sets it to [`Writer::Awake`], so that it is called once: each call is a call
/// of the system.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Awake,
    Resting,
    Idle,
}

impl Spool {
    /// Starts the thread. `lost` makes the line that tells how many are missing.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        lost: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        // All at once, so that nothing is moved while others wait for the lock; what is not used is not taken from the
        // system.
        let lines = Vec::with_capacity(CAPACITY);
        let state = Mutex::new(State { lines, lost: 0, urgent: false, writer: Writer::Awake });
        let spool = Arc::new(Self { state, changed: Condvar::new() });
        let own = Arc::clone(&spool);
        thread::Builder::new().name("log".into()).spawn(move || own.work(out, lost))?;
        Ok(spool)
    }

    /// Adds a line, which ends with a newline. An urgent one is written as soon as it can be, with all before it.
    pub(super) fn add(&self, line: &str, urgent: bool) {
        let mut state = self.lock();
        if line.len() > CAPACITY - state.lines.len() {
            state.lost += 1;
            return;
        }
        state.lines.extend_from_slice(line.as_bytes());
        state.urgent |= urgent;
        let call = match state.writer {
            Writer::Idle => true,
            Writer::Resting => state.urgent || state.lines.len() >= PLENTY,
            Writer::Awake => false,
        };
        if call {
            state.writer = Writer::Awake;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits until all that was added is written, but no longer than [`PATIENCE`]: a reader that has stalled must not
    /// keep a process from its end.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        state.urgent = true;
        self.changed.notify_all();
        let busy = |state: &mut State| state.writer == Writer::Awake || !state.lines.is_empty();
        drop(self.changed.wait_timeout_while(state, PATIENCE, busy));
    }

    fn work(&self, mut out: impl Write, lost: impl Fn(u64) -> String) {
        let mut batch = Vec::with_capacity(CAPACITY);
        let mut unwritten = 0;
        loop {
            let missing = self.take(&mut batch, unwritten);
            if missing > 0 {
                batch.extend_from_slice(lost(missing).as_bytes());
            }
            unwritten = match write(&mut out, &batch) {
                // The last of them is the line about those that are missing, who are missing still.
                left if left > 0 && missing > 0 => left - 1 + missing,
                left => left,
            };
            batch.clear();
        }
    }

    /// Waits for lines and takes them all. Tells how many are missing, of which `unwritten` since the last time.
    fn take(&self, batch: &mut Vec<u8>, unwritten: u64) -> u64 {
        let mut state = self.lock();
        state.lost += unwritten;
        state.writer = Writer::Resting;
        // Whoever waits for the end of a write.
        self.changed.notify_all();
        let resting = |state: &mut State| !state.urgent && state.lines.len() < PLENTY;
        let rested = self.changed.wait_timeout_while(state, REST, resting);
        state = rested.unwrap_or_else(PoisonError::into_inner).0;
        if state.lines.is_empty() {
            state.writer = Writer::Idle;
            let waited = self.changed.wait_while(state, |state| state.lines.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Awake;
        state.urgent = false;
        mem::swap(&mut state.lines, batch);
        mem::take(&mut state.lost)
    }

    /// Nothing panics with the lock held, and if it did, lines would still be lines.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a batch. Tells how many of its lines could not be written; a cut one is one of them.
fn write(out: &mut impl Write, mut batch: &[u8]) -> u64 {
    while !batch.is_empty() {
        match out.write(batch) {
            Ok(written @ 1..) => batch = &batch[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody who shares the pipe or terminal has set it so.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(REST),
            // A pipe that nobody reads, a full disk. The next lines may fare better.
            Ok(0) | Err(_) => break,
        }
    }
    batch.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Tells each write, and does with it as it is told.
    struct Out {
        written: Sender<Vec<u8>>,
        fate: Receiver<io::Result<usize>>,
    }

    impl Write for Out {
        fn write(&mut self, batch: &[u8]) -> io::Result<usize> {
            let _ = self.written.send(batch.to_vec());
            // Without a word, all goes well.
            self.fate.recv().unwrap_or(Ok(usize::MAX)).map(|most| most.min(batch.len()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A spool, what it tries to write, and how that goes.
    fn spool() -> (Arc<Spool>, Receiver<Vec<u8>>, Sender<io::Result<usize>>) {
        let ((written, tried), (fates, fate)) = (channel(), channel());
        let spool = Spool::start(Out { written, fate }, |lines| format!("{lines} lost\n")).unwrap();
        (spool, tried, fates)
    }

    fn next(tried: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(tried.recv().unwrap()).unwrap()
    }

    #[test]
    fn what_comes_while_others_are_written_goes_out_in_one_piece() {
        let (spool, tried, fates) = spool();
        spool.add("first\n", true);
        assert_eq!(next(&tried), "first\n");
        for number in 0..3 {
            spool.add(&format!("{number}\n"), number == 1);
        }
        fates.send(Ok(3)).unwrap();
        assert_eq!(next(&tried), "st\n");
        drop(fates);
        assert_eq!(next(&tried), "0\n1\n2\n");
    }

    #[test]
    fn a_reader_that_stalls_stops_nobody_and_is_told_what_it_has_missed() {
        let (spool, tried, fates) = spool();
        spool.add("first\n", false);
        next(&tried);
        let line = "x".repeat(1023) + "\n";
        for _ in 0..CAPACITY / line.len() + 7 {
            spool.add(&line, false);
        }
        fates.send(Ok(usize::MAX)).unwrap();
        let batch = next(&tried);
        assert_eq!(batch.len(), CAPACITY + "7 lost\n".len());
        assert!(batch.ends_with("x\n7 lost\n"));
        spool.add("last\n", false);
        drop(fates);
        assert_eq!(next(&tried), "last\n");
    }

    #[test]
    fn a_line_for_which_there_can_be_no_room_is_lost_like_others() {
        let (spool, tried, _fates) = spool();
        spool.add(&"x".repeat(CAPACITY + 1), true);
        spool.add("small\n", true);
        assert_eq!(next(&tried), "small\n1 lost\n");
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_once() {
        let (spool, tried, fates) = spool();
        let broken = || Err(io::ErrorKind::BrokenPipe.into());
        spool.add("a\nb\n", true);
        assert_eq!(next(&tried), "a\nb\n");
        fates.send(Ok(2)).unwrap();
        assert_eq!(next(&tried), "b\n");
        fates.send(broken()).unwrap();
        spool.add("c\n", true);
        assert_eq!(next(&tried), "c\n1 lost\n");
        fates.send(broken()).unwrap();
        spool.add("d\n", true);
        assert_eq!(next(&tried), "d\n2 lost\n");
        fates.send(Ok(usize::MAX)).unwrap();
        spool.add("e\n", true);
        assert_eq!(next(&tried), "e\n");
    }

    #[test]
    fn a_write_that_is_put_off_is_tried_again() {
        let (spool, tried, fates) = spool();
        for fate in [Err(io::ErrorKind::Interrupted.into()), Err(io::ErrorKind::WouldBlock.into()), Ok(9)] {
            fates.send(fate).unwrap();
        }
        spool.add("a\n", true);
        assert_eq!([next(&tried), next(&tried), next(&tried)], ["a\n", "a\n", "a\n"]);
        fates.send(Ok(9)).unwrap();
        spool.add("b\n", true);
        assert_eq!(next(&tried), "b\n");
    }

    #[test]
    fn after_a_flush_all_is_written_and_no_line_is_torn() {
        let (spool, tried, fates) = spool();
        drop(fates);
        thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let spool = &spool;
                scope.spawn(move || {
                    (0..500).for_each(|number| spool.add(&format!("{name}{number}\n"), number % 100 == 0))
                });
            }
        });
        spool.flush();
        let written: Vec<u8> = tried.try_iter().flatten().collect();
        let written = String::from_utf8(written).unwrap();
        for name in ["a", "b", "c", "d"] {
            let own: Vec<&str> = written.lines().filter(|line| line.starts_with(name)).collect();
            assert_eq!(own, (0..500).map(|number| format!("{name}{number}")).collect::<Vec<_>>());
        }
        spool.flush();
    }
}
