//! Numbers, texts and words as bytes, written and read in one order.
//!
//! Guarantees: what was written is read back; reading beyond the end yields zeros and never panics.
//! Does not know: which bytes mean what. The packed session does.

use std::sync::Arc;

use crate::token::{Scopes, Timestamp};

use super::words::Words;

/// What stands for a word that is spelled out. The others are their number and one.
const SPELLED: u64 = 0;

pub(super) struct Writer<'a> {
    pub bytes: Vec<u8>,
    pub words: &'a Words,
}

pub(super) struct Reader<'a>(pub &'a [u8]);

impl Writer<'_> {
    /// Seven bits a byte, the low ones first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// How much later `to` is. It wraps: any two times have a distance, those that are in order a short one.
    pub(super) fn distance(&mut self, from: Timestamp, to: Timestamp) {
        self.number(to.as_micros().wrapping_sub(from.as_micros()));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    pub(super) fn word(&mut self, word: &str) {
        match self.words.number(word) {
            Some(number) => self.number(u64::from(number) + 1),
            None => {
                self.number(SPELLED);
                self.text(word);
            }
        }
    }

    pub(super) fn scopes(&mut self, scopes: &Scopes) {
        self.number(scopes.iter().count() as u64);
        scopes.iter().for_each(|scope| self.word(scope));
    }
}

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let [byte] = self.array();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    pub(super) fn after(&mut self, from: Timestamp) -> Timestamp {
        Timestamp::from_micros(from.as_micros().wrapping_add(self.number()))
    }

    pub(super) fn before(&mut self, to: Timestamp) -> Timestamp {
        Timestamp::from_micros(to.as_micros().wrapping_sub(self.number()))
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let Some((array, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *array
    }

    /// The bytes of a text.
    pub(super) fn span(&mut self) -> &'a [u8] {
        let length = self.number() as usize;
        let (span, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        span
    }

    pub(super) fn text(&mut self) -> Arc<str> {
        String::from_utf8_lossy(self.span()).into()
    }

    pub(super) fn word(&mut self, words: &Words) -> Arc<str> {
        match self.number() {
            SPELLED => self.text(),
            number => words.word((number - 1) as u32),
        }
    }

    pub(super) fn scopes(&mut self, words: &Words) -> Scopes {
        let count = self.number();
        Scopes::new((0..count).map(|_| self.word(words)))
    }
}
