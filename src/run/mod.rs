//! The assembly: builds every room from the configuration, starts them, and ends them in order.
//!
//! Guarantees: everything that can be wrong is found before the port is bound; no constructor elsewhere spawns
//! anything, all threads start here; the end is: stop accepting, drain, last snapshot.
//! Does not know: what any room decides.
//!
//! A replica is assembled from the same rooms, without whatever writes: no lock, no journal, no snapshots, no new keys; so is
//! a gate whose sessions are on an engine.

mod check;
mod error;
mod foresight;
mod keeper;
mod offline;
mod primary;
mod readings;
mod redis;
mod replica;
mod terms;

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tracing::{error, info, warn};

use crate::account::{Accounts, Directory, Form, Found, Realm, UpstreamCheck};
use crate::admin::{self, Admin, Check, Desk, Rooms, Stage, Status};
use crate::clock::{self, Clock};
use crate::config::{self, Config, StoreKind, UpstreamTrust};
use crate::edge::{self, Crew, Redirect};
use crate::gateway::{Charter, Gateway, Handover, Mapping, Routes};
use crate::issuer::{Fetching, Issuers};
use crate::keys::{KeyRing, Keys, SealingKeys};
use crate::metrics::Metrics;
use crate::muster::{Muster, Roll};
use crate::observe::Levels;
use crate::profile::Sessions;
use crate::store::Store;
use crate::tls;
use crate::token::{Policy, Sealing};
use crate::upstream::{Renewing, Tls};

pub use check::check;
pub use error::{StartError, StopError};
pub use foresight::foresight;
pub use offline::offline;
pub use redis::engine;
pub use terms::policy;

use keeper::Keeper;
use replica::Following;

/// A gate that serves. Dropping it without [`Running::stop`] leaves its threads to the process.
pub struct Running {
    address: SocketAddr,
    crew: Crew,
    keeper: Keeper,
    fetching: Fetching,
    store: Arc<Store>,
    scribe: Scribe,
    status: Arc<Status>,
    watching: Option<tls::Watching>,
    redirect: Option<Redirect>,
    /// Answers to the last.
    _admin: Option<Admin>,
}

/// Who sees to it that memory and files tell the same.
enum Scribe {
    Writer {
        journal: JoinHandle<()>,
        _lock: std::fs::File,
    },
    Follower(Following),
    Engine(redis::Attending),
    /// Memory is as the files were at one moment.
    Nobody,
}

/// What a primary and a replica come by in different ways.
struct Footing {
    store: Arc<Store>,
    ring: KeyRing,
    accounts: Accounts,
    clock: Arc<Clock>,
    scribe: Scribe,
    /// Where users' own passwords go into tokens.
    sealing: Option<Arc<Sealing>>,
    /// What makes such a gate unready.
    check: Check,
}

/// Everything but the network, built and checked.
pub struct Prepared {
    charter: Arc<Charter>,
    rolls: Vec<Roll>,
    scribe: Scribe,
    status: Arc<Status>,
    admin: Option<Admin>,
    desk: Arc<Desk>,
    upstream_tls: Option<Tls>,
    primary_tls: Option<Tls>,
    tls: Option<(tls::Terms, Arc<tls::InForce>)>,
}

/// Builds all rooms. Waits for another process to let go of the data directory; a replica waits for one to fill it. The
/// operator's listener answers already then, and may change `levels`.
///
/// # Errors
/// [`StartError`] for whatever is not as it must be.
pub fn prepare(config: &Config, levels: Option<Levels>) -> Result<Prepared, StartError> {
    let status = Arc::new(Status::default());
    let metrics = Arc::new(Metrics::default());
    let desk = Arc::new(Desk::new(Arc::clone(&status), Arc::clone(&metrics), levels));
    let admin = admin(config, &desk)?;
    let policy = Arc::new(terms::policy(config));
    let issuers = Arc::new(Issuers::open(terms::issuers(config), &terms::jwks_bounds(config))?);
    let tls = tls(config)?;
    let upstream_tls = terms::upstream_tls(config).map_err(StartError::UpstreamTls)?;
    let primary_tls = terms::primary_tls(config).map_err(StartError::PrimaryTls)?;
    if config.upstream.tls.as_ref().is_some_and(|tls| tls.trust == UpstreamTrust::Anybody) {
        warn!("no certificate of the upstream is checked: whoever is on the way can read along");
    }
    let footing = match &config.store.kind {
        StoreKind::Memory => primary::prepare(config, &policy, &status)?,
        StoreKind::Replica { .. } => replica::prepare(config, &policy)?,
        StoreKind::Redis(_) => redis::prepare(config, &policy)?,
    };
    let certificates = tls.as_ref().map(|(_, in_force)| certificates_check(in_force));
    let (charter, rolls, scribe) = charter(config, policy, issuers, footing, &status, certificates, metrics);
    readings::hand_in(&charter, &status, tls.as_ref().map(|(_, in_force)| in_force));
    Ok(Prepared { charter: Arc::new(charter), rolls, scribe, status, admin, desk, tls, upstream_tls, primary_tls })
}

