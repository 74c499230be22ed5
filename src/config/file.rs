//! The configuration file as it was written: its text, and where each key and value stands in it.
//!
//! Guarantees: every mistake in the file is found at its line and column, a syntax mistake included.
//! Does not know: which values are right. It learns the known keys from whoever read them.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{ImDocument, Item, Table, TableLike, Value};

use super::mistake::{self, Mistake, Place};

/// A TOML file without syntax mistakes.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    document: ImDocument<String>,
    lines: Lines,
}

impl File {
    /// Reads the file at `path`; a missing one is nothing unless it is `required`.
    pub(super) fn read(path: &Path, required: bool) -> Result<Option<Self>, Mistake> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound && !required => return Ok(None),
            Err(error) => {
                return Err(Mistake::new(Place::File(path.into()), "", format!("cannot be read: {error}")));
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(path, text).map(Some),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
                Err(Mistake::new(Lines::of(&before).place(path, &before, valid), "", "is not valid UTF-8"))
            }
        }
    }

    /// Parses `text`, which stands at `path`.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Mistake> {
        let lines = Lines::of(&text);
        match ImDocument::parse(text.clone()) {
            Ok(document) => Ok(Self { path: path.into(), document, lines }),
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                let text_of_mistake = error.message().trim().replace('\n', ", ");
                Err(Mistake::new(lines.place(path, &text, start), "", text_of_mistake))
            }
        }
    }

    pub(super) fn text(&self) -> &str {
        self.document.raw()
    }

    /// Where the value of `key` stands; where its table begins if it is not there.
    pub(super) fn place(&self, key: &str) -> Place {
        let mut node = Node::Item(self.document.as_item());
        let mut span = None;
        for word in key.split('.') {
            let (next, name) = match node.table() {
                Some(table) => match table.get_key_value(word) {
                    Some((key, item)) => (Node::Item(item), key.span()),
                    None => break,
                },
                None => match word.parse().ok().and_then(|n| node.element(n)) {
                    Some(element) => (element, None),
                    None => break,
                },
            };
            node = next;
            // A table that dotted keys made has no place of its own, but its name has.
            span = node.span().or(name).or(span);
        }
        self.at(span)
    }

    /// A mistake for each key or section that is not `known`.
    pub(super) fn unknown(&self, known: &BTreeSet<String>) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        self.walk(self.document.as_table(), "", known, &mut mistakes);
        mistakes
    }

    fn walk(&self, table: &dyn TableLike, section: &str, known: &BTreeSet<String>, mistakes: &mut Vec<Mistake>) {
        for (word, item) in table.iter() {
            let path = join(section, word);
            let node = Node::Item(item);
            if known.contains(&path) {
                for (n, element) in (0..).map_while(|n| node.element(n).map(|element| (n, element))) {
                    let path = format!("{path}.{n}");
                    if let Some(table) = element.table().filter(|_| is_section(&path, known)) {
                        self.walk(table, &path, known, mistakes);
                    }
                }
            } else if let Some(table) = node.table().filter(|_| is_section(&path, known)) {
                self.walk(table, &path, known, mistakes);
            } else {
                let at = table.get_key_value(word).and_then(|(key, _)| key.span()).or_else(|| node.span());
                mistakes.push(Self::unknown_name(self.at(at), &path, node, known));
            }
        }
    }

    fn unknown_name(place: Place, path: &str, node: Node<'_>, known: &BTreeSet<String>) -> Mistake {
        let is_list_of_tables = node.element(0).is_some_and(|element| element.table().is_some());
        if is_section(path, known) {
            let text = format!("is a section: write `[{path}]` and its keys below it");
            let tables = known.iter().map(String::as_str).filter(|key| is_list_of_tables && !key.contains('.'));
            return Mistake::new(place, path, text).suggesting(mistake::nearest(path, tables).map(Into::into));
        }
        let (section, word) = mistake::split(path);
        let is_sibling = |key: &&str| mistake::split(key).0 == section;
        if node.table().is_some() || is_list_of_tables {
            let sections = known.iter().flat_map(|key| key.match_indices('.').map(|(at, _)| &key[..at]));
            let nearest = mistake::nearest(path, sections.chain(known.iter().map(String::as_str)));
            return Mistake::new(place, path, "unknown section").suggesting(nearest.map(Into::into));
        }
        let below = format!("{section}.");
        let is_numbered = mistake::split(section).1.parse::<usize>().is_ok();
        let candidates: Vec<&str> = match is_numbered {
            // One of many tables; the keys of all the others are the same.
            true => {
                known.range(below.clone()..).map(String::as_str).take_while(|key| key.starts_with(&below)).collect()
            }
            false => known.iter().map(String::as_str).collect(),
        };
        let nearest = mistake::nearest_key(path, &candidates);
        // Within its own section the last word is what has to be mended.
        let nearest = nearest.map(|key| if is_sibling(&key) { mistake::split(key).1 } else { key });
        Mistake::new(place, path, "unknown key").suggesting(nearest.filter(|name| *name != word).map(Into::into))
    }

    fn at(&self, span: Option<Range<usize>>) -> Place {
        match span {
            Some(span) => self.lines.place(&self.path, self.text(), span.start),
            None => Place::File(self.path.clone()),
        }
    }
}

/// Where each line of a text begins.
#[derive(Debug)]
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self([0].into_iter().chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect())
    }

    /// Line and column of the byte at `offset`; columns count characters.
    fn place(&self, path: &Path, text: &str, offset: usize) -> Place {
        let line = self.0.partition_point(|start| *start <= offset);
        let start = self.0[line - 1];
        let column = text[start..text.floor_char_boundary(offset)].chars().count() + 1;
        Place::Line { path: path.into(), line, column }
    }
}

/// `word` below `section`. A word that is no bare key is quoted, so that `"a.b"` is never mistaken for `b` in `[a]`.
fn join(section: &str, word: &str) -> String {
    let bare = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let dot = if section.is_empty() { "" } else { "." };
    if bare { format!("{section}{dot}{word}") } else { format!("{section}{dot}{word:?}") }
}

fn is_section(path: &str, known: &BTreeSet<String>) -> bool {
    let below = format!("{path}.");
    known.range(below.clone()..).next().is_some_and(|key| key.starts_with(&below))
}

/// Anything in a document that has a place.
#[derive(Clone, Copy)]
enum Node<'a> {
    Item(&'a Item),
    Value(&'a Value),
    Table(&'a Table),
}

impl<'a> Node<'a> {
    fn span(self) -> Option<Range<usize>> {
        match self {
            Self::Item(item) => item.span(),
            Self::Value(value) => value.span(),
            Self::Table(table) => table.span(),
        }
    }

    fn table(self) -> Option<&'a dyn TableLike> {
        match self {
            Self::Item(item) => item.as_table_like(),
            Self::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
            Self::Table(table) => Some(table),
        }
    }

    fn element(self, n: usize) -> Option<Node<'a>> {
        match self {
            Self::Item(item) => match item.as_array_of_tables() {
                Some(tables) => tables.get(n).map(Node::Table),
                None => item.as_array()?.get(n).map(Node::Value),
            },
            Self::Value(value) => value.as_array()?.get(n).map(Node::Value),
            Self::Table(_) => None,
        }
    }
}
