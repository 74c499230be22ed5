//! The passage from what was written to what is trusted: each section asks the reader for its keys.
//!
//! Guarantees: asking always yields a usable value, so that reading goes on and every mistake is found; a mistaken
//! value is replaced by its default and remembered. Being asked is what makes a key known.
//! Does not know: which sections there are, and the kinds of values (`kind` has a question for each).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use figment::value::Value;

use super::effective::Setting;
use super::mistake::{self, Mistake, Place};
use super::written::Written;

pub(super) struct Reader {
    written: Written,
    known: BTreeSet<String>,
    mistaken: BTreeSet<String>,
    settings: Vec<Setting>,
    mistakes: Vec<Mistake>,
    files: Vec<PathBuf>,
}

impl Reader {
    pub(super) fn new(written: Written) -> Self {
        Self {
            written,
            known: BTreeSet::new(),
            mistaken: BTreeSet::new(),
            settings: Vec::new(),
            mistakes: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Notes that the content of a file is part of what was read.
    pub(super) fn made_of(&mut self, file: Option<&Path>) {
        self.files.extend(file.map(Path::to_owned));
    }

    /// Those that were noted.
    pub(super) fn files(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.files)
    }

    /// What was read, in the order of asking, and every mistake, also about keys nobody asked for.
    pub(super) fn finish(mut self) -> (Vec<Setting>, Vec<Mistake>) {
        if let Some(file) = self.written.file() {
            self.mistakes.extend(file.unknown(&self.known));
        }
        (self.settings, self.mistakes)
    }

    /// Which of `keys` was written; the first of them if none was.
    pub(super) fn given<'a>(&self, keys: &[&'a str]) -> &'a str {
        let given = keys.iter().find(|key| self.written.find(key).is_some()).or(keys.first());
        given.copied().unwrap_or_default()
    }

    /// Whether `key` was written.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.written.find(key).is_some()
    }

    /// A mistake about the value of `key`.
    pub(super) fn mistake(&mut self, key: &str, text: impl Into<String>) {
        self.mistake_in(key, key, text.into());
    }

    /// A mistake if keys that are right by themselves do not go together. It is pinned to the first that was written.
    /// Without effect if one of `keys` is mistaken already: its value is not what was meant.
    pub(super) fn contradiction_if(&mut self, wrong: bool, keys: &[&str], text: impl Into<String>) {
        if wrong && !keys.iter().any(|key| self.mistaken.contains(*key)) {
            self.mistake(self.given(keys), text);
        }
    }

    /// The value of `key`, read by `parse`, which learns whether it must be lenient; `show` writes it as TOML.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        default: T,
        show: impl FnOnce(&T) -> String,
        parse: impl FnOnce(&Value, bool) -> Result<T, String>,
    ) -> T {
        let value = self.found(key, parse).unwrap_or(default);
        self.record(key, Some(show(&value)));
        value
    }

    /// The same without a default.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        show: impl FnOnce(&T) -> String,
        parse: impl FnOnce(&Value, bool) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.found(key, parse);
        self.record(key, value.as_ref().map(show));
        value
    }

    /// The same without remembering it as a setting: whoever asks this way calls [`Reader::record`] for that.
    pub(super) fn found<T>(&mut self, key: &str, parse: impl FnOnce(&Value, bool) -> Result<T, String>) -> Option<T> {
        self.known.insert(key.into());
        let found = self.written.find(key)?;
        match parse(found.value, found.loose) {
            Ok(value) => Some(value),
            Err(text) => {
                self.mistake(key, text);
                None
            }
        }
    }

    pub(super) fn record(&mut self, key: &str, value: Option<String>) {
        let source = self.written.find(key).map_or(Place::Default, |found| found.place);
        self.settings.push(Setting { key: key.into(), value, source });
    }

    /// Says of those of `keys` that were not written that the choice of `preset` made their defaults.
    pub(super) fn preset(&mut self, preset: &'static str, keys: &[&str]) {
        for setting in self.settings.iter_mut().filter(|setting| keys.contains(&&*setting.key)) {
            if setting.source == Place::Default {
                setting.source = Place::Preset(preset);
            }
        }
    }

    /// A mistake about `key` that stands at `at`, the key itself or one element of its list.
    pub(super) fn mistake_in(&mut self, key: &str, at: &str, text: String) {
        self.mistaken.insert(key.into());
        // An element of a variable's list has no place of its own.
        let place = match self.written.place(key) {
            Place::Line { .. } => self.written.place(at),
            other => other,
        };
        self.mistakes.push(Mistake::new(place, key, text));
    }
}

/// The mistake of a flag that sets no key there is.
pub(super) fn unknown_flag(key: &str, known: &[&str]) -> Mistake {
    let nearest = mistake::nearest_key(key, known).map(Into::into);
    Mistake::new(Place::Flag(key.into()), key, "unknown key").suggesting(nearest)
}