/// Starts a gate and returns once it accepts connections.
///
/// # Errors
/// [`StartError`] for whatever is not as it must be, or cannot be had.
pub fn start(config: Config) -> Result<Running, StartError> {
    let prepared = prepare(&config, None)?;
    open(&config, prepared)
}

/// Opens what was prepared from the same configuration, and returns once it accepts connections.
///
/// # Errors
/// When the port or a thread cannot be had.
pub fn open(config: &Config, prepared: Prepared) -> Result<Running, StartError> {
    let listener = edge::bind(config.server.listen)?;
    let redirect = config.tls.redirect_listen.map(edge::bind).transpose()?;
    serve(config, prepared, &listener, redirect).map_err(StartError::Threads)
}

fn serve(
    config: &Config,
    prepared: Prepared,
    listener: &TcpListener,
    redirect: Option<TcpListener>,
) -> io::Result<Running> {
    let Prepared { charter, rolls, scribe, status, admin, desk, tls, upstream_tls, primary_tls } = prepared;
    let address = listener.local_addr()?;
    let outgoing = [("upstream.tls", &upstream_tls), ("store.tls", &primary_tls)];
    let outgoing = outgoing.into_iter().filter_map(|(name, tls)| Some((name, Renewing::new(tls.clone()?)?))).collect();
    let watch = keeper::Watches { keys: terms::key_watch(config), outgoing };
    let keeper = Keeper::start(Arc::clone(&charter), watch, config.store.snapshot_interval)?;
    let fetching = Fetching::start(Arc::clone(&charter.issuers), terms::jwks_bounds(config))?;
    let (in_force, watching) = match tls {
        Some((terms, in_force)) => (Some(Arc::clone(&in_force)), Some(tls::Watching::start(terms, in_force)?)),
        None => (None, None),
    };
    let scheme = if in_force.is_some() { "https" } else { "http" };
    let certificates = in_force.clone();
    let (shift, upstream, primary) =
        (terms::shift(config, in_force), terms::upstream(config, upstream_tls), terms::primary(config, primary_tls));
    desk.operate(Rooms {
        charter: Arc::clone(&charter),
        certificates,
        upstream: admin::Upstream { url: config.upstream.url.to_string(), dial: upstream.dial.clone() },
        primary: terms::primary_url(config),
        reload: None,
    });
    let (store, cache) = (Arc::clone(&charter.store), config.limits.token_cache_entries);
    let make = move || Gateway::new(Arc::clone(&charter), upstream.clone(), primary.clone(), cache);
    let crew = Crew::start(listener, rolls, &shift, make)?;
    let redirect = redirect.map(|listener| Redirect::start(listener, config.tls.redirect_port)).transpose()?;
    if let Some(redirect) = &redirect {
        info!(address = %redirect.address(), "clients are sent to HTTPS from there");
    }
    status.enter(Stage::Serving);
    info!(%address, scheme, workers = config.workers, upstream = %config.upstream.url, "listening");
    Ok(Running { address, crew, keeper, fetching, store, scribe, status, watching, redirect, _admin: admin })
}

