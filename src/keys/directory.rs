//! The directory of the key files: who may read it, reading, writing so that a crash leaves the old file or the new.
//!
//! Guarantees: files are made with mode 0600 and the directory with 0700; a file appears under its name only when its
//! bytes are on the disk; no two processes write at once, so that two first starts at the same moment end with one key;
//! a file of ours that every user could read is refused.
//! Does not know: what the files mean.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{FileProblem, KeyError, Notice};

/// More than the longest private key takes. A wrong path must not fill the memory.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A file as it was read.
pub(super) struct Contents {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The permission bits.
    pub(super) mode: u32,
}

/// Reads a file that holds a key; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Contents>, KeyError> {
    let problem = |problem| KeyError::File { path: path.to_owned(), problem };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(problem(FileProblem::Read(error))),
    };
    // Of the open file, not of the path: the name may point elsewhere a moment later.
    let mode = file.metadata().map_err(|error| problem(FileProblem::Read(error)))?.permissions().mode() & 0o7777;
    // Full size from the start, so that growing never leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize + 1));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| problem(FileProblem::Read(error)))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(problem(FileProblem::TooLarge));
    }
    Ok(Some(Contents { bytes, mode }))
}

/// As [`read`], for a file of ours: open to everybody is an error, open to a group a notice. The kubelet opens the
/// files of a volume to the group of `fsGroup`, so that refusing those would keep a pod from restarting.
pub(super) fn read_own(path: &Path, notices: &mut Vec<Notice>) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let Some(Contents { bytes, mode }) = read(path)? else {
        return Ok(None);
    };
    if mode & 0o007 != 0 {
        return Err(KeyError::File { path: path.to_owned(), problem: FileProblem::OpenToAll { mode, fix: "600" } });
    }
    if mode & 0o070 != 0 {
        notices.push(Notice::GroupReadable { path: path.to_owned(), mode });
    }
    Ok(Some(bytes))
}

/// The files in `dir` whose names end in `.key`, in the order of their names; none if there is no such directory.
/// Names with a leading dot belong to whoever put them there: to a file system, to Kubernetes, to [`Desk`].
pub(super) fn key_files(dir: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let problem = |problem| KeyError::File { path: dir.to_owned(), problem };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(problem(FileProblem::Read(error))),
    };
    let mode = fs::metadata(dir).map_err(|error| problem(FileProblem::Read(error)))?.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        // Whoever can write here can put a key of their own in place of ours.
        return Err(problem(FileProblem::OpenToAll { mode, fix: "700" }));
    }
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| problem(FileProblem::Read(error)))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "key") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// How the files of [`key_files`] look from outside. While that stays the same, so do they: whatever writes here
/// replaces a file by another one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing(Vec<(PathBuf, [i64; 6])>);

impl Listing {
    pub(super) fn of(dir: &Path) -> Result<Self, KeyError> {
        let mut files = Vec::new();
        for path in key_files(dir)? {
            match fs::metadata(&path) {
                Ok(of) => {
                    let (inode, size) = (of.ino().cast_signed(), of.size().cast_signed());
                    files.push((path, [inode, size, of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()]));
                }
                // Taken away since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(KeyError::File { path, problem: FileProblem::Read(error) }),
            }
        }
        Ok(Self(files))
    }
}

/// The right to write in the directory. Only one process has it at a time.
pub(super) struct Desk {
    dir: PathBuf,
    _lock: File,
}

impl Desk {
    /// Makes `dir` if need be, and waits until no other process writes in it.
    pub(super) fn lock(dir: &Path) -> Result<Self, KeyError> {
        let take = || {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
            let lock =
                OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join(".lock"))?;
            lock.lock()?;
            Ok(Self { dir: dir.to_owned(), _lock: lock })
        };
        take().map_err(|error| KeyError::File { path: dir.to_owned(), problem: FileProblem::Write(error) })
    }

    /// Puts a file with `contents` under `name`, in place of one that is there.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> Result<(), KeyError> {
        let path = self.dir.join(name);
        let temporary = self.dir.join(format!(".{name}.new"));
        let put = || {
            // What a crash left there has never been a key.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            create_private(&temporary, contents)?;
            fs::rename(&temporary, &path).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
            // Without this the name may be gone after a power cut, while tokens signed by the key are out.
            File::open(&self.dir)?.sync_all()
        };
        put().map_err(|error| KeyError::File { path: path.clone(), problem: FileProblem::Write(error) })
    }

    /// Deletes the file under `name`.
    pub(super) fn remove(&self, name: &str) -> Result<(), KeyError> {
        let path = self.dir.join(name);
        let removed = fs::remove_file(&path).and_then(|()| File::open(&self.dir)?.sync_all());
        removed.map_err(|error| KeyError::File { path, problem: FileProblem::Write(error) })
    }
}

/// Makes the file `path` with mode 0600, and its bytes durable. Fails if there is such a file; leaves none if it fails.
pub(crate) fn create_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(contents).and_then(|()| file.sync_all()).inspect_err(|_| drop(fs::remove_file(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn files_are_private_and_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data/keys");
        let desk = Desk::lock(&dir).unwrap();
        fs::write(dir.join(".a.key.new"), "left by a crash").unwrap();
        desk.write("a.key", b"one").unwrap();
        desk.write("a.key", b"two").unwrap();
        assert_eq!(read(&dir.join("a.key")).unwrap().unwrap().bytes.as_slice(), b"two");
        assert_eq!((mode(&dir), mode(&dir.join("a.key"))), (0o700, 0o600));
        assert_eq!(key_files(&dir).unwrap(), [dir.join("a.key")]);
        assert!(!dir.join(".a.key.new").exists());
    }

    #[test]
    fn a_file_that_exists_is_never_overwritten_by_create() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("secret");
        create_private(&path, b"first").unwrap();
        assert_eq!(create_private(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[track_caller]
    fn check_mode(file_mode: u32, refused: bool, noticed: bool) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.key");
        fs::write(&path, "x").unwrap();
        set_mode(&path, file_mode);
        let mut notices = Vec::new();
        assert_eq!(read_own(&path, &mut notices).is_err(), refused, "{file_mode:o}");
        assert_eq!(!notices.is_empty(), noticed, "{file_mode:o}");
    }

    #[test]
    fn a_group_is_noticed_and_everybody_is_refused() {
        check_mode(0o600, false, false);
        check_mode(0o400, false, false);
        check_mode(0o440, false, true);
        check_mode(0o660, false, true);
        check_mode(0o644, true, false);
        check_mode(0o604, true, false);
        check_mode(0o666, true, false);
    }

    #[test]
    fn a_directory_that_everybody_can_write_in_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for (dir_mode, refused) in [(0o700, false), (0o755, false), (0o2770, false), (0o777, true)] {
            set_mode(root.path(), dir_mode);
            assert_eq!(key_files(root.path()).is_err(), refused, "{dir_mode:o}");
        }
    }

    #[test]
    fn a_file_larger_than_any_key_is_refused_and_a_missing_one_is_none() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("large");
        assert!(read(&path).unwrap().is_none());
        fs::write(&path, vec![b'x'; MAX_FILE_BYTES as usize]).unwrap();
        assert!(read(&path).is_ok());
        fs::write(&path, vec![b'x'; MAX_FILE_BYTES as usize + 1]).unwrap();
        let error = read(&path).err().unwrap().to_string();
        assert!(error.ends_with("large: is larger than any key"), "{error}");
    }
}
