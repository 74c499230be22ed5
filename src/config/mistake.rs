//! One mistake in the configuration, worded for the person who has to mend it.
//!
//! Guarantees: a mistake says where it was written, which key it is about, what is wrong and, for an unknown name,
//! which known one is nearest.
//! Does not know: how values are read. Whoever words a mistake keeps secrets out of the text.

use std::fmt;
use std::path::PathBuf;

use super::environment;

/// Where a value was written. The order is the one in which mistakes are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file as a whole.
    File(PathBuf),
    /// A character of a file; line and column count from 1.
    Line { path: PathBuf, line: usize, column: usize },
    /// The environment variable of this name.
    Variable(String),
    /// The command line's setting of this dotted key.
    Flag(String),
    /// Written nowhere: the default that the choice of this key makes.
    Preset(&'static str),
    /// Written nowhere: the built-in default.
    Default,
}

/// The short form, as a source of a value: without the column.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Line { path, line, .. } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--set {key}"),
            Self::Preset(key) => f.write_str(key),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Something that keeps the configuration from being trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    /// The dotted key; empty if the mistake is about a file as a whole or its syntax.
    pub key: String,
    /// What is wrong, as the end of a sentence that begins with the key.
    pub text: String,
    /// The right name, in the spelling of the place, if an unknown one is close to it.
    pub suggestion: Option<String>,
}

impl Mistake {
    pub(super) fn new(place: Place, key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place, key: key.into(), text: text.into(), suggestion: None }
    }

    pub(super) fn suggesting(mut self, name: Option<String>) -> Self {
        self.suggestion = name;
        self
    }
}

impl std::error::Error for Mistake {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.place)?;
        if let Place::Line { column, .. } = self.place {
            write!(f, "{column}:")?;
        }
        // The names of variables and flags already say the key.
        let named = matches!(self.place, Place::Variable(_) | Place::Flag(_));
        if !named && !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.text)?;
        match &self.suggestion {
            Some(name) => write!(f, " (did you mean `{name}`?)"),
            None => Ok(()),
        }
    }
}

/// The known key that `written` most likely stands for: a slip of the pen in the same section, the right key in the
/// wrong section, or a slip in the section's name.
pub(super) fn nearest_key<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let (section, word) = split(written);
    let (siblings, others): (Vec<&str>, Vec<&str>) = known.iter().partition(|key| split(key).0 == section);
    // Without a section it may be the name of tables, where no value belongs.
    let elsewhere = others.iter().copied().filter(|key| split(key).1 == word).min_by_key(|key| !key.contains('.'));
    let sibling = nearest(word, siblings.iter().map(|key| split(key).1));
    siblings
        .into_iter()
        .find(|key| Some(split(key).1) == sibling)
        .or(elsewhere)
        .or_else(|| nearest(written, others.iter().copied()))
}

/// The nearest of `names`, if one is near enough that a slip explains the difference.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len().min(written.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The right variable for an unknown one.
pub(super) fn nearest_variable(name: &str, known: &[&str]) -> Option<String> {
    nearest_key(&environment::key(name), known).map(environment::variable)
}

/// A dotted key as its section and its last word.
pub(super) fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}

/// What was written, for a mistake's text: short, and harmless to a terminal.
pub(super) fn quoted(written: &str) -> String {
    const SHOWN: usize = 40;
    let cut = if written.chars().count() > SHOWN { "…" } else { "" };
    let shown: String = written.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    format!("`{shown}{cut}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] =
        &["data_dir", "issuer", "server.listen", "server.drain_timeout", "token.issuer", "upstream.url"];

    #[track_caller]
    fn suggests(written: &str, expected: Option<&str>) {
        assert_eq!(nearest_key(written, KNOWN), expected, "{written}");
    }

    #[test]
    fn the_nearest_right_key_is_suggested() {
        suggests("server.lisen", Some("server.listen"));
        suggests("server.drainTimeout", Some("server.drain_timeout"));
        suggests("server.drain-timeout", Some("server.drain_timeout"));
        suggests("server.issuer", Some("token.issuer"));
        suggests("listen", Some("server.listen"));
        suggests("datadir", Some("data_dir"));
        suggests("upstream_url", Some("upstream.url"));
        suggests("sever.listen", Some("server.listen"));
        suggests("server.bandwidth", None);
        suggests("server.zz", None);
        suggests("", None);
    }

    #[test]
    fn each_place_has_its_form() {
        let line = Place::Line { path: "config.toml".into(), line: 14, column: 1 };
        let unknown = |place| Mistake::new(place, "server.lisen", "unknown key").suggesting(Some("listen".into()));
        assert_eq!(
            unknown(line.clone()).to_string(),
            "config.toml:14:1: server.lisen: unknown key (did you mean `listen`?)"
        );
        assert_eq!(Mistake::new(line, "", "expected `=`").to_string(), "config.toml:14:1: expected `=`");
        assert_eq!(
            Mistake::new(Place::Variable("PORTCULLIS_X".into()), "x", "unknown variable").to_string(),
            "PORTCULLIS_X: unknown variable"
        );
        assert_eq!(Mistake::new(Place::Flag("x.y".into()), "x.y", "unknown key").to_string(), "--set x.y: unknown key");
    }

    #[test]
    fn quoting_is_short_and_harmless() {
        assert_eq!(quoted("a\u{1b}[2Jb"), "`a\\u{1b}[2Jb`");
        assert_eq!(quoted(&"x".repeat(50)), format!("`{}…`", "x".repeat(40)));
    }
}
