//! Route rules: what a method and a path demand.
//!
//! Guarantees: the most specific rule decides, earlier ones first among equals; a path without a rule meets
//! [`Routes::unmatched`]; a rule that demands something is matched as loosely as lenient routers do (ASCII case,
//! trailing slash), so that no variant dodges it, and one that demands nothing is matched exactly, so that no variant
//! profits from it; GET covers HEAD.
//! Does not know: tokens, how a demand is met.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::metrics::{RuleNames, RuleNumber};

use super::Certified;
use super::handling::Handling;

/// What a route demands of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing; credentials are not forwarded.
    Public,
    /// Nothing; credentials and body are the upstream's to judge.
    Passthrough,
    /// Any valid access token.
    Authenticated,
    Scope(Arc<str>),
    Role(Arc<str>),
    /// Another demand, on a connection with such a certificate.
    Certified(Certified, Box<Self>),
    /// Cannot be met: the route is closed.
    Nobody,
    /// Cannot be met: no rule speaks of the path.
    Unmatched,
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("nothing (public)"),
            Self::Passthrough => f.write_str("nothing (passthrough)"),
            Self::Authenticated => f.write_str("any token"),
            Self::Scope(scope) => write!(f, "scope {scope}"),
            Self::Role(role) => write!(f, "role {role}"),
            Self::Certified(certified, demand) => write!(f, "{demand}, and certificate {}", certified.pattern()),
            Self::Nobody => f.write_str("not forwarded"),
            Self::Unmatched => f.write_str("no rule, so refused"),
        }
    }
}

impl Demand {
    /// What it demands besides a certificate.
    pub fn of_credentials(&self) -> &Self {
        match self {
            Self::Certified(_, demand) => demand,
            demand => demand,
        }
    }

    fn asks_something(&self) -> bool {
        !matches!(self, Self::Public | Self::Passthrough)
    }
}

/// One rule. `path` is absolute; a segment `{name}` stands for any one segment, a last segment `*` for any remainder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub path: String,
    /// Empty: every method.
    pub methods: Vec<Method>,
    pub demand: Demand,
    pub handling: Handling,
}

impl Rule {
    pub fn new(method: Method, path: impl Into<String>, demand: Demand) -> Self {
        Self { path: path.into(), methods: vec![method], demand, handling: Handling::default() }
    }

    pub fn any_method(path: impl Into<String>, demand: Demand) -> Self {
        Self { path: path.into(), methods: Vec::new(), demand, handling: Handling::default() }
    }

    /// How the rule reads in numbers: its methods and its path.
    pub fn name(&self) -> String {
        let methods: Vec<_> = self.methods.iter().map(Method::as_str).collect();
        if methods.is_empty() { self.path.clone() } else { format!("{} {}", methods.join(","), self.path) }
    }

    fn covers(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// Whether `path`, which this rule matches but perhaps for ASCII case, spells the literal segments as it does.
    fn is_spelled_in(&self, path: &str) -> bool {
        let mut pairs = self.path.split('/').zip(path.split('/'));
        pairs.all(|(ours, theirs)| ours == theirs || ours == "*" || ours.starts_with('{'))
    }
}

/// All rules, as a tree of path segments.
#[derive(Debug)]
pub struct Routes {
    root: Node,
    unmatched: Demand,
    unhandled: Handling,
    names: RuleNames,
}

/// A rule, and by what number requests that meet it are counted.
#[derive(Debug)]
struct Numbered {
    rule: Rule,
    number: RuleNumber,
}

#[derive(Debug, Default)]
struct Node {
    /// Each once, whatever its case: were two spellings apart, one would hide the more specific rules of the other. In
    /// the order of [`compare`]: two hundred of them looked at one by one would cost a microsecond.
    literals: Vec<(Box<str>, Node)>,
    parameter: Option<Box<Node>>,
    /// Rules whose path ends here.
    ends: Vec<Numbered>,
    /// Rules whose path goes on with `*`.
    rest: Vec<Numbered>,
}

impl Routes {
    pub fn new(rules: impl IntoIterator<Item = Rule>, unmatched: Demand) -> Self {
        Self::named(RuleNames::default(), rules, unmatched)
    }

    /// The same, counted by numbers of which `names` knows some already: a rule that reads as one before has the number of
    /// that one.
    pub fn named(mut names: RuleNames, rules: impl IntoIterator<Item = Rule>, unmatched: Demand) -> Self {
        let mut root = Node::default();
        for rule in rules {
            let number = names.number(&rule.name());
            root.add(Numbered { rule, number });
        }
        Self { root, unmatched, unhandled: Handling::default(), names }
    }

