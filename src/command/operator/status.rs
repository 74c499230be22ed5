//! `portcullis status`: a running gate at a glance.
//!
//! Guarantees: 0 only if the gate is ready.
//! Does not know: what is looked at. It shows what the gate tells.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::Value;

use super::{Asking, failed, print, shown};

const DAY: i64 = 86_400;

#[derive(clap::Args)]
pub(in super::super) struct StatusArgs {
    #[command(flatten)]
    asking: Asking,
}

pub(in super::super) fn run(args: &StatusArgs) -> ExitCode {
    let line = match args.asking.line(false) {
        Ok(line) => line,
        Err(code) => return code,
    };
    match line.ask("GET", "/status", None, args.asking.patience()) {
        Ok(told) => {
            print(&if args.asking.json { format!("{told:#}\n") } else { text(&told) });
            if told.get("ready") == Some(&Value::Bool(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => failed(&error),
    }
}

/// Writing to a text cannot fail.
fn text(told: &Value) -> String {
    let mut text = String::new();
    let of = |at: &str| told.pointer(at).map_or_else(|| "-".into(), shown);
    let uptime = told.pointer("/uptime_seconds").and_then(Value::as_u64).unwrap_or_default();
    let ready = if told.pointer("/ready") == Some(&Value::Bool(true)) { "ready" } else { "not ready" };
    let _ = writeln!(text, "portcullis {}, {}, up {}: {ready}", of("/version"), of("/role"), lasting(uptime));
    for check in list(told, "/checks") {
        let of = |name: &str| check.get(name).map_or_else(|| "-".into(), shown);
        let said =
            check.get("text").and_then(Value::as_str).map(|said| format!(": {}", plain(said))).unwrap_or_default();
        let _ = writeln!(text, "  check        {} {}{said}", of("name"), of("state"));
    }
    if told.get("store").is_some() {
        let _ = writeln!(
            text,
            "  store        {} sessions, {} ended ones remembered",
            of("/store/sessions"),
            of("/store/ended_sessions")
        );
        if let Some(journal) = told.pointer("/store/journal").and_then(Value::as_str) {
            let age = told.pointer("/store/snapshot_age_seconds").and_then(Value::as_u64);
            let age = age.map(|age| format!("; last snapshot {} ago", lasting(age))).unwrap_or_default();
            let records = of("/store/uncovered_records");
            let _ = writeln!(text, "  journal      {}, {records} records since the snapshot{age}", plain(journal));
        }
    }
    for key in list(told, "/keys") {
        let of = |name: &str| key.get(name).map_or_else(|| "-".into(), shown);
        let _ = writeln!(text, "  key          {} {} {}", of("kid"), of("algorithm"), of("state"));
    }
    for certificate in list(told, "/certificates") {
        let of = |name: &str| certificate.get(name).map_or_else(|| "-".into(), shown);
        let left = match certificate.get("seconds_left").and_then(Value::as_i64).unwrap_or_default() {
            seconds if seconds < 0 => "expired".into(),
            seconds if seconds < DAY => "less than a day".into(),
            seconds => format!("{} days", seconds / DAY),
        };
        let _ = writeln!(text, "  certificate  {} until {} ({left})", of("file"), of("expires_at"));
    }
    if let Some(upstream) = told.get("upstream") {
        let trouble = upstream.get("trouble").and_then(Value::as_str).map(plain);
        let reached =
            trouble.map_or_else(|| "can be reached".into(), |trouble| format!("cannot be reached: {trouble}"));
        let _ =
            writeln!(text, "  upstream     {} {reached} ({} ms)", of("/upstream/url"), of("/upstream/milliseconds"));
    }
    text
}

fn list<'a>(told: &'a Value, at: &str) -> &'a [Value] {
    told.pointer(at).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Sentences keep their spaces.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn lasting(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_do() {
        for (seconds, told) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(lasting(seconds), told);
        }
    }

    #[test]
    fn a_gate_that_still_starts_tells_what_it_can() {
        let told = serde_json::json!({"version": "1", "uptime_seconds": 3, "ready": false,
            "checks": [{"name": "serving", "state": "failed", "text": "starting"}]});
        assert_eq!(text(&told), "portcullis 1, -, up 3 s: not ready\n  check        serving failed: starting\n");
    }
}
