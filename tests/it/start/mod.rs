//! The command line: what it says, what it makes, and how it ends.

mod commands;
mod environment;
mod first;
mod mistakes;
mod refusals;

use crate::support::Ended;

/// The lines in which a command says why it did not do its work, apart from the log.
fn complaints(ended: &Ended) -> Vec<String> {
    ended.stderr.lines().filter(|line| !line.starts_with('{')).map(str::to_owned).collect()
}

/// Holds a command to one clear line, and returns it.
#[track_caller]
fn one_line(ended: &Ended) -> String {
    let lines = complaints(ended);
    assert_eq!(lines.len(), 1, "{ended:#?}");
    assert!(lines[0].starts_with("portcullis: "), "{}", lines[0]);
    assert_eq!(ended.stderr.lines().next_back(), Some(&*lines[0]), "the log goes before");
    lines[0].clone()
}