    /// What requests are counted by.
    pub fn names(&self) -> &RuleNames {
        &self.names
    }

    /// What a request with this method and canonical path has to meet.
    pub fn demand(&self, method: &Method, path: &str) -> &Demand {
        self.find(method, path).0
    }

    /// The same, what is done beyond it, and by what number such a request is counted.
    pub fn find(&self, method: &Method, path: &str) -> (&Demand, &Handling, RuleNumber) {
        self.numbered(method, path).map_or((&self.unmatched, &self.unhandled, RuleNumber::UNMATCHED), |found| {
            (&found.rule.demand, &found.rule.handling, found.number)
        })
    }

    /// The rule that decides; `None`: no rule speaks of the path.
    pub fn rule(&self, method: &Method, path: &str) -> Option<&Rule> {
        self.numbered(method, path).map(|found| &found.rule)
    }

    fn numbered(&self, method: &Method, path: &str) -> Option<&Numbered> {
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let rest = trimmed.strip_prefix('/').filter(|rest| !rest.is_empty());
        self.root.find(rest, Search { method, path })
    }

    /// The scopes that some rule demands.
    pub fn scopes(&self) -> Vec<Arc<str>> {
        let mut scopes = Vec::new();
        self.root.collect_scopes(&mut scopes);
        scopes.sort();
        scopes.dedup();
        scopes
    }
}

#[derive(Clone, Copy)]
struct Search<'a> {
    method: &'a Method,
    /// As it came, with a slash at its end if it has one.
    path: &'a str,
}

impl Search<'_> {
    /// The first of `rules` for this request. One that demands nothing counts only where the path is `exact`.
    fn among(self, rules: &[Numbered], exact: bool) -> Option<&Numbered> {
        let fits = |rule: &Rule| rule.demand.asks_something() || (exact && rule.is_spelled_in(self.path));
        rules.iter().find(|Numbered { rule, .. }| rule.covers(self.method) && fits(rule))
    }
}

impl Node {
    fn add(&mut self, rule: Numbered) {
        let path = rule.rule.path.clone();
        let mut node = self;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            if segment == "*" {
                node.rest.push(rule);
                return;
            }
            node = if segment.starts_with('{') {
                node.parameter.get_or_insert_default()
            } else {
                let at = node.place_of(segment).unwrap_or_else(|at| {
                    node.literals.insert(at, (segment.into(), Node::default()));
                    at
                });
                &mut node.literals[at].1
            };
        }
        node.ends.push(rule);
    }

    /// Depth first: literal before parameter before remainder, so the first find is the most specific. `rest` is what
    /// follows this node's segment, without its leading slash.
    fn find(&self, rest: Option<&str>, search: Search<'_>) -> Option<&Numbered> {
        let Some(rest) = rest else {
            let slash = search.path.ends_with('/');
            // `/a/` is a variant of `/a`, but the remainder of `/a/*`, which covers `/a` too where it demands something:
            // routers disagree on whether it should.
            return search.among(&self.ends, !slash || search.path == "/").or_else(|| search.among(&self.rest, slash));
        };
        // Segments are short: a plain loop finds their end faster than a searcher is set up.
        let (segment, after) = match rest.bytes().position(|byte| byte == b'/') {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        let literal = self.place_of(segment).ok().map(|at| &self.literals[at].1);
        literal
            .and_then(|node| node.find(after, search))
            .or_else(|| self.parameter.as_ref().and_then(|node| node.find(after, search)))
            .or_else(|| search.among(&self.rest, true))
    }

    /// Where among the literals this one is, or where it belongs.
    fn place_of(&self, segment: &str) -> Result<usize, usize> {
        self.literals.binary_search_by(|(literal, _)| compare(literal, segment))
    }

    fn collect_scopes(&self, scopes: &mut Vec<Arc<str>>) {
        for Numbered { rule, .. } in self.ends.iter().chain(&self.rest) {
            if let Demand::Scope(scope) = rule.demand.of_credentials() {
                scopes.push(Arc::clone(scope));
            }
        }
        let children = self.literals.iter().map(|(_, node)| node).chain(self.parameter.as_deref());
        children.for_each(|node| node.collect_scopes(scopes));
    }
}

/// By length, then as if all letters were small: an order in which equal is what `eq_ignore_ascii_case` calls equal. From
/// the end, as numbered siblings differ there.
fn compare(literal: &str, segment: &str) -> Ordering {
    let small = |byte: u8| byte.to_ascii_lowercase();
    literal
        .len()
        .cmp(&segment.len())
        .then_with(|| literal.bytes().rev().map(small).cmp(segment.bytes().rev().map(small)))
}

#[cfg(test)]
mod tests;
