//! The one canonical path: what is judged is what is forwarded.
//!
//! Guarantees: a path that two readers could read differently is refused before anything else looks at it (encoded
//! slashes, backslashes and dots, dot segments, empty segments, parameters, double encoding, control bytes, invalid
//! UTF-8); an accepted one has a single spelling, in which only what must be escaped is.
//! Does not know: rules, upstreams. (A fragment never gets here: hyper cuts it off, and it is not forwarded.)

use std::borrow::Cow;

/// Why a path is refused. The text is for logs; clients hear that the path is ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ambiguous path: {0}")]
pub struct Ambiguous(&'static str);

/// Bytes that may stand in a path unescaped and mean only themselves: RFC 3986 pchar without `%` and `;`.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'')
        || matches!(byte, b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' | b'.')
}

/// The canonical spelling of `path`; borrowed when it is already that, as nearly all are.
///
/// # Errors
/// [`Ambiguous`] when there is none.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if !path.starts_with('/') {
        return Err(Ambiguous("not absolute"));
    }
    if is_canonical(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let path = respelled(path)?;
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err(Ambiguous("an empty segment")),
            "." | ".." => return Err(Ambiguous("a dot segment")),
            _ => {}
        }
    }
    Ok(Cow::Owned(path))
}

/// Whether an absolute path is spelled canonically for certain: plain bytes, no two slashes and no dot after a slash.
/// One pass, as every request asks; a dotted name such as `/.well-known` takes the longer way.
fn is_canonical(path: &[u8]) -> bool {
    let mut after_slash = false;
    path.iter().all(|byte| {
        let fine = match byte {
            b'/' | b'.' => !after_slash,
            byte => is_plain(*byte),
        };
        after_slash = *byte == b'/';
        fine
    })
}

/// Escapes that need not be are undone, the others put in upper case.
fn respelled(path: &str) -> Result<String, Ambiguous> {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = match bytes[at] {
            b'%' => {
                let value = escaped(bytes, at + 1).ok_or(Ambiguous("a broken escape"))?;
                match value {
                    b'/' | b'\\' => return Err(Ambiguous("an encoded slash")),
                    b'.' => return Err(Ambiguous("an encoded dot")),
                    b';' => return Err(Ambiguous("a path parameter")),
                    0..=0x1f | 0x7f => return Err(Ambiguous("a control byte")),
                    _ => {}
                }
                at += 3;
                value
            }
            b'\\' => return Err(Ambiguous("a backslash")),
            b';' => return Err(Ambiguous("a path parameter")),
            0..=0x20 | 0x7f.. => return Err(Ambiguous("a byte that must be escaped")),
            byte => {
                at += 1;
                byte
            }
        };
        decoded.push(byte);
        if is_plain(byte) || byte == b'/' {
            out.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    // Looked for in what an upstream reads: what follows a `%` there may have been escaped here.
    if decoded.iter().enumerate().any(|(at, byte)| *byte == b'%' && escaped(&decoded, at + 1).is_some()) {
        return Err(Ambiguous("double encoding"));
    }
    match str::from_utf8(&decoded) {
        Ok(_) => Ok(out),
        Err(_) => Err(Ambiguous("not UTF-8")),
    }
}

fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(path: &str, expected: &str) {
        let once = canonical(path).unwrap();
        assert_eq!(once, expected);
        assert_eq!(canonical(&once).unwrap(), once, "canonical twice");
    }

    #[track_caller]
    fn refused(path: &str) {
        assert!(canonical(path).is_err(), "{path}");
    }

    #[test]
    fn plain_paths_are_left_alone() {
        for path in
            ["/", "/3rdparty/v1/messages", "/a/", "/a.b/c-d_e~f", "/x:y@z,1+2=3", "/...", "/.well-known/api-catalog"]
        {
            becomes(path, path);
        }
    }

    #[test]
    fn one_spelling_is_chosen() {
        becomes("/%6dessages", "/messages");
        becomes("/caf%c3%a9", "/caf%C3%A9");
        becomes("/a%20b", "/a%20b");
        becomes("/100%25", "/100%25");
        becomes("/a%3fb", "/a%3Fb");
        becomes("/a%23b", "/a%23b");
        becomes("/a\"b", "/a%22b");
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for path in [
            "",
            "a",
            "*",
            "//",
            "/a//b",
            "/a/./b",
            "/a/..",
            "/..",
            "/a/%2e%2e/b",
            "/a/%2e",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%252fb",
            "/a%2541",
            "/a%252%65",
            "/a%25%32%65",
            "/a%25b%41",
            "/a%00b",
            "/a%0ab",
            "/a%7f",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a;b=1",
            "/a%3bb",
            "/%ff",
            "/%c3",
            "/%c0%af",
            "/a b",
            "/caf\u{e9}",
            "/a%2ejson",
        ] {
            refused(path);
        }
    }
}
