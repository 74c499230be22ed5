//! The rooms of a running gate under another configuration.
//!
//! Guarantees: first everything is made that can fail, then everything is put in force; a room whose configuration is the
//! same is left alone, and what it knows with it: upstream connections, users, keys of issuers, wrong guesses.
//! Does not know: when, and what the configuration was read from.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::error;

use crate::account::Accounts;
use crate::admin::Status;
use crate::clock;
use crate::config::{Config, KeySource};
use crate::edge::InForce;
use crate::gateway::Charter;
use crate::issuer::{Fetching, Issuers};
use crate::keys::{KeyRing, Watch};
use crate::metrics::Metrics;
use crate::muster::Muster;
use crate::observe::chain;
use crate::tls;
use crate::token::Sealing;
use crate::upstream::Tls;

use super::keeper::{self, Watches};
use super::{Rooms, StartError, accounts, checks, open_keys, order, say, sealing, terms, warn_of};

/// A running gate, as far as a configuration can change it.
pub(super) struct Renewal {
    pub(super) config: Config,
    pub(super) in_force: Arc<InForce>,
    pub(super) status: Arc<Status>,
    pub(super) muster: Arc<Muster>,
    pub(super) watches: Arc<Mutex<Watches>>,
    pub(super) fetching: Option<Fetching>,
    pub(super) tls: Option<Certificates>,
}

/// What TLS with clients rests on, and who follows its files.
pub(super) struct Certificates {
    pub(super) in_force: Arc<tls::InForce>,
    pub(super) watching: Option<tls::Watching>,
}

/// What has changed.
pub(super) struct Renewed {
    pub(super) changed: bool,
    pub(super) needs_restart: Vec<&'static str>,
}

/// All that can fail, done. `None`: it is left alone.
struct Made {
    ring: Option<(KeyRing, Option<Watch>)>,
    issuers: Option<(Arc<Issuers>, Fetching)>,
    accounts: Option<Arc<Accounts>>,
    sealing: Option<Option<Arc<Sealing>>>,
    upstream_tls: Option<Option<Tls>>,
    certificates: Option<(tls::Terms, tls::Footing)>,
    /// What there is to say of it, and whether that is a warning.
    notices: Notices,
}

type Notices = Vec<(String, bool)>;

