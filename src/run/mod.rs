//! The assembly: builds every room from the configuration, starts them, and ends them in order.
//!
//! Guarantees: everything that can be wrong is found before the port is bound; no constructor elsewhere spawns
//! anything, all threads start here; the end is: stop accepting, drain, last snapshot.
//! Does not know: what any room decides.
//!
//! A reload assembles another order from the rooms of a running gate, by the same functions (`reload`, `renewal`).
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
mod reload;
mod renewal;
mod replica;
mod terms;

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tracing::{error, info, warn};

use crate::account::{Accounts, Directory, FileTrouble, Form, Found, Realm, UpstreamCheck};
use crate::admin::{self, Admin, Check, Desk, Stage, Status};
use crate::clock::{self, Clock};
use crate::config::{self, Config, LoadOptions, StoreKind, UpstreamTrust};
use crate::edge::{Crew, Handed, InForce, Order, Redirect};
use crate::gateway::{Charter, Handover, Mapping, Once, Routes};
use crate::issuer::{Fetching, Issuers};
use crate::keys::{KeyRing, Keys, Notice, SealingKeys};
use crate::metrics::Metrics;
use crate::muster::{Muster, Roll};
use crate::observe::Levels;
use crate::profile::Sessions;
use crate::store::Store;
use crate::tls;
use crate::token::{Policy, Sealing};
use crate::upstream::{Terms, Tunnels};

pub use check::check;
pub use error::{StartError, StopError};
pub use foresight::foresight;
pub use offline::offline;
pub use redis::engine;
pub use reload::{Outcome, Reloads};
pub use terms::policy;

use keeper::{Keeper, Watches};
use reload::{Reloading, Wishes};
use renewal::{Certificates, Renewal};
use replica::Following;

/// A gate that serves. Dropping it without [`Running::stop`] leaves its threads to the process.
pub struct Running {
    address: SocketAddr,
    crew: Crew,
    in_force: Arc<InForce>,
    keeper: Keeper,
    reloading: Reloading,
    reloads: Reloads,
    store: Arc<Store>,
    scribe: Scribe,
    status: Arc<Status>,
    redirect: Option<Redirect>,
    muster: Arc<Muster>,
    /// Answers to the last.
    _admin: Option<Admin>,
}

/// Who sees to it that memory and files tell the same.
enum Scribe {
    Writer { journal: JoinHandle<()>, _lock: std::fs::File },
    Follower(Following),
    Engine(redis::Attending),
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
}

/// What a charter rests on.
struct Rooms {
    clock: Arc<Clock>,
    policy: Arc<Policy>,
    keys: Arc<Keys>,
    issuers: Arc<Issuers>,
    store: Arc<Store>,
    accounts: Arc<Accounts>,
    once: Arc<Once>,
    sealing: Option<Arc<Sealing>>,
    upstream: Arc<Terms>,
    primary: Option<Arc<Terms>>,
    muster: Arc<Muster>,
    metrics: Arc<Metrics>,
}

/// Everything but the network, built and checked.
pub struct Prepared {
    in_force: Arc<InForce>,
    muster: Arc<Muster>,
    rolls: Vec<Roll>,
    scribe: Scribe,
    status: Arc<Status>,
    admin: Option<Admin>,
    handed: Handed,
    desk: Arc<Desk>,
    tls: Option<(tls::Terms, Arc<tls::InForce>)>,
    reloads: (Reloads, Wishes),
}