impl Running {
    /// Where it listens; tells the port if the system chose it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests in flight finish within the drain timeout, and writes the last snapshot if there is
    /// anything to write.
    ///
    /// # Errors
    /// When that snapshot cannot be written.
    pub fn stop(self) -> Result<(), StopError> {
        self.status.enter(Stage::Draining);
        info!("draining");
        drop(self.redirect);
        self.crew.drain();
        if let Some(watching) = self.watching {
            watching.stop();
        }
        self.keeper.stop();
        self.fetching.stop();
        let written = if self.store.has_news() { self.store.snapshot(clock::wall()) } else { Ok(()) };
        self.store.close();
        match self.scribe {
            // A writer that panicked has nothing left to write.
            Scribe::Writer { journal, .. } => drop(journal.join()),
            Scribe::Follower(following) => following.stop(),
            Scribe::Engine(attending) => attending.stop(),
            Scribe::Nobody => {}
        }
        written?;
        info!(sessions = self.store.live(), "stopped");
        Ok(())
    }
}

/// The rooms on their footing.
fn charter(
    config: &Config,
    policy: Arc<Policy>,
    issuers: Arc<Issuers>,
    footing: Footing,
    status: &Status,
    certificates: Option<Check>,
    metrics: Arc<Metrics>,
) -> (Charter, Vec<Roll>, Scribe) {
    let Footing { store, ring, accounts, clock, scribe, check, sealing } = footing;
    status.look_at([check].into_iter().chain(issuers_check(config, &issuers)).chain(certificates).collect());
    let handover = Handover::new(ring.fingerprint_key(), policy.leeway);
    let (keys, accounts) = (Arc::new(Keys::new(ring)), Arc::new(accounts));
    let routes = Routes::new(terms::rules(config), terms::unmatched(config));
    metrics.name_rules(routes.names().clone());
    let (muster, rolls) = Muster::new(config.workers.get());
    let sessions = Sessions {
        store: Arc::clone(&store),
        accounts: Arc::clone(&accounts),
        keys: Arc::clone(&keys),
        clock: Arc::clone(&clock),
        muster,
        policy: Arc::clone(&policy),
        sealing: sealing.clone(),
        record_addresses: terms::record_addresses(config),
        known_scopes: terms::known_scopes(config, &routes),
        metrics: Arc::clone(&metrics),
    };
    let charter = Charter {
        clock,
        realms: terms::realm_places(config),
        mapping: Mapping::new(&config.upstream.url.base, &config.routes.prefix, &config.routes.upstream_prefix),
        endpoints: terms::endpoints(config, &sessions.known_scopes),
        upstream_auth_paths: terms::upstream_auth_paths(config),
        smsgate: config.profiles.smsgate.enabled,
        cors: terms::cors(config),
        manner: terms::manner(config),
        sunset: Arc::new(terms::sunset(config)),
        handing: terms::own_handing(config),
        once: Arc::new(terms::once(config)),
        sealing,
        trusted_proxies: config.server.trusted_proxies.clone(),
        bounds: terms::bounds(config),
        handover,
        access_log: terms::access_log(config.log.access),
        tracing: terms::tracing(config),
        metrics,
        policy,
        keys,
        issuers,
        store,
        accounts,
        sessions,
        routes,
    };
    (charter, rolls, scribe)
}

/// A gate does its work without the keys of others.
fn issuers_check(config: &Config, issuers: &Arc<Issuers>) -> Option<Check> {
    let issuers = Arc::clone(issuers);
    let trouble = move || issuers.trouble();
    let check = || Check { name: "issuers", trouble: Box::new(trouble), dispensable: true, note: None };
    (!config.issuers.is_empty()).then(check)
}

/// Clients that do not look go on being served.
fn certificates_check(in_force: &Arc<tls::InForce>) -> Check {
    let (asked, noted) = (Arc::clone(in_force), Arc::clone(in_force));
    let trouble = move || asked.footing().trouble(clock::wall().as_secs().cast_signed());
    let note = move || noted.footing().note();
    Check { name: "certificates", trouble: Box::new(trouble), dispensable: true, note: Some(Box::new(note)) }
}

/// Everything that is wrong is said by `portcullis check`; a start ends with the first.
fn tls(config: &Config) -> Result<Option<(tls::Terms, Arc<tls::InForce>)>, StartError> {
    let Some(terms) = terms::tls(config) else { return Ok(None) };
    match tls::Footing::read(&terms, clock::wall().as_secs().cast_signed()) {
        Ok((footing, notices)) => {
            notices.iter().for_each(|notice| say(notice, true));
            Ok(Some((terms, Arc::new(tls::InForce::new(footing)))))
        }
        Err(errors) => {
            let mut errors = errors.into_iter();
            // There is one.
            let first = errors.next().map_or_else(|| StartError::Threads(io::Error::other("no TLS")), StartError::Tls);
            errors.for_each(|error| error!("{error}"));
            Err(first)
        }
    }
}

