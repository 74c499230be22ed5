//! Other spellings of a path that some router takes for the same.
//!
//! Guarantees: each fits into a request line, and holds nothing but the path and words that mean nothing.
//! Does not know: who reads them in which way.

/// Stands where a rule has `{name}` or `*`.
pub(super) const WORD: &str = "sample";

/// A path of a rule with its gaps filled.
pub(super) fn filled(template: &str) -> String {
    with_segments(template, |segment| if is_gap(segment) { WORD.into() } else { segment.into() })
}

/// The path beside `template` that no route should have: its last word is replaced. For one without words, a path of
/// three such.
pub(super) fn beside(template: &str, nonsense: &str) -> String {
    let segments: Vec<_> = template.split('/').collect();
    let Some(last) = segments.iter().rposition(|segment| !segment.is_empty() && !is_gap(segment)) else {
        return format!("/{nonsense}/{nonsense}/{nonsense}");
    };
    let mut at = 0;
    with_segments(template, |segment| {
        at += 1;
        match segment {
            _ if at - 1 == last => nonsense.into(),
            gap if is_gap(gap) => WORD.into(),
            word => word.into(),
        }
    })
}

fn is_gap(segment: &str) -> bool {
    segment == "*" || segment.starts_with('{')
}

fn with_segments(template: &str, segment: impl FnMut(&str) -> String) -> String {
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The variants of `path`, each with the name of its kind. None twice.
pub(super) fn variants(path: &str) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let mut add = |kind, variant: String| {
        if variant != path && all.iter().all(|(_, known)| *known != variant) {
            all.push((kind, variant));
        }
    };
    add("letter case", path.to_ascii_uppercase());
    add("letter case", path.to_ascii_lowercase());
    add("trailing slash", format!("{path}/"));
    add("trailing slash", format!("{path}//"));
    add("double slash", format!("/{path}"));
    for dots in ["/.", "/x/..", "/%2e", "/x/%2e%2e", "/x/.%2E", "/x/%c0%ae%c0%ae"] {
        add("dot segment", format!("{dots}{path}"));
        add("dot segment", format!("{path}{dots}"));
    }
    add("encoded slash", format!("/x%2f..{path}"));
    add("encoded slash", format!("{path}%2f"));
    add("backslash", format!("/x\\..{path}"));
    add("backslash", format!("{path}\\"));
    for end in [";", ";x=1", "%3bx=1", ",x", "&x=1"] {
        add("parameter", format!("{path}{end}"));
    }
    for end in [".", "..", "%2e"] {
        add("trailing dot", format!("{path}{end}"));
    }
    for end in [".json", ".html", ".x"] {
        add("suffix", format!("{path}{end}"));
    }
    for end in ["%00", "%00.x", "%09", "%0a", "%0d%0ax", "%20", "%c2%a0"] {
        add("NUL or blank", format!("{path}{end}"));
    }
    add("invalid UTF-8", format!("{path}%ff"));
    for end in ["?", "?x=1", "?/../x", "%3F", "%3Fx=1", "%253Fx", "%23", "%23x"] {
        add("query or fragment", format!("{path}{end}"));
    }
    add("query or fragment", format!("/x?/..{path}"));
    // Of a path with several segments, the last slash; else there is none that could be written otherwise.
    if let Some((front, last)) = path.rsplit_once('/').filter(|(front, last)| !front.is_empty() && !last.is_empty()) {
        for (kind, slash) in [
            ("double slash", "//"),
            ("dot segment", "/./"),
            ("dot segment", "/x/../"),
            ("encoded slash", "%2f"),
            ("encoded slash", "%2F"),
            ("double encoding", "%252f"),
            ("backslash", "\\"),
            ("backslash", "%5c"),
            ("overlong UTF-8", "%c0%af"),
            ("overlong UTF-8", "%e0%80%af"),
            ("parameter", ";x=1/"),
            ("NUL or blank", "%20/"),
        ] {
            add(kind, format!("{front}{slash}{last}"));
        }
    }
    letters(path, &mut add);
    all
}

