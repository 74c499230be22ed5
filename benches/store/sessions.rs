//! Sessions as after weeks of use, and a store that holds them.
//!
//! Guarantees: 32-byte subjects, all different; an IPv4 address; two scopes of a small set; no device, unless asked for.
//! Fresh ones would have shorter numbers.
//! Does not know: what is measured.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use portcullis::store::{Caps, Fsync, Remembered, Store};
use portcullis::token::{
    ALL_ANY, AccessOverlap, AccessStanding, CredentialVersion, Device, Lifetimes, OnReuse, Policy, Presented, Profile,
    Rotation, Scopes, Sender, Session, SessionId, Standing, Subject, Timestamp, TokenId, TokenKind,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const CREDENTIAL: CredentialVersion = CredentialVersion([7; 8]);

/// A store with its writer, ended without a snapshot.
pub struct Running {
    store: Arc<Store>,
    writer: Option<JoinHandle<()>>,
}

impl Deref for Running {
    type Target = Arc<Store>;

    fn deref(&self) -> &Arc<Store> {
        &self.store
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.store.close();
        if let Some(writer) = self.writer.take() {
            writer.join().unwrap();
        }
    }
}

pub fn start(folder: &Path, fsync: Fsync) -> Running {
    std::fs::create_dir_all(folder).unwrap();
    open(Remembered::read(folder).unwrap(), fsync)
}

pub fn open(remembered: Remembered, fsync: Fsync) -> Running {
    let caps = Caps { sessions: usize::MAX, sessions_per_user: 100, tombstones: usize::MAX };
    let lifetimes = Lifetimes { access_ttl: Duration::from_mins(15), refresh_ttl: Duration::from_hours(720) };
    let policy = Policy {
        issuer: "portcullis".to_owned(),
        audience: Vec::new(),
        access_type: "at+jwt".to_owned(),
        leeway: Duration::from_secs(30),
        max_token_bytes: 8192,
        smsgate: lifetimes,
        form: lifetimes,
        oauth: lifetimes,
        access_ttl_max: Duration::from_hours(1),
        session_ttl: Duration::from_hours(8760),
        access_overlap: AccessOverlap::For(Duration::from_secs(30)),
        retry_window: Duration::ZERO,
        on_reuse: OnReuse::Session,
    };
    let (store, writer) = remembered.open(fsync, caps, Arc::new(policy)).unwrap();
    Running { store: Arc::new(store), writer: Some(thread::spawn(|| writer.run())) }
}

pub fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Signs in numbers `from` to `to`, many at once, so that the writer has batches.
pub fn issue_all(store: &Arc<Store>, from: u64, to: u64, device: bool) {
    many_at_once(from, to, store, async move |store, n| {
        store.issue(session(n, device), &|_, _| Some(standing()), NOW).await.unwrap();
    });
}

pub fn end_all(store: &Arc<Store>, count: u64) {
    many_at_once(0, count, store, async |store, n| assert!(store.end(id(n)).await.unwrap()));
}

fn many_at_once(from: u64, to: u64, store: &Arc<Store>, work: impl AsyncFn(&Store, u64) + Copy + 'static) {
    const HANDS: usize = 1024;
    let tasks = LocalSet::new();
    for hand in 0..HANDS {
        let store = Arc::clone(store);
        tasks.spawn_local(async move {
            for n in (from..to).skip(hand).step_by(HANDS) {
                work(&store, n).await;
            }
        });
    }
    runtime().block_on(tasks);
}

/// Refreshes number `n` and waits for the disk. `false` if it is no more.
pub async fn refresh(store: &Store, n: u64, kid: &Arc<str>) -> bool {
    let Some(session) = store.find(id(n)) else { return false };
    let presented = Presented {
        session: session.id,
        generation: session.generation,
        issued_at: Timestamp::default(),
        profile: session.profile,
        arrived_at: NOW,
        sender: session.used_from,
        by: None,
        certificate: None,
    };
    let rotation = store.rotate(&presented, &|_, _| Some(standing()), kid, NOW, std::future::ready(())).await.unwrap();
    matches!(rotation, Rotation::Rotated(_))
}

pub fn ask(store: &Store, n: u64) -> AccessStanding {
    store.access_standing(TokenId { session: id(n), generation: u32::MAX, kind: TokenKind::Access }, NOW)
}

fn session(n: u64, device: bool) -> Session {
    let random = mix(n ^ 0x5e55_1011);
    let what = ["logs", "messages", "devices", "settings"][(random % 4) as usize];
    let scopes = Scopes::new([format!("{what}:read"), format!("{what}:write")]);
    let rotated_at = Timestamp::from_micros(NOW.as_micros() - random % 86_400_000_000);
    let created_at = Timestamp::from_micros(rotated_at.as_micros() - mix(random) % (30 * 86_400_000_000));
    let device = device.then(|| {
        let uuid = format!("{random:016x}-{:016x}-ab", mix(random));
        Box::new(Device { id: Some(uuid), name: Some("Pixel 9 Pro of Alexandra".to_owned()) })
    });
    let sender = Sender { address: Some(Ipv4Addr::from_bits(random as u32).into()), agent: None };
    Session {
        id: id(n),
        subject: Subject::new(format!("{:016x}{random:016x}", mix(random))),
        profile: Profile::Smsgate,
        scopes: scopes.clone(),
        granted: scopes,
        access_ttl: Duration::from_mins(15),
        device,
        begun_from: sender.clone(),
        used_from: sender,
        created_at,
        rotated_at,
        answered_at: rotated_at + Duration::from_micros(5000 + random % 3000),
        idle_expires_at: rotated_at + Duration::from_hours(720),
        expires_at: created_at + Duration::from_hours(8760),
        generation: (random % 2880) as u32,
        kid: "2026-01".into(),
        credential: CREDENTIAL,
        parent: None,
        access_floor: 0,
        in_doubt: false,
        outlived: None,
        client: None,
        certificate: None,
    }
}

pub fn id(n: u64) -> SessionId {
    let mut bytes = [0; SessionId::BYTES];
    bytes[..8].copy_from_slice(&mix(n).to_ne_bytes());
    bytes[8..].copy_from_slice(&(mix(!n) as u32).to_ne_bytes());
    SessionId::from_bytes(bytes)
}

/// Spreads numbers over all bits, each its own (splitmix64).
pub fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

fn standing() -> Standing {
    Standing { scopes: Scopes::new([ALL_ANY]), credential: CREDENTIAL }
}
