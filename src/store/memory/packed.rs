//! A session in some ninety bytes.
//!
//! Guarantees: unpacking gives back what was packed, whatever it was; what is asked often stands first, in a fixed
//! place, and is read without the rest; sessions have equal bytes only if they are equal.
//! Does not know: when a session changes, what its fields mean.
//!
//! Layout: flags, profile, marks (1 byte each), generation (4), last rotation (8), seconds from then to the first end (4);
//! numbers, times as distances, and names. `marks` are what a session says of itself in one bit.

use std::net::IpAddr;
use std::time::Duration;

use crate::token::{CredentialVersion, Device, Profile, Sender, Session, SessionId, Subject, Succession, Timestamp};

use super::bytes::{Reader, Writer};
use super::words::Words;

/// The pair is held back: the time of the answer is [`Timestamp::MAX`].
const HELD: u8 = 1;
/// The time of the answer is zero: the session was read from a file.
const UNANSWERED: u8 = 1 << 1;
/// What the sign-in may have is all granted.
const ALL_GRANTED: u8 = 1 << 2;
/// Access tokens live for no whole number of seconds.
const FRACTION: u8 = 1 << 3;
/// Some access tokens are cut.
const FLOOR: u8 = 1 << 4;
const PARENT: u8 = 1 << 5;
const DEVICE: u8 = 1 << 6;
const ADDRESS: u8 = 1 << 7;

/// Of the marks.
const IN_DOUBT: u8 = 1;
const OUTLIVED: u8 = 1 << 1;
const CLIENT: u8 = 1 << 2;
const AGENT: u8 = 1 << 3;
/// It was begun from elsewhere than it was used from last.
const BEGUN: u8 = 1 << 4;
const CERTIFICATE: u8 = 1 << 5;

/// What an address is written with.
const V4: u8 = 4;
const V6: u8 = 6;

const DEVICE_ID: u8 = 1;
const DEVICE_NAME: u8 = 1 << 1;

const SENDER_ADDRESS: u8 = 1;
const SENDER_AGENT: u8 = 1 << 1;

/// One session but for its id, which is the key that it is found by.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

/// What is read without the rest. Nothing here has a length of its own: a sweep looks at a million of these, and none has
/// to wait for the bytes of the one before.
struct Head {
    flags: u8,
    marks: u8,
    profile: Profile,
    generation: u32,
    rotated_at: Timestamp,
    /// Until when the session lives at least.
    lasts: Timestamp,
}