impl Renewal {
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.in_force.charter().metrics)
    }

    /// Puts `config` in force, but for what needs a restart. Returns when every worker goes by it.
    ///
    /// # Errors
    /// All that is wrong; then nothing has changed.
    pub(super) async fn renew(&mut self, mut config: Config) -> Result<Renewed, Vec<StartError>> {
        let needs_restart = config.keep_fixed(&self.config);
        let former = self.in_force.charter();
        let made = self.make(&config, &former)?;
        let changed = config != self.config;
        if changed || made.ring.is_some() {
            let other_users = made.accounts.is_some();
            self.put_in_force(config, &former, made, changed);
            self.muster.all_have_looked().await;
            let now = self.in_force.charter();
            if other_users && !now.store.is_replica() {
                keeper::reconcile(&now).await;
            }
        }
        Ok(Renewed { changed, needs_restart })
    }

    /// Ends what follows files.
    pub(super) fn stop(self) {
        if let Some(watching) = self.tls.and_then(|tls| tls.watching) {
            watching.stop();
        }
        if let Some(fetching) = self.fetching {
            fetching.stop();
        }
    }

    fn make(&self, new: &Config, former: &Charter) -> Result<Made, Vec<StartError>> {
        let (mut errors, mut notices) = (Vec::new(), Vec::new());
        let ring = or_note(&mut errors, self.ring(new, former, &mut notices));
        let accounts = or_note(&mut errors, self.accounts(new, former));
        let sealing = or_note(&mut errors, self.sealing(new, former));
        let upstream_tls = or_note(&mut errors, self.upstream_tls(new));
        let certificates = self.certificates(new, &mut notices).unwrap_or_else(|found| {
            errors.extend(found.into_iter().map(StartError::Tls));
            None
        });
        let issuers = if errors.is_empty() { or_note(&mut errors, self.issuers(new, former)) } else { None };
        if errors.is_empty() {
            Ok(Made { ring, issuers, accounts, sealing, upstream_tls, certificates, notices })
        } else {
            Err(errors)
        }
    }

    fn put_in_force(&mut self, config: Config, former: &Arc<Charter>, made: Made, changed: bool) {
        let Made { ring, issuers, accounts, sealing, upstream_tls, certificates, notices } = made;
        notices.iter().for_each(|(notice, warning)| say(notice, *warning));
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((ring, watch)) = ring {
            watches.keys = watch;
            keeper::tell_of_keys(former.keys.replace(ring));
        }
        if !changed {
            return;
        }
        let tls = match upstream_tls {
            Some(tls) => {
                warn_of(&config);
                watches.follow("upstream.tls", tls.as_ref());
                tls
            }
            None => former.upstream.dial.tls.clone(),
        };
        drop(watches);
        let policy = Arc::new(terms::policy(&config));
        former.store.obey(Arc::clone(&policy), terms::caps(&config));
        let tunnels = former.upstream.tunnels.limited_to(config.limits.max_tunnels);
        let primary_tls = former.primary.as_ref().and_then(|primary| primary.dial.tls.clone());
        let (upstream, primary) =
            (terms::upstream(&config, tls, &tunnels), terms::primary(&config, primary_tls, &tunnels));
        let rooms = Rooms {
            policy,
            clock: Arc::clone(&former.clock),
            store: Arc::clone(&former.store),
            keys: Arc::clone(&former.keys),
            metrics: Arc::clone(&former.metrics),
            once: Arc::clone(&former.once),
            muster: Arc::clone(&self.muster),
            issuers: issuers.as_ref().map_or(&former.issuers, |(issuers, _)| issuers).clone(),
            accounts: accounts.as_ref().unwrap_or(&former.accounts).clone(),
            sealing: sealing.unwrap_or_else(|| former.sealing.clone()),
            // The same value keeps the connections.
            upstream: if upstream == *former.upstream { Arc::clone(&former.upstream) } else { Arc::new(upstream) },
            primary: match (primary, &former.primary) {
                (Some(primary), Some(known)) if primary == **known => Some(Arc::clone(known)),
                (primary, _) => primary.map(Arc::new),
            },
        };
        let with_clients = self.tls.as_ref().map(|tls| Arc::clone(&tls.in_force));
        self.in_force.replace(order(&config, rooms, with_clients, Some(former)));
        self.status.look_at(checks(&self.in_force, self.tls.as_ref().map(|tls| &tls.in_force)));
        if let Some((_, fetching)) = issuers {
            let former = self.fetching.replace(fetching);
            former.into_iter().for_each(Fetching::stop);
        }
        if let (Some(tls), Some((terms, footing))) = (&mut self.tls, certificates) {
            if let Some(watching) = tls.watching.take() {
                watching.stop();
            }
            tls.in_force.replace(footing);
            tls.watching = tls::Watching::start(terms, Arc::clone(&tls.in_force))
                .inspect_err(|error| error!(error = chain(error), "the TLS files are not followed any more"))
                .ok();
        }
        self.config = config;
    }

    /// Keys of the data directory are followed anyway; those of the configuration change with it.
    fn ring(
        &self,
        new: &Config,
        former: &Charter,
        notices: &mut Notices,
    ) -> Result<Option<(KeyRing, Option<Watch>)>, StartError> {
        let (token, old) = (&new.token, &self.config.token);
        let from_file = matches!(token.key, KeySource::File { .. });
        if token.key == old.key && token.algorithm == old.algorithm && !from_file {
            return Ok(None);
        }
        let store = &former.store;
        let sessions_exist = store.is_replica() || store.live() + store.tombstones() > 0;
        if sessions_exist && !store.is_replica() {
            KeyRing::admit(&new.data_dir, terms::key_source(new))?;
        }
        let (ring, said) = open_keys(new, sessions_exist)?;
        notices.extend(said.iter().map(|notice| (notice.to_string(), notice.is_warning())));
        Ok(Some((ring, terms::key_watch(new))))
    }

    fn issuers(&self, new: &Config, former: &Charter) -> Result<Option<(Arc<Issuers>, Fetching)>, StartError> {
        let bounds = terms::jwks_bounds(new);
        if new.issuers == self.config.issuers && bounds == terms::jwks_bounds(&self.config) {
            return Ok(None);
        }
        let issuers = Arc::new(Issuers::open(terms::issuers(new), &bounds)?.succeeding(&former.issuers));
        let fetching = Fetching::start(Arc::clone(&issuers), bounds).map_err(StartError::Threads)?;
        Ok(Some((issuers, fetching)))
    }

    fn accounts(&self, new: &Config, former: &Charter) -> Result<Option<Arc<Accounts>>, StartError> {
        let old = &self.config;
        let same = new.users == old.users
            && new.clients == old.clients
            && new.upstream.url == old.upstream.url
            && terms::account_policy(new) == terms::account_policy(old);
        if same {
            return Ok(None);
        }
        let users_have_sessions = !former.store.is_replica() && former.store.live() > 0;
        accounts(new, users_have_sessions, Some(&former.accounts)).map(Arc::new).map(Some)
    }

    fn sealing(&self, new: &Config, former: &Charter) -> Result<Option<Option<Arc<Sealing>>>, StartError> {
        let of = |config: &Config| {
            let upstream = config.upstream.url.to_string();
            (terms::seals(config), terms::sealing_terms(config), config.token.issuer.clone(), upstream)
        };
        if of(new) == of(&self.config) {
            return Ok(None);
        }
        sealing(new, !former.store.is_replica()).map(Some)
    }

    fn upstream_tls(&self, new: &Config) -> Result<Option<Option<Tls>>, StartError> {
        let old = &self.config.upstream;
        if new.upstream.tls == old.tls && new.upstream.url.host == old.url.host {
            return Ok(None);
        }
        terms::upstream_tls(new).map(Some).map_err(StartError::UpstreamTls)
    }

    fn certificates(
        &self,
        new: &Config,
        notices: &mut Notices,
    ) -> Result<Option<(tls::Terms, tls::Footing)>, Vec<tls::TlsError>> {
        let Some(terms) = terms::tls(new).filter(|_| new.tls != self.config.tls) else { return Ok(None) };
        let (footing, said) = tls::Footing::read(&terms, clock::wall().as_secs().cast_signed())?;
        notices.extend(said.iter().map(|notice| (notice.to_string(), true)));
        Ok(Some((terms, footing)))
    }
}

fn or_note<T>(errors: &mut Vec<StartError>, made: Result<Option<T>, StartError>) -> Option<T> {
    made.unwrap_or_else(|error| {
        errors.push(error);
        None
    })
}
