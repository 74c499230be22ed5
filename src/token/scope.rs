//! Scopes: what a token allows, as `resource:action` words.
//!
//! Guarantees: a [`Scopes`] value has no duplicates and keeps the order in which the scopes were asked for; the rules
//! of `all:any` and `tokens:refresh` stand here and nowhere else.
//! Does not know: routes, users, tokens.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Satisfies every scope except [`TOKENS_REFRESH`] (seed S32) and [`SESSIONS_ADMIN`].
pub const ALL_ANY: &str = "all:any";
/// Carried by refresh tokens only; nobody can be granted it (seed S34).
pub const TOKENS_REFRESH: &str = "tokens:refresh";
/// Demanded for minting, listing and revoking sessions with a Bearer token.
pub const TOKENS_MANAGE: &str = "tokens:manage";
/// Demanded for seeing and ending the sessions of others. `all:any` does not stand for it: with that scope people use an
/// API, and are no administrators of the gate.
pub const SESSIONS_ADMIN: &str = "sessions:admin";

/// An ordered set of scopes. Cloning is cheap: the list is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Scopes(Arc<[Arc<str>]>);

impl Scopes {
    /// The scopes of `names`, first mention wins, duplicates and empty words dropped.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut list = Vec::new();
        names.into_iter().for_each(|name| add(&mut list, name.as_ref()));
        Self(list.into())
    }

    /// Whether these scopes satisfy a demand for `scope`.
    pub fn satisfy(&self, scope: &str) -> bool {
        self.0
            .iter()
            .any(|own| **own == *scope || (**own == *ALL_ANY && !matches!(scope, TOKENS_REFRESH | SESSIONS_ADMIN)))
    }

    /// Whether each of `other` is satisfied by these.
    pub fn cover(&self, other: &Scopes) -> bool {
        other.0.iter().all(|scope| self.satisfy(scope))
    }

    /// What of these remains under `limit`. `all:any` under a narrower limit becomes that limit.
    pub fn within(&self, limit: &Scopes) -> Scopes {
        if limit.cover(self) {
            return self.clone();
        }
        if self.contains(ALL_ANY) {
            return Self::new(limit.iter().filter(|scope| self.satisfy(scope)));
        }
        Self::new(self.iter().filter(|scope| limit.satisfy(scope)))
    }

    /// The literal members, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|scope| &**scope)
    }

    /// Whether `scope` itself is a member; `all:any` does not count as everything here.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|own| own == scope)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn add(list: &mut Vec<Arc<str>>, name: &str) {
    if !name.is_empty() && !list.iter().any(|known| **known == *name) {
        list.push(Arc::from(name));
    }
}

/// Space-separated, as RFC 6749 section 3.3 writes it.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

/// Reads scopes where they stand: every token that is seen for the first time has some.
struct List;

impl<'de> Visitor<'de> for List {
    type Value = Scopes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of scopes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Scopes, A::Error> {
        let mut list = Vec::new();
        while let Some(Name(name)) = names.next_element()? {
            add(&mut list, &name);
        }
        Ok(Scopes(list.into()))
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn within(own: &[&str], limit: &[&str], expected: &[&str]) {
        assert_eq!(Scopes::new(own).within(&Scopes::new(limit)), Scopes::new(expected));
    }

    #[test]
    fn all_any_satisfies_everything_except_refresh() {
        let all = Scopes::new([ALL_ANY]);
        assert!(all.satisfy("messages:send"));
        assert!(all.satisfy(ALL_ANY));
        assert!(!all.satisfy(TOKENS_REFRESH));
    }

    #[test]
    fn narrowing_never_widens() {
        within(&["a:x", "b:y"], &["b:y", "c:z"], &["b:y"]);
        within(&["a:x"], &[ALL_ANY], &["a:x"]);
        within(&[ALL_ANY], &["a:x"], &["a:x"]);
        within(&[ALL_ANY, "a:x"], &["a:x", "b:y"], &["a:x", "b:y"]);
        within(&["a:x"], &[], &[]);
    }

    #[test]
    fn duplicates_and_blanks_are_dropped_in_order() {
        assert_eq!(Scopes::new(["b:y", "", "a:x", "b:y"]).to_string(), "b:y a:x");
    }
}