impl Packed {
    pub(super) fn pack(session: &Session, words: &Words) -> Self {
        let (flags, rotated_at) = (flags(session), session.rotated_at);
        let profile = match session.profile {
            Profile::Smsgate => 0,
            Profile::Form => 1,
            Profile::Oauth => 2,
        };
        let mark = |says: bool, mark| if says { mark } else { 0 };
        let marks = mark(session.in_doubt, IN_DOUBT)
            | mark(session.outlived.is_some(), OUTLIVED)
            | mark(session.client.is_some(), CLIENT)
            | mark(session.used_from.agent.is_some(), AGENT)
            | mark(session.begun_from != session.used_from, BEGUN)
            | mark(session.certificate.is_some(), CERTIFICATE);
        let first_end = session.idle_expires_at.min(session.expires_at);
        let seconds = u32::try_from(first_end.saturating_since(rotated_at).as_secs()).unwrap_or(u32::MAX);
        // Most sessions take less; the box takes what was needed.
        let mut out = Writer { bytes: Vec::with_capacity(160), words };
        out.bytes.extend([flags, profile, marks]);
        out.bytes.extend(session.generation.to_le_bytes());
        out.bytes.extend(rotated_at.as_micros().to_le_bytes());
        out.bytes.extend(seconds.to_le_bytes());
        if flags & FLOOR != 0 {
            out.bytes.extend(session.access_floor.to_le_bytes());
        }
        out.distance(lasts(rotated_at, seconds), session.idle_expires_at);
        out.distance(session.idle_expires_at, session.expires_at);
        out.text(session.subject.as_str());
        out.distance(session.created_at, rotated_at);
        if flags & (HELD | UNANSWERED) == 0 {
            out.distance(rotated_at, session.answered_at);
        }
        out.number(session.access_ttl.as_secs());
        if flags & FRACTION != 0 {
            out.number(session.access_ttl.subsec_nanos().into());
        }
        out.scopes(&session.scopes);
        if flags & ALL_GRANTED == 0 {
            out.scopes(&session.granted);
        }
        out.word(&session.kid);
        out.bytes.extend(session.credential.0);
        if let Some(address) = session.used_from.address {
            put_address(&mut out, address);
        }
        if let Some(parent) = &session.parent {
            out.bytes.extend(parent.as_bytes());
        }
        if let Some(device) = &session.device {
            put_device(&mut out, device);
        }
        if let Some(outlived) = session.outlived {
            out.bytes.extend(outlived.as_micros().to_le_bytes());
        }
        if let Some(client) = &session.client {
            out.word(client);
        }
        if let Some(agent) = &session.used_from.agent {
            out.text(agent);
        }
        if session.begun_from != session.used_from {
            put_sender(&mut out, &session.begun_from);
        }
        if let Some(certificate) = &session.certificate {
            out.text(certificate);
        }
        Self(out.bytes.into())
    }

    /// A field that [`Packed::pack`] forgets does not get past the tests, and none past the compiler here.
    pub(super) fn unpack(&self, id: SessionId, words: &Words) -> Session {
        let mut read = Reader(&self.0);
        let Head { flags, marks, profile, generation, rotated_at, lasts } = head(&mut read);
        let access_floor = floor(&mut read, flags);
        let idle_expires_at = read.after(lasts);
        let expires_at = read.after(idle_expires_at);
        let subject = Subject::new(read.text());
        let created_at = read.before(rotated_at);
        let answered_at = match flags & (HELD | UNANSWERED) {
            HELD => Timestamp::MAX,
            UNANSWERED => Timestamp::default(),
            _ => read.after(rotated_at),
        };
        let seconds = read.number();
        let access_ttl = Duration::new(seconds, if flags & FRACTION == 0 { 0 } else { read.number() as u32 });
        let scopes = read.scopes(words);
        let granted = if flags & ALL_GRANTED == 0 { read.scopes(words) } else { scopes.clone() };
        let mut session = Session {
            id,
            subject,
            profile,
            scopes,
            granted,
            access_ttl,
            created_at,
            rotated_at,
            answered_at,
            idle_expires_at,
            expires_at,
            generation,
            access_floor,
            in_doubt: marks & IN_DOUBT != 0,
            // Read as they are named here: one after another.
            kid: read.word(words),
            credential: CredentialVersion(read.array()),
            used_from: Sender { address: (flags & ADDRESS != 0).then(|| address(&mut read)), agent: None },
            parent: (flags & PARENT != 0).then(|| SessionId::from_bytes(read.array())),
            device: (flags & DEVICE != 0).then(|| Box::new(device(&mut read))),
            outlived: (marks & OUTLIVED != 0).then(|| Timestamp::from_micros(u64::from_le_bytes(read.array()))),
            client: (marks & CLIENT != 0).then(|| read.word(words)),
            begun_from: Sender::default(),
            certificate: None,
        };
        session.used_from.agent = (marks & AGENT != 0).then(|| plain(&mut read));
        session.begun_from = if marks & BEGUN == 0 { session.used_from.clone() } else { sender(&mut read) };
        session.certificate = (marks & CERTIFICATE != 0).then(|| plain(&mut read));
        session
    }

    pub(super) fn succession(&self) -> Succession {
        let mut read = Reader(&self.0);
        let Head { flags, generation, rotated_at, .. } = head(&mut read);
        Succession { generation, rotated_at, access_floor: floor(&mut read, flags) }
    }

