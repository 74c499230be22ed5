//! One request, from arrival to answer.
//!
//! Guarantees: the story of a request is told in one function ([`Gateway::handle`] and its inner twin), every step
//! returns to it, and only there is a refusal worded and logged; nothing reaches the upstream without a permit.
//! Does not know: sockets, TLS, files.
//!
//! canonical path → our endpoint, or route rule → judge → forward

mod admissible;
mod body;
mod certified;
mod cors;
mod current;
mod endpoint;
mod explain;
mod foresight;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handling;
mod handover;
mod judge;
mod leash;
mod line;
mod mapping;
mod once;
mod own_credentials;
pub mod path;
mod preset;
mod realms;
mod refusal;
mod reply;
mod request;
mod route;
mod sunset;
mod verified;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::account::Accounts;
use crate::clock::Clock;
use crate::issuer::Issuers;
use crate::keys::Keys;
use crate::metrics::{Metrics, RuleNumber};
use crate::profile::Sessions;
use crate::store::Store;
use crate::token::{Policy, Sealing};
use crate::upstream::{Terms, Tracing};

use endpoint::Endpoint;
use mapping::strip_prefix_loosely;

pub use certified::Certified;
pub use cors::Cors;
pub use endpoint::{Endpoints, FormPaths, KEYS, OauthPaths};
pub use explain::{Explanation, Question, explain};
pub use foresight::Foresight;
pub use handling::{Handing, Handling};
pub use handover::Handover;
pub use line::RequestIds;
pub use mapping::Mapping;
pub use once::{Once, OnceBy, OncePolicy, Outcome};
pub use preset::{FURTHER_SCOPES, smsgate as smsgate_rules};
pub use realms::{RealmPlace, RealmPlaces};
pub use refusal::{Manner, Refusal};
pub use request::{Gateway, Retired};
pub use route::{Demand, Routes, Rule};
pub use sunset::{BasicUse, Sunset};
pub use visitor::{Peer, Visitor};

/// What is written to the log of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Refused,
    All,
}

/// Bounds on what a request may look like.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub headers: usize,
    pub header_bytes: usize,
    pub uri_bytes: usize,
    /// Whether an HTTP/2 client may ask for a WebSocket (RFC 8441).
    pub extended_connect: bool,
    /// At our own endpoints.
    pub body_bytes: usize,
    pub body_timeout: Duration,
}

/// What all workers share: the rules in force and the rooms they rest on. It never changes: a reload puts another one in
/// its place, which rests on the same rooms as far as they can be kept.
pub struct Charter {
    pub clock: Arc<Clock>,
    pub policy: Arc<Policy>,
    pub keys: Arc<Keys>,
    /// Others whose access tokens open routes.
    pub issuers: Arc<Issuers>,
    pub store: Arc<Store>,
    pub accounts: Arc<Accounts>,
    pub sessions: Sessions,
    pub realms: RealmPlaces,
    pub routes: Routes,
    pub mapping: Mapping,
    pub endpoints: Endpoints,
    /// Paths under which the upstream has token endpoints of its own; they are never forwarded.
    pub upstream_auth_paths: Vec<String>,
    pub smsgate: bool,
    /// `None`: nothing is done for pages of other origins.
    pub cors: Option<Cors>,
    /// How refusals read.
    pub manner: Manner,
    /// Of passwords on routes.
    pub sunset: Arc<Sunset>,
    /// What the upstream gets where a route says nothing else. `None`: no route does, and [`crate::upstream`] sees to it.
    pub handing: Option<Handing>,
    pub once: Arc<Once>,
    /// Opens the passwords that tokens carry.
    pub sealing: Option<Arc<Sealing>>,
    pub trusted_proxies: Vec<IpNet>,
    pub bounds: Bounds,
    /// Between gates that share their keys: who asks for what one hands over to another.
    pub handover: Handover,
    pub access_log: AccessLog,
    pub tracing: Tracing,
    /// How workers reach the upstream.
    pub upstream: Arc<Terms>,
    /// On a gate that only follows another one: where our own endpoints are answered.
    pub primary: Option<Arc<Terms>>,
    /// Verified tokens that each worker remembers.
    pub token_cache_entries: usize,
    pub metrics: Arc<Metrics>,
}

/// Where a request with a canonical path goes.
enum Way<'a> {
    /// To us.
    Endpoint(Endpoint<'a>),
    /// Nowhere: there the upstream has token endpoints of its own.
    Withheld,
    /// To the upstream, if this is met.
    Route(&'a Demand, &'a Handling, RuleNumber),
}

impl Charter {
    /// The way of a request: `own_path` is what of its path follows the realm's prefix.
    fn way<'a>(&'a self, method: &http::Method, path: &'a str, own_path: &'a str) -> Way<'a> {
        if let Some(endpoint) = self.endpoint(method, path, own_path) {
            return Way::Endpoint(endpoint);
        }
        if self.upstream_auth_paths.iter().any(|theirs| strip_prefix_loosely(path, theirs).is_some()) {
            return Way::Withheld;
        }
        let (demand, handling, number) = self.routes.find(method, path);
        Way::Route(demand, handling, number)
    }

    /// The endpoint of ours that a request is for: `own_path` is what of its path follows the realm's prefix.
    fn endpoint<'a>(&'a self, method: &http::Method, path: &'a str, own_path: &'a str) -> Option<Endpoint<'a>> {
        let in_realm = || self.endpoints.find(method, own_path).filter(|_| own_path.len() != path.len());
        self.endpoints.find(method, path).or_else(in_realm)
    }
}
