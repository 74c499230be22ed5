//! The assembly: builds every room from the configuration, starts them, and ends them in order.
//!
//! Guarantees: everything that can be wrong is found before the port is bound; no constructor elsewhere spawns
//! anything, all threads start here; the end is: stop accepting, drain, last snapshot.
//! Does not know: what any room decides.

mod keeper;
mod terms;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tracing::{info, warn};

use crate::account::{Accounts, Directory, FileTrouble, Found, HashFailed};
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::edge::{self, BindError, Crew};
use crate::gateway::{Charter, Gateway, Mapping, Routes};
use crate::keys::{FileProblem, KeyError, KeyRing};
use crate::muster::{Muster, Roll};
use crate::profile::Sessions;
use crate::store::{FilesError, Remembered, SNAPSHOT, Store};

use keeper::Keeper;

/// A gate that serves. Dropping it without [`Running::stop`] leaves its threads to the process.
pub struct Running {
    address: SocketAddr,
    crew: Crew,
    keeper: Keeper,
    store: Arc<Store>,
    journal: JoinHandle<()>,
    _lock: std::fs::File,
}

/// Why a gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: cannot {what}", path.display())]
    DataDir {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("{}: {trouble}", path.display())]
    Users { path: PathBuf, trouble: FileTrouble },
    /// Every session would be taken for one of a removed user, and end.
    #[error(
        "{}: no users, but there are sessions, which would all end; put the file back, or move {SNAPSHOT} and \
         sessions.journal.* in the data directory away if that is meant",
        path.display()
    )]
    SessionsWithoutUsers { path: PathBuf },
    #[error(transparent)]
    Password(#[from] HashFailed),
    #[error(transparent)]
    Sessions(#[from] FilesError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the system gives no threads")]
    Threads(#[source] io::Error),
}

/// The last snapshot could not be written. What was acknowledged is in the journal all the same.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StopError(#[from] FilesError);

impl StartError {
    /// Whether the set-up is at fault, and not the moment.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Keys(KeyError::File { problem: FileProblem::Write(error), .. }) => !is_full(error),
            Self::Keys(_) | Self::Users { .. } | Self::SessionsWithoutUsers { .. } => true,
            Self::DataDir { .. } | Self::Password(_) | Self::Sessions(_) | Self::Bind(_) | Self::Threads(_) => false,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Everything but the network, built and checked.
pub struct Prepared {
    charter: Arc<Charter>,
    rolls: Vec<Roll>,
    journal: JoinHandle<()>,
    lock: std::fs::File,
}

/// Builds all rooms. Waits for another process to let go of the data directory.
///
/// # Errors
/// [`StartError`] for whatever is not as it must be.
pub fn prepare(config: &Config) -> Result<Prepared, StartError> {
    let lock = lock(&config.data_dir)?;
    let policy = Arc::new(terms::policy(config));
    let remembered = Remembered::read(&config.data_dir)?;
    for notice in remembered.notices() {
        if notice.is_warning() { warn!("{notice}") } else { info!("{notice}") }
    }
    let now = clock::wall().as_secs();
    let (ring, notices) = KeyRing::open(&config.data_dir, terms::key_source(config), !remembered.is_empty(), now)?;
    for notice in notices {
        if notice.is_warning() { warn!("{notice}") } else { info!("{notice}") }
    }
    let (ring, accounts) = (Arc::new(ring), Arc::new(accounts(config, !remembered.is_empty())?));
    let (store, writer) = remembered.open(terms::fsync(config), terms::caps(config), Arc::clone(&policy))?;
    let journal = thread::Builder::new().name("journal".into()).spawn(|| writer.run()).map_err(StartError::Threads)?;
    let store = Arc::new(store);
    let clock = Arc::new(Clock::starting_at(store.newest()));
    let routes = Routes::new(terms::rules(config), terms::unmatched(config));
    let (muster, rolls) = Muster::new(config.workers.get());
    let sessions = Sessions {
        store: Arc::clone(&store),
        accounts: Arc::clone(&accounts),
        ring: Arc::clone(&ring),
        clock: Arc::clone(&clock),
        muster,
        policy: Arc::clone(&policy),
        record_addresses: terms::record_addresses(config),
        known_scopes: terms::known_scopes(config, &routes),
    };
    let charter = Charter {
        clock,
        mapping: Mapping::new(&config.upstream.url.base, &config.routes.prefix, &config.routes.upstream_prefix),
        auth_path: format!("{}/auth", config.routes.prefix),
        upstream_auth_paths: terms::upstream_auth_paths(config),
        smsgate: config.profiles.smsgate.enabled,
        basic_auth: terms::basic_auth(config),
        trusted_proxies: config.server.trusted_proxies.clone(),
        bounds: terms::bounds(config),
        access_log: terms::access_log(config),
        policy,
        ring,
        store,
        accounts,
        sessions,
        routes,
    };
    Ok(Prepared { charter: Arc::new(charter), rolls, journal, lock })
}

/// Looks at everything that a start would look at, and makes, locks and binds nothing.
///
/// # Errors
/// All that would stop a start.
pub fn check(config: &Config) -> Result<Vec<String>, Vec<StartError>> {
    let (mut notes, mut errors) = (Vec::new(), Vec::new());
    let sessions_exist = match Remembered::read(&config.data_dir) {
        Ok(remembered) => {
            notes.extend(remembered.notices().iter().map(ToString::to_string));
            !remembered.is_empty()
        }
        Err(error) => {
            errors.push(error.into());
            false
        }
    };
    // As if there were sessions, so that no key is made.
    match KeyRing::open(&config.data_dir, terms::key_source(config), true, clock::wall().as_secs()) {
        Ok((_, notices)) => notes.extend(notices.iter().map(ToString::to_string)),
        Err(KeyError::SessionsWithoutKeys { .. }) if !sessions_exist => {
            notes.push("keys will be made at the first start".into());
        }
        Err(error) => errors.push(error.into()),
    }
    let path = &config.users.file;
    match Directory::open(path) {
        Ok((directory, _)) if directory.users().is_empty() && sessions_exist => {
            errors.push(StartError::SessionsWithoutUsers { path: path.clone() });
        }
        Ok((_, Found::Nothing)) => notes.push(format!(
            "{}: there is no such file, so nobody can sign in; `portcullis hash-password` makes the hash of a user",
            path.display()
        )),
        Ok((directory, Found::File)) => notes.push(format!("{}: users: {}", path.display(), directory.users().len())),
        Err(trouble) => errors.push(StartError::Users { path: path.clone(), trouble }),
    }
    if errors.is_empty() { Ok(notes) } else { Err(errors) }
}

/// Starts a gate and returns once it accepts connections.
///
/// # Errors
/// [`StartError`] for whatever is not as it must be, or cannot be had.
pub fn start(config: Config) -> Result<Running, StartError> {
    let prepared = prepare(&config)?;
    open(&config, prepared)
}

/// Opens what was prepared from the same configuration, and returns once it accepts connections.
///
/// # Errors
/// When the port or a thread cannot be had.
pub fn open(config: &Config, prepared: Prepared) -> Result<Running, StartError> {
    let listener = edge::bind(config.server.listen)?;
    serve(config, prepared, &listener).map_err(StartError::Threads)
}

fn serve(config: &Config, prepared: Prepared, listener: &TcpListener) -> io::Result<Running> {
    let Prepared { charter, rolls, journal, lock } = prepared;
    let address = listener.local_addr()?;
    let keeper = Keeper::start(Arc::clone(&charter), config.store.snapshot_interval)?;
    let (shift, upstream) = (terms::shift(config), terms::upstream(config));
    let (store, cache) = (Arc::clone(&charter.store), config.limits.token_cache_entries);
    let make = move || Gateway::new(Arc::clone(&charter), upstream.clone(), cache);
    let crew = Crew::start(listener, rolls, &shift, make)?;
    info!(%address, workers = config.workers, upstream = %terms::shown(&config.upstream.url), "listening");
    Ok(Running { address, crew, keeper, store, journal, _lock: lock })
}

impl Running {
    /// Where it listens; tells the port if the system chose it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests in flight finish within the drain timeout, and writes the last snapshot.
    ///
    /// # Errors
    /// When that snapshot cannot be written.
    pub fn stop(self) -> Result<(), StopError> {
        info!("draining");
        self.crew.drain();
        self.keeper.stop();
        let written = if self.store.has_news() { self.store.snapshot(clock::wall()) } else { Ok(()) };
        self.store.close();
        // A writer that panicked has nothing left to write.
        let _ = self.journal.join();
        written?;
        info!(sessions = self.store.live(), "stopped");
        Ok(())
    }
}

/// One writer per data directory. The lock goes with the process, however it ends.
fn lock(data_dir: &Path) -> Result<std::fs::File, StartError> {
    let trouble = |what| move |source| StartError::DataDir { path: data_dir.to_owned(), what, source };
    std::fs::create_dir_all(data_dir).map_err(trouble("create the data directory"))?;
    let lock = std::fs::File::options().write(true).create(true).truncate(false).open(data_dir.join("lock"));
    let lock = lock.map_err(trouble("write to the data directory"))?;
    if lock.try_lock().is_err() {
        info!(data_dir = %data_dir.display(), "another portcullis uses this data directory: waiting for it to end");
        lock.lock().map_err(trouble("lock the data directory"))?;
    }
    Ok(lock)
}

fn accounts(config: &Config, sessions_exist: bool) -> Result<Accounts, StartError> {
    let path = &config.users.file;
    let (directory, found) =
        Directory::open(path).map_err(|trouble| StartError::Users { path: path.clone(), trouble })?;
    let accounts = Accounts::new(directory, terms::account_policy(config))?;
    if sessions_exist && accounts.users().is_empty() {
        return Err(StartError::SessionsWithoutUsers { path: path.clone() });
    }
    if found == Found::Nothing || accounts.users().is_empty() {
        warn!(
            file = %path.display(),
            "nobody can sign in yet: put [[user]] entries with name, password_hash and scopes into the users file; \
             `portcullis hash-password` makes the hash; the file is picked up without a restart"
        );
    }
    Ok(accounts)
}
