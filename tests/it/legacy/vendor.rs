//! The vendor's own client before a phone.

use portcullis::command::demo::SampleUpstream;

use super::{PASSWORD, Phone, presented};
use crate::clients::{drive_python, prepared};
use crate::support::{Call, Start, Upstream};

/// Answers as the sample API does, for users that it knows by Basic alone.
fn sample_phone() -> (Upstream, SampleUpstream) {
    let sample = SampleUpstream::start("127.0.0.1:0".parse().unwrap(), "/").unwrap();
    let behind = sample.address();
    let upstream = Upstream::answering(move |seen| {
        let own = seen.target.starts_with("/health");
        let name = match presented(seen) {
            Some((name, password)) if password == PASSWORD => name,
            _ if own => String::new(),
            _ => return b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(),
        };
        let mut call = Call::new(behind, &seen.method, &seen.target).header("X-Auth-Subject", &name);
        if let Some(kind) = seen.header("content-type") {
            call = call.header("Content-Type", kind).body(seen.body.clone());
        }
        let answer = call.send();
        let mut raw = format!("HTTP/1.1 {} Said\r\n", answer.status);
        for (name, value) in answer.headers.iter().filter(|(name, _)| name != "content-length") {
            raw += &format!("{name}: {value}\r\n");
        }
        if answer.status != 204 {
            raw += &format!("content-length: {}\r\n", answer.body.len());
        }
        [(raw + "\r\n").into_bytes(), answer.body].concat()
    });
    (upstream, sample)
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn it_works_with_a_phone_behind_the_gate() {
    let (upstream, _sample) = sample_phone();
    let gate = Phone::settings(Start::alone(), upstream.address).start();
    drive_python(&gate, &prepared("python"), "sms", PASSWORD);
    let calls = upstream.seen().into_iter().filter(|seen| !seen.target.starts_with("/health"));
    let users: Vec<_> = calls.filter_map(|seen| presented(&seen)).collect();
    assert!(users.len() > 10 && users.iter().all(|own| *own == ("sms".into(), PASSWORD.into())), "{users:?}");
}
