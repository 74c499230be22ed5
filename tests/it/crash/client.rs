//! A client that remembers what it was told, and what it was not told.
//!
//! Guarantees: after a restart everything the gate had acknowledged to it is asked for; where an answer was lost, either
//! outcome of the request is accepted, and nothing else. What was refused with 503 is asked for again, until it is done.
//! Does not know: when the gate dies.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Answer, Call};

use super::chance::Chance;
use super::storm::Storm;

pub const PASSWORD: &str = "wonderland";
const TOKEN: &str = "/3rdparty/v1/auth/token";
/// With an engine that has to be found again.
const PATIENCE: Duration = Duration::from_secs(10);
const SESSIONS: &str = "/3rdparty/v1/auth/sessions";

pub fn name(number: usize) -> String {
    format!("client-{number}")
}

#[derive(Clone)]
struct Pair {
    access: String,
    refresh: String,
    id: String,
}

/// What was asked and not answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doubt {
    Refresh,
    /// Answered 503: the token is as good as before.
    RefusedRefresh,
    /// Not answered, or with 503.
    Revocation,
    Replay,
}

pub struct Client {
    number: usize,
    chance: Chance,
    pair: Option<Pair>,
    /// The refresh token before the present one.
    consumed: Option<String>,
    doubt: Option<Doubt>,
    /// Pairs whose end was acknowledged.
    ended: Vec<Pair>,
    /// How many sessions may live that it knows nothing of any more: their sign-in, or whether they ended, was not answered.
    strays: usize,
    rotations: usize,
    /// Lost answers can be asked for again.
    retry_window: bool,
    /// A replay is answered 401 also where the end that follows from it cannot be written.
    outages: bool,
    /// What one gate knows comes to the others within a second; what may be a race to them is none after two.
    shared: bool,
}

impl Client {
    pub fn new(number: usize, seed: usize, storm: &Storm) -> Self {
        Self {
            number,
            chance: Chance::new(seed as u64),
            pair: None,
            consumed: None,
            doubt: None,
            ended: Vec::new(),
            strays: 0,
            rotations: 0,
            retry_window: storm.retry_window,
            outages: storm.outages,
            shared: storm.shared,
        }
    }

    pub fn rotations(&self) -> usize {
        self.rotations
    }

    /// Does one thing; `None` if the gate did not answer, else whether it acknowledged.
    pub fn act(&mut self, gate: SocketAddr) -> Option<bool> {
        match (self.doubt, self.chance.below(20)) {
            (Some(Doubt::RefusedRefresh), _) => self.refresh(gate),
            (Some(Doubt::Revocation), _) => self.revoke(gate),
            _ if self.pair.is_none() => self.sign_in(gate),
            (_, 0) => self.revoke(gate),
            (_, 1) if self.consumed.is_some() => self.replay(gate),
            _ => self.refresh(gate),
        }
    }

