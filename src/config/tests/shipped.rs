//! The shipped `config.toml` against what the code reads.
//!
//! Guarantees: the file is complete, says the defaults, and documents nothing that is not there.
//! Does not know: whether its prose is true.

use std::collections::BTreeSet;

use super::*;

const SHIPPED: &str = include_str!("../../../config.toml");

/// The shipped file as if every example in it were wanted.
pub(super) fn uncommented() -> String {
    let is_example = |line: &str| {
        let word = line.split(' ').next().unwrap_or_default();
        let key = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        matches!(
            line,
            "[[route]]" | "[[realm]]" | "[[client]]" | "[[issuer]]" | "[[token.keys]]" | "[[tls.certificates]]"
        ) || (key && line[word.len()..].starts_with(" = "))
    };
    let lines = SHIPPED.lines().map(|line| line.strip_prefix("# ").filter(|line| is_example(line)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_file_has_no_mistakes_and_says_the_defaults() {
    let shipped = right(SHIPPED);
    let defaults = Config::default();
    assert_eq!(values(shipped.clone()), values(defaults.clone()));
    let with_default = defaults.settings.iter().filter(|setting| setting.value.is_some()).count();
    assert!(with_default > 50, "{with_default}");
    for (written, default) in shipped.settings.iter().zip(&defaults.settings) {
        assert_eq!(written.value, default.value, "{}", written.key);
        let is_written = matches!(written.source, Place::Line { .. });
        assert_eq!(is_written, default.value.is_some(), "{} is written exactly if it has a default", written.key);
    }
}

#[test]
fn the_shipped_file_names_every_key_and_its_variable_and_no_others() {
    let words = SHIPPED.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
    let named: BTreeSet<String> = words.filter(|word| word.starts_with("PORTCULLIS_")).map(Into::into).collect();
    let mut known: BTreeSet<String> =
        Config::default().settings.iter().map(|setting| environment::variable(&setting.key)).collect();
    known.extend(["PORTCULLIS_CONFIG".into(), "PORTCULLIS_LOG".into()]);
    assert!(known.len() > 50, "{}", known.len());
    assert_eq!(named, known);

    // Each variable stands directly above its key.
    let lines: Vec<&str> = SHIPPED.lines().collect();
    let above = lines.windows(2).filter_map(|pair| Some((pair[0].strip_prefix("# PORTCULLIS_")?, pair[1])));
    let mut seen = 0;
    for (variable, line) in above {
        let key = line.trim_start_matches("# ").split(' ').next().unwrap_or_default();
        assert!(variable.to_lowercase().ends_with(key), "{variable} above {line}");
        seen += 1;
    }
    assert_eq!(seen, Config::default().settings.len());
}

#[test]
fn every_example_in_the_shipped_file_is_a_key() {
    let uncommented = uncommented();
    assert_eq!(uncommented.matches("\n[[route]]").count(), 3);
    assert_eq!(uncommented.matches("\n[[client]]").count(), 2);
    assert_eq!(uncommented.matches("\n[[token.keys]]").count(), 2);
    assert!(uncommented.contains("\nsecret = ") && uncommented.contains("\nusername = "));
    let found = layers(&uncommented, &[], &[]).unwrap_err();
    assert!(found.iter().all(|mistake| !mistake.contains("unknown")), "{found:#?}");

    // What follows are clients with secrets that nobody has.
    let at = |table: &str| uncommented.find(&format!("\n[[{table}]]")).unwrap();
    let realms = right(&uncommented[at("realm")..at("client")]).users.realms;
    assert_eq!(realms.len(), 2);

    let issuers = &uncommented[at("issuer")..at("realm")];
    let issuers = right(issuers).issuers;
    assert_eq!(issuers.len(), 2);
    assert_eq!(issuers[0].scopes.as_ref().map(|scopes| scopes.len()), Some(2));

    let routes = &uncommented[at("route")..];
    let rules = right(routes).routes.rules;
    let demands: Vec<&Demand> = rules.iter().map(|rule| &rule.demand).collect();
    assert_eq!(demands, [&Demand::Scope("items:read".into()), &Demand::Role("admin".into()), &Demand::Public]);
    assert_eq!(rules[0].methods, Some(vec![http::Method::GET]));
    assert_eq!(rules[1].methods, None);
}
