//! Text in a line of the log.
//!
//! Guarantees: what is written holds no control character, C1 and line separators included, and nothing that changes
//! the direction of writing: no client can forge a line, colour a terminal or hide what stands beside its text.
//! Does not know: what the text means.

use std::fmt::{Arguments, Write};

/// Writes `text` in quotes, as JSON writes a string.
pub(super) fn quoted(line: &mut String, text: &str) {
    line.push('"');
    if is_plain(text) {
        line.push_str(text)
    } else {
        escaped(line, text, true)
    }
    line.push('"');
}

/// Writes `text` without quotes.
pub(super) fn bare(line: &mut String, text: &str) {
    if is_plain(text) { line.push_str(text) } else { escaped(line, text, false) }
}

/// Writes what has a form of its own in quotes, as JSON writes a string.
pub(super) fn quoted_form(line: &mut String, form: Arguments<'_>) {
    line.push('"');
    checked(line, form, true);
    line.push('"');
}

/// Writes what has a form of its own without quotes.
pub(super) fn bare_form(line: &mut String, form: Arguments<'_>) {
    checked(line, form, false);
}

/// Looked at as a whole once it is written: there are forms, such as an address, that come in many small pieces.
fn checked(line: &mut String, form: Arguments<'_>, in_quotes: bool) {
    let start = line.len();
    // What fails to write itself leaves what it has written so far.
    let _ = line.write_fmt(form);
    if !is_plain(&line[start..]) {
        let text = line.split_off(start);
        escaped(line, &text, in_quotes);
    }
}

/// Whether nothing is to be escaped, in either form. Looks at all bytes without a branch, so that they are taken many
/// at a time.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\'))
}

/// Writes text, and escapes for what does more than be seen.
#[cold]
fn escaped(line: &mut String, text: &str, in_quotes: bool) {
    for c in text.chars() {
        match c {
            '"' | '\\' if in_quotes => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // None is above U+FFFF, so that JSON takes this form.
            c if c.is_control() || separates_or_turns(c) => {
                // A string takes everything.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// The separators of lines and of paragraphs, and Unicode's Bidi_Control: what turns the direction of writing.
fn separates_or_turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, escaped: &str) {
        let (mut line, mut form) = (String::new(), String::new());
        quoted(&mut line, text);
        quoted_form(&mut form, format_args!("{text}"));
        assert_eq!((&*line, &*form), (&*format!("\"{escaped}\""), &*line), "{text:?}");
    }

    #[test]
    fn what_only_is_seen_stays() {
        for text in ["", "/3rdparty/v1/messages", "a b~!'#", "bücher", "\u{fffd}", "日本語", "😀"] {
            check(text, text);
        }
    }

    #[test]
    fn what_does_more_than_be_seen_is_escaped() {
        check("a\nb\r\tc", "a\\nb\\r\\tc");
        check("\u{1b}[31m", "\\u001b[31m");
        check("\0\u{7f}", "\\u0000\\u007f");
        check("ü\u{9b}31m", "ü\\u009b31m");
        check("\u{85}\u{2028}\u{2029}", "\\u0085\\u2028\\u2029");
        check("\u{202e}txt.exe\u{2066}\u{200f}", "\\u202etxt.exe\\u2066\\u200f");
    }

    #[test]
    fn quotes_and_backslashes_are_escaped_where_there_are_quotes() {
        check("a\"b\\c", "a\\\"b\\\\c");
        let mut line = String::new();
        bare(&mut line, "a\"b\\c\u{1b}");
        bare_form(&mut line, format_args!(" {}", "a\"b\\c\u{1b}"));
        assert_eq!(line, "a\"b\\c\\u001b a\"b\\c\\u001b");
    }

    #[test]
    fn every_character_is_valid_in_json_and_read_back_as_it_was() {
        for c in (0..=0xffff).filter_map(char::from_u32) {
            let (mut line, text) = (String::new(), String::from(c));
            quoted(&mut line, &text);
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
            assert!(!line.contains(char::is_control));
        }
    }
}
