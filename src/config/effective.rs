//! The configuration in effect, written out for people: each key, its value, and where the value comes from.
//!
//! Guarantees: the output is valid TOML that reads back as the same configuration, apart from secrets, which it does
//! not show.
//! Does not know: which keys there are; it prints what was read, in the order of reading.

use std::fmt::Write;

use super::mistake::{Place, split};

/// One key as it is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key; within `[[route]]` tables it carries their number, `route.0.path`.
    pub key: String,
    /// The value as TOML, a secret as `"[secret]"`; nothing for a key that is not set and has no default.
    pub value: Option<String>,
    pub source: Place,
}

/// The settings as a TOML file with each value's source beside it.
pub(super) fn to_toml(settings: &[Setting]) -> String {
    let mut toml = String::new();
    let mut current = "";
    for Setting { key, value, source } in settings {
        let (section, word) = split(key);
        if section != current {
            current = section;
            toml.push_str(&header(section));
        }
        let source = source.to_string().escape_debug().to_string();
        // A `String` takes everything that is written to it.
        let _ = match value {
            Some(value) => writeln!(toml, "{:<48} # {source}", format!("{word} = {value}")),
            None => writeln!(toml, "# {word} is not set"),
        };
    }
    toml
}

fn header(section: &str) -> String {
    match split(section) {
        (tables, number) if number.parse::<usize>().is_ok() => format!("\n[[{tables}]]\n"),
        _ => format!("\n[{section}]\n"),
    }
}

/// `text` as a TOML basic string.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `list` as a TOML array of strings.
pub(super) fn quote_all(list: impl Iterator<Item = String>) -> String {
    let list: Vec<String> = list.map(|text| quote(&text)).collect();
    format!("[{}]", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_reads_back() {
        for text in ["", "plain", "a \"b\" \\ c", "two\nlines\t\r", "\u{1}\u{7f}\u{85}", "ü…"] {
            let value: toml_edit::Value = quote(text).parse().unwrap();
            assert_eq!(value.as_str(), Some(text));
        }
    }

    #[test]
    fn sections_and_tables_get_their_headers() {
        let setting = |key: &str, value: Option<&str>| Setting {
            key: key.into(),
            value: value.map(Into::into),
            source: Place::Default,
        };
        let toml = to_toml(&[
            setting("workers", Some("0")),
            setting("limits.signin.user_burst", Some("5")),
            setting("token.secret", None),
            setting("route.0.path", Some("\"/a\"")),
            setting("route.1.path", Some("\"/b\"")),
        ]);
        let squeezed: Vec<String> =
            toml.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            squeezed,
            [
                "workers = 0 # default",
                "",
                "[limits.signin]",
                "user_burst = 5 # default",
                "",
                "[token]",
                "# secret is not set",
                "",
                "[[route]]",
                "path = \"/a\" # default",
                "",
                "[[route]]",
                "path = \"/b\" # default",
            ]
        );
    }
}