/// Builds all rooms. Waits for another process to let go of the data directory; a replica waits for one to fill it. The
/// operator's listener answers already then, and may change `levels`. Listeners take the sockets that were `handed` over, if
/// there are any.
///
/// # Errors
/// [`StartError`] for whatever is not as it must be.
pub fn prepare(config: &Config, mut handed: Handed, levels: Option<Levels>) -> Result<Prepared, StartError> {
    let listeners = [Some(config.server.listen), config.tls.redirect_listen, config.admin.listen];
    handed.are_among(&listeners.into_iter().flatten().collect::<Vec<_>>())?;
    let status = Arc::new(Status::default());
    let metrics = Arc::new(Metrics::default());
    let reloads = Reloads::new();
    let desk = Arc::new(Desk::new(Arc::clone(&status), Arc::clone(&metrics), levels));
    let admin = admin(config, &mut handed, &desk)?;
    let policy = Arc::new(terms::policy(config));
    let issuers = Arc::new(Issuers::open(terms::issuers(config), &terms::jwks_bounds(config))?);
    let tls = tls(config)?;
    let upstream_tls = terms::upstream_tls(config).map_err(StartError::UpstreamTls)?;
    let primary_tls = terms::primary_tls(config).map_err(StartError::PrimaryTls)?;
    warn_of(config);
    let Footing { store, ring, accounts, clock, scribe, sealing } = match &config.store.kind {
        StoreKind::Memory => primary::prepare(config, &policy, &status)?,
        StoreKind::Replica { .. } => replica::prepare(config, &policy)?,
        StoreKind::Redis(_) => redis::prepare(config, &policy)?,
    };
    let (muster, rolls) = Muster::new(config.workers.get());
    let (muster, tunnels) = (Arc::new(muster), Tunnels::new(config.limits.max_tunnels));
    let rooms = Rooms {
        clock,
        policy,
        keys: Arc::new(Keys::new(ring)),
        issuers,
        store,
        accounts: Arc::new(accounts),
        once: Arc::new(terms::once(config)),
        sealing,
        upstream: Arc::new(terms::upstream(config, upstream_tls, &tunnels)),
        primary: terms::primary(config, primary_tls, &tunnels).map(Arc::new),
        muster: Arc::clone(&muster),
        metrics,
    };
    let certificates = tls.as_ref().map(|(_, in_force)| in_force);
    let in_force = Arc::new(InForce::new(order(config, rooms, certificates.cloned(), None)));
    let charter = in_force.charter();
    charter.metrics.events.configured(clock::wall().as_secs());
    status.look_at(checks(&in_force, certificates));
    readings::hand_in(&charter, &status, certificates);
    Ok(Prepared { in_force, muster, rolls, scribe, status, admin, handed, desk, tls, reloads })
}

/// Starts a gate that keeps its configuration, and returns once it accepts connections.
///
/// # Errors
/// [`StartError`] for whatever is not as it must be, or cannot be had.
pub fn start(config: Config) -> Result<Running, StartError> {
    let prepared = prepare(&config, Handed::default(), None)?;
    open(config, prepared, None)
}

/// Opens what was prepared from the same configuration, and returns once it accepts connections. With the `source` that the
/// configuration was read from, changes of it take effect while the gate runs.
///
/// # Errors
/// When the port or a thread cannot be had.
pub fn open(config: Config, mut prepared: Prepared, source: Option<LoadOptions>) -> Result<Running, StartError> {
    let listener = prepared.handed.bind(config.server.listen)?;
    let redirect = config.tls.redirect_listen.map(|address| prepared.handed.bind(address)).transpose()?;
    serve(config, prepared, source, &listener, redirect).map_err(StartError::Threads)
}

fn serve(
    config: Config,
    prepared: Prepared,
    source: Option<LoadOptions>,
    listener: &TcpListener,
    redirect: Option<TcpListener>,
) -> io::Result<Running> {
    let Prepared { in_force, muster, rolls, scribe, status, admin, desk, tls, reloads: (reloads, wishes), .. } =
        prepared;
    let (address, charter) = (listener.local_addr()?, in_force.charter());
    let mut watches = Watches { keys: terms::key_watch(&config), outgoing: Vec::new() };
    watches.follow("upstream.tls", charter.upstream.dial.tls.as_ref());
    watches.follow("store.tls", charter.primary.as_ref().and_then(|primary| primary.dial.tls.as_ref()));
    let watches = Arc::new(Mutex::new(watches));
    let keeper = Keeper::start(Arc::clone(&in_force), Arc::clone(&watches), config.store.snapshot_interval)?;
    let fetching = Fetching::start(Arc::clone(&charter.issuers), terms::jwks_bounds(&config))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let certificates = |(terms, in_force): (tls::Terms, Arc<tls::InForce>)| {
        let watching = tls::Watching::start(terms, Arc::clone(&in_force))?;
        Ok::<_, io::Error>(Certificates { in_force, watching: Some(watching) })
    };
    let tls = tls.map(certificates).transpose()?;
    let crew = Crew::start(listener, rolls, &in_force)?;
    let redirect = redirect.map(|listener| Redirect::start(listener, config.tls.redirect_port)).transpose()?;
    if let Some(redirect) = &redirect {
        info!(address = %redirect.address(), "clients are sent to HTTPS from there");
    }
    status.enter(Stage::Serving);
    info!(%address, scheme, workers = config.workers, upstream = %config.upstream.url, "listening");
    desk.operate(admin::Rooms {
        in_force: Arc::clone(&in_force),
        certificates: tls.as_ref().map(|tls| Arc::clone(&tls.in_force)),
        primary: terms::primary_url(&config),
        reload: wish(reloads.clone()),
    });
    let (status_too, orders) = (Arc::clone(&status), Arc::clone(&in_force));
    let renewal = Renewal {
        config,
        in_force: orders,
        status: status_too,
        muster: Arc::clone(&muster),
        watches,
        fetching: Some(fetching),
        tls,
    };
    let reloading = Reloading::start(renewal, source, wishes)?;
    let store = Arc::clone(&charter.store);
    Ok(Running {
        address,
        crew,
        in_force,
        keeper,
        reloading,
        reloads,
        store,
        scribe,
        status,
        redirect,
        muster,
        _admin: admin,
    })
}

