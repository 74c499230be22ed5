//! The configuration: built-in defaults, under `config.toml`, under `PORTCULLIS_SECTION__KEY` variables, under flags.
//!
//! Guarantees: [`load`] yields either a [`Config`] in which every value has its type, its range and no contradiction,
//! or every mistake at once, each with its place. No secret appears in a mistake, in `Debug`, or in what is printed.
//! Does not know: any running thing. It binds no port and makes nothing; rooms receive their own section.
//!
//! A configuration is parsed twice. First what was written (`file`, `environment`, `written`), then what is trusted:
//! each section below asks the `reader` for its keys. A key is known because a section asks for it; there is no other
//! list.

mod admin;
mod client;
mod cors;
mod effective;
mod environment;
mod file;
mod fixed;
mod issuer;
mod kind;
mod limits;
mod log;
mod mistake;
mod path;
mod profiles;
mod quantity;
mod reader;
mod route;
mod routes;
mod secret;
mod server;
mod shape;
mod signing_secret;
mod store;
mod tls;
mod token;
mod token_keys;
mod upstream;
mod upstream_tls;
mod users;
mod written;

#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::path::{Path, PathBuf};

pub use self::admin::Admin;
pub use self::client::Client;
pub use self::cors::Cors;
pub use self::effective::Setting;
pub use self::environment::process_environment;
pub use self::issuer::Issuer;
pub use self::limits::{Limits, SignInLimits};
pub use self::log::{AccessLog, Log, LogFormat, LogLevel};
pub use self::mistake::{Mistake, Place};
pub use self::profiles::{FormProfile, OauthProfile, Profiles, SmsgateProfile};
pub use self::route::{Demand, RouteRule};
pub use self::routes::{BasicAuth, DeviceRegistration, Errors, Preset, Routes, Unmatched};
pub use self::secret::Secret;
pub use self::server::{Server, Tracing};
pub use self::store::{Fsync, RecordAddresses, Redis, RedisServer, Store, StoreKind};
pub use self::tls::{CertificateFiles, ClientAuth, Tls, TlsVersion, UnknownNames};
pub use self::token::{KeySource, Lifetimes, Token, TokenType};
pub use self::token_keys::TokenKey;
pub use self::upstream::{Account, Credentials, Origin, Protocol, Upstream};
pub use self::upstream_tls::{Trust as UpstreamTrust, UpstreamTls};
pub use self::users::{Check, Htpasswd, Realm, RealmPlace, Users};
pub use crate::keys::Algorithm;

use self::file::File;
use self::reader::Reader;
use self::written::Written;

/// The file that is read if no other is named; it may be missing.
const DEFAULT_FILE: &str = "config.toml";

/// Where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file named by `--config` or `PORTCULLIS_CONFIG`, which must exist. Without it `config.toml` in the working
    /// directory is read if it is there.
    pub file: Option<PathBuf>,
    /// Variables; those that neither begin with `PORTCULLIS_` nor are known otherwise are ignored. See [`process_environment`].
    pub environment: Vec<(String, String)>,
    /// Settings of the command line, as dotted key and text. Of two with the same key the last one wins.
    pub flags: Vec<(String, String)>,
}

impl LoadOptions {
    /// The file that is read, if it is there.
    pub fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
    }
}

/// Everything that can be configured, as it is trusted. Paths are relative to the process's working directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where keys, snapshot and journal live.
    pub data_dir: PathBuf,
    /// Worker threads, at least one: as many as written, or as the CPU quota allows.
    pub workers: NonZero<usize>,
    pub server: Server,
    pub admin: Admin,
    pub tls: Tls,
    pub limits: Limits,
    pub log: Log,
    pub upstream: Upstream,
    pub token: Token,
    pub users: Users,
    pub routes: Routes,
    pub profiles: Profiles,
    pub cors: Cors,
    /// The `[[client]]` tables in the order of the file.
    pub clients: Vec<Client>,
    pub store: Store,
    pub issuers: Vec<Issuer>,
    settings: Vec<Setting>,
    files: Vec<PathBuf>,
}

/// Reads all layers. On failure every mistake is listed: the file's in the order of its lines, then the environment's,
/// then the command line's. Only a file that is missing or no TOML hides what else may be wrong with its values.
pub fn load(options: LoadOptions) -> Result<Config, Vec<Mistake>> {
    let file = match &options.file {
        Some(path) => File::read(path, true),
        None => File::read(Path::new(DEFAULT_FILE), false),
    };
    assemble(file, options.environment, options.flags)
}

fn assemble(
    file: Result<Option<File>, Mistake>,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String)>,
) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    // Reading nothing at all asks for every key there is.
    let everything = Config::default();
    let known: Vec<&str> = everything.settings.iter().map(|setting| &*setting.key).collect();
    let alias = environment::alias(&environment, &mut mistakes);
    let variables = environment::settings(environment, &known, &mut mistakes);
    let (flags, unknown): (Vec<_>, Vec<_>) = flags.into_iter().partition(|(key, _)| known.contains(&&**key));
    mistakes.extend(unknown.iter().map(|(key, _)| reader::unknown_flag(key, &known)));

    let written = file.and_then(|file| Written::new(file, alias, variables, flags));
    let config = match written {
        Ok(written) => {
            let (config, found) = Config::read(Reader::new(written));
            mistakes.extend(found);
            Some(config)
        }
        Err(mistake) => {
            mistakes.push(mistake);
            None
        }
    };
    mistakes.sort_by(|a, b| a.place.cmp(&b.place));
    config.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

impl Config {
    /// Each key in effect with its value and source, in the order of `config.toml`.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Files besides the one of the configuration of whose contents it is made.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The configuration in effect as a commented TOML file. Secrets show as `[secret]`.
    pub fn effective(&self) -> String {
        effective::to_toml(&self.settings)
    }

    fn read(mut reader: Reader) -> (Self, Vec<Mistake>) {
        let r = &mut reader;
        let data_dir = r.path("data_dir", "data");
        let workers = match NonZero::new(r.number("workers", 0, 0..=1024)) {
            Some(workers) => workers,
            // Honours the quota of the control group as well as the CPU mask.
            None => std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
        };
        let server = Server::read(r);
        let admin = Admin::read(r, &server);
        let mut tls = Tls::read(r, &server, &admin);
        let limits = Limits::read(r, workers);
        let log = Log::read(r);
        let (mut upstream, account) = Upstream::read(r, &server);
        let token = Token::read(r);
        let mut users = Users::read(r);
        let mut routes = Routes::read(r);
        let profiles = Profiles::read(r, &token);
        let cors = Cors::read(r);
        let store = Store::read(r, &server);
        // Last, because their tables must follow everything that stands in no table of theirs.
        tls.read_tables(r);
        let clients = Client::read_all(r, &profiles.oauth);
        let issuers = Issuer::read_all(r, &token);
        users.realms = Realm::read_all(r);
        routes.rules = RouteRule::read_all(r, &tls);
        upstream.account = account.settle(r, upstream.credentials, &routes.rules);
        let files = reader.files();
        let (settings, mistakes) = reader.finish();
        let config = Self {
            data_dir,
            workers,
            server,
            admin,
            tls,
            limits,
            log,
            upstream,
            token,
            users,
            routes,
            profiles,
            clients,
            cors,
            store,
            issuers,
            settings,
            files,
        };
        (config, mistakes)
    }
}

/// What an empty configuration means.
impl Default for Config {
    fn default() -> Self {
        Self::read(Reader::new(Written::default())).0
    }
}
