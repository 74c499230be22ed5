//! Users: names, what they may do, and the hash that lets them in.
//!
//! Guarantees: [`Users`] has each name once and only sound entries; a password hash never leaves by `Debug`; a
//! credential version changes with the hash and says nothing about it without the key.
//! Does not know: where the list comes from, how it is watched, what a password is checked against a hash with.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::token::{CredentialVersion, Scopes};

use super::hash::StoredHash;
use super::htpasswd;
use super::users_file::{self, UserMistake};

/// Everybody who may sign in, by name.
#[derive(Debug, Default)]
pub struct Users {
    /// Sorted by name.
    list: Vec<Arc<User>>,
    /// The names as careless systems compare them, sorted.
    folded: Vec<Box<str>>,
}

/// How a file says who may sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// TOML, one `[[user]]` per person.
    #[default]
    Users,
    /// One `name:hash` per line, whose people all may have these.
    Htpasswd(Scopes),
}

impl Users {
    /// Reads the text of a file in `form`, for the realm whose subjects begin with `realm`.
    ///
    /// # Errors
    /// All mistakes of the file, in the order of its lines.
    pub(super) fn read(text: &str, form: &Form, realm: &str) -> Result<Self, Vec<UserMistake>> {
        let list = match form {
            Form::Users => users_file::read(text)?,
            Form::Htpasswd(scopes) => htpasswd::read(text, scopes)?,
        };
        Ok(Self::of(list.into_iter().map(|user| match realm {
            "" => user,
            realm => User { name: format!("{realm}{}", user.name).into(), ..user },
        })))
    }

    fn of(list: impl Iterator<Item = User>) -> Self {
        let mut list: Vec<Arc<User>> = list.map(Arc::new).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        let mut folded: Vec<_> = list.iter().map(|user| fold(&user.name)).collect();
        folded.sort();
        Self { list, folded }
    }

    /// Whether a system that does not care for case and blanks could take `name` for one of these.
    pub(super) fn know_the_like_of(&self, name: &str) -> bool {
        self.folded.binary_search(&fold(name)).is_ok()
    }

    /// Reads the text of a users file. A file without entries is no mistake: nobody may sign in then.
    ///
    /// # Errors
    /// All mistakes of the file, in the order of its lines.
    pub fn parse(text: &str) -> Result<Self, Vec<UserMistake>> {
        Self::read(text, &Form::Users, "")
    }

    /// Names are compared byte by byte: case and Unicode form matter.
    pub fn find(&self, name: &str) -> Option<&Arc<User>> {
        self.list.binary_search_by(|user| (*user.name).cmp(name)).ok().and_then(|at| self.list.get(at))
    }

    /// In the order of names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<User>> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Some user, the same one for the same `choice` as long as the list stands; `None` if there is nobody.
    pub(super) fn any(&self, choice: u64) -> Option<&Arc<User>> {
        let count = u64::try_from(self.list.len()).ok().filter(|count| *count > 0)?;
        self.list.get(usize::try_from(choice % count).ok()?)
    }
}

/// Somebody who may sign in.
pub struct User {
    /// As subjects are called: with the realm in front, outside the default one.
    pub name: Arc<str>,
    /// The most that this user's tokens may carry.
    pub scopes: Scopes,
    pub email: Option<String>,
    pub roles: Vec<String>,
    /// Claims for the user's access tokens; none that the gate writes itself.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// `None`: whether a password is right is the upstream's to say.
    pub(super) hash: Option<StoredHash>,
}

impl User {
    /// A fingerprint under `key`: different after a change of password, and no help in guessing it without the key.
    pub fn credential_version(&self, key: &[u8; 32]) -> CredentialVersion {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        context.update(self.name.as_bytes());
        // No name contains a zero byte, so no two pairs of name and hash read alike.
        context.update(&[0]);
        // No hash is empty.
        context.update(self.hash.as_ref().map_or("", StoredHash::reveal).as_bytes());
        let tag = context.sign();
        let mut version = [0; 8];
        version.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        CredentialVersion(version)
    }

    /// Whether both are the same person with the same password hash, whatever else changed.
    pub fn same_credential(&self, other: &User) -> bool {
        self.name == other.name && self.hash == other.hash
    }
}

fn fold(name: &str) -> Box<str> {
    name.split(':').map(str::trim).collect::<Vec<_>>().join(":").to_lowercase().into()
}

/// Without claims and address: they are personal and of no use in a log.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::cheap;
    use super::*;

    fn entry(name: &str, hash: &str) -> String {
        format!("[[user]]\nname = {name:?}\npassword_hash = {hash:?}\nscopes = [\"a:x\"]\n")
    }

    fn only(text: &str) -> Arc<User> {
        Arc::clone(Users::parse(text).unwrap().iter().next().unwrap())
    }

    #[test]
    fn users_are_found_by_their_exact_name() {
        let hash = cheap::argon2id("x");
        let users = Users::parse(&["zoe", "anna", "Änne", "bob"].map(|name| entry(name, &hash)).concat()).unwrap();
        assert_eq!(users.len(), 4);
        assert!(users.iter().all(|user| users.find(&user.name).is_some_and(|found| Arc::ptr_eq(found, user))));
        assert!(users.find("Anna").is_none());
        assert!(users.find("").is_none());
    }

    #[test]
    fn a_file_without_entries_is_nobody() {
        for text in ["", "# nobody yet\n", "user = []\n"] {
            let users = Users::parse(text).unwrap();
            assert!(users.is_empty());
            assert!(users.any(7).is_none());
        }
    }

    #[test]
    fn the_credential_version_follows_name_hash_and_key() {
        let (first, second) = (cheap::argon2id("x"), cheap::argon2id("x"));
        let anna = only(&entry("anna", &first));
        let version = anna.credential_version(&[1; 32]);
        assert_eq!(version, only(&entry("anna", &first).replace("a:x", "b:y")).credential_version(&[1; 32]));
        assert_ne!(version, only(&entry("anna", &second)).credential_version(&[1; 32]));
        assert_ne!(version, only(&entry("bob", &first)).credential_version(&[1; 32]));
        assert_ne!(version, anna.credential_version(&[2; 32]));
    }

    #[test]
    fn a_change_of_scopes_keeps_the_credential_and_a_new_hash_does_not() {
        let hash = cheap::argon2id("x");
        let anna = only(&entry("anna", &hash));
        assert!(anna.same_credential(&only(&entry("anna", &hash).replace("a:x", "b:y"))));
        assert!(!anna.same_credential(&only(&entry("anna", &cheap::argon2id("x")))));
        assert!(!anna.same_credential(&only(&entry("bob", &hash))));
    }

    #[test]
    fn debug_shows_neither_hash_nor_personal_data() {
        let hash = cheap::argon2id("x");
        let text = format!("{}email = \"anna@example.org\"\n", entry("anna", &hash));
        let shown = format!("{:?}", Users::parse(&text).unwrap());
        assert!(shown.contains("anna"));
        assert!(!shown.contains("example.org") && !shown.contains("argon2"), "{shown}");
    }
}
