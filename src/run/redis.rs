//! What only a gate has whose sessions are on Redis: a thread that keeps the connection and follows the log.
//!
//! Guarantees: before a gate serves it has read all there is; all gates have the same keys; ends at once when told to.
//! Does not know: what is sent to the engine.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tracing::info;
use zeroize::{Zeroize, Zeroizing};

use crate::admin::Check;
use crate::clock::Clock;
use crate::config::{self, Config, StoreKind};
use crate::keys::KeyRing;
use crate::store::redis::{self, Attendant, Server, Terms, Tls};
use crate::store::{Health, Store};
use crate::token::Policy;

use super::{Footing, Scribe, StartError, accounts, keys, sealing, terms};

const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Waits for the engine.
pub(super) fn prepare(config: &Config, policy: &Arc<Policy>) -> Result<Footing, StartError> {
    let Some(engine) = engine(config)? else { return Err(StartError::Threads(io::ErrorKind::InvalidInput.into())) };
    let store = Arc::new(Store::shared(engine, terms::caps(config), Arc::clone(policy), Instant::now()));
    info!("waiting for the store on Redis");
    let attending = Attending::start(&store).map_err(StartError::Threads)?;
    let ring = ring(config, &store)?;
    let sealing = sealing(config, true)?;
    let accounts = accounts(config, store.knows_users(), None)?;
    let clock = Arc::new(Clock::starting_at(store.newest()));
    Ok(Footing { store, ring, accounts, clock, sealing, scribe: Scribe::Engine(attending) })
}

/// The keys, which are made by the first of all gates alone. A gate with others could verify nobody's refresh token, and
/// would take every password for changed and end all sessions.
fn ring(config: &Config, store: &Store) -> Result<KeyRing, StartError> {
    let nobody_was_here = store.is_empty() && claim(store, None)?.is_none();
    let ring = keys(config, !nobody_was_here).map_err(|error| error.of_engine(config))?;
    let mut text = b"the gates that share this store ".to_vec();
    text.extend_from_slice(ring.fingerprint_key());
    let mark = URL_SAFE_NO_PAD.encode(digest(&SHA256, &text));
    text.zeroize();
    if claim(store, Some(&mark))?.as_deref() != Some(&*mark) {
        return Err(StartError::OtherKeys { path: config.data_dir.join("keys") });
    }
    Ok(ring)
}

/// Tries until the engine answers.
fn claim(store: &Store, mark: Option<&str>) -> Result<Option<String>, StartError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Threads)?;
    loop {
        if let Ok(mark) = runtime.block_on(redis::claim(store, mark)) {
            return Ok(mark);
        }
        thread::sleep(AGAIN_AFTER);
    }
}

/// Without the engine this gate still judges tokens, and all others are no better off: it stays in service.
pub(super) fn check(store: &Arc<Store>) -> Check {
    let store = Arc::clone(store);
    let trouble = move || match store.health() {
        Health::Healthy => None,
        Health::Broken { why, since } | Health::Mending { why, since } => Some(format!(
            "sign-ins, refreshes and revocations are answered 503 for {} seconds, requests with a valid token pass: {why}",
            since.elapsed().as_secs()
        )),
    };
    Check { name: "redis", trouble: Box::new(trouble), dispensable: true, note: None }
}

/// How the engine is spoken with, if there is one.
///
/// # Errors
/// When a file cannot be read.
pub fn engine(config: &Config) -> Result<Option<Terms>, StartError> {
    let StoreKind::Redis(engine) = &config.store.kind else { return Ok(None) };
    let pem = |path: &Path| {
        fs::read(path).map_err(|source| StartError::DataDir { path: path.to_owned(), what: "read the file", source })
    };
    let text = |secret: &config::Secret| Zeroizing::new(String::from_utf8_lossy(secret.expose()).into_owned());
    let tls = match &config.store.tls {
        None => None,
        Some(config::UpstreamTls { trust, own, .. }) => Some(Tls {
            authority: if let config::UpstreamTrust::File(path) = trust { Some(pem(path)?) } else { None },
            client: match own {
                Some((certificate, key)) => Some((pem(certificate)?, Zeroizing::new(pem(key)?))),
                None => None,
            },
        }),
    };
    let server = |server: &config::RedisServer| Server { host: server.host.clone(), port: server.port };
    Ok(Some(Terms {
        servers: engine.servers.iter().map(server).collect(),
        sentinel: engine.sentinel.clone(),
        database: engine.servers.first().map_or(0, |server| server.database.into()),
        username: engine.username.clone(),
        password: engine.password.as_ref().map(text),
        tls,
        prefix: engine.key_prefix.clone(),
        timeout: engine.timeout,
        wait_replicas: engine.wait_replicas,
        max_stale: config.store.max_stale,
    }))
}

pub(super) struct Attending {
    thread: JoinHandle<()>,
    stop: CancellationToken,
}

impl Attending {
    /// Returns when all is known.
    fn start(store: &Arc<Store>) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (attendant, stopped) = (Attendant::new(Arc::clone(store)), stop.clone());
        let (tell, ready) = mpsc::channel();
        let tell = move || {
            // After the first time nobody listens.
            let _ = tell.send(());
        };
        let work = move || runtime.block_on(attendant.run(tell, stopped));
        let thread = thread::Builder::new().name("redis".into()).spawn(work)?;
        // It ends only when it is told to.
        let _ = ready.recv();
        Ok(Self { thread, stop })
    }

    pub(super) fn stop(self) {
        self.stop.cancel();
        // One that panicked has nothing left to say.
        let _ = self.thread.join();
    }
}