    /// Asks for everything that was acknowledged before the gate was killed. Returns of how many sessions that was.
    #[track_caller]
    pub fn examine(&mut self, gate: SocketAddr) -> usize {
        let ended = std::mem::take(&mut self.ended);
        for pair in &ended {
            self.expect(self.within_a_second(|| lists(gate, pair) == 401), "an ended session lives again");
            self.expect(refused(gate, pair), "an ended session lives again");
        }
        let at_most = self.strays + usize::from(self.pair.is_some());
        let listed = || {
            let all = ask(gate, &call(gate, "GET", SESSIONS).basic(&name(self.number), PASSWORD)).unwrap().json();
            all.as_array().unwrap().len()
        };
        let few = self.within_a_second(|| listed() <= at_most);
        self.expect(few, "a session that was refused or has ended is listed");
        let Some(pair) = self.pair.clone() else { return ended.len() };
        match self.doubt.take() {
            None => {
                self.expect(lists(gate, &pair) == 200, "an acknowledged session is gone");
                if let Some(consumed) = self.consumed.take_if(|_| self.chance.below(4) == 0) {
                    let replayed = self.ask_until_told(gate, &refresh(gate, &consumed));
                    self.expect_replay(&replayed, &consumed, &pair, gate);
                } else {
                    self.must_refresh(gate);
                }
            }
            Some(Doubt::RefusedRefresh) => {
                self.expect(lists(gate, &pair) == 200, "a refresh that was refused has ended its session");
                self.must_refresh(gate);
            }
            Some(Doubt::Refresh) => {
                let answer = self.ask_until_told(gate, &refresh(gate, &pair.refresh));
                match answer.status {
                    200 => self.take(&answer, Some(pair.refresh)),
                    status => {
                        self.expect(status == 401 && !self.retry_window, "a lost answer logs out");
                        self.expect(self.ends(gate, &pair.refresh, &pair), "a replay does not end its session");
                        self.forget();
                    }
                }
            }
            // Done or not done, but not half done.
            Some(Doubt::Revocation | Doubt::Replay) => {
                let mut listed = lists(gate, &pair);
                let refreshed = self.ask_until_told(gate, &refresh(gate, &pair.refresh)).status;
                if refreshed == 401 && self.within_a_second(|| lists(gate, &pair) == 401) {
                    listed = 401;
                }
                let both = (listed, refreshed);
                self.expect(both == (200, 200) || both == (401, 401), &format!("half an end: {both:?}"));
                self.strays += usize::from(listed == 200);
                self.forget();
            }
        }
        ended.len() + 1
    }

    /// A consumed token is refused and ends its session, unless a window allows it to be repeated: then its successor
    /// comes again, and no other.
    #[track_caller]
    fn expect_replay(&mut self, replayed: &Answer, consumed: &str, pair: &Pair, gate: SocketAddr) {
        if self.retry_window {
            self.expect(replayed.status == 200, "the window is not kept");
            self.expect(replayed.field("refresh_token") == pair.refresh, "a second successor");
            self.must_refresh(gate);
        } else {
            self.expect(replayed.status == 401, "a consumed token is accepted");
            self.expect(self.ends(gate, consumed, pair), "a replay does not end its session");
            self.forget();
        }
    }

    fn sign_in(&mut self, gate: SocketAddr) -> Option<bool> {
        let call = call(gate, "POST", TOKEN).basic(&name(self.number), PASSWORD);
        self.strays += 1;
        let answer = ask(gate, &call.json(&json!({ "scopes": ["messages:list", "tokens:manage"] })))?;
        self.strays -= 1;
        if answer.status != 503 {
            self.expect(answer.status == 201, &format!("a sign-in: {}", answer.status));
            self.take(&answer, None);
        }
        Some(answer.status != 503)
    }

    fn refresh(&mut self, gate: SocketAddr) -> Option<bool> {
        let pair = self.pair.clone()?;
        self.doubt = Some(Doubt::Refresh);
        let answer = ask(gate, &refresh(gate, &pair.refresh))?;
        if answer.status == 503 {
            self.doubt = Some(Doubt::RefusedRefresh);
            return Some(false);
        }
        self.expect(answer.status == 200, &format!("a refresh: {}", answer.status));
        self.take(&answer, Some(pair.refresh));
        self.rotations += 1;
        Some(true)
    }

    #[track_caller]
    fn must_refresh(&mut self, gate: SocketAddr) {
        let start = Instant::now();
        let mut acknowledged = self.refresh(gate);
        while self.shared && acknowledged == Some(false) && start.elapsed() < PATIENCE {
            acknowledged = self.refresh(gate);
        }
        self.expect(acknowledged == Some(true), "a refresh is not answered, or with 503");
    }

    fn revoke(&mut self, gate: SocketAddr) -> Option<bool> {
        let pair = self.pair.clone()?;
        self.doubt = Some(Doubt::Revocation);
        let call = call(gate, "DELETE", &format!("{TOKEN}/{}", pair.id)).basic(&name(self.number), PASSWORD);
        let answer = ask(gate, &call)?;
        // A gate that has not heard of a session yet cannot end it.
        if answer.status == 503 && self.shared {
            return Some(false);
        }
        if answer.status == 503 {
            let call = list(gate, &pair);
            self.expect(ask(gate, &call)?.status == 401, "a revocation that was not written does not hold");
            return Some(false);
        }
        self.expect(answer.status == 204, &format!("a revocation: {}", answer.status));
        self.ended.push(pair);
        self.forget();
        Some(true)
    }

