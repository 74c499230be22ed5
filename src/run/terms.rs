//! From the configuration to what each room asks for.
//!
//! Guarantees: rooms get their own small values and never the configuration as a whole.
//! Does not know: anything but shapes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::HeaderValue;
use zeroize::Zeroizing;

use crate::account::{
    AccountPolicy, Allowance, BasicPolicy, CheckTerms, Client, Clients, Form, GuessPolicy, PasswordPolicy, basic,
};
use crate::config::{self, Config};
use crate::edge::{Deadlines, Reserves, Shift};
use crate::gateway::{
    AccessLog, BasicUse, Bounds, Certified, Cors, Demand, Endpoints, FURTHER_SCOPES, FormPaths, Handing, Handling,
    KEYS, Manner, OauthPaths, Once, OncePolicy, RealmPlace, RealmPlaces, Routes, Rule, Sunset, smsgate_rules,
};
use crate::issuer;
use crate::keys::{GivenKey, KeySource, SealingTerms, Watch};
use crate::profile::RecordAddresses;
use crate::profile::oauth::{Metadata, Places};
use crate::store::{Caps, Fsync};
use crate::tls;
use crate::token::{Lifetimes, Policy, Scopes};
use crate::upstream::headers::Authorization;
use crate::upstream::{
    Address, Dial, Http2Bounds, Papers, Protocol, Terms, Tls, TlsError, Tracing, Trust, Tunnels, WEBSOCKET,
};

/// So long that nobody waits for it.
const NEVER: Duration = Duration::from_hours(24 * 3650);

pub fn policy(config: &Config) -> Policy {
    let (token, form, oauth) = (&config.token, &config.profiles.form, &config.profiles.oauth);
    Policy {
        issuer: token.issuer.clone(),
        audience: token.audience.clone(),
        access_type: match token.token_type {
            config::TokenType::AtJwt => "at+jwt".into(),
            config::TokenType::Jwt => "JWT".into(),
        },
        leeway: token.leeway,
        max_token_bytes: config.limits.max_token_bytes,
        smsgate: Lifetimes { access_ttl: token.access_ttl, refresh_ttl: token.refresh_ttl },
        form: Lifetimes { access_ttl: form.access_ttl, refresh_ttl: form.refresh_ttl },
        oauth: Lifetimes { access_ttl: oauth.access_ttl, refresh_ttl: oauth.refresh_ttl },
        access_ttl_max: token.access_ttl_max,
        session_ttl: token.session_ttl,
        access_overlap: token.access_overlap,
        retry_window: token.retry_window,
        on_reuse: token.on_reuse,
    }
}

pub(super) fn fsync(config: &Config) -> Fsync {
    match config.store.fsync {
        config::Fsync::Always => Fsync::Always,
        config::Fsync::Interval => Fsync::Interval(config.store.fsync_interval),
        config::Fsync::Never => Fsync::Never,
    }
}

pub(super) fn caps(config: &Config) -> Caps {
    Caps {
        sessions: config.limits.max_sessions,
        sessions_per_user: config.limits.max_sessions_per_user,
        tombstones: config.limits.max_tombstones,
    }
}

pub(super) fn key_source(config: &Config) -> KeySource {
    match &config.token.key {
        config::KeySource::Ring => KeySource::Ring { algorithm: config.token.algorithm },
        config::KeySource::Secret { algorithm, secret } => {
            KeySource::Secret { algorithm: *algorithm, secret: Zeroizing::new(secret.expose().to_vec()) }
        }
        config::KeySource::File { algorithm, path } => KeySource::File { algorithm: *algorithm, path: path.clone() },
        config::KeySource::Several(keys) => {
            let given = |key: &config::TokenKey| GivenKey {
                kid: Arc::clone(&key.kid),
                algorithm: key.algorithm,
                state: key.state,
                text: Zeroizing::new(key.text.expose().to_vec()),
                path: key.file.clone(),
            };
            KeySource::Several(keys.iter().map(given).collect())
        }
    }
}

