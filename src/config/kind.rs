//! The kinds of values that sections ask the reader for.
//!
//! Guarantees: a range, a form or a choice is checked where it is asked for, and what is shown is TOML that reads back
//! as the same value. Values of secrets reach neither the settings nor a mistake.
//! Does not know: keys and sections, and where anything was written.

use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::value::Value;

use super::effective::{quote, quote_all};
use super::mistake::quoted;
use super::quantity::{self, show_duration, show_size};
use super::reader::Reader;
use super::secret::{PLACEHOLDER, Secret};
use super::shape;

/// Longer than any deadline or lifetime needs to be, and short enough to be added to any clock.
pub(super) const TEN_YEARS: Duration = Duration::from_hours(10 * 365 * 24);

/// A value out of a few names.
pub(super) trait Choice: Copy + PartialEq + 'static {
    const NAMES: &'static [(&'static str, Self)];
}

impl Reader {
    pub(super) fn path(&mut self, key: &str, default: &str) -> PathBuf {
        self.value(key, default.into(), |path: &PathBuf| quote(&path.to_string_lossy()), read_path)
    }

    pub(super) fn optional_path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional(key, |path: &PathBuf| quote(&path.to_string_lossy()), read_path)
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        self.value(key, default, bool::to_string, shape::truth)
    }

    pub(super) fn number<T>(&mut self, key: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        self.value(key, default, T::to_string, |value, loose| {
            // What does not fit the type lies above every range of that type.
            let number = shape::number(value, loose)?;
            within(T::try_from(number).ok(), &range, T::to_string)
        })
    }

    /// A number of bytes.
    pub(super) fn size(&mut self, key: &str, default: usize, range: RangeInclusive<usize>) -> usize {
        let show = |size: &usize| show_size(*size as u64);
        let as_toml = |size: &usize| {
            let shown = show(size);
            if shown.parse::<u64>().is_ok() { shown } else { quote(&shown) }
        };
        self.value(key, default, as_toml, |value, loose| {
            within(usize::try_from(shape::size(value, loose)?).ok(), &range, show)
        })
    }

    pub(super) fn duration(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        self.value(key, default, quote_duration, |value, loose| {
            within(Some(quantity::duration(&shape::duration_text(value, loose)?)?), &range, show_duration)
        })
    }

    /// A duration that ends up in a token, where time is counted in seconds.
    pub(super) fn seconds(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let duration = self.duration(key, default, range);
        if duration.subsec_nanos() != 0 {
            self.mistake(key, "must be whole seconds");
            return default;
        }
        duration
    }

    pub(super) fn choice<T: Choice>(&mut self, key: &str, default: T) -> T {
        self.value(key, default, quote_choice, read_choice)
    }

    pub(super) fn optional_choice<T: Choice>(&mut self, key: &str) -> Option<T> {
        self.optional(key, quote_choice, read_choice)
    }

    /// A value with a textual form of its own, which `parse` reads and `Display` writes.
    pub(super) fn parsed<T: Display>(
        &mut self,
        key: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let show = |value: &T| quote(&value.to_string());
        self.value(key, default, show, |value, loose| parse(&shape::word(value, loose)?))
    }

    /// The same without a default.
    pub(super) fn optional_parsed<T: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.optional(key, |value: &T| quote(&value.to_string()), |value, loose| parse(&shape::word(value, loose)?))
    }

    /// A list, empty by default; each of its elements that `parse` refuses is a mistake of its own.
    pub(super) fn list<T: Display>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let list = self.elements(key, parse).unwrap_or_default();
        self.record(key, Some(quote_all(list.iter().map(T::to_string))));
        list
    }

    /// The same with a default.
    pub(super) fn list_or(
        &mut self,
        key: &str,
        default: &[&str],
        parse: impl Fn(&str) -> Result<String, String>,
    ) -> Vec<String> {
        let list = self.elements(key, parse).unwrap_or_else(|| default.iter().map(ToString::to_string).collect());
        self.record(key, Some(quote_all(list.iter().cloned())));
        list
    }

    /// The same, told apart from a list that was not written.
    pub(super) fn optional_list<T: Display>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let list = self.elements(key, parse);
        self.record(key, list.as_ref().map(|list| quote_all(list.iter().map(T::to_string))));
        list
    }

    fn elements<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let written = self.found(key, shape::texts)?;
        let mut right = Vec::new();
        for (n, element) in written.into_iter().enumerate() {
            match element.and_then(|element| parse(&element)) {
                Ok(element) => right.push(element),
                Err(text) => self.mistake_in(key, &format!("{key}.{n}"), text),
            }
        }
        Some(right)
    }

    /// How many `[[key]]` tables there are; their keys are `key.0.…` and so on.
    pub(super) fn tables(&mut self, key: &str) -> usize {
        let count = self.found(key, |value, _| match value {
            Value::Array(_, list) if list.iter().all(|element| matches!(element, Value::Dict(..))) => Ok(list.len()),
            _ => Err(format!("must be tables: write `[[{key}]]` and the keys of each below it")),
        });
        count.unwrap_or(0)
    }

    /// A secret, written as `key` or in the file that `key_file` names, without that file's last line break.
    pub(super) fn secret(&mut self, key: &str) -> Option<Secret> {
        let in_file = format!("{key}_file");
        let written = self.optional(
            key,
            |_: &Secret| quote(PLACEHOLDER),
            |value, _| check_secret(shape::text(value)?.into_bytes()),
        );
        let read = self.secret_file(&in_file);
        self.contradiction_if(
            written.is_some() && read.is_some(),
            &[&in_file, key],
            format!("{key} is given as well: leave one of them out"),
        );
        written.or(read)
    }

    /// The secret in the file that `key` names, without that file's last line break.
    pub(super) fn secret_file(&mut self, key: &str) -> Option<Secret> {
        let mut read = None;
        let file = self.optional(
            key,
            |path: &PathBuf| quote(&path.to_string_lossy()),
            |value, loose| {
                let path = read_path(value, loose)?;
                read = Some(read_secret(&path)?);
                Ok(path)
            },
        );
        self.made_of(file.as_deref());
        read
    }
}