/// The first letter of the last segment, and those that have a double elsewhere in Unicode, spelled otherwise.
fn letters(path: &str, add: &mut impl FnMut(&'static str, String)) {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let respell = |at: usize, spelling: String| [&path[..at], &spelling, &path[at + 1..]].concat();
    let letter = |letter: &dyn Fn(u8) -> bool| path.bytes().enumerate().skip(start).find(|(_, byte)| letter(*byte));
    if let Some((at, byte)) = letter(&|byte| byte.is_ascii_alphabetic()) {
        add("letter case", respell(at, char::from(byte ^ 0x20).to_string()));
        add("encoded letter", respell(at, format!("%{byte:02x}")));
        add("double encoding", respell(at, format!("%25{byte:02x}")));
        // An overlong form of the letter, and its full-width double (U+FF21 and on), which NFKC maps to it.
        add("overlong UTF-8", respell(at, format!("%c1%{:02x}", 0x80 | (byte & 0x3f))));
        let wide = 0xff00 + u32::from(byte) - 0x20;
        add("Unicode double", respell(at, escaped(char::from_u32(wide).unwrap_or('x'))));
    }
    for (ours, double) in [(b'k', '\u{212a}'), (b's', '\u{17f}')] {
        if let Some((at, _)) = letter(&|byte| byte == ours) {
            add("Unicode double", respell(at, escaped(double)));
        }
    }
}

fn escaped(letter: char) -> String {
    let mut bytes = [0; 4];
    letter.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;
    use crate::gateway::path::canonical;

    #[test]
    fn gaps_are_filled_and_the_last_word_is_what_makes_a_path_unknown() {
        for (template, full, unknown) in [
            ("/a/b", "/a/b", "/a/zz"),
            ("/a/{id}", "/a/sample", "/zz/sample"),
            ("/a/{id}/b", "/a/sample/b", "/a/sample/zz"),
            ("/a/*", "/a/sample", "/zz/sample"),
            ("/{a}/*", "/sample/sample", "/zz/zz/zz"),
            ("/", "/", "/zz/zz/zz"),
        ] {
            assert_eq!((filled(template), beside(template, "zz")), (full.into(), unknown.into()), "{template}");
        }
    }

    #[test]
    fn every_kind_is_there_and_each_fits_into_a_request_line() {
        let all = variants("/api/tasks");
        for expected in [
            "/API/TASKS",
            "/api/Tasks",
            "/api/tasks/",
            "/api/tasks//",
            "//api/tasks",
            "/api//tasks",
            "/api/./tasks",
            "/api/x/../tasks",
            "/api/%74asks",
            "/api%2ftasks",
            "/api/tasks%2e",
            "/x/%2e%2e/api/tasks",
            "/api/tasks;x=1",
            "/api\\tasks",
            "/api%5ctasks",
            "/api/tasks.",
            "/api%c0%aftasks",
            "/api/tasks%ff",
            "/api/tasks%00",
            "/api%252ftasks",
            "/api/tasks?/../x",
            "/api/tasks%23x",
            "/api/tas%E2%84%AAs",
            "/api/%EF%BD%94asks",
            "/api/tasks.json",
            "/api/%c1%b4asks",
        ] {
            assert!(all.iter().any(|(_, variant)| variant == expected), "{expected}");
        }
        for (at, (kind, variant)) in all.iter().enumerate() {
            assert!(variant.parse::<PathAndQuery>().is_ok(), "{kind}: {variant}");
            assert!(all[..at].iter().all(|(_, earlier)| earlier != variant), "{variant} twice");
        }
        assert!(variants("/").iter().all(|(_, variant)| variant.starts_with('/')));
    }

    #[test]
    fn the_gate_refuses_most_and_must_be_compared_for_the_rest() {
        let forwarded: Vec<_> = variants("/api/tasks")
            .into_iter()
            .filter(|(_, variant)| canonical(variant.split('?').next().unwrap_or_default()).is_ok())
            .map(|(kind, _)| kind)
            .collect();
        for kind in ["letter case", "trailing slash", "suffix", "trailing dot", "Unicode double", "query or fragment"] {
            assert!(forwarded.contains(&kind), "{kind}");
        }
        for kind in ["dot segment", "encoded slash", "backslash", "invalid UTF-8", "overlong UTF-8", "double encoding"]
        {
            assert!(!forwarded.contains(&kind), "{kind}");
        }
    }
}