pub(super) fn issuers(config: &Config) -> Vec<issuer::Trust> {
    let trust = |written: &config::Issuer| issuer::Trust {
        issuer: written.issuer.clone(),
        audience: written.audience.clone(),
        algorithms: written.algorithms.clone(),
        scopes_claim: written.scopes_claim.clone(),
        roles_claim: written.roles_claim.clone(),
        scopes: written.scopes.as_ref().map(|map| {
            map.iter().map(|(theirs, ours)| (theirs.clone(), Scopes::new(ours))).collect::<issuer::ScopeMap>()
        }),
        source: written.source.clone(),
        refresh_interval: written.refresh_interval,
        cooldown: written.cooldown,
    };
    config.issuers.iter().map(trust).collect()
}

pub(super) fn jwks_bounds(config: &Config) -> issuer::Bounds {
    let limits = &config.limits;
    issuer::Bounds { bytes: limits.max_jwks_bytes, keys: limits.max_jwks_keys, timeout: limits.jwks_timeout }
}

/// Keys that the configuration gives change with it.
pub(super) fn key_watch(config: &Config) -> Option<Watch> {
    match &config.token.key {
        config::KeySource::Ring => Some(Watch::new(config.data_dir.clone(), config.token.algorithm)),
        config::KeySource::Secret { .. } | config::KeySource::File { .. } | config::KeySource::Several(_) => None,
    }
}

/// Where the users of a realm are known.
pub(super) struct Sources {
    /// Nothing for the default one.
    pub(super) name: String,
    pub(super) files: Vec<(PathBuf, Form)>,
    pub(super) check: Option<CheckTerms>,
}

/// The default realm, then the others in the order of the file.
pub(super) fn realms(config: &Config) -> Vec<Sources> {
    let users = &config.users;
    let files = |file: Option<&PathBuf>, htpasswd: Option<&config::Htpasswd>| {
        let users = file.map(|file| (file.clone(), Form::Users));
        let htpasswd = htpasswd.map(|it| (it.file.clone(), Form::Htpasswd(Scopes::new(&it.scopes))));
        users.into_iter().chain(htpasswd).collect()
    };
    let check = |check: &config::Check| CheckTerms {
        host: config.upstream.url.host.clone(),
        port: config.upstream.url.port,
        target: format!("{}{}", config.upstream.url.base, check.target),
        method: check.method.clone(),
        accepted: check.accepted.clone(),
        refused: check.refused.clone(),
        timeout: users.check_timeout,
        parallel: users.check_parallel,
        queue: users.check_queue,
        scopes: Scopes::new(&check.scopes),
    };
    let default = Sources {
        name: String::new(),
        files: files(Some(&users.file), users.htpasswd.as_ref()),
        check: users.check.as_ref().map(check),
    };
    let others = users.realms.iter().map(|realm| Sources {
        name: realm.name.clone(),
        files: files(realm.file.as_ref(), realm.htpasswd.as_ref()),
        check: realm.check.as_ref().map(check),
    });
    [default].into_iter().chain(others).collect()
}

pub(super) fn realm_places(config: &Config) -> RealmPlaces {
    let place = |place: &config::RealmPlace| match place {
        config::RealmPlace::Host(host) => RealmPlace::Host(host.clone()),
        config::RealmPlace::Prefix(prefix) => RealmPlace::Prefix(prefix.clone()),
    };
    RealmPlaces::new(config.users.realms.iter().map(|realm| (realm.name.clone(), place(&realm.place))).collect())
}

pub(super) fn account_policy(config: &Config) -> AccountPolicy {
    let (limits, signin) = (&config.limits, &config.limits.signin);
    AccountPolicy {
        passwords: PasswordPolicy { parallel: limits.password_parallel.get(), queue: limits.password_queue },
        guesses: GuessPolicy {
            per_address: Allowance { burst: signin.address_burst, every: signin.address_refill },
            per_user: Allowance { burst: signin.user_burst, every: signin.user_refill },
            max_tracked: signin.max_tracked,
        },
        basic: BasicPolicy { ttl: limits.basic_cache_ttl, capacity: limits.basic_cache_entries },
    }
}

