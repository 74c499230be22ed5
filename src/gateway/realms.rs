//! Which realm a request belongs to.
//!
//! Guarantees: a request belongs to exactly one realm, told from its host or its path as loosely as rules match paths; a
//! token of one realm's user is none in another.
//! Does not know: users, and where a realm's are known.

use http::HeaderMap;
use http::header::HOST;

use crate::account::RealmId;
use crate::token::Subject;

use super::Refusal;
use super::mapping::strip_prefix_loosely;

/// Which requests a realm is for.
#[derive(Clone, Debug)]
pub enum RealmPlace {
    /// In small letters, without a port.
    Host(String),
    /// A path without a slash at its end.
    Prefix(String),
}

/// The realms besides the default one.
#[derive(Debug, Default)]
pub struct RealmPlaces(Vec<(String, RealmPlace)>);

impl RealmPlaces {
    /// By name, in the order of [`RealmId`]s, of which the first is 1.
    pub fn new(list: Vec<(String, RealmPlace)>) -> Self {
        Self(list)
    }

    /// The realm of a request for the canonical `path`, and what stands in front of our own endpoints in it. A path says
    /// more than a host.
    pub(super) fn of<'a>(&self, headers: &HeaderMap, path: &'a str) -> (RealmId, &'a str) {
        if self.0.is_empty() {
            return (RealmId::default(), path);
        }
        let mut of_host = None;
        let mut of_prefix: Option<(RealmId, &str)> = None;
        let host = headers.get(HOST).map(|host| without_port(host.as_bytes())).unwrap_or_default();
        for (id, (_, place)) in (1..).map(RealmId).zip(&self.0) {
            match place {
                RealmPlace::Host(own) if host.eq_ignore_ascii_case(own.as_bytes()) => of_host = Some(id),
                RealmPlace::Host(_) => {}
                RealmPlace::Prefix(own) => {
                    let rest = strip_prefix_loosely(path, own);
                    // Of nested ones the innermost.
                    if let Some(rest) = rest.filter(|rest| of_prefix.is_none_or(|(_, best)| rest.len() < best.len())) {
                        of_prefix = Some((id, rest));
                    }
                }
            }
        }
        of_prefix.unwrap_or((of_host.unwrap_or_default(), path))
    }

    /// Whether a token of `subject` counts in `realm`. Clients and the users of other issuers belong to none.
    ///
    /// # Errors
    /// [`Refusal::OtherRealm`] if it does not.
    pub(super) fn admit(&self, subject: &Subject, realm: RealmId) -> Result<(), Refusal> {
        if self.0.is_empty() || subject.client().is_some() {
            return Ok(());
        }
        let own = subject.as_str().split_once(':').map_or("", |(own, _)| own);
        let here = usize::from(realm.0).checked_sub(1).and_then(|at| self.0.get(at)).map_or("", |(name, _)| name);
        if own == here { Ok(()) } else { Err(Refusal::OtherRealm) }
    }
}

/// A name in front of a port, or an IPv6 address in its brackets. A dot at the end of a name changes nothing.
fn without_port(host: &[u8]) -> &[u8] {
    let name = match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if !host.ends_with(b"]") => host.get(..at).unwrap_or_default(),
        _ => host,
    };
    name.strip_suffix(b".").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> RealmPlaces {
        let host = |host: &str| RealmPlace::Host(host.into());
        let prefix = |path: &str| RealmPlace::Prefix(path.into());
        let list = [("shop", host("shop.example")), ("old", prefix("/old")), ("older", prefix("/old/er"))];
        RealmPlaces::new(list.map(|(name, place)| (name.into(), place)).into())
    }

    #[track_caller]
    fn check(host: &str, path: &str, realm: u16, rest: &str) {
        let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        assert_eq!(places().of(&headers, path), (RealmId(realm), rest), "{host} {path}");
    }

    #[test]
    fn hosts_and_paths_tell_the_realm() {
        check("a.example", "/x", 0, "/x");
        for host in ["shop.example", "SHOP.example:8443", "shop.example."] {
            check(host, "/x", 1, "/x");
        }
        check("xshop.example", "/x", 0, "/x");
        check("a.example", "/OLD/x", 2, "/x");
        check("shop.example", "/old/x", 2, "/x");
        check("a.example", "/old/er/x", 3, "/x");
        check("a.example", "/old", 2, "");
        check("a.example", "/older", 0, "/older");
    }

    #[test]
    fn a_token_counts_in_its_realm_alone() {
        let admits = |subject: &str, realm| places().admit(&Subject::new(subject), RealmId(realm)).is_ok();
        assert!(admits("anna", 0) && admits("shop:anna", 1) && admits("client:app", 0) && admits("client:app", 2));
        assert!(!admits("anna", 1) && !admits("shop:anna", 0) && !admits("shop:anna", 2) && !admits("gone:anna", 0));
        assert!(RealmPlaces::default().admit(&Subject::new("shop:anna"), RealmId(0)).is_ok());
    }
}
