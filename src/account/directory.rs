//! The users in force, and the file they come from.
//!
//! Guarantees: readers see one whole list or the next, never a mixture, and wait for nobody; a file that is missing,
//! empty, damaged or half-written never takes the place of a good list; each trouble is told once, not on every look.
//! Does not know: when to look. The caller polls (inotify on a mounted file sees the first swap of a ConfigMap and no
//! other) from a thread that may block.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;

use super::users::{Form, User, Users};
use super::users_file::UserMistake;

/// Far above any file that people write; below what would hurt if a device or a log is named by mistake.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The users file, watched, and what it said when it was last good.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    form: Form,
    /// What the names in it begin with as subjects.
    realm: Box<str>,
    users: ArcSwap<Users>,
    seen: Mutex<Seen>,
}

/// What was found at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    File,
    /// There is no file: nobody may sign in until there is one.
    Nothing,
}

/// What a look at the file led to.
#[derive(Debug)]
pub enum Reload {
    /// Nothing new, or a trouble that was already told.
    Unchanged,
    Changed {
        old: Arc<Users>,
        new: Arc<Users>,
    },
    /// The users stay as they are, for this reason.
    Kept(FileTrouble),
}

/// Why a users file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FileTrouble {
    #[error("the users file is missing")]
    Missing,
    #[error("the users file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("the users file is not a regular file")]
    NotAFile,
    #[error("the users file is larger than {} MiB", MAX_FILE_BYTES / 1024 / 1024)]
    TooLarge,
    #[error("the users file is being written all the time")]
    Restless,
    #[error("the users file is not UTF-8")]
    NotUtf8,
    #[error("the users file has no users any more; restart to run without any")]
    Empty,
    #[error("the users file has mistakes:{}", on_own_lines(.0))]
    Mistakes(Vec<UserMistake>),
}

impl Directory {
    /// Reads the file for the first time. A missing one is no error, so that a first start can go on and say what to
    /// do.
    ///
    /// # Errors
    /// Any other [`FileTrouble`]: a gate must not start with a list that nobody wrote.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, Found), FileTrouble> {
        Self::open_as(path, Form::Users, "")
    }

    /// The same for a file of another form, or for the realm whose subjects begin with `realm`.
    ///
    /// # Errors
    /// As for [`Directory::open`].
    pub fn open_as(path: impl Into<PathBuf>, form: Form, realm: &str) -> Result<(Self, Found), FileTrouble> {
        let path = path.into();
        let parse = |bytes: &[u8]| parse(bytes, &form, realm);
        let mut seen = Seen::default();
        let first = match seen.look(&path, parse) {
            // Somebody wrote meanwhile: once more.
            Ok(None) => seen.look(&path, parse),
            seen => seen,
        };
        let (users, found) = match first {
            Ok(Some((users, content))) => {
                seen.in_force = Some(content);
                (users, Found::File)
            }
            Ok(None) => return Err(FileTrouble::Restless),
            Err(FileTrouble::Missing) => {
                seen.told = Some(FileTrouble::Missing.to_string());
                (Users::default(), Found::Nothing)
            }
            Err(trouble) => return Err(trouble),
        };
        let (users, seen) = (ArcSwap::from_pointee(users), Mutex::new(seen));
        Ok((Self { path, form, realm: realm.into(), users, seen }, found))
    }

    /// Whether [`Directory::open_as`] with these would be this one once more.
    pub fn is_of(&self, path: &Path, form: &Form, realm: &str) -> bool {
        self.path == path && self.form == *form && *self.realm == *realm
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The users as of now.
    pub fn users(&self) -> Arc<Users> {
        self.users.load_full()
    }

    pub fn find(&self, name: &str) -> Option<Arc<User>> {
        self.users.load().find(name).cloned()
    }

    /// Looks at the file and takes it if it changed and is sound. Blocks for the time of the reading.
    pub fn reload(&self) -> Reload {
        // One look at a time: a signal may come while the poll is reading.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.look(&self.path, |bytes| parse(bytes, &self.form, &self.realm)) {
            Ok(None) => Reload::Unchanged,
            // Taken for a slip of an editor or a deployment: ending every session cannot be undone.
            Ok(Some((new, _))) if new.is_empty() && !self.users.load().is_empty() => seen.tell(FileTrouble::Empty),
            Ok(Some((new, content))) => {
                seen.in_force = Some(content);
                seen.told = None;
                let new = Arc::new(new);
                let old = self.users.swap(Arc::clone(&new));
                Reload::Changed { old, new }
            }
            Err(trouble) => seen.tell(trouble),
        }
    }
}