/// The operator's own rules come first: among equally specific ones the first decides. For one path those for named
/// methods come before those for all, and HEAD by name before GET, which covers it.
pub(super) fn rules(config: &Config) -> Vec<Rule> {
    let mut written: Vec<_> = config.routes.rules.iter().collect();
    written.sort_by_key(|rule| match &rule.methods {
        Some(methods) if methods.contains(&Method::HEAD) => 0,
        Some(_) => 1,
        None => 2,
    });
    let own = written.into_iter().map(|rule| Rule {
        path: rule.path.clone(),
        methods: rule.methods.clone().unwrap_or_default(),
        handling: Handling {
            credentials: rule.credentials.map(|mode| handing(config, mode)),
            once: rule.once.clone(),
            log: rule.log.map(access_log),
        },
        demand: demand(rule),
    });
    let registration = config.routes.device_registration == config::DeviceRegistration::Allow;
    let preset = match config.routes.preset {
        config::Preset::Smsgate => smsgate_rules(&config.routes.prefix, registration),
        config::Preset::None => Vec::new(),
    };
    // Where any token opens what no rule speaks of, it must not open the API by a name that only the upstream knows.
    let elsewhere = match (config.routes.preset, config.routes.unmatched) {
        (config::Preset::Smsgate, config::Unmatched::Authenticated) => api_prefixes(config).to_vec(),
        (config::Preset::Smsgate, config::Unmatched::Deny) | (config::Preset::None, _) => Vec::new(),
    };
    let elsewhere = elsewhere.into_iter().filter(|prefix| *prefix != config.routes.prefix);
    let closed = elsewhere
        .flat_map(|prefix| smsgate_rules(prefix, registration))
        .filter(|rule| !matches!(rule.demand, Demand::Public | Demand::Passthrough));
    own.chain(preset).chain(closed).collect()
}

fn demand(rule: &config::RouteRule) -> Demand {
    let demand = match &rule.demand {
        config::Demand::Scope(scope) => Demand::Scope(scope.as_str().into()),
        config::Demand::Role(role) => Demand::Role(role.as_str().into()),
        config::Demand::Public => Demand::Public,
        config::Demand::Passthrough => Demand::Passthrough,
        config::Demand::Authenticated => Demand::Authenticated,
    };
    match &rule.certificate {
        Some(pattern) => Demand::Certified(Certified::new(pattern), Box::new(demand)),
        None => demand,
    }
}

/// The prefixes that the API may have at the upstream, besides where ours lies.
fn api_prefixes(config: &Config) -> [&str; 3] {
    ["/3rdparty/v1", "/api/3rdparty/v1", &config.routes.upstream_prefix]
}

pub(super) fn unmatched(config: &Config) -> Demand {
    match config.routes.unmatched {
        config::Unmatched::Deny => Demand::Unmatched,
        config::Unmatched::Authenticated => Demand::Authenticated,
    }
}

/// The scopes that routes demand, and those the API knows besides.
pub(super) fn known_scopes(config: &Config, routes: &Routes) -> Scopes {
    let demanded = routes.scopes();
    let further: &[&str] = match config.routes.preset {
        config::Preset::Smsgate | config::Preset::None => &FURTHER_SCOPES,
    };
    Scopes::new(demanded.iter().map(Arc::as_ref).chain(further.iter().copied()))
}

pub(super) fn clients(config: &Config) -> Clients {
    Clients::new(config.clients.iter().map(|client| Client {
        id: client.id.as_str().into(),
        secret_hash: client.secret_hash.clone(),
        grants: client.grants.clone(),
        scopes: Scopes::new(&client.scopes),
        access_ttl: client.access_ttl,
        refresh_ttl: client.refresh_ttl,
    }))
}

pub(super) fn endpoints(config: &Config, known_scopes: &Scopes) -> Endpoints {
    let (form, oauth) = (&config.profiles.form, &config.profiles.oauth);
    let paths = || FormPaths {
        login: form.login_path.clone(),
        refresh: form.refresh_path.clone(),
        logout: form.logout_path.clone(),
        realm: form.realm.as_str().into(),
        cookie: own_cookie(config),
    };
    let oauth_paths = || OauthPaths {
        token: oauth.token_path.clone(),
        revoke: oauth.revoke_path.clone(),
        introspect: oauth.introspect_path.clone(),
        password_grant: oauth.password_grant,
        metadata: oauth.issuer_url.as_ref().map(|issuer| {
            let (token, revoke, introspect) = (&oauth.token_path, &oauth.revoke_path, &oauth.introspect_path);
            let places = Places { issuer, token, revoke, introspect, keys: KEYS };
            let bound = config.tls.client_auth != config::ClientAuth::Off;
            Metadata::new(places, oauth.password_grant, bound, known_scopes)
        }),
    };
    Endpoints {
        smsgate: format!("{}/auth", config.routes.prefix),
        form: form.enabled.then(paths),
        oauth: oauth.enabled.then(oauth_paths),
    }
}

