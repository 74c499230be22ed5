//! Words that many sessions share: single scopes and key ids, each kept once.
//!
//! Guarantees: bounded. Words come from the configuration, the users file and the key files, never from a request: a
//! client chooses among known scopes, so it can have many sets of them made but not one new word. Should there be more
//! words than fit, the sessions spell the others out. What is in the table stays, with its number.
//! Does not know: which scopes belong together, what a session is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Far more scopes and keys than anybody has.
pub(super) const MOST: usize = 4096;
/// Longer ones are spelled out: with it the table stays below half a megabyte.
const LONGEST: usize = 64;

#[derive(Default)]
pub(super) struct Words(RwLock<Table>);

#[derive(Default)]
struct Table {
    words: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Words {
    /// The number of `word`, given now if it has none; `None` if it has to be spelled out.
    pub(super) fn number(&self, word: &str) -> Option<u32> {
        if word.len() > LONGEST {
            return None;
        }
        let full = {
            let table = self.read();
            if let Some(number) = table.numbers.get(word) {
                return Some(*number);
            }
            table.words.len() >= MOST
        };
        if full { None } else { self.admit(word) }
    }

    /// The word of a number that [`Words::number`] has given.
    pub(super) fn word(&self, number: u32) -> Arc<str> {
        self.read().words.get(number as usize).cloned().unwrap_or_default()
    }

    fn admit(&self, word: &str) -> Option<u32> {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been quicker.
        if let Some(number) = table.numbers.get(word) {
            return Some(*number);
        }
        let number = u32::try_from(table.words.len()).ok().filter(|_| table.words.len() < MOST)?;
        let word: Arc<str> = word.into();
        table.words.push(Arc::clone(&word));
        table.numbers.insert(word, number);
        Some(number)
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_its_number() {
        let words = Words::default();
        let numbers = ["a", "b", "a", ""].map(|word| words.number(word).unwrap());
        assert_eq!(numbers, [0, 1, 0, 2]);
        assert_eq!((&*words.word(1), &*words.word(2)), ("b", ""));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_it_has() {
        let words = Words::default();
        for n in 0..MOST {
            assert!(words.number(&n.to_string()).is_some());
        }
        assert_eq!((words.number("one more"), words.number("17")), (None, Some(17)));
        assert_eq!(Words::default().number(&"x".repeat(LONGEST + 1)), None);
    }
}
