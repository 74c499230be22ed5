//! What was found, for people and as JSON.
//!
//! Guarantees: the names of the JSON fields are those that the manual promises; what the upstream said cannot forge lines
//! (only ASCII that can be seen is taken of its headers).
//! Does not know: how it was found.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::audit::{Disagreement, Findings};

/// In a few words: whether all is well, and if not, why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Agree,
    Disagree,
    /// No disagreement was seen, but not enough was looked at.
    Incomplete,
}

impl Findings {
    pub(super) fn verdict(&self) -> Verdict {
        match (self.disagreements.len(), self.left_out, self.untold.len() == self.paths) {
            (1.., ..) => Verdict::Disagree,
            (0, 0, false) => Verdict::Agree,
            (0, ..) => Verdict::Incomplete,
        }
    }
}

pub(super) fn as_json(findings: &Findings, asked: usize, out: &mut impl Write) -> io::Result<()> {
    let disagreement = |it: &Disagreement| {
        json!({
            "kind": it.kind, "path": it.path, "variant": it.variant, "forwarded": it.forwarded,
            "asked_with": it.asked_with.as_str(), "status": it.answer.status.as_u16(), "method": it.looser.method.as_str(),
            "demand_of_path": it.looser.path, "demand_of_variant": it.looser.variant,
        })
    };
    let kinds = findings.kinds.iter().map(|(kind, tally)| {
        json!({
            "kind": kind, "asked": tally.asked, "taken": tally.taken, "refused": tally.refused, "looser": tally.looser,
        })
    });
    let verdict = match findings.verdict() {
        Verdict::Agree => "agree",
        Verdict::Disagree => "disagree",
        Verdict::Incomplete => "incomplete",
    };
    let all = json!({
        "verdict": verdict,
        "requests": asked,
        "paths": findings.paths,
        "untold": findings.untold,
        "left_out": findings.left_out,
        "spared": findings.spared,
        "kinds": kinds.collect::<Vec<Value>>(),
        "disagreements": findings.disagreements.iter().map(disagreement).collect::<Vec<_>>(),
    });
    writeln!(out, "{all:#}")
}

pub(super) fn as_text(findings: &Findings, asked: usize, out: &mut impl Write) -> io::Result<()> {
    let told = findings.paths - findings.untold.len();
    writeln!(
        out,
        "{:<18} {:>6} {:>10} {:>14} {:>13}",
        "variants", "asked", "same route", "gate refuses", "gate is looser"
    )?;
    for (kind, tally) in &findings.kinds {
        let (asked, taken, refused, looser) = (tally.asked, tally.taken, tally.refused, tally.looser);
        writeln!(out, "{kind:<18} {asked:>6} {taken:>10} {refused:>14} {looser:>13}")?;
    }
    writeln!(out)?;
    for it in &findings.disagreements {
        let (path, variant, method) = (&it.path, &it.variant, &it.looser.method);
        writeln!(out, "disagreement ({}): {variant} is {path} to the upstream", it.kind)?;
        writeln!(out, "  {} gets {} for both; the gate forwards {}", it.asked_with, it.answer.status, it.forwarded)?;
        writeln!(out, "  {method} {path} demands: {}; {method} {variant}: {}", it.looser.path, it.looser.variant)?;
    }
    if !findings.untold.is_empty() {
        let paths = findings.untold.join(", ");
        writeln!(out, "cannot be told from paths that the upstream does not have: {paths}")?;
        writeln!(out, "  credentials of its own may help: --header-file")?;
    }
    if findings.left_out > 0 {
        writeln!(out, "{} that matter were not asked for: raise --max-requests", findings.left_out)?;
    }
    if findings.spared > 0 {
        writeln!(out, "{} that the gate refuses or demands as much for were not asked for", findings.spared)?;
    }
    let said = match findings.verdict() {
        Verdict::Agree => "no disagreement",
        Verdict::Disagree => "the upstream and the gate read paths differently",
        Verdict::Incomplete => "no disagreement was seen, but not enough could be compared",
    };
    writeln!(out, "{said}: {told} of {} paths compared in {asked} requests", findings.paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_no_agreement() {
        let findings = |paths, untold: usize, left_out| Findings {
            paths,
            untold: vec![String::new(); untold],
            left_out,
            ..Findings::default()
        };
        assert_eq!(findings(3, 1, 0).verdict(), Verdict::Agree);
        assert_eq!(findings(3, 3, 0).verdict(), Verdict::Incomplete);
        assert_eq!(findings(3, 0, 1).verdict(), Verdict::Incomplete);
        assert_eq!(findings(0, 0, 0).verdict(), Verdict::Incomplete);
    }
}
