//! What the operator's listener tells: where the gate is in its life, and how its checks stand.
//!
//! Guarantees: a gate is ready only while it serves and no check that was asked for has anything to say against it; what
//! it can do without is told and counts for nothing.
//! Does not know: HTTP.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

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
    checks: Mutex<Vec<Check>>,
    /// The operator wants no more requests to be sent here, until further notice.
    drained: AtomicBool,
}

/// How a gate stands, and what each check says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    pub(super) checks: Vec<Finding>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    name: &'static str,
    state: State,
    /// What is wrong, or what else there is to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Something is wrong that a gate can do without.
    Troubled,
    Failed,
    Excluded,
}

impl Status {
    pub fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Hands in what is looked at from now on, in place of what was before.
    pub fn look_at(&self, checks: Vec<Check>) {
        *self.checks.lock().unwrap_or_else(PoisonError::into_inner) = checks;
    }

    /// Takes the gate out of rotation, or puts it back: while it is out it is not ready, and serves whoever comes all the
    /// same. Returns whether that has changed anything.
    pub fn drain(&self, drained: bool) -> bool {
        self.drained.swap(drained, Ordering::Relaxed) != drained
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
            Stage::Draining => Some("draining"),
            Stage::Serving if self.drained.load(Ordering::Relaxed) => Some("taken out of rotation by the operator"),
            Stage::Serving => None,
        };
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let checks = checks.iter().map(|check| {
            let note = check.note.as_ref().and_then(|note| note());
            (check.name, check.dispensable, (check.trouble)(), note)
        });
        let serving = ("serving", false, not_serving.map(str::to_owned), None);
        let finding = |(name, dispensable, trouble, note): (_, bool, Option<String>, _)| {
            let (state, text) = match trouble {
                _ if excluded.contains(&name) => (State::Excluded, None),
                None => (State::Ok, note),
                Some(trouble) if dispensable => (State::Troubled, Some(trouble)),
                Some(trouble) => (State::Failed, Some(trouble)),
            };
            Finding { name, state, text }
        };
        let checks: Vec<_> = [serving].into_iter().chain(checks).map(finding).collect();
        Readiness { ready: checks.iter().all(|finding| finding.state != State::Failed), checks }
    }
}

impl Readiness {
    /// A line for each check.
    pub(super) fn lines(&self) -> String {
        let mut lines = String::new();
        for Finding { name, state, text } in &self.checks {
            let text = text.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
            // Writing to a text cannot fail.
            let _ = match state {
                State::Excluded => writeln!(lines, "[+]{name} excluded: ok"),
                State::Ok => writeln!(lines, "[+]{name} ok{text}"),
                State::Troubled => writeln!(lines, "[~]{name} troubled{text}"),
                State::Failed => writeln!(lines, "[-]{name} failed{text}"),
            };
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: &Status, excluded: &[&str], ready: bool, lines: &str) {
        let readiness = status.readiness(excluded);
        assert_eq!((readiness.ready, &*readiness.lines()), (ready, lines));
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
    fn an_operator_takes_it_out_of_rotation_and_puts_it_back() {
        let status = Status::default();
        status.enter(Stage::Serving);
        assert!(status.drain(true) && !status.drain(true));
        check(&status, &[], false, "[-]serving failed: taken out of rotation by the operator\n");
        assert!(status.drain(false));
        check(&status, &[], true, "[+]serving ok\n");
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