    /// `false` if the session has not expired for certain; `true` at most a second early, unless the end is a century
    /// away.
    pub(super) fn may_have_expired(&self, now: Timestamp) -> bool {
        now >= head(&mut Reader(&self.0)).lasts
    }
}

fn flags(session: &Session) -> u8 {
    let answered = match session.answered_at {
        Timestamp::MAX => HELD,
        at if at == Timestamp::default() => UNANSWERED,
        _ => 0,
    };
    let holding = [
        (session.granted == session.scopes, ALL_GRANTED),
        (session.access_ttl.subsec_nanos() != 0, FRACTION),
        (session.access_floor != 0, FLOOR),
        (session.parent.is_some(), PARENT),
        (session.device.is_some(), DEVICE),
        (session.used_from.address.is_some(), ADDRESS),
    ];
    holding.into_iter().filter(|(holds, _)| *holds).fold(answered, |flags, (_, flag)| flags | flag)
}

fn head(read: &mut Reader<'_>) -> Head {
    let [flags, profile, marks] = read.array();
    let profile = match profile {
        0 => Profile::Smsgate,
        1 => Profile::Form,
        _ => Profile::Oauth,
    };
    let generation = u32::from_le_bytes(read.array());
    let rotated_at = Timestamp::from_micros(u64::from_le_bytes(read.array()));
    let lasts = lasts(rotated_at, u32::from_le_bytes(read.array()));
    Head { flags, marks, profile, generation, rotated_at, lasts }
}

fn lasts(rotated_at: Timestamp, seconds: u32) -> Timestamp {
    match seconds {
        // It may even be over already.
        0 => Timestamp::default(),
        seconds => rotated_at + Duration::from_secs(seconds.into()),
    }
}

fn floor(read: &mut Reader<'_>, flags: u8) -> u32 {
    if flags & FLOOR == 0 { 0 } else { u32::from_le_bytes(read.array()) }
}

fn put_address(out: &mut Writer<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            out.bytes.push(V4);
            out.bytes.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            out.bytes.push(V6);
            out.bytes.extend(v6.octets());
        }
    }
}

fn address(read: &mut Reader<'_>) -> IpAddr {
    match read.array() {
        [V4] => read.array::<4>().into(),
        _ => read.array::<16>().into(),
    }
}

fn put_sender(out: &mut Writer<'_>, sender: &Sender) {
    let given = |given: bool, flag| if given { flag } else { 0 };
    out.bytes.push(given(sender.address.is_some(), SENDER_ADDRESS) | given(sender.agent.is_some(), SENDER_AGENT));
    sender.address.into_iter().for_each(|address| put_address(out, address));
    sender.agent.iter().for_each(|agent| out.text(agent));
}

fn sender(read: &mut Reader<'_>) -> Sender {
    let [given] = read.array();
    let address = (given & SENDER_ADDRESS != 0).then(|| address(read));
    Sender { address, agent: (given & SENDER_AGENT != 0).then(|| plain(read)) }
}

fn plain(read: &mut Reader<'_>) -> Box<str> {
    String::from_utf8_lossy(read.span()).into()
}

fn put_device(out: &mut Writer<'_>, device: &Device) {
    let given = |text: &Option<String>, flag| if text.is_some() { flag } else { 0 };
    out.bytes.push(given(&device.id, DEVICE_ID) | given(&device.name, DEVICE_NAME));
    device.id.iter().chain(&device.name).for_each(|text| out.text(text));
}

fn device(read: &mut Reader<'_>) -> Device {
    let [given] = read.array();
    let mut text = |flag| (given & flag != 0).then(|| String::from_utf8_lossy(read.span()).into_owned());
    Device { id: text(DEVICE_ID), name: text(DEVICE_NAME) }
}

#[cfg(test)]
mod tests;