impl Prepared {
    /// Where a reload can be asked for from now on.
    pub fn reloads(&self) -> Reloads {
        self.reloads.0.clone()
    }
}

impl Running {
    /// Where it listens; tells the port if the system chose it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a reload can be asked for.
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Whether all workers turn to their sockets, and not one of them hangs.
    pub async fn is_alive(&self) -> bool {
        self.muster.all_have_looked().await
    }

    /// Sends clients away for the drain delay, stops accepting, lets requests in flight finish within the drain timeout, and writes the last snapshot if there is
    /// anything to write.
    ///
    /// # Errors
    /// When that snapshot cannot be written.
    pub fn stop(self) -> Result<(), StopError> {
        self.status.enter(Stage::Draining);
        info!("draining");
        let delay = self.in_force.order().shift.drain_delay;
        if !delay.is_zero() {
            self.crew.leave();
            thread::sleep(delay);
        }
        drop(self.redirect);
        self.crew.drain();
        self.reloading.stop();
        self.keeper.stop();
        let written = if self.store.has_news() { self.store.snapshot(clock::wall()) } else { Ok(()) };
        self.store.close();
        match self.scribe {
            // A writer that panicked has nothing left to write.
            Scribe::Writer { journal, .. } => drop(journal.join()),
            Scribe::Follower(following) => following.stop(),
            Scribe::Engine(attending) => attending.stop(),
        }
        written?;
        info!(sessions = self.store.live(), "stopped");
        Ok(())
    }
}

/// All that `config` decides about serving, on these rooms: for a start, and for a reload, with the charter that was in
/// force.
fn order(config: &Config, rooms: Rooms, tls: Option<Arc<tls::InForce>>, former: Option<&Charter>) -> Order {
    Order { charter: Arc::new(charter(config, rooms, former)), shift: terms::shift(config, tls) }
}

fn charter(config: &Config, rooms: Rooms, former: Option<&Charter>) -> Charter {
    let Rooms { clock, policy, keys, issuers, store, accounts, once, sealing, upstream, primary, muster, metrics } =
        rooms;
    let routes = Routes::named(metrics.rules(), terms::rules(config), terms::unmatched(config));
    metrics.name_rules(routes.names().clone());
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
    let sunset = terms::sunset(config);
    Charter {
        clock,
        realms: terms::realm_places(config),
        mapping: Mapping::new(&config.upstream.url.base, &config.routes.prefix, &config.routes.upstream_prefix),
        endpoints: terms::endpoints(config, &sessions.known_scopes),
        upstream_auth_paths: terms::upstream_auth_paths(config),
        smsgate: config.profiles.smsgate.enabled,
        cors: terms::cors(config),
        manner: terms::manner(config),
        sunset: Arc::new(if let Some(former) = former { sunset.remembering(&former.sunset) } else { sunset }),
        handing: terms::own_handing(config),
        once,
        sealing,
        trusted_proxies: config.server.trusted_proxies.clone(),
        bounds: terms::bounds(config),
        // The key never changes.
        handover: Handover::new(keys.ring().fingerprint_key(), policy.leeway),
        access_log: terms::access_log(config.log.access),
        tracing: terms::tracing(config),
        upstream,
        primary,
        token_cache_entries: config.limits.token_cache_entries,
        metrics,
        policy,
        keys,
        issuers,
        store,
        accounts,
        sessions,
        routes,
    }
}

/// What is looked at to tell whether the gate is ready.
fn checks(in_force: &Arc<InForce>, certificates: Option<&Arc<tls::InForce>>) -> Vec<Check> {
    let charter = in_force.charter();
    let store = &charter.store;
    let store = match (store.is_replica(), store.is_shared()) {
        (true, _) => replica::check(store),
        (_, true) => redis::check(store),
        _ => primary::check(store),
    };
    [store].into_iter().chain(issuers_check(&charter.issuers)).chain(certificates.map(certificates_check)).collect()
}

/// What is allowed and should not be overlooked.
fn warn_of(config: &Config) {
    if config.upstream.tls.as_ref().is_some_and(|tls| tls.trust == UpstreamTrust::Anybody) {
        warn!("no certificate of the upstream is checked: whoever is on the way can read along");
    }
}

