//! What was written: the file, the environment and the flags, laid over each other.
//!
//! Guarantees: a flag wins over a variable, a variable over the file; every value knows where it comes from.
//! Does not know: defaults, and what any value means.

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::environment;
use super::file::File;
use super::mistake::{Mistake, Place};

const ALIAS: &str = "another name";
const ENVIRONMENT: &str = "environment";
const FLAGS: &str = "flags";

/// The merged layers; by default there is nothing in them.
pub(super) struct Written {
    file: Option<File>,
    layers: Figment,
    tree: Value,
}

/// A value that was written.
pub(super) struct Found<'a> {
    pub(super) value: &'a Value,
    /// Variables and flags are text whatever the key takes; only a file can tell `8` from `"8"`.
    pub(super) loose: bool,
    pub(super) place: Place,
}

impl Written {
    /// Lays `alias`, the value of [`environment::ALIAS`], then `variables` and then `flags`, both as (dotted key, text), over the file. Their keys must be known ones: a
    /// section's name among them would hide the file's whole section.
    pub(super) fn new(
        file: Option<File>,
        alias: Option<String>,
        variables: Vec<(String, String)>,
        flags: Vec<(String, String)>,
    ) -> Result<Self, Mistake> {
        let layers = Figment::new()
            .merge(Toml::string(file.as_ref().map_or("", File::text)))
            .merge(Texts::new(ALIAS, alias.map(|value| (environment::ALIAS.1.to_owned(), value)).into_iter().collect()))
            .merge(Texts::new(ENVIRONMENT, variables))
            .merge(Texts::new(FLAGS, flags));
        match layers.find_value("") {
            Ok(tree) => Ok(Self { file, layers, tree }),
            // The file has already been parsed, by the same parser; figment has nothing else to object to.
            Err(error) => Err(Mistake::new(Place::Default, "", error.kind.to_string())),
        }
    }

    /// The value of `key`. A number in the key is an index into a list.
    pub(super) fn find(&self, key: &str) -> Option<Found<'_>> {
        let value = key.split('.').try_fold(&self.tree, |value, word| match value {
            Value::Dict(_, table) => table.get(word),
            Value::Array(_, list) => list.get(word.parse::<usize>().ok()?),
            _ => None,
        })?;
        let layer = self.layers.get_metadata(value.tag()).map(|metadata| &*metadata.name);
        let (loose, place) = match layer {
            Some(ALIAS) => (true, Place::Variable(environment::ALIAS.0.into())),
            Some(ENVIRONMENT) => (true, Place::Variable(environment::variable(key))),
            Some(FLAGS) => (true, Place::Flag(key.into())),
            _ => (false, self.place_in_file(key)),
        };
        Some(Found { value, loose, place })
    }

    /// Where `key` was written, or its nearest table in the file if it was not.
    pub(super) fn place(&self, key: &str) -> Place {
        self.find(key).map_or_else(|| self.place_in_file(key), |found| found.place)
    }

    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    fn place_in_file(&self, key: &str) -> Place {
        self.file.as_ref().map_or(Place::Default, |file| file.place(key))
    }
}

impl Default for Written {
    fn default() -> Self {
        Self { file: None, layers: Figment::new(), tree: Value::from(Dict::new()) }
    }
}

/// A layer of untyped settings. figment's own environment provider guesses types, and so turns the secret `007` into
/// the number 7.
struct Texts {
    name: &'static str,
    tree: Dict,
}

impl Texts {
    fn new(name: &'static str, settings: Vec<(String, String)>) -> Self {
        let mut tree = Dict::new();
        for (key, text) in settings {
            insert(&mut tree, &key, text);
        }
        Self { name, tree }
    }
}

impl Provider for Texts {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.tree.clone())]))
    }
}

fn insert(tree: &mut Dict, key: &str, text: String) {
    match key.split_once('.') {
        None => {
            tree.insert(key.into(), Value::from(text));
        }
        Some((section, rest)) => {
            let below = tree.entry(section.into()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, below) = below {
                insert(below, rest, text);
            }
        }
    }
}
