//! An explanation for people.
//!
//! Guarantees: what a token claims cannot forge lines or colour a terminal.
//! Does not know: how it was come by.

use std::fmt::Write;

use serde_json::Value;

use super::super::operator::shown;

/// Writing to a text cannot fail.
pub(super) fn text(told: &Value) -> String {
    let of = |at: &str| told.pointer(at).filter(|value| !value.is_null());
    let word = |at: &str| of(at).map_or_else(|| "-".into(), shown);
    let said = |at: &str| of(at).and_then(Value::as_str).map(plain).unwrap_or_default();
    let mut text = String::new();
    let _ = match of("/verdict/passes") {
        Some(Value::Bool(true)) => writeln!(text, "passes: {}", said("/verdict/what")),
        _ => {
            let (status, reason) = (word("/verdict/status"), word("/verdict/reason"));
            let _ = writeln!(text, "refused with {status} {reason}: {}", said("/verdict/what"));
            writeln!(text, "  the client reads  {}: {}", word("/verdict/error"), said("/verdict/message"))
        }
    };
    if of("/request").is_some() {
        let path = of("/request/path").map_or_else(|| "(a path that is refused)".into(), shown);
        let _ = writeln!(text, "request  {} {path}", word("/request/method"));
        if of("/request/demands").is_some() {
            let rule = of("/request/rule").and_then(Value::as_str).map_or_else(|| "none".into(), plain);
            let _ = writeln!(text, "  rule      {rule}");
            let _ = writeln!(text, "  demands   {}", said("/request/demands"));
        }
        if of("/request/forwarded_as").is_some() {
            let _ = writeln!(text, "  forwarded as {}", word("/request/forwarded_as"));
        }
    }
    if of("/token").is_some() {
        let (typ, algorithm) = (word("/token/typ"), word("/token/algorithm"));
        let _ = writeln!(text, "token    {typ} {algorithm}, as it claims:");
        let _ = writeln!(text, "  issuer    {} ({})", word("/token/issuer"), word("/token/issuer_is"));
        let key = match (of("/token/key/known"), of("/token/key/state")) {
            (Some(Value::Bool(true)), Some(state)) => format!("{} for {}", shown(state), word("/token/key/algorithm")),
            (Some(Value::Bool(true)), None) => "known".into(),
            _ => "not known".into(),
        };
        let _ = writeln!(text, "  key       {} ({key})", word("/token/kid"));
        let _ = writeln!(text, "  subject   {}, audience {}", word("/token/subject"), word("/token/audience"));
        let _ = writeln!(text, "  scopes    {}", word("/token/scopes"));
        let leeway = word("/token/leeway_seconds");
        for time in of("/token/times").and_then(Value::as_array).into_iter().flatten() {
            let of = |name: &str| time.get(name).map_or_else(|| "-".into(), shown);
            let seconds = time.get("seconds").and_then(Value::as_i64).unwrap_or_default();
            let away =
                if seconds < 0 { format!("{} s ago", seconds.unsigned_abs()) } else { format!("in {seconds} s") };
            let _ = writeln!(text, "  {:<9} {} ({away}; leeway {leeway} s)", of("claim"), of("at"));
        }
        if of("/token/session").is_some() {
            let (id, is) = (word("/token/session/id"), word("/token/session/is"));
            let (generation, now) = (word("/token/session/generation"), word("/token/session/current_generation"));
            let token_is = word("/token/session/token_is");
            let _ = writeln!(text, "  session   {id} {is}; generation {generation} of {now}: {token_is}");
        }
    }
    let (live, ended) = (word("/store/sessions"), word("/store/ended_sessions"));
    let _ = writeln!(text, "store    {live} sessions, {ended} ended ones remembered; judged at {}", word("/now"));
    text
}

/// Sentences keep their spaces.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_token_claims_forges_no_lines() {
        let evil = "a\nverdict: fine\u{1b}[31m\u{202e}";
        let told = json!({
            "verdict": {"passes": false, "what": evil, "reason": "x", "message": evil},
            "request": {"method": evil, "path": evil, "rule": evil, "demands": evil, "forwarded_as": evil},
            "token": {"kid": evil, "typ": evil, "algorithm": evil, "issuer": [evil], "subject": {"a": evil}},
        });
        let text = text(&told);
        assert!(!text.contains("\nverdict"), "{text}");
        assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text}");
    }
}
