//! Fifty clients present one refresh token at once.
//!
//! What had arrived when the winner's pair was let go has lost a race and proves no theft; what comes later does. The
//! pair is held back for [`SETTLE`], so all that is sent within that time of each other is a race.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::token::SETTLE;
use tokio::runtime::Builder;

use super::{REFRESH, ended, gate, lives, refresh, refused};
use crate::support::{Answer, Gate};

const CLIENTS: usize = 50;

/// How the last bytes of all requests leave.
#[derive(Clone, Copy, PartialEq)]
enum Release {
    OneAfterAnother,
    /// While the gate stands still: they have all arrived before it reads the first.
    ToAGateThatStandsStill,
}

/// Presents `token` on connections that the gate knows already and that have sent all but the last byte. Also the time
/// from the first to the last of these bytes.
fn over_connections(gate: &Gate, token: &str, release: Release) -> (Vec<Answer>, Duration) {
    let raw = gate.post(REFRESH).bearer(token).raw();
    let (last, most) = raw.split_last().unwrap();
    let mut streams: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(gate.address).unwrap()).collect();
    for stream in &mut streams {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&gate.get("/nowhere").raw()).unwrap();
        Answer::read(&mut BufReader::new(stream.try_clone().unwrap())).unwrap();
        stream.write_all(most).unwrap();
    }
    if release == Release::ToAGateThatStandsStill {
        gate.signal("STOP");
    }
    let start = Instant::now();
    for stream in &mut streams {
        stream.write_all(&[*last]).unwrap();
    }
    let took = start.elapsed();
    if release == Release::ToAGateThatStandsStill {
        gate.signal("CONT");
    }
    let answers = streams.into_iter().map(|stream| Answer::read(&mut BufReader::new(stream)).unwrap());
    (answers.collect(), took)
}

/// Presents `token` in as many streams of one HTTP/2 connection, spoken by prior knowledge.
fn over_streams(gate: &Gate, token: &str) -> Vec<Answer> {
    let request = |target: &str| {
        let request = Request::post(format!("http://{}{target}", gate.address));
        request.header("authorization", format!("Bearer {token}")).body(Empty::<Bytes>::new()).unwrap()
    };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let stream = tokio::net::TcpStream::connect(gate.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut sender, connection) =
            http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        // Both sides have told their settings once this is answered.
        sender.send_request(request("/nowhere")).await.unwrap();
        let sent: Vec<_> = (0..CLIENTS).map(|_| sender.send_request(request(REFRESH))).collect();
        let mut answers = Vec::new();
        for answer in sent {
            let (parts, body) = answer.await.unwrap().into_parts();
            let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
            let headers = headers.collect();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            answers.push(Answer { status: parts.status.as_u16(), headers, body });
        }
        answers
    })
}

/// The answer of the one winner; all others were refused, and not otherwise than any refresh token is.
#[track_caller]
fn winner(answers: &[Answer]) -> &Answer {
    assert_eq!(answers.len(), CLIENTS);
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1, "successors: {won:?}");
    for answer in lost {
        assert_eq!(refused(answer), "Invalid refresh token");
    }
    won[0]
}

/// Holds the session to be alive and its successor to be good in every respect.
#[track_caller]
fn goes_on(gate: &Gate, pair: &Answer) {
    lives(gate, pair);
    lives(gate, &refresh(gate, pair).expect(200));
}

/// Presents the raced token once more: a late duplicate is a theft, and ends the session.
#[track_caller]
fn ends_with_a_late_duplicate(gate: &Gate, token: &str, pair: &Answer) {
    lives(gate, pair);
    assert_eq!(refused(&gate.refresh(token)), "Invalid refresh token");
    ended(gate, pair);
    gate.wait_for_log("\"reuse\"");
}

/// Races with a fresh session each time, until one in which the last bytes left within [`SETTLE`]: only then were they
/// sent together. This process may be taken off the processor in the middle of it.
#[track_caller]
fn race(gate: &Gate, release: Release) -> (String, Answer) {
    for _ in 0..100 {
        let token = gate.alice(&["messages:list"]).field("refresh_token");
        let (answers, took) = over_connections(gate, &token, release);
        let pair = winner(&answers).clone();
        if took < SETTLE || release == Release::ToAGateThatStandsStill {
            return (token, pair);
        }
    }
    panic!("this machine never sent {CLIENTS} bytes within {SETTLE:?}");
}

#[test]
fn fifty_connections_at_once_get_one_successor_and_the_session_lives() {
    let gate = gate(&[]);
    let (_, pair) = race(&gate, Release::OneAfterAnother);
    goes_on(&gate, &pair);
}

#[test]
fn fifty_requests_that_had_all_arrived_get_one_successor_and_the_session_lives() {
    let gate = gate(&[]);
    let (_, pair) = race(&gate, Release::ToAGateThatStandsStill);
    goes_on(&gate, &pair);
}

#[test]
fn fifty_streams_of_one_connection_get_one_successor_and_the_session_lives() {
    let gate = gate(&[]);
    let token = gate.alice(&["messages:list"]).field("refresh_token");
    goes_on(&gate, winner(&over_streams(&gate, &token)));
}

#[test]
fn a_duplicate_that_comes_after_the_race_over_connections_ends_the_session() {
    let gate = gate(&[]);
    let (token, pair) = race(&gate, Release::OneAfterAnother);
    ends_with_a_late_duplicate(&gate, &token, &pair);
}

#[test]
fn a_duplicate_that_comes_after_the_race_over_streams_ends_the_session() {
    let gate = gate(&[]);
    let token = gate.alice(&["messages:list"]).field("refresh_token");
    let answers = over_streams(&gate, &token);
    ends_with_a_late_duplicate(&gate, &token, winner(&answers));
}

#[test]
fn with_a_retry_window_all_fifty_get_the_same_pair() {
    let gate = gate(&[("token.retry_window", "10s")]);
    let token = gate.alice(&["messages:list"]).field("refresh_token");
    let (mut answers, _) = over_connections(&gate, &token, Release::OneAfterAnother);
    answers.extend(over_streams(&gate, &token));
    let first = answers[0].clone().expect(200);
    for answer in answers {
        let answer = answer.expect(200);
        for field in ["id", "refresh_token", "expires_at"] {
            assert_eq!(answer.field(field), first.field(field));
        }
    }
    goes_on(&gate, &first);
}
