//! A Redis of its own for a test.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::until;

/// Ends with its test.
pub struct Engine {
    child: Option<Child>,
    pub port: u16,
    folder: TempDir,
    arguments: Vec<String>,
}

impl Engine {
    /// That keeps all it acknowledges.
    pub fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn with(arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut engine = Self { child: None, port, folder: tempfile::tempdir().unwrap(), arguments };
        engine.run();
        engine
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn run(&mut self) {
        let port = self.port.to_string();
        // Redis, or what else is named.
        let server = std::env::var("PORTCULLIS_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
        let mut command = Command::new(server);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(self.folder.path());
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        until("the engine", || self.try_ask("PING").filter(|answer| answer.starts_with("+PONG")));
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its answer as it is on the wire.
    pub fn ask(&self, line: impl Display) -> String {
        self.try_ask(line).unwrap()
    }

    fn try_ask(&self, line: impl Display) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).ok()?;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}