fn own_cookie(config: &Config) -> Option<Arc<str>> {
    let form = &config.profiles.form;
    form.cookie.as_deref().filter(|_| form.enabled).map(Into::into)
}

pub(super) fn cors(config: &Config) -> Option<Cors> {
    let config::Cors { allowed_origins, allowed_headers, exposed_headers, max_age, credentials } = &config.cors;
    let cors = || Cors::new(allowed_origins, allowed_headers, exposed_headers, *max_age, *credentials);
    (!allowed_origins.is_empty()).then(cors)
}

pub(super) fn manner(config: &Config) -> Manner {
    Manner { realm: config.routes.realm.as_str().into(), plain: config.routes.errors == config::Errors::Text }
}

/// Under every prefix that the API is known by, besides where ours lie.
pub(super) fn upstream_auth_paths(config: &Config) -> Vec<String> {
    match config.routes.preset {
        config::Preset::None => Vec::new(),
        config::Preset::Smsgate => api_prefixes(config).map(|prefix| format!("{prefix}/auth")).to_vec(),
    }
}

/// Passwords on routes, and where tokens are to be had instead.
pub(super) fn sunset(config: &Config) -> Sunset {
    let (routes, profiles) = (&config.routes, &config.profiles);
    let rule = match (routes.basic_auth, routes.basic_auth_since) {
        (config::BasicAuth::Allow, _) => BasicUse::Allow,
        (config::BasicAuth::Warn, Some(since)) => BasicUse::Warn { since, until: routes.basic_auth_until },
        // A warning without its day is a mistake of the configuration.
        (config::BasicAuth::Warn, None) | (config::BasicAuth::Deny, _) => BasicUse::Deny,
    };
    let way_out = if profiles.smsgate.enabled {
        format!("POST {}/auth/token", routes.prefix)
    } else if profiles.form.enabled {
        format!("POST {}", profiles.form.login_path)
    } else {
        format!("POST {}", profiles.oauth.token_path)
    };
    Sunset::new(rule, &way_out)
}

/// What the gate itself sees to; `None` where one rule for all is the upstream room's to apply.
pub(super) fn own_handing(config: &Config) -> Option<Handing> {
    let mode = config.upstream.credentials;
    let differ =
        mode == config::Credentials::Sealed || config.routes.rules.iter().any(|rule| rule.credentials.is_some());
    differ.then(|| handing(config, mode))
}

fn handing(config: &Config, mode: config::Credentials) -> Handing {
    match mode {
        config::Credentials::Strip => Handing::Nothing,
        config::Credentials::Bearer => Handing::Token,
        config::Credentials::Basic => account(config).map_or(Handing::Nothing, Handing::Account),
        config::Credentials::Sealed => Handing::Own,
    }
}

fn account(config: &Config) -> Option<HeaderValue> {
    config.upstream.account.as_ref().map(|account| basic(&account.username, account.password.expose()))
}

/// Whether any route has the user's own password.
pub(super) fn seals(config: &Config) -> bool {
    let sealed = Some(config::Credentials::Sealed);
    Some(config.upstream.credentials) == sealed || config.routes.rules.iter().any(|rule| rule.credentials == sealed)
}

pub(super) fn sealing_terms(config: &Config) -> SealingTerms {
    // No token outlives its session.
    SealingTerms { rotation: config.upstream.sealing_rotation, keep: config.token.session_ttl + config.token.leeway }
}

pub(super) fn once(config: &Config) -> Once {
    Once::new(OncePolicy { window: config.limits.once_window, capacity: config.limits.once_entries })
}

pub(super) fn record_addresses(config: &Config) -> RecordAddresses {
    match config.store.record_addresses {
        config::RecordAddresses::Full => RecordAddresses::Full,
        config::RecordAddresses::Prefix => RecordAddresses::Prefix,
        config::RecordAddresses::Off => RecordAddresses::Off,
    }
}

