//! A disk that fails, stops, and loses what was not synced.
//!
//! Guarantees: everything happens to real files; what a power cut would leave is known after every operation, as many
//! times over as a disk is free to choose.
//! Does not know: formats.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::super::disk::{Disk, LocalDisk};

type Names = BTreeMap<OsString, u64>;

#[derive(Default)]
pub struct FaultyDisk {
    state: Mutex<State>,
    happened: Condvar,
    /// While a test holds it, no sync ends.
    pub syncing: Mutex<()>,
}

#[derive(Default)]
struct State {
    begun: Vec<&'static str>,
    ended: Vec<&'static str>,
    stop_after: Option<usize>,
    failing: Vec<&'static str>,
    /// By inode: a handle that keeps it from being used again, and what is certain to be on the disk.
    files: HashMap<u64, (File, Vec<u8>)>,
    /// The directory when it was last synced, and as it became after each change since.
    names: Vec<Names>,
}

/// What becomes of the bytes that were written but not synced.
#[derive(Clone, Copy, Debug)]
pub enum Unsynced {
    Lost,
    Kept,
    Half,
    /// The first of them, as pages reach the disk in any order.
    Hole,
}

impl FaultyDisk {
    /// One under which a directory lies that is all on the disk.
    pub fn under(directory: &Path) -> Self {
        let disk = Self::default();
        for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
            let file = File::open(entry.path()).unwrap();
            let synced = content(&file);
            disk.state().files.insert(entry.metadata().unwrap().ino(), (file, synced));
        }
        disk.state().names.push(listed(directory));
        disk
    }

    /// It does so many operations, the next one half, and then nothing more.
    pub fn stop_after(self, operations: usize) -> Self {
        self.state().stop_after = Some(operations);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on these operations fail.
    pub fn fail(&self, what: &[&'static str]) {
        self.state().failing = what.to_vec();
    }

    /// All operations so far, also those that failed.
    pub fn done(&self) -> Vec<&'static str> {
        self.state().begun.clone()
    }

    pub fn count(&self, what: &str) -> usize {
        self.state().ended.iter().filter(|done| **done == what).count()
    }

    /// Waits until so many have ended.
    pub fn wait_for(&self, what: &str, count: usize) {
        let too_few = |state: &mut State| state.ended.iter().filter(|done| **done == what).count() < count;
        drop(self.happened.wait_while(self.state(), too_few).unwrap());
    }

    /// Waits until one more has begun than ended.
    pub fn wait_for_a_sync_to_begin(&self) {
        let count = |list: &[&str]| list.iter().filter(|what| **what == "sync").count();
        let none = |state: &mut State| count(&state.begun) == count(&state.ended);
        drop(self.happened.wait_while(self.state(), none).unwrap());
    }

    /// How many states of the directory a power cut may leave at this moment.
    pub fn possible_names(&self) -> usize {
        self.state().names.len().max(1)
    }

    /// Writes to `to` what a power cut at this moment would leave.
    pub fn cut_power(&self, to: &Path, names: usize, unsynced: Unsynced) {
        let state = self.state();
        for (name, inode) in state.names.get(names).into_iter().flatten() {
            let (file, synced) = &state.files[inode];
            let now = content(file);
            let same = synced.len().min(now.len());
            let tail = now[same..].to_vec();
            let left = match unsynced {
                Unsynced::Lost => synced.clone(),
                Unsynced::Kept => now,
                Unsynced::Half => [&now[..same], &tail[..tail.len() / 2]].concat(),
                Unsynced::Hole => {
                    let hole = tail.len().min(40);
                    [&now[..same], &vec![0; hole][..], &tail[hole..]].concat()
                }
            };
            fs::write(to.join(name), left).unwrap();
        }
    }

    /// Does an operation, whole or half, or not at all.
    fn attempt<T>(&self, what: &'static str, act: impl FnOnce(Attempt) -> io::Result<T>) -> io::Result<T> {
        let attempt = {
            let mut state = self.state();
            state.begun.push(what);
            self.happened.notify_all();
            match state.stop_after {
                Some(stop) if state.begun.len() > stop + 1 => Attempt::Fail,
                Some(stop) if state.begun.len() > stop => Attempt::Half,
                _ if state.failing.contains(&what) => Attempt::Half,
                _ => Attempt::Do,
            }
        };
        let done = act(attempt);
        self.state().ended.push(what);
        self.happened.notify_all();
        done
    }

    fn attempt_whole<T>(&self, what: &'static str, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.attempt(what, |attempt| if attempt == Attempt::Do { act() } else { Err(no_space()) })
    }

    fn renamed(&self, directory: &Path) {
        let names = listed(directory);
        self.state().names.push(names);
    }
}

#[derive(PartialEq)]
enum Attempt {
    Do,
    Half,
    Fail,
}

fn no_space() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn listed(directory: &Path) -> Names {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().ino())).collect()
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.attempt_whole("create", || {
            let file = LocalDisk.create(path)?;
            let inode = file.metadata()?.ino();
            self.state().files.insert(inode, (File::open(path)?, Vec::new()));
            self.renamed(path.parent().unwrap());
            Ok(file)
        })
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        self.attempt("write", |attempt| match attempt {
            Attempt::Do => LocalDisk.write(file, bytes),
            Attempt::Half => LocalDisk.write(file, &bytes[..bytes.len() / 2]).and(Err(no_space())),
            Attempt::Fail => Err(no_space()),
        })
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.attempt_whole("sync", || {
            let _held = self.syncing.lock().unwrap();
            let mut state = self.state();
            let (file, synced) = state.files.get_mut(&file.metadata()?.ino()).unwrap();
            *synced = content(file);
            Ok(())
        })
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        self.attempt_whole("truncate", || LocalDisk.truncate(file, length))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.attempt_whole("rename", || {
            LocalDisk.rename(from, to)?;
            self.renamed(to.parent().unwrap());
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_err() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        self.attempt_whole("remove", || {
            LocalDisk.remove(path)?;
            self.renamed(path.parent().unwrap());
            Ok(())
        })
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.attempt_whole("sync directory", || {
            let names = listed(path);
            self.state().names = vec![names];
            Ok(())
        })
    }
}
