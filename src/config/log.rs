//! `[log]`: what the gate tells about itself.
//!
//! Guarantees: each setting is one of a few names.
//! Does not know: how and where lines are written, or whether there is a terminal.

use super::kind::Choice;
use super::reader::Reader;

#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
    pub access: AccessLog,
    /// Whether what happens to sessions leaves lines, whatever the level.
    pub audit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Json,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Which requests leave a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    /// Those that the gate itself refused.
    Refused,
    All,
}

impl Log {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self {
            format: r.choice("log.format", LogFormat::Auto),
            level: r.choice("log.level", LogLevel::Info),
            access: r.choice("log.access", AccessLog::Refused),
            audit: r.flag("log.audit", true),
        }
    }
}

impl Choice for LogFormat {
    const NAMES: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("json", Self::Json), ("text", Self::Text)];
}

impl Choice for LogLevel {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl Choice for AccessLog {
    const NAMES: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("refused", Self::Refused), ("all", Self::All)];
}
