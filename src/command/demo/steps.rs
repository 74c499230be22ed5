//! One step of the walk: a call, what must come of it, and the line that says so.
//!
//! Guarantees: what comes otherwise than expected is shown in its line, with what was expected, and is an error; an
//! answer's body, which may hold tokens, is never shown but for its `message`.
//! Does not know: which steps there are.

use std::error::Error;
use std::io;

use super::client::{Answer, Call, Target};
use super::lines::{Lines, show};

/// Why the walk ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalkError {
    /// It has been shown in the line of that step.
    #[error("step {0} went otherwise than promised")]
    Surprise(usize),
    #[error("the walk could not be shown")]
    Output(#[from] io::Error),
}

/// A call that was answered with the status that was expected.
pub(super) struct Step {
    shown: String,
    pub(super) answer: Answer,
}

pub(super) struct Steps<'a, 'out> {
    pub(super) gateway: Target,
    pub(super) lines: &'a mut Lines<'out>,
}

impl Steps<'_, '_> {
    /// Makes a call that must be answered with `status`.
    pub(super) async fn make(&mut self, call: Call, status: u16) -> Result<Step, WalkError> {
        let shown = show(&call);
        match call.send(&self.gateway).await {
            Ok(answer) => {
                let step = Step { shown, answer };
                self.demand(&step, step.answer.status == status, &status.to_string())?;
                Ok(step)
            }
            Err(e) => {
                let came = format!("expected {status}; {}", chain(&e));
                self.lines.surprise(&shown, None, &came)?;
                Err(WalkError::Surprise(self.lines.steps()))
            }
        }
    }

    /// Demands that something is true of a step; `expected` says what.
    pub(super) fn demand(&mut self, step: &Step, met: bool, expected: &str) -> Result<(), WalkError> {
        if met {
            return Ok(());
        }
        let status = step.answer.status;
        let message = step.answer.text("/message").map(|text| format!(" ({text})"));
        let came = format!("expected {expected}; came {status}{}", message.unwrap_or_default());
        self.lines.surprise(&step.shown, Some(status), &came)?;
        Err(WalkError::Surprise(self.lines.steps()))
    }

    /// Shows a step that met all demands.
    pub(super) fn tell(&mut self, step: &Step, meaning: &str) -> Result<(), WalkError> {
        Ok(self.lines.step(&step.shown, step.answer.status, meaning)?)
    }

    /// A whole step: made, answered with `status`, told.
    pub(super) async fn take(&mut self, call: Call, status: u16, meaning: &str) -> Result<(), WalkError> {
        let step = self.make(call, status).await?;
        self.tell(&step, meaning)
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::Method;

    use super::super::upstream::SampleUpstream;
    use super::*;

    fn health(gateway: SocketAddr, status: u16) -> (Result<(), WalkError>, String) {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, false);
        let mut steps = Steps { gateway: Target::plain(gateway), lines: &mut lines };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let taken = runtime.block_on(steps.take(Call::new(Method::GET, "/health"), status, "it lives"));
        (taken, String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_expected_answer_is_told() {
        let upstream = SampleUpstream::start(SocketAddr::from(([127, 0, 0, 1], 0)), "/").unwrap();
        let (taken, shown) = health(upstream.address(), 200);
        assert!(taken.is_ok() && shown.contains("200") && shown.ends_with("it lives\n"), "{shown}");
    }

    #[test]
    fn a_surprise_says_what_was_expected_and_what_came() {
        let upstream = SampleUpstream::start(SocketAddr::from(([127, 0, 0, 1], 0)), "/").unwrap();
        let (taken, shown) = health(upstream.address(), 403);
        assert!(matches!(taken, Err(WalkError::Surprise(1))));
        assert!(shown.ends_with("SURPRISE: expected 403; came 200 OK\n"), "{shown}");
    }

    #[test]
    fn no_answer_at_all_is_a_surprise() {
        let upstream = SampleUpstream::start(SocketAddr::from(([127, 0, 0, 1], 0)), "/").unwrap();
        let gone = upstream.address();
        drop(upstream);
        let (taken, shown) = health(gone, 200);
        assert!(matches!(taken, Err(WalkError::Surprise(1))));
        assert!(shown.contains("---") && shown.contains("expected 200; no connection: "), "{shown}");
    }
}