    /// Presents what it has used before. Within a window that repeats the answer, else it ends the session.
    fn replay(&mut self, gate: SocketAddr) -> Option<bool> {
        let (pair, consumed) = (self.pair.clone()?, self.consumed.take()?);
        self.doubt = Some(Doubt::Replay);
        let answer = ask(gate, &refresh(gate, &consumed))?;
        match answer.status {
            // Of a rotation in doubt the same answer comes again, too.
            200 => {
                self.expect(answer.field("refresh_token") == pair.refresh, "a second successor");
                self.doubt = None;
            }
            503 => self.doubt = None,
            status => {
                self.expect(status == 401, &format!("a replay: {status}"));
                match self.outages || self.shared {
                    true => self.strays += 1,
                    false => self.ended.push(pair),
                }
                self.forget();
            }
        }
        Some(answer.status != 503)
    }

    /// Asks again what is answered 503, on an engine that is only just back.
    fn ask_until_told(&self, gate: SocketAddr, call: &Call) -> Answer {
        let start = Instant::now();
        loop {
            let answer = ask(gate, call).unwrap();
            if answer.status != 503 || !self.shared || start.elapsed() > PATIENCE {
                return answer;
            }
        }
    }

    /// Whether presenting `consumed` ends the session of `pair`, at the latest when it can be no race any more.
    fn ends(&self, gate: SocketAddr, consumed: &str, pair: &Pair) -> bool {
        let start = Instant::now();
        while self.shared && lists(gate, pair) != 401 && start.elapsed() < PATIENCE {
            let status = self.ask_until_told(gate, &refresh(gate, consumed)).status;
            self.expect(status == 401, &format!("a consumed token: {status}"));
        }
        refused(gate, pair)
    }

    fn within_a_second(&self, mut holds: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        loop {
            match holds() {
                true => return true,
                false if !self.shared || start.elapsed() > Duration::from_secs(1) => return false,
                false => {}
            }
        }
    }

    fn take(&mut self, answer: &Answer, consumed: Option<String>) {
        let [access, refresh, id] = ["access_token", "refresh_token", "id"].map(|field| answer.field(field));
        self.pair = Some(Pair { access, refresh, id });
        self.consumed = consumed;
        self.doubt = None;
    }

    fn forget(&mut self) {
        (self.pair, self.consumed, self.doubt) = (None, None, None);
    }

    #[track_caller]
    fn expect(&self, holds: bool, what: &str) {
        assert!(holds, "client {} after {} rotations: {what}", self.number, self.rotations);
    }
}

fn call(gate: SocketAddr, method: &str, target: &str) -> Call {
    Call::new(gate, method, target)
}

fn refresh(gate: SocketAddr, token: &str) -> Call {
    call(gate, "POST", "/3rdparty/v1/auth/token/refresh").bearer(token)
}

fn list(gate: SocketAddr, pair: &Pair) -> Call {
    call(gate, "GET", "/3rdparty/v1/messages").bearer(&pair.access)
}

fn lists(gate: SocketAddr, pair: &Pair) -> u16 {
    ask(gate, &list(gate, pair)).unwrap().status
}

/// Whether neither token of a pair opens anything.
fn refused(gate: SocketAddr, pair: &Pair) -> bool {
    (lists(gate, pair), ask(gate, &refresh(gate, &pair.refresh)).unwrap().status) == (401, 401)
}

/// Sends a request; `None` if there was no whole answer.
fn ask(gate: SocketAddr, call: &Call) -> Option<Answer> {
    let mut stream = TcpStream::connect(gate).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(&call.raw()).ok()?;
    let answer = Answer::read(&mut BufReader::new(stream))?;
    let whole = answer.header("content-length").is_none_or(|length| length == answer.body.len().to_string());
    whole.then_some(answer)
}
