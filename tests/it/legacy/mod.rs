//! In front of an API that knows Basic passwords only: whose users are there and nowhere else.

mod check;
mod flood;
mod guessing;
mod htpasswd;
mod once;
mod realms;
mod sealed;
mod sunset;
mod vendor;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Answer, Gate, Seen, Start, Upstream, ok};

const LIST: &str = "/3rdparty/v1/messages";
const TOKEN: &str = "/3rdparty/v1/auth/token";

/// The server on a phone: plain HTTP, Basic only, without any prefix, and its users with their passwords.
struct Phone {
    upstream: Upstream,
    passwords: Arc<Mutex<HashMap<String, String>>>,
    /// What it says to everybody in place of an answer.
    mood: Arc<Mutex<Option<&'static str>>>,
}

impl Phone {
    /// With `sms`, whose password is [`PASSWORD`].
    fn start() -> Self {
        let passwords = Arc::new(Mutex::new(HashMap::from([("sms".to_owned(), PASSWORD.to_owned())])));
        let mood = Arc::new(Mutex::new(None));
        let (known, answers) = (Arc::clone(&passwords), Arc::clone(&mood));
        let upstream = Upstream::answering(move |seen| {
            if let Some(status) = *answers.lock().unwrap() {
                return format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes();
            }
            if seen.target.starts_with("/health") {
                return ok(b"{\"status\":\"pass\"}");
            }
            let (name, password) = presented(seen).unwrap_or_default();
            if known.lock().unwrap().get(&name) != Some(&password) {
                return b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"the phone\"\r\n\
                         content-length: 0\r\n\r\n"
                    .to_vec();
            }
            match seen.target.as_str() {
                "/undecided" => b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec(),
                "/odd" => b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(),
                _ => ok(b"[]"),
            }
        });
        Self { upstream, passwords, mood }
    }

    fn settings(start: Start, upstream: SocketAddr) -> Start {
        start
            .set("upstream.url", &format!("http://{upstream}"))
            .set("upstream.credentials", "sealed")
            .set("routes.upstream_prefix", "/")
            .set("users.check.path", CHECK)
            .set("workers", "2")
            .set("log.access", "all")
    }

    fn address(&self) -> SocketAddr {
        self.upstream.address
    }

    fn set(&self, name: &str, password: &str) {
        self.passwords.lock().unwrap().insert(name.into(), password.into());
    }

    /// Answers everything with this line in place of a status, or as usual again.
    fn says(&self, status: Option<&'static str>) {
        *self.mood.lock().unwrap() = status;
    }

    /// The names and passwords that reached it, with what they were for.
    fn presented(&self) -> Vec<(String, Option<(String, String)>)> {
        self.upstream.seen().iter().map(|seen| (seen.target.clone(), presented(seen))).collect()
    }

    /// How often it was asked about a password.
    fn checks(&self) -> usize {
        self.upstream.seen().iter().filter(|seen| seen.target == CHECK).count()
    }

    /// A gate before it that knows nobody, and has nothing set but where it is and what to ask.
    fn gate(&self) -> Start {
        Self::settings(Start::alone(), self.address())
    }
}

const CHECK: &str = "/messages?limit=1";
const PASSWORD: &str = "pA55-w:rd of the phone";

/// The name and password in a request.
fn presented(seen: &Seen) -> Option<(String, String)> {
    let encoded = seen.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

fn sign_in(gate: &Gate, name: &str, password: &str) -> Answer {
    gate.post(TOKEN).basic(name, password).json(&serde_json::json!({"scopes": ["all:any"]})).send()
}

fn list(gate: &Gate, pair: &Answer) -> Answer {
    gate.get(LIST).bearer(&pair.field("access_token")).send()
}
