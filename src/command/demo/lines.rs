//! How the demo speaks: aligned lines on a stream, in colour where a person may see it.
//!
//! Guarantees: colour only on a terminal and only if `NO_COLOR` is unset or empty; a stream that went away is an error,
//! not a panic.
//! Does not know: what there is to say.

use std::io::{self, IsTerminal, Write};

use http::StatusCode;

use super::client::Call;

/// How wide method and path are, so that what follows stands in a column.
const CALL: usize = 38;
/// The longest path that is shown whole.
const PATH: usize = 31;

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "1;31";
const DIM: &str = "2";

pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    steps: usize,
}

impl<'a> Lines<'a> {
    /// Lines on `out`, numbered from 1.
    pub(super) fn new(out: &'a mut dyn Write, colour: bool) -> Self {
        Self { out, colour, steps: 0 }
    }

    /// A line as it is.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A step that went as it should.
    pub(super) fn step(&mut self, shown: &str, status: StatusCode, meaning: &str) -> io::Result<()> {
        let colour = if status.is_success() { GREEN } else { YELLOW };
        let status = self.paint(colour, status.as_str());
        self.line(&status, shown, meaning)
    }

    /// A step that did not.
    pub(super) fn surprise(&mut self, shown: &str, status: Option<StatusCode>, what: &str) -> io::Result<()> {
        let status = self.paint(RED, status.as_ref().map_or("---", StatusCode::as_str));
        let what = self.paint(RED, &format!("SURPRISE: {what}"));
        self.line(&status, shown, &what)
    }

    /// How many steps were shown.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    fn line(&mut self, status: &str, shown: &str, meaning: &str) -> io::Result<()> {
        self.steps += 1;
        let shown = self.paint(DIM, &format!("{shown:CALL$}"));
        self.say(&format!("{:3}  {status}  {shown}  {meaning}", self.steps))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether standard output wants colour (no-color.org).
pub(super) fn wants_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Method and path, shortened to fit the column.
pub(super) fn show(call: &Call) -> String {
    let path = if call.path.chars().count() > PATH {
        format!("{}…", call.path.chars().take(PATH - 1).collect::<String>())
    } else {
        call.path.clone()
    };
    format!("{:6} {path}", call.method.as_str())
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn written(colour: bool, speak: impl FnOnce(&mut Lines<'_>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        speak(&mut Lines::new(&mut out, colour)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn steps_are_numbered_and_aligned() {
        let long = Call::new(Method::DELETE, format!("/3rdparty/v1/auth/token/{}", "j".repeat(24)));
        let text = written(false, |lines| {
            lines.step(&show(&Call::new(Method::GET, "/x")), StatusCode::OK, "one")?;
            lines.surprise(&show(&long), None, "two")
        });
        let columns: Vec<_> = text
            .lines()
            .map(|line| line.chars().count() - line.chars().rev().take_while(|c| *c != ' ').count())
            .collect();
        assert!(text.starts_with("  1  200  GET    /x "), "{text}");
        assert!(text.contains("  2  ---  DELETE /3rdparty/v1/auth/token/jjjjjj…  SURPRISE: two"), "{text}");
        assert_eq!(columns[0] + "SURPRISE: ".len(), columns[1]);
    }

    #[test]
    fn without_colour_there_is_no_escape() {
        let speak = |lines: &mut Lines<'_>| lines.step("GET /x", StatusCode::OK, "one");
        assert!(!written(false, speak).contains('\x1b'));
        assert!(written(true, speak).contains("\x1b[32m200\x1b[0m"));
    }
}
