//! The paths a configuration may write: prefixes, and the patterns of `[[route]]`.
//!
//! Guarantees: what passes is absolute, unencoded and in canonical form, so that it can be compared with the canonical
//! path of a request without decoding anything.
//! Does not know: which routes there are, and how a request's path is made canonical.

/// A prefix as it is written in front of a path: `/3rdparty/v1`, and the empty text for `/`.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    let Some(segments) = segments(text)? else {
        return Ok(String::new());
    };
    // Stricter than a route: these characters mean the same to every server that may stand behind the gate.
    match segments.iter().find_map(|segment| segment.chars().find(|c| !is_unreserved(*c))) {
        Some(c) => {
            Err(format!("must consist of letters, digits and `. _ ~ -` between slashes, not `{}`", c.escape_debug()))
        }
        None => Ok(text.into()),
    }
}

/// A route's pattern: segments, of which one may be `{name}` and the last may be `*`.
pub(super) fn pattern(text: &str) -> Result<String, String> {
    let segments = segments(text)?.unwrap_or_default();
    for (n, segment) in segments.iter().enumerate() {
        let name = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        let named =
            name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        if named || (*segment == "*" && n + 1 == segments.len()) {
            continue;
        }
        match segment.chars().find(|c| !is_unreserved(*c) && !"!$&'()+,;=:@".contains(*c)) {
            Some('*') => return Err("must have `*` only as the whole last segment".into()),
            Some('{' | '}') => return Err("must have `{name}` only as a whole segment".into()),
            Some('%') => return Err("must be written without percent-encoding".into()),
            Some(c) => return Err(format!("must not contain `{}`", c.escape_debug())),
            None => {}
        }
    }
    Ok(text.into())
}

/// The segments of an absolute path, nothing for `/`.
fn segments(text: &str) -> Result<Option<Vec<&str>>, String> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err("must begin with `/`".into());
    };
    if rest.is_empty() {
        return Ok(None);
    }
    let segments: Vec<&str> = rest.split('/').collect();
    if rest.ends_with('/') {
        return Err("must not end with `/`".into());
    }
    if segments.contains(&"") {
        return Err("must not contain `//`".into());
    }
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err("must not contain the segments `.` and `..`".into());
    }
    Ok(Some(segments))
}

fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(parse: fn(&str) -> Result<String, String>, text: &str, part: &str) {
        let mistake = parse(text).unwrap_err();
        assert!(mistake.contains(part), "{text}: {mistake}");
    }

    #[test]
    fn prefixes_are_plain() {
        assert_eq!(prefix("/"), Ok(String::new()));
        assert_eq!(prefix("/3rdparty/v1"), Ok("/3rdparty/v1".into()));
        refuses(prefix, "", "begin with `/`");
        refuses(prefix, "v1", "begin with `/`");
        refuses(prefix, "/v1/", "end with `/`");
        refuses(prefix, "//v1", "`//`");
        refuses(prefix, "/a/../b", "`..`");
        refuses(prefix, "/a%2fb", "not `%`");
        refuses(prefix, "/a/{b}", "not `{`");
        refuses(prefix, "/a\u{1b}", "not `\\u{1b}`");
    }

    #[test]
    fn patterns_have_wildcards_only_as_whole_segments() {
        for right in ["/", "/*", "/api/items/*", "/api/{id}/parts/{part_2}", "/v1:batch/(a)"] {
            assert_eq!(pattern(right), Ok(right.into()));
        }
        refuses(pattern, "/a*", "whole last segment");
        refuses(pattern, "/*/a", "whole last segment");
        refuses(pattern, "/a/{}", "whole segment");
        refuses(pattern, "/a/x{id}", "whole segment");
        refuses(pattern, "/a/{a-b}", "whole segment");
        refuses(pattern, "/a%20b", "percent-encoding");
        refuses(pattern, "/a?b", "not contain `?`");
        refuses(pattern, "/a b", "not contain ` `");
        refuses(pattern, "/a\\b", "not contain");
        refuses(pattern, "/ä", "not contain");
        refuses(pattern, "/a/", "end with `/`");
    }
}