fn quote_choice<T: Choice>(choice: &T) -> String {
    quote(T::NAMES.iter().find(|(_, named)| named == choice).map_or("", |(name, _)| name))
}

fn read_choice<T: Choice>(value: &Value, loose: bool) -> Result<T, String> {
    let written = shape::word(value, loose)?;
    let known = T::NAMES.iter().find(|(name, _)| *name == written);
    known.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = T::NAMES.iter().map(|(name, _)| *name).collect();
        format!("{} is not one of {}", quoted(&written), names.join(", "))
    })
}

fn quote_duration(duration: &Duration) -> String {
    quote(&show_duration(duration))
}

fn within<T: PartialOrd>(
    value: Option<T>,
    range: &RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, String> {
    match value {
        Some(value) if range.contains(&value) => Ok(value),
        Some(value) if value < *range.start() => Err(format!("must be at least {}", show(range.start()))),
        _ => Err(format!("must be at most {}", show(range.end()))),
    }
}

pub(super) fn read_path(value: &Value, _: bool) -> Result<PathBuf, String> {
    match shape::text(value)? {
        path if path.is_empty() => Err("must not be empty".into()),
        path if path.contains('\0') => Err("must not contain NUL".into()),
        path => Ok(path.into()),
    }
}

pub(super) fn read_secret(path: &Path) -> Result<Secret, String> {
    /// No secret is larger; the limit keeps a wrong path such as a device from filling memory.
    const LARGEST: u64 = 64 << 10;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let read = fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    let shown = path.display();
    read.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{shown} is larger than 64KiB"));
    }
    let line = bytes.strip_suffix(b"\n").map_or(&bytes[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
    check_secret(line.to_vec()).map_err(|text| format!("the content of {shown} {text}"))
}

fn check_secret(bytes: Vec<u8>) -> Result<Secret, String> {
    match &bytes[..] {
        b"" => Err("must not be empty".into()),
        bytes if bytes == PLACEHOLDER.as_bytes() => {
            Err(format!("is `{PLACEHOLDER}`, which stands for a secret that was not shown"))
        }
        _ => Ok(Secret::new(bytes)),
    }
}