fn admin(config: &Config, desk: &Arc<Desk>) -> Result<Option<Admin>, StartError> {
    let config::Admin { listen, token, socket } = &config.admin;
    if listen.is_none() && socket.is_none() {
        return Ok(None);
    }
    let token = token.as_ref().map(|token| admin::Token::new(token.expose()));
    let network = listen.map(edge::bind).transpose()?.map(|listener| (listener, token));
    let socket = socket.as_deref().map(admin::bind).transpose()?;
    let admin = Admin::start(admin::Doors { network, socket }, Arc::clone(desk)).map_err(StartError::Threads)?;
    let socket = admin.socket().map(|path| tracing::field::display(path.display()));
    info!(address = admin.address().map(tracing::field::display), socket, "the operator's endpoints are there");
    Ok(Some(admin))
}

fn keys(config: &Config, sessions_exist: bool) -> Result<KeyRing, StartError> {
    let now = clock::wall().as_secs();
    let (ring, notices) = KeyRing::open(&config.data_dir, terms::key_source(config), sessions_exist, now)?;
    for notice in notices {
        say(&notice, notice.is_warning());
    }
    Ok(ring)
}

fn accounts(config: &Config, users_have_sessions: bool) -> Result<Accounts, StartError> {
    let path = &config.users.file;
    let realms = terms::realms(config).into_iter().map(realm).collect::<Result<Vec<_>, _>>()?;
    let accounts = Accounts::new(realms, terms::clients(config), terms::account_policy(config))?;
    let anybody = accounts
        .realms()
        .any(|realm| realm.asks_upstream() || realm.files().iter().any(|file| !file.users().is_empty()));
    if users_have_sessions && !anybody {
        return Err(StartError::SessionsWithoutUsers { path: path.clone() });
    }
    if !anybody && accounts.clients().is_empty() {
        warn!(
            file = %path.display(),
            "nobody can sign in yet: put [[user]] entries with name, password_hash and scopes into the users file; \
             `portcullis hash-password` makes the hash; the file is picked up without a restart"
        );
    }
    Ok(accounts)
}

/// The keys that seal passwords, if any route asks for that. One that `may_write` makes those that are not there.
fn sealing(config: &Config, may_write: bool) -> Result<Option<Arc<Sealing>>, StartError> {
    if !terms::seals(config) {
        return Ok(None);
    }
    let keys = SealingKeys::open(&config.data_dir, terms::sealing_terms(config))?;
    if may_write {
        match keys.tend(clock::wall().as_secs()) {
            Ok(true) => info!(data_dir = %config.data_dir.display(), "made a key to seal passwords with"),
            Ok(false) => {}
            Err(trouble) if keys.is_empty() => return Err(trouble.into()),
            // Those that are there do; the keeper says what is wrong.
            Err(_) => {}
        }
    }
    let (issuer, upstream) = (config.token.issuer.clone(), config.upstream.url.to_string());
    Ok(Some(Arc::new(Sealing { keys, issuer, upstream })))
}

/// Opens the files of a realm. One that is missing is said, unless it is the users file of the default realm, without which
/// others may do.
fn realm(sources: terms::Sources) -> Result<Realm, StartError> {
    let mut files = Vec::new();
    for (path, form) in sources.files {
        let opened = Directory::open_as(&path, form.clone(), &Realm::prefix(&sources.name));
        let (directory, found) = opened.map_err(|trouble| StartError::Users { path: path.clone(), trouble })?;
        if found == Found::Nothing && (matches!(form, Form::Htpasswd(_)) || !sources.name.is_empty()) {
            warn!(file = %path.display(), "there is no such file yet; it is picked up without a restart");
        }
        files.push(directory);
    }
    Ok(Realm::new(&sources.name, files, sources.check.map(UpstreamCheck::new)))
}

fn say(notice: &dyn Display, warning: bool) {
    if warning { warn!("{notice}") } else { info!("{notice}") }
}
