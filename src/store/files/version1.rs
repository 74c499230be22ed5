//! The first format of the snapshot, from before there was a journal: read, never written.
//!
//! Guarantees: independent of what a session has become since; these types do not change.
//! Does not know: anything newer.
//!
//! Layout: the magic of all snapshots, the version (u32), frames. A body is an enum in postcard: 0 a session, 1 a
//! tombstone, 2 the closing record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::token::{CredentialVersion, Device, Profile, Scopes, Sender, Session, SessionId, Subject, Timestamp};

use super::frame::Flaw;
use super::record::{self, Closing, InSnapshot, Record};

pub(super) const HEADER: usize = 12;

#[derive(Deserialize)]
enum Body {
    Session(Box<SessionV1>),
    Tombstone { id: SessionId, until: Timestamp },
    End { records: u64, newest: Timestamp },
}

#[derive(Deserialize)]
struct SessionV1 {
    id: SessionId,
    subject: Subject,
    profile: ProfileV1,
    scopes: Scopes,
    granted: Scopes,
    access_ttl: Duration,
    device: Option<DeviceV1>,
    address: Option<IpAddr>,
    created_at: Timestamp,
    rotated_at: Timestamp,
    idle_expires_at: Timestamp,
    expires_at: Timestamp,
    generation: u32,
    kid: Arc<str>,
    credential: [u8; 8],
    parent: Option<SessionId>,
    access_floor: u32,
}

#[derive(Deserialize)]
enum ProfileV1 {
    Smsgate,
}

#[derive(Deserialize)]
struct DeviceV1 {
    id: Option<String>,
    name: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<InSnapshot, Flaw> {
    Ok(match record::exactly(body)? {
        Body::Session(session) => InSnapshot::Record(Record::Session(Box::new(session.migrated()))),
        Body::Tombstone { id, until } => InSnapshot::Record(Record::Tombstone { id, until }),
        Body::End { records, newest } => InSnapshot::Closing(Closing { records, newest }),
    })
}

impl SessionV1 {
    fn migrated(self) -> Session {
        Session {
            id: self.id,
            subject: self.subject,
            profile: match self.profile {
                ProfileV1::Smsgate => Profile::Smsgate,
            },
            scopes: self.scopes,
            granted: self.granted,
            access_ttl: self.access_ttl,
            device: self.device.map(|device| Box::new(Device { id: device.id, name: device.name })),
            // Where it was begun from nobody wrote down.
            begun_from: Sender::default(),
            used_from: Sender { address: self.address, agent: None },
            created_at: self.created_at,
            rotated_at: self.rotated_at,
            answered_at: Timestamp::default(),
            idle_expires_at: self.idle_expires_at,
            expires_at: self.expires_at,
            generation: self.generation,
            kid: self.kid,
            credential: CredentialVersion(self.credential),
            parent: self.parent,
            access_floor: self.access_floor,
            in_doubt: false,
            outlived: None,
            client: None,
            certificate: None,
        }
    }
}