pub(super) fn tracing(config: &Config) -> Tracing {
    match config.server.trace {
        config::Tracing::Off => Tracing::Off,
        config::Tracing::Continue => Tracing::Continue,
        config::Tracing::Start => Tracing::Start,
    }
}

pub(super) fn access_log(written: config::AccessLog) -> AccessLog {
    match written {
        config::AccessLog::Off => AccessLog::Off,
        config::AccessLog::Refused => AccessLog::Refused,
        config::AccessLog::All => AccessLog::All,
    }
}

pub(super) fn bounds(config: &Config) -> Bounds {
    let limits = &config.limits;
    Bounds {
        headers: limits.max_headers,
        header_bytes: limits.max_header_bytes,
        uri_bytes: limits.max_uri_bytes,
        extended_connect: websockets(config),
        body_bytes: limits.max_body_bytes,
        body_timeout: limits.header_timeout,
    }
}

pub(super) fn shift(config: &Config, tls: Option<Arc<tls::InForce>>) -> Shift {
    let limits = &config.limits;
    Shift {
        deadlines: Deadlines {
            first_byte: limits.first_byte_timeout,
            handshake: limits.handshake_timeout,
            header: limits.header_timeout,
            idle: limits.idle_timeout,
            stall: limits.stall_timeout,
        },
        round: round(config),
        // Twice what is allowed: what lies between is refused by us, with a body that says why.
        reserves: Reserves {
            headers: limits.max_headers * 2,
            header_bytes: limits.max_header_bytes * 2,
            h2_streams: limits.max_h2_streams,
            extended_connect: websockets(config),
            h2_frames: limits.max_h2_idle_frames,
            buffered_bytes: u32::try_from(limits.max_buffered_bytes).unwrap_or(u32::MAX),
        },
        max_connections: limits.max_connections,
        max_connections_per_address: limits.max_connections_per_address,
        max_requests: limits.max_requests_per_connection,
        trusted_proxies: config.server.trusted_proxies.clone(),
        proxy_protocol: config.server.proxy_protocol,
        drain_delay: config.server.drain_delay,
        drain_timeout: config.server.drain_timeout,
        tls,
        max_handshakes: limits.max_handshakes,
        hsts: hsts(config),
    }
}

/// Without a word on subdomains, which may have nothing to do with this gate.
fn hsts(config: &Config) -> Option<HeaderValue> {
    let max_age = config.tls.hsts.as_secs();
    (max_age > 0).then(|| HeaderValue::try_from(format!("max-age={max_age}")).ok()).flatten()
}

/// `None`: clients are served in the clear.
pub(super) fn tls(config: &Config) -> Option<tls::Terms> {
    let written = &config.tls;
    let files = |written: &config::CertificateFiles| tls::Files {
        table: written.table.clone(),
        certificate: written.certificate.clone(),
        key: written.key.clone(),
        ocsp: written.ocsp.clone(),
    };
    (!written.certificates.is_empty()).then(|| tls::Terms {
        certificates: written.certificates.iter().map(files).collect(),
        min_version: match written.min_version {
            config::TlsVersion::Tls12 => tls::MinVersion::Tls12,
            config::TlsVersion::Tls13 => tls::MinVersion::Tls13,
        },
        unknown_names: match written.unknown_names {
            config::UnknownNames::Default => tls::UnknownNames::Default,
            config::UnknownNames::Refuse => tls::UnknownNames::Refuse,
        },
        clients: tls::Clients {
            demand: match written.client_auth {
                config::ClientAuth::Off => tls::Demand::Off,
                config::ClientAuth::Optional => tls::Demand::Optional,
                config::ClientAuth::Required => tls::Demand::Required,
            },
            ca: written.client_ca.clone(),
            crls: written.client_crl.clone(),
        },
    })
}

fn websockets(config: &Config) -> bool {
    config.upstream.upgrades.iter().any(|protocol| protocol.eq_ignore_ascii_case(WEBSOCKET))
}

fn tunnel_idle_timeout(config: &Config) -> Option<Duration> {
    Some(config.limits.tunnel_idle_timeout).filter(|timeout| !timeout.is_zero())
}

