//! What requests are counted by: the route rules, and what stands beside them.
//!
//! Guarantees: two rules that read alike share a number, so that no series is there twice; the number of names is bounded
//! however many rules are written.
//! Does not know: how a rule is found.

/// The number of a rule's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleNumber(u16);

/// Names of rules in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleNames(Vec<Box<str>>);

/// Names beyond these share the last: each costs every worker some kilobytes.
const MOST: usize = 1000;

impl RuleNumber {
    /// Nobody knows: the request was refused before its path was looked at.
    pub const NONE: Self = Self(0);
    /// No rule speaks of the path.
    pub const UNMATCHED: Self = Self(1);
    /// One of our own endpoints.
    pub const GATE: Self = Self(2);
    const OTHERS: Self = Self(3);

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for RuleNames {
    fn default() -> Self {
        Self(["", "(unmatched)", "(gate)", "(others)"].map(Box::from).into())
    }
}

impl RuleNames {
    /// The number of `name`, which gets one if it has none.
    pub fn number(&mut self, name: &str) -> RuleNumber {
        if let Some(known) = self.0.iter().position(|known| **known == *name) {
            return u16::try_from(known).map_or(RuleNumber::OTHERS, RuleNumber);
        }
        if self.0.len() >= MOST {
            return RuleNumber::OTHERS;
        }
        self.0.push(name.into());
        u16::try_from(self.0.len() - 1).map_or(RuleNumber::OTHERS, RuleNumber)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_names_share_a_number() {
        let mut names = RuleNames::default();
        let first = names.number("GET /a");
        assert_eq!(names.number("GET /a"), first);
        assert_ne!(names.number("GET /b"), first);
        assert_eq!(names.iter().nth(first.index()), Some("GET /a"));
    }

    #[test]
    fn there_are_only_so_many() {
        let mut names = RuleNames::default();
        for number in 0..2 * MOST {
            names.number(&format!("/{number}"));
        }
        assert_eq!(names.len(), MOST);
        assert_eq!(names.number("/one more"), RuleNumber::OTHERS);
    }
}
