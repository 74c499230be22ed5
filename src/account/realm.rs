//! Realms: sets of users, each with its credential sources in order.
//!
//! Guarantees: the first source that knows a name decides, and no other is asked; the upstream is asked last, and never
//! about a name that a file knows in another spelling; a subject names its realm, so that equal names of two realms are
//! two subjects.
//! Does not know: which realm a request belongs to.
//!
//! A subject is the name in the default realm, and `realm:name` in any other: no name has a colon.

use std::fmt;
use std::sync::Arc;

use super::directory::Directory;
use super::upstream_check::UpstreamCheck;
use super::users::{User, Users};
use super::users_file::name_mistake;

/// Which realm, by its place; the default one is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RealmId(pub u16);

/// One realm's sources.
pub struct Realm {
    /// What subjects begin with: nothing in the default realm, `name:` in any other.
    prefix: Box<str>,
    files: Vec<Arc<Directory>>,
    check: Option<UpstreamCheck>,
}

/// Who decides about a name.
pub(super) enum Judge<'a> {
    /// A password hash, or if nobody is called so, the work that hides it.
    Files(Vec<Arc<Users>>),
    Upstream {
        check: &'a UpstreamCheck,
        /// As the upstream knows it.
        name: &'a str,
    },
}

impl Realm {
    /// The realm called `name`; the default one is called nothing.
    pub fn new(name: &str, files: Vec<Arc<Directory>>, check: Option<UpstreamCheck>) -> Self {
        Self { prefix: Self::prefix(name).into(), files, check }
    }

    /// What the subjects of the realm `name` begin with.
    pub fn prefix(name: &str) -> String {
        if name.is_empty() { String::new() } else { format!("{name}:") }
    }

    pub fn files(&self) -> &[Arc<Directory>] {
        &self.files
    }

    pub fn asks_upstream(&self) -> bool {
        self.check.is_some()
    }

    pub(super) fn check(&self) -> Option<&UpstreamCheck> {
        self.check.as_ref()
    }

    /// The name that the realm's sources know a subject by.
    pub(super) fn name_of<'a>(&self, subject: &'a str) -> &'a str {
        subject.get(self.prefix.len()..).unwrap_or_default()
    }

    fn lists(&self) -> Vec<Arc<Users>> {
        self.files.iter().map(|file| file.users()).collect()
    }

    pub(super) fn judge<'a>(&'a self, subject: &'a str) -> Judge<'a> {
        match &self.check {
            Some(check) if self.is_the_upstreams(subject) => Judge::Upstream { check, name: self.name_of(subject) },
            _ => Judge::Files(self.lists()),
        }
    }

    /// The user that `subject` is. Whom only the upstream knows is taken for one: it is asked when there is a password.
    pub(super) fn find(&self, subject: &str) -> Option<Arc<User>> {
        let known = self.files.iter().find_map(|directory| directory.find(subject));
        known.or_else(|| {
            let check = self.check.as_ref().filter(|_| self.is_the_upstreams(subject))?;
            Some(Arc::new(User {
                name: subject.into(),
                scopes: check.scopes().clone(),
                email: None,
                roles: Vec::new(),
                claims: serde_json::Map::new(),
                hash: None,
            }))
        })
    }

    /// Whether no file has anything to say of it. An upstream that does not care for case would know one person by many
    /// names, of which a file knows only one.
    fn is_the_upstreams(&self, subject: &str) -> bool {
        name_mistake(self.name_of(subject)).is_none()
            && !self.files.iter().any(|directory| directory.users().know_the_like_of(subject))
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// All realms.
#[derive(Debug)]
pub(super) struct Realms(Vec<Realm>);

impl Realms {
    /// The first one is the default.
    pub(super) fn new(list: Vec<Realm>) -> Self {
        Self(list)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Realm> {
        self.0.iter()
    }

    /// The realm that `subject` names; none for a subject that no realm can have.
    pub(super) fn of(&self, subject: &str) -> Option<&Realm> {
        match subject.split_once(':') {
            None => self.0.first(),
            Some((realm, _)) => self.0.iter().skip(1).find(|own| own.prefix.strip_suffix(':') == Some(realm)),
        }
    }

    /// The subject called `name` in a realm; one that nobody has, if that is no name.
    pub(super) fn subject(&self, realm: RealmId, name: &str) -> String {
        let prefix = match self.0.get(usize::from(realm.0)) {
            Some(realm) if !name.contains(':') => &*realm.prefix,
            // Else a form could name another realm than its own.
            _ => ":",
        };
        [prefix, name].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realms() -> Realms {
        Realms::new(["", "shop", "depot"].map(|name| Realm::new(name, Vec::new(), None)).into())
    }

    #[track_caller]
    fn check(realm: u16, name: &str, subject: &str, found: Option<&str>) {
        let realms = realms();
        assert_eq!(realms.subject(RealmId(realm), name), subject);
        assert_eq!(realms.of(subject).map(|realm| &*realm.prefix), found);
    }

    #[test]
    fn a_subject_names_its_realm_and_no_name_can_name_another() {
        check(0, "anna", "anna", Some(""));
        check(1, "anna", "shop:anna", Some("shop:"));
        check(2, "anna", "depot:anna", Some("depot:"));
        check(0, "shop:anna", ":shop:anna", None);
        check(1, "depot:anna", ":depot:anna", None);
        check(0, "client:app", ":client:app", None);
        check(9, "anna", ":anna", None);
    }
}