/// Often enough for the shortest deadline, and for what was revoked to end within a second, also at a replica that has to
/// read of it first; rarely enough that an idle gate is asleep.
fn round(config: &Config) -> Duration {
    let (limits, upstream) = (&config.limits, &config.upstream);
    let client =
        limits.first_byte_timeout.min(limits.header_timeout).min(limits.idle_timeout).min(limits.stall_timeout);
    let client = client.min(limits.handshake_timeout);
    let kept = if upstream.keepalive.is_zero() { upstream.idle_timeout } else { upstream.keepalive };
    let upstream = upstream.first_byte_timeout.min(upstream.idle_timeout).min(kept);
    let shortest = client.min(upstream).min(tunnel_idle_timeout(config).unwrap_or(NEVER));
    (shortest / 4).clamp(Duration::from_millis(10), Duration::from_millis(500))
}

/// How the upstream is spoken to through TLS, if it is. Blocks on the disk.
pub(super) fn upstream_tls(config: &Config) -> Result<Option<Tls>, TlsError> {
    config.upstream.tls.as_ref().map(|tls| outgoing_tls(tls, &config.upstream.url)).transpose()
}

/// The same for the primary of a replica.
pub(super) fn primary_tls(config: &Config) -> Result<Option<Tls>, TlsError> {
    let (config::StoreKind::Replica { primary }, Some(tls)) = (&config.store.kind, &config.store.tls) else {
        return Ok(None);
    };
    outgoing_tls(tls, primary).map(Some)
}

fn outgoing_tls(tls: &config::UpstreamTls, origin: &config::Origin) -> Result<Tls, TlsError> {
    let trust = match &tls.trust {
        config::UpstreamTrust::System => Trust::System,
        config::UpstreamTrust::Mozilla => Trust::Mozilla,
        config::UpstreamTrust::File(path) => Trust::File(path.clone()),
        config::UpstreamTrust::Anybody => Trust::Anybody,
    };
    let name = tls.server_name.as_ref().unwrap_or(&origin.host);
    Tls::new(name, Papers { trust, own: tls.own.clone() })
}

/// Those of the gate so far are counted in `tunnels`.
pub(super) fn upstream(config: &Config, tls: Option<Tls>, tunnels: &Tunnels) -> Terms {
    let upstream = &config.upstream;
    Terms {
        dial: Dial { address: Address { host: upstream.url.host.clone(), port: upstream.url.port }, tls },
        // It was read as the authority of a URL, all of which a header can hold.
        host: upstream.host.as_ref().and_then(|host| HeaderValue::try_from(host).ok()),
        protocol: match upstream.protocol {
            config::Protocol::Auto => Protocol::Auto,
            config::Protocol::Http1 => Protocol::Http1,
            config::Protocol::Http2 => Protocol::Http2,
        },
        http2: Http2Bounds {
            connections: config.limits.upstream_h2_connections,
            buffered_bytes: u32::try_from(config.limits.max_buffered_bytes).unwrap_or(u32::MAX),
        },
        authorization: match (own_handing(config), upstream.credentials) {
            // Whatever stands there then was put there by the gate.
            (Some(_), _) | (None, config::Credentials::Bearer) => Authorization::Keep,
            (None, config::Credentials::Strip | config::Credentials::Sealed) => Authorization::Remove,
            (None, config::Credentials::Basic) => account(config).map_or(Authorization::Remove, Authorization::Replace),
        },
        connect_timeout: upstream.connect_timeout,
        first_byte_timeout: upstream.first_byte_timeout,
        idle_timeout: upstream.idle_timeout,
        keepalive: upstream.keepalive,
        most_idle: config.limits.upstream_idle_connections,
        own_cookie: own_cookie(config),
        upgrades: upstream.upgrades.clone().into(),
        tunnels: tunnels.clone(),
        tunnel_idle_timeout: tunnel_idle_timeout(config).unwrap_or(NEVER),
    }
}

/// Where a replica's primary is.
pub(super) fn primary_url(config: &Config) -> Option<String> {
    match &config.store.kind {
        config::StoreKind::Memory | config::StoreKind::Redis(_) => None,
        config::StoreKind::Replica { primary } => Some(primary.to_string()),
    }
}