/// What the file looked like last time.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    /// The same content was read under `stamp` in two looks. Only then may the stamp stand for the content: two writes
    /// within one tick of the file system's clock leave the same stamp.
    settled: bool,
    last: Option<Content>,
    in_force: Option<Content>,
    /// The trouble that was told and still lasts.
    told: Option<String>,
}

type Content = [u8; digest::SHA256_OUTPUT_LEN];

impl Seen {
    /// Users that are not in force; `None` if there is nothing new to see, or nothing whole.
    fn look(
        &mut self,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> Result<Users, FileTrouble>,
    ) -> Result<Option<(Users, Content)>, FileTrouble> {
        let settled = self.settled.then_some(self.stamp).flatten();
        if settled.is_some() && settled == stamp(path).ok() {
            return Ok(None);
        }
        self.settled = false;
        let (stamp, bytes) = read(path)?;
        let Some(stamp) = stamp else { return Ok(None) };
        let content = content(&bytes);
        self.settled = self.stamp == Some(stamp) && self.last == Some(content);
        self.stamp = Some(stamp);
        self.last = Some(content);
        if self.in_force == Some(content) {
            self.told = None;
            return Ok(None);
        }
        Ok(Some((parse(&bytes)?, content)))
    }

    fn tell(&mut self, trouble: FileTrouble) -> Reload {
        let text = trouble.to_string();
        if self.told.as_deref() == Some(&text) {
            return Reload::Unchanged;
        }
        self.told = Some(text);
        Reload::Kept(trouble)
    }
}