/// A gate does its work without the keys of others.
fn issuers_check(issuers: &Arc<Issuers>) -> Option<Check> {
    let (any, issuers) = (!issuers.is_empty(), Arc::clone(issuers));
    let trouble = move || issuers.trouble();
    let check = || Check { name: "issuers", trouble: Box::new(trouble), dispensable: true, note: None };
    any.then(check)
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

fn admin(config: &Config, handed: &mut Handed, desk: &Arc<Desk>) -> Result<Option<Admin>, StartError> {
    let config::Admin { listen, token, socket } = &config.admin;
    if listen.is_none() && socket.is_none() {
        return Ok(None);
    }
    let token = token.as_ref().map(|token| admin::Token::new(token.expose()));
    let network = listen.map(|address| handed.bind(address)).transpose()?.map(|listener| (listener, token));
    let socket = socket.as_deref().map(admin::bind).transpose()?;
    let admin = Admin::start(admin::Doors { network, socket }, Arc::clone(desk)).map_err(StartError::Threads)?;
    let socket = admin.socket().map(|path| tracing::field::display(path.display()));
    info!(address = admin.address().map(tracing::field::display), socket, "the operator's endpoints are there");
    Ok(Some(admin))
}

/// What the operator asks for a reload by, and what there is to say about it, or all that is wrong.
fn wish(reloads: Reloads) -> admin::Reload {
    Box::new(move || {
        let outcome = reloads.request();
        Box::pin(async {
            match outcome.await {
                Outcome::InForce { needs_restart } => Ok(needs_restart),
                Outcome::Kept { why } => Err(why),
            }
        })
    })
}

fn keys(config: &Config, sessions_exist: bool) -> Result<KeyRing, StartError> {
    let (ring, notices) = open_keys(config, sessions_exist)?;
    for notice in notices {
        say(&notice, notice.is_warning());
    }
    Ok(ring)
}

fn open_keys(config: &Config, sessions_exist: bool) -> Result<(KeyRing, Vec<Notice>), StartError> {
    let now = clock::wall().as_secs();
    Ok(KeyRing::open(&config.data_dir, terms::key_source(config), sessions_exist, now)?)
}

/// With those of a running gate in place of which they come, a file that is followed already is followed on, and a further
/// one has to be there: that its users have none would end their sessions.
fn accounts(config: &Config, users_have_sessions: bool, former: Option<&Accounts>) -> Result<Accounts, StartError> {
    let path = &config.users.file;
    let realms = terms::realms(config).into_iter().map(|sources| realm(sources, former));
    let realms = realms.collect::<Result<Vec<_>, _>>()?;
    let (clients, policy) = (terms::clients(config), terms::account_policy(config));
    let accounts = match former {
        Some(former) => former.succeeded_by(realms, clients, policy)?,
        None => Accounts::new(realms, clients, policy)?,
    };
    let anybody = know_anybody(&accounts);
    if users_have_sessions && !anybody && former.is_none_or(know_anybody) {
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

fn know_anybody(accounts: &Accounts) -> bool {
    let known = |file: &Arc<Directory>| !file.users().is_empty();
    accounts.realms().any(|realm| realm.asks_upstream() || realm.files().iter().any(known))
}

/// The keys that seal passwords, if any route asks for that. One that `may_write` makes those that are not there.
fn sealing(config: &Config, may_write: bool) -> Result<Option<Arc<Sealing>>, StartError> {
    if !terms::seals(config) {
        return Ok(None);
    }
    let keys = SealingKeys::open(&config.data_dir, terms::sealing_terms(config))?;
    if may_write && keys.tend(clock::wall().as_secs())? {
        info!(data_dir = %config.data_dir.display(), "made a key to seal passwords with");
    }
    let (issuer, upstream) = (config.token.issuer.clone(), config.upstream.url.to_string());
    Ok(Some(Arc::new(Sealing { keys, issuer, upstream })))
}

/// Opens the files of a realm. One that is missing is said, unless it is the users file of the default realm, without which
/// others may do.
fn realm(sources: terms::Sources, former: Option<&Accounts>) -> Result<Realm, StartError> {
    let (mut files, prefix) = (Vec::new(), Realm::prefix(&sources.name));
    for (path, form) in sources.files {
        if let Some(followed) = former.and_then(|former| former.directory(&path, &form, &prefix)) {
            files.push(followed);
            continue;
        }
        let opened = Directory::open_as(&path, form.clone(), &prefix);
        let (directory, found) = opened.map_err(|trouble| StartError::Users { path: path.clone(), trouble })?;
        if found == Found::Nothing && former.is_some() {
            return Err(StartError::Users { path, trouble: FileTrouble::Missing });
        }
        if found == Found::Nothing && (matches!(form, Form::Htpasswd(_)) || !sources.name.is_empty()) {
            warn!(file = %path.display(), "there is no such file yet; it is picked up without a restart");
        }
        files.push(Arc::new(directory));
    }
    Ok(Realm::new(&sources.name, files, sources.check.map(UpstreamCheck::new)))
}

fn say(notice: &dyn Display, warning: bool) {
    if warning { warn!("{notice}") } else { info!("{notice}") }
}