/// Where a replica hands our own endpoints over to; as patient as with the upstream.
pub(super) fn primary(config: &Config, tls: Option<Tls>, tunnels: &Tunnels) -> Option<Terms> {
    match &config.store.kind {
        config::StoreKind::Memory | config::StoreKind::Redis(_) => None,
        config::StoreKind::Replica { primary } => Some(Terms {
            dial: Dial { address: Address { host: primary.host.clone(), port: primary.port }, tls },
            host: None,
            // Another gate understands either.
            protocol: Protocol::Http1,
            authorization: Authorization::Keep,
            own_cookie: None,
            ..upstream(config, None, tunnels)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(methods: &[Method], path: &str, demand: config::Demand) -> config::RouteRule {
        let methods = (!methods.is_empty()).then(|| methods.to_vec());
        config::RouteRule {
            path: path.into(),
            methods,
            certificate: None,
            demand,
            credentials: None,
            once: Vec::new(),
            log: None,
        }
    }

    fn scope(name: &str) -> config::Demand {
        config::Demand::Scope(name.into())
    }

    #[track_caller]
    fn demands(written: &[config::RouteRule], request: (Method, &str), expected: Demand) {
        let mut config = Config::default();
        config.routes.rules = written.to_vec();
        let routes = Routes::new(rules(&config), unmatched(&config));
        assert_eq!(routes.demand(&request.0, request.1), &expected, "{} {}", request.0, request.1);
    }

    #[test]
    fn rounds_are_gone_often_enough_for_every_wait() {
        let rounds = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            round(&config)
        };
        let short = Duration::from_millis(400);
        for change in [
            (|config| config.limits.stall_timeout = Duration::from_millis(400)) as fn(&mut Config),
            |config| config.upstream.first_byte_timeout = Duration::from_millis(400),
            |config| config.upstream.idle_timeout = Duration::from_millis(400),
            |config| config.upstream.keepalive = Duration::from_millis(400),
            |config| config.limits.tunnel_idle_timeout = Duration::from_millis(400),
        ] {
            assert_eq!(rounds(change), short / 4);
        }
        assert_eq!(rounds(|_| {}), Duration::from_millis(500));
        assert_eq!(rounds(|config| config.upstream.keepalive = Duration::ZERO), Duration::from_millis(500));
        assert_eq!(rounds(|config| config.limits.tunnel_idle_timeout = Duration::ZERO), Duration::from_millis(500));
    }

    #[test]
    fn a_rule_for_named_methods_comes_before_one_for_all() {
        let mut written = vec![
            rule(&[], "/a", config::Demand::Public),
            rule(&[Method::GET], "/a", scope("get")),
            rule(&[Method::DELETE, Method::PUT], "/a", scope("change")),
            rule(&[Method::HEAD], "/a", scope("head")),
        ];
        for _ in 0..written.len() {
            written.rotate_left(1);
            for (method, expected) in
                [(Method::GET, "get"), (Method::DELETE, "change"), (Method::PUT, "change"), (Method::HEAD, "head")]
            {
                demands(&written, (method, "/a"), Demand::Scope(expected.into()));
            }
            demands(&written, (Method::POST, "/a"), Demand::Public);
        }
        // What GET demands HEAD does too, also where all other methods are open.
        demands(&written[..2], (Method::HEAD, "/a"), Demand::Scope("get".into()));
    }

    #[test]
    fn the_operators_rules_come_before_the_presets() {
        let all = [rule(&[], "/3rdparty/v1/messages", config::Demand::Role("admin".into()))];
        demands(&all, (Method::POST, "/3rdparty/v1/messages"), Demand::Role("admin".into()));
        demands(&all, (Method::GET, "/3rdparty/v1/messages/7"), Demand::Scope("messages:read".into()));
        let wider = [rule(&[], "/3rdparty/v1/*", config::Demand::Authenticated)];
        demands(&wider, (Method::POST, "/3rdparty/v1/messages"), Demand::Scope("messages:send".into()));
        demands(&wider, (Method::POST, "/3rdparty/v1/other"), Demand::Authenticated);
        demands(&[], (Method::POST, "/3rdparty/v1/other"), Demand::Unmatched);
    }
}
