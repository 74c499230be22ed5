//! Where the API lies for its clients, and where at the upstream (seed S45).
//!
//! Guarantees: a prefix is exchanged as a whole or not at all; matching is as loose as the rules', so what was judged
//! under one prefix is not forwarded under another; the query is carried over untouched.
//! Does not know: rules, connections.

use std::borrow::Cow;

use bytes::Bytes;
use http::Uri;
use http::uri::{InvalidUri, PathAndQuery};

use super::preset;

/// Path prefixes as clients see them beside those of the upstream. Neither side ends with a slash.
#[derive(Debug)]
pub struct Mapping {
    /// A path prefix of the upstream's URL, put before everything.
    base: String,
    prefixes: Vec<(String, String)>,
}

impl Mapping {
    pub fn new(base: &str, prefix: &str, upstream_prefix: &str) -> Self {
        let mut prefixes = vec![(prefix.to_owned(), upstream_prefix.to_owned())];
        if let (Some(ours), Some(theirs)) = (preset::mobile_prefix(prefix), preset::mobile_prefix(upstream_prefix)) {
            prefixes.push((ours, theirs));
        }
        prefixes.retain(|(ours, theirs)| ours != theirs);
        Self { base: base.to_owned(), prefixes }
    }

    /// The upstream's request target for the canonical `path` of `uri`.
    ///
    /// # Errors
    /// None for a path and query that came out of an URI.
    pub fn target(&self, uri: &Uri, path: Cow<'_, str>) -> Result<PathAndQuery, InvalidUri> {
        let exchanged =
            self.prefixes.iter().find_map(|(ours, theirs)| Some((theirs.as_str(), strip_prefix_loosely(&path, ours)?)));
        // A target may lack its path, which is then `/`; it must not leave without it.
        let same = uri.path_and_query().filter(|target| target.as_str().starts_with('/'));
        if let (None, "", Cow::Borrowed(_), Some(same)) = (exchanged, &*self.base, &path, same) {
            return Ok(same.clone());
        }
        let (prefix, rest) = exchanged.unwrap_or(("", &path));
        let rest = if rest.is_empty() && prefix.is_empty() && self.base.is_empty() { "/" } else { rest };
        let mark = if uri.query().is_some() { "?" } else { "" };
        let target = [&self.base, prefix, rest, mark, uri.query().unwrap_or_default()].concat();
        PathAndQuery::from_maybe_shared(Bytes::from(target))
    }
}

/// What follows `prefix` in `path`, if `path` lies under it in any ASCII case.
pub fn strip_prefix_loosely<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = path.split_at_checked(prefix.len())?;
    (start.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('/'))).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn maps(mapping: &Mapping, path: &str, query: Option<&str>, expected: &str) {
        let uri: Uri = query.map_or(path.to_owned(), |query| format!("{path}?{query}")).parse().unwrap();
        assert_eq!(mapping.target(&uri, Cow::Borrowed(path)).unwrap().as_str(), expected);
        assert_eq!(mapping.target(&uri, Cow::Owned(path.to_owned())).unwrap().as_str(), expected);
    }

    #[test]
    fn the_prefix_is_exchanged_and_the_query_kept() {
        let phone = Mapping::new("", "/3rdparty/v1", "");
        maps(&phone, "/3rdparty/v1/messages", Some("a=%2F&b"), "/messages?a=%2F&b");
        maps(&phone, "/3rdparty/v1", None, "/");
        maps(&phone, "/3rdparty/v1x", None, "/3rdparty/v1x");
        maps(&phone, "/health", None, "/health");
    }

    #[test]
    fn a_target_without_a_path_leaves_with_one() {
        let plain = Mapping::new("", "", "");
        for target in ["http://api.example?x=1", "http://api.example/?x=1"] {
            let uri: Uri = target.parse().unwrap();
            assert_eq!(plain.target(&uri, Cow::Borrowed(uri.path())).unwrap().as_str(), "/?x=1");
        }
    }

    #[test]
    fn any_case_of_the_prefix_is_exchanged() {
        maps(&Mapping::new("", "/3rdparty/v1", "/api/3rdparty/v1"), "/3RDPARTY/v1/x", None, "/api/3rdparty/v1/x");
    }

    #[test]
    fn the_devices_api_moves_along() {
        let private = Mapping::new("", "/3rdparty/v1", "/api/3rdparty/v1");
        maps(&private, "/mobile/v1/events", None, "/api/mobile/v1/events");
    }

    #[test]
    fn a_base_comes_before_everything() {
        maps(
            &Mapping::new("/base", "/3rdparty/v1", "/3rdparty/v1"),
            "/3rdparty/v1/m",
            Some(""),
            "/base/3rdparty/v1/m?",
        );
    }
}
