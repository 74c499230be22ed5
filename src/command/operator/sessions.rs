//! `portcullis sessions`: who is signed in.
//!
//! Guarantees: however many there are, no more than a page is held; text of clients cannot forge lines or colour a terminal.
//! Does not know: where they are kept.

use std::process::ExitCode;

use serde_json::Value;

use super::line::{Line, LineError};
use super::{Asking, failed, print, shown};

const PAGE: usize = 500;
const HEADING: &str =
    "session           user              last refresh          expires               from             device\n";

#[derive(clap::Args)]
pub(in super::super) struct SessionsArgs {
    /// Only those of this user, or, as client:ID, of an OAuth client that speaks for itself
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Show no more than so many
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    #[command(flatten)]
    asking: Asking,
}

pub(in super::super) fn run(args: &SessionsArgs) -> ExitCode {
    let told = args.asking.line(true).map(|line| tell(args, &line));
    match told {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&error),
        Err(code) => code,
    }
}

fn tell(args: &SessionsArgs, line: &Line) -> Result<(), LineError> {
    let (mut left, mut after, mut begun) = (args.limit.unwrap_or(usize::MAX), None, false);
    while left > 0 {
        let page = line.ask("GET", &target(args, left.min(PAGE), after.as_deref()), None, args.asking.patience())?;
        let sessions = page.get("sessions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut text = String::new();
        if !args.asking.json && !begun && !sessions.is_empty() {
            text.push_str(HEADING);
            begun = true;
        }
        for session in sessions {
            text += &if args.asking.json { format!("{session}\n") } else { row(session) };
        }
        print(&text);
        left -= sessions.len().min(left);
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    if !begun && !args.asking.json {
        print("nobody is signed in\n");
    }
    Ok(())
}

fn target(args: &SessionsArgs, limit: usize, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    query.extend_pairs(args.user.as_deref().map(|user| ("user", user)));
    query.extend_pairs(after.map(|after| ("after", after)));
    format!("/sessions?{}", query.finish())
}

fn row(session: &Value) -> String {
    let of = |name: &str| shown(session.get(name).unwrap_or(&Value::Null));
    let device = session.pointer("/device/name").map_or_else(|| "-".into(), shown);
    let (id, user, refresh, expires) = (of("id"), of("user"), of("last_refresh"), of("expires_at"));
    format!("{id:<17} {user:<17} {refresh:<21} {expires:<21} {:<16} {device}\n", of("address"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_clients_forges_no_lines() {
        let evil = "a\nb\u{1b}[31m\u{202e}";
        let row = row(&json!({"id": "x", "user": evil, "device": {"name": evil}}));
        assert_eq!(row.lines().count(), 1);
        assert!(!row.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{row:?}");
    }
}
