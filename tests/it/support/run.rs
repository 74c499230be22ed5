//! The binary as a command that comes to its end.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::until;

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

/// Keeps gates that run at the same time from wanting the same port for their operators.
const NO_ADMIN: (&str, &str) = ("PORTCULLIS_ADMIN__LISTEN", "");

/// The binary in a folder, with none of our variables that this process may have.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PORTCULLIS_") {
            command.env_remove(name);
        }
    }
    command.env_remove("JWT_SECRET_KEY").env(NO_ADMIN.0, NO_ADMIN.1);
    command
}

/// A command in the making.
pub struct Run {
    command: Command,
    input: Vec<u8>,
}

impl Run {
    pub fn new(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder);
        command.args(arguments);
        Self { command, input: Vec::new() }
    }

    /// With a limit of zero bytes on every file that it writes.
    pub fn writing_nothing(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder);
        let binary = command.get_program().to_owned();
        let environment: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        command = Command::new("sh");
        command.current_dir(folder).args(["-c", "ulimit -f 0 && exec \"$@\"", "sh"]).arg(binary).args(arguments);
        for name in environment {
            command.env_remove(name);
        }
        command.env(NO_ADMIN.0, NO_ADMIN.1);
        Self { command, input: Vec::new() }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads from standard input; else there is nothing to read.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it. One that does not end by itself is killed, and the test fails.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(&self.input);
        let (stdout, stderr) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
        let mut patience = Killing(child);
        let status = until("the command to end", || patience.0.try_wait().unwrap());
        Ended { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// No test leaves a process behind.
struct Killing(std::process::Child);

impl Drop for Killing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}