/// What changes when a file changes. With the time of the last status change, because `cp -p` and `rsync -t` restore
/// the time of the last modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Result<Self, FileTrouble> {
        if !metadata.is_file() {
            return Err(FileTrouble::NotAFile);
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(FileTrouble::TooLarge);
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

fn stamp(path: &Path) -> Result<Stamp, FileTrouble> {
    Stamp::of(&fs::metadata(path).map_err(trouble)?)
}

/// The content, and the stamp it had throughout the reading; no stamp if somebody wrote meanwhile.
fn read(path: &Path) -> Result<(Option<Stamp>, Vec<u8>), FileTrouble> {
    // Before opening: to open a named pipe would wait for a writer.
    stamp(path)?;
    let file = File::open(path).map_err(trouble)?;
    let before = Stamp::of(&file.metadata().map_err(trouble)?)?;
    let mut bytes = Vec::new();
    (&file).take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(trouble)?;
    let after = Stamp::of(&file.metadata().map_err(trouble)?)?;
    Ok(((before == after).then_some(after), bytes))
}

fn parse(bytes: &[u8], form: &Form, realm: &str) -> Result<Users, FileTrouble> {
    let text = std::str::from_utf8(bytes).map_err(|_| FileTrouble::NotUtf8)?;
    Users::read(text, form, realm).map_err(FileTrouble::Mistakes)
}

fn content(bytes: &[u8]) -> Content {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut content = Content::default();
    content.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    content
}

fn trouble(error: io::Error) -> FileTrouble {
    match error.kind() {
        io::ErrorKind::NotFound => FileTrouble::Missing,
        _ => FileTrouble::Unreadable(error),
    }
}

fn on_own_lines(mistakes: &[UserMistake]) -> String {
    mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::super::hash::cheap;
    use super::*;

    struct Place {
        dir: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { dir: TempDir::new().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("users.toml")
        }

        /// Replaces the file as careful editors do.
        fn write(&self, text: &str) {
            let fresh = self.dir.path().join("fresh");
            fs::write(&fresh, text).unwrap();
            fs::rename(fresh, self.path()).unwrap();
        }

        fn open(&self) -> Directory {
            Directory::open(self.path()).unwrap().0
        }
    }

    fn named(names: &[&str]) -> String {
        let hash = cheap::argon2id("x");
        names.iter().map(|name| format!("[[user]]\nname = {name:?}\npassword_hash = {hash:?}\n")).collect()
    }

    fn names(users: &Users) -> Vec<&str> {
        users.iter().map(|user| &*user.name).collect()
    }

    #[track_caller]
    fn changed(directory: &Directory, from: &[&str], to: &[&str]) {
        match directory.reload() {
            Reload::Changed { old, new } => assert_eq!((names(&old), names(&new)), (from.to_vec(), to.to_vec())),
            other => panic!("{other:?}"),
        }
        assert_eq!(names(&directory.users()), to);
        unchanged(directory);
    }

    #[track_caller]
    fn unchanged(directory: &Directory) {
        for _ in 0..3 {
            assert!(matches!(directory.reload(), Reload::Unchanged));
        }
    }

    #[track_caller]
    fn kept(directory: &Directory, part: &str) {
        match directory.reload() {
            Reload::Kept(trouble) => assert!(trouble.to_string().contains(part), "{trouble}"),
            other => panic!("{other:?}"),
        }
        unchanged(directory);
        assert_eq!(names(&directory.users()), ["anna"]);
    }

    #[test]
    fn a_missing_file_at_the_start_is_nobody_and_said() {
        let place = Place::new();
        let (directory, found) = Directory::open(place.path()).unwrap();
        assert_eq!((found, directory.users().len()), (Found::Nothing, 0));
        unchanged(&directory);
        place.write(&named(&["anna"]));
        changed(&directory, &[], &["anna"]);
    }

    #[test]
    fn a_damaged_file_at_the_start_is_an_error_with_all_mistakes() {
        let place = Place::new();
        place.write("[[user]]\nname = \"a\"\n[[user]]\nname = \"b\"\n");
        let error = Directory::open(place.path()).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        fs::write(place.path(), b"\xff").unwrap();
        assert!(matches!(Directory::open(place.path()), Err(FileTrouble::NotUtf8)));
        assert!(matches!(Directory::open(place.dir.path()), Err(FileTrouble::NotAFile)));
    }

    #[test]
    fn a_change_is_taken_once() {
        let place = Place::new();
        place.write(&named(&["anna"]));
        let directory = place.open();
        unchanged(&directory);
        place.write(&named(&["anna", "bob"]));
        changed(&directory, &["anna"], &["anna", "bob"]);
        assert!(directory.find("bob").is_some() && directory.find("zoe").is_none());
        place.write(&named(&["bob"]));
        changed(&directory, &["anna", "bob"], &["bob"]);
    }

    #[test]
    fn a_write_in_place_with_the_same_size_is_seen() {
        let place = Place::new();
        let text = named(&["anna"]);
        place.write(&text);
        let directory = place.open();
        fs::write(place.path(), text.replace("anna", "bert")).unwrap();
        changed(&directory, &["anna"], &["bert"]);
    }

    #[test]
    fn a_write_that_leaves_the_same_stamp_is_seen_on_the_next_look() {
        let place = Place::new();
        let text = named(&["anna"]);
        place.write(&text);
        let directory = place.open();
        fs::write(place.path(), text.replace("anna", "bert")).unwrap();
        directory.seen.lock().unwrap().stamp = Some(stamp(&place.path()).unwrap());
        changed(&directory, &["anna"], &["bert"]);
    }

    #[test]
    fn a_swap_of_the_linked_directory_is_seen() {
        let place = Place::new();
        let link = place.dir.path().join("..data");
        for (version, name) in [("one", "anna"), ("two", "bob")] {
            fs::create_dir(place.dir.path().join(version)).unwrap();
            fs::write(place.dir.path().join(version).join("users.toml"), named(&[name])).unwrap();
        }
        symlink("one", &link).unwrap();
        symlink("..data/users.toml", place.path()).unwrap();
        let directory = place.open();
        unchanged(&directory);
        fs::remove_file(&link).unwrap();
        symlink("two", &link).unwrap();
        changed(&directory, &["anna"], &["bob"]);
    }

    #[test]
    fn troubles_keep_the_users_and_are_told_once_each() {
        let place = Place::new();
        let good = named(&["anna"]);
        place.write(&good);
        let directory = place.open();
        fs::remove_file(place.path()).unwrap();
        kept(&directory, "missing");
        place.write("# nobody\n");
        kept(&directory, "no users any more");
        place.write("[[user]]\nname = \"a\"\n");
        kept(&directory, "line 1: this user has no `password_hash`");
        place.write("[[user]]\nname = \"a\"\nscopes = []\nx = 1\n");
        kept(&directory, "unknown key `x`");
        fs::remove_file(place.path()).unwrap();
        fs::create_dir(place.path()).unwrap();
        kept(&directory, "not a regular file");
        fs::remove_dir(place.path()).unwrap();
        kept(&directory, "missing");
        place.write(&good);
        unchanged(&directory);
        place.write("# nobody\n");
        kept(&directory, "no users any more");
        place.write(&named(&["bob"]));
        changed(&directory, &["anna"], &["bob"]);
    }

    #[test]
    fn the_same_trouble_after_a_recovery_is_told_again() {
        let place = Place::new();
        let good = named(&["anna"]);
        place.write(&good);
        let directory = place.open();
        for _ in 0..2 {
            place.write("[[user]]\n");
            kept(&directory, "has mistakes");
            place.write(&good);
            unchanged(&directory);
        }
    }

    #[test]
    fn an_old_list_that_comes_back_after_an_empty_one_is_no_change() {
        let place = Place::new();
        let good = named(&["anna"]);
        place.write(&good);
        let directory = place.open();
        place.write("");
        kept(&directory, "no users any more");
        place.write(&good);
        unchanged(&directory);
        assert_eq!(names(&directory.users()), ["anna"]);
    }
}
