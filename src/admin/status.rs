//! What the operator's listener tells: where the gate is in its life, and how its checks stand.
//!
//! Guarantees: a gate is ready only while it serves and no check that was asked for has anything to say against it; what
//! it can do without is told and counts for nothing.
//! Does not know: HTTP.

use std::fmt::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Where a gate is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Starting,
    /// Another gate holds the data directory.
    Waiting,
    Serving,
    Draining,
}

/// Something that can be wrong while a gate serves.
pub struct Check {
    /// One word.
    pub name: &'static str,
    /// What is wrong now, if anything is.
    pub trouble: Box<dyn Fn() -> Option<String> + Send + Sync>,
    /// Whether a gate can do without: then trouble is told, and it is ready all the same.
    pub dispensable: bool,
    /// What else there is to tell of it, if anything.
    pub note: Option<Note>,
}

pub type Note = Box<dyn Fn() -> Option<String> + Send + Sync>;

#[derive(Default)]
pub struct Status {
    stage: Mutex<Stage>,
    checks: OnceLock<Vec<Check>>,
}

/// How a gate stands, and a line for each check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    pub(super) lines: String,
}

impl Status {
    pub fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Hands in what is looked at from now on. Only the first call counts.
    pub fn look_at(&self, checks: Vec<Check>) {
        let _ = self.checks.set(checks);
    }

    /// Whether a gate is, with all its checks.
    pub fn is_ready(&self) -> bool {
        self.readiness(&[]).ready
    }

    /// Looks at everything but `excluded`.
    pub(super) fn readiness(&self, excluded: &[&str]) -> Readiness {
        let stage = *self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let not_serving = match stage {
            Stage::Starting => Some("starting"),
            Stage::Waiting => Some("another portcullis uses the data directory: waiting for it to end"),
            Stage::Serving => None,
            Stage::Draining => Some("draining"),
        };
        let checks = self.checks.get().into_iter().flatten().map(|check| {
            let note = check.note.as_ref().and_then(|note| note()).map(|note| format!(": {note}"));
            (check.name, check.dispensable, (check.trouble)(), note.unwrap_or_default())
        });
        let (mut ready, mut lines) = (true, String::new());
        let serving = ("serving", false, not_serving.map(str::to_owned), String::new());
        for (name, dispensable, trouble, note) in [serving].into_iter().chain(checks) {
            // Writing to a text cannot fail.
            let _ = match trouble {
                _ if excluded.contains(&name) => writeln!(lines, "[+]{name} excluded: ok"),
                None => writeln!(lines, "[+]{name} ok{note}"),
                Some(trouble) if dispensable => writeln!(lines, "[~]{name} troubled: {trouble}"),
                Some(trouble) => {
                    ready = false;
                    writeln!(lines, "[-]{name} failed: {trouble}")
                }
            };
        }
        Readiness { ready, lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: &Status, excluded: &[&str], ready: bool, lines: &str) {
        assert_eq!(status.readiness(excluded), Readiness { ready, lines: lines.into() });
    }

    #[test]
    fn a_gate_is_ready_while_it_serves() {
        let status = Status::default();
        check(&status, &[], false, "[-]serving failed: starting\n");
        status.enter(Stage::Serving);
        check(&status, &[], true, "[+]serving ok\n");
        status.enter(Stage::Draining);
        check(&status, &[], false, "[-]serving failed: draining\n");
    }

    #[test]
    fn a_check_that_fails_makes_it_unready_unless_it_was_left_out() {
        let status = Status::default();
        status.enter(Stage::Serving);
        let trouble = || Some("no space".into());
        status.look_at(vec![Check { name: "journal", trouble: Box::new(trouble), dispensable: false, note: None }]);
        check(&status, &[], false, "[+]serving ok\n[-]journal failed: no space\n");
        check(&status, &["journal"], true, "[+]serving ok\n[+]journal excluded: ok\n");
        check(&status, &["jour"], false, "[+]serving ok\n[-]journal failed: no space\n");
    }

    #[test]
    fn what_it_can_do_without_is_told_and_nothing_more() {
        let status = Status::default();
        status.enter(Stage::Serving);
        let trouble = || Some("gone".into());
        status.look_at(vec![Check { name: "issuers", trouble: Box::new(trouble), dispensable: true, note: None }]);
        check(&status, &[], true, "[+]serving ok\n[~]issuers troubled: gone\n");
        check(&status, &["issuers"], true, "[+]serving ok\n[+]issuers excluded: ok\n");
    }
}
