//! Finding the engine that takes changes.
//!
//! Guarantees: what is connected to says of itself that it is a primary; no wait is longer than `store.timeout`; no message
//! holds a password.
//! Does not know: what is sent.

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, cmd,
};

use crate::observe::chain;

use super::line::Places;
use super::{Server, Terms};

/// How often a cluster may send us on.
const MOVES: usize = 3;

pub(super) struct Connected {
    /// For changes, and for whatever takes no time.
    pub connection: MultiplexedConnection,
    /// For waiting on the log.
    pub waiting: MultiplexedConnection,
    /// Which engine this is, in which of its lives: what is behind another one may have taken something back.
    pub lineage: String,
    /// The slot of all keys, in a cluster.
    pub slot: Option<u16>,
    /// Something that operators should know of.
    pub notice: Option<String>,
}

/// # Errors
/// What the last server that was tried has said.
pub(super) async fn connect(terms: &Terms, places: &Places) -> Result<Connected, String> {
    let mut trouble = "no server is named".to_owned();
    for server in &terms.servers {
        match reach(terms, places, server).await {
            Ok(connected) => return Ok(connected),
            Err(why) => trouble = format!("{}:{}: {why}", server.host, server.port),
        }
    }
    Err(trouble)
}

async fn reach(terms: &Terms, places: &Places, server: &Server) -> Result<Connected, String> {
    let mut server = match &terms.sentinel {
        Some(name) => ask_sentinel(terms, server, name).await?,
        None => server.clone(),
    };
    for _ in 0..MOVES {
        let mut connection = open(terms, &server, true).await?;
        match cmd("EXISTS").arg(&places.log).query_async::<bool>(&mut connection).await {
            Ok(_) => return greet(terms, places, &server, connection).await,
            Err(error) => match moved_to(&error, &server) {
                // All keys are in one slot of a cluster.
                Some(there) => server = there,
                None => return Err(chain(&error)),
            },
        }
    }
    Err("the cluster sends us round in circles".into())
}

/// A slot that is being moved has no one place (`ASK`): then it is waited for.
fn moved_to(error: &RedisError, from: &Server) -> Option<Server> {
    let (there, _slot) = error.redirect_node().filter(|_| error.kind() == ErrorKind::Server(ServerErrorKind::Moved))?;
    let (host, port) = there.rsplit_once(':')?;
    let host = match host.trim_matches(['[', ']']) {
        // A node that does not know what others call it.
        "" | "?" => from.host.clone(),
        host => host.into(),
    };
    Some(Server { host, port: port.parse().ok()? })
}

async fn greet(
    terms: &Terms,
    places: &Places,
    server: &Server,
    mut connection: MultiplexedConnection,
) -> Result<Connected, String> {
    let mut info = String::new();
    for section in ["server", "replication", "memory", "cluster"] {
        let told: Result<String, RedisError> = cmd("INFO").arg(section).query_async(&mut connection).await;
        info += &told.map_err(|error| chain(&error))?;
    }
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("");
    if field("role") != "master" {
        return Err("is a replica, which takes no changes".into());
    }
    let policy = field("maxmemory_policy");
    let forgets = !matches!(policy, "noeviction" | "") && !matches!(field("maxmemory"), "0" | "");
    let notice = forgets.then(|| {
        format!("maxmemory-policy is {policy}: when memory is short the engine forgets sessions and revocations; set it to noeviction")
    });
    let lineage = format!("{} {}", field("run_id"), field("master_replid"));
    let slot = match field("cluster_enabled") {
        "1" => {
            let mut ask = cmd("CLUSTER");
            let slot = ask.arg("KEYSLOT").arg(&places.log).query_async(&mut connection).await;
            Some(slot.map_err(|error| chain(&error))?)
        }
        _ => None,
    };
    let waiting = open(terms, server, true).await?;
    Ok(Connected { connection, waiting, lineage, slot, notice })
}

async fn ask_sentinel(terms: &Terms, sentinel: &Server, name: &str) -> Result<Server, String> {
    let mut connection = open(terms, sentinel, false).await?;
    let mut ask = cmd("SENTINEL");
    let told: Result<Option<(String, u16)>, RedisError> =
        ask.arg("get-master-addr-by-name").arg(name).query_async(&mut connection).await;
    let (host, port) = told.map_err(|error| chain(&error))?.ok_or_else(|| format!("knows no primary called {name}"))?;
    Ok(Server { host, port })
}

/// The account is the engine's; sentinels are asked without one.
async fn open(terms: &Terms, server: &Server, account: bool) -> Result<MultiplexedConnection, String> {
    let address = match &terms.tls {
        Some(_) => {
            ConnectionAddr::TcpTls { host: server.host.clone(), port: server.port, insecure: false, tls_params: None }
        }
        None => ConnectionAddr::Tcp(server.host.clone(), server.port),
    };
    let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2);
    if account {
        settings = settings.set_db(terms.database);
        if let Some(username) = &terms.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &terms.password {
            settings = settings.set_password(password.as_str());
        }
    }
    // A change does not wait for the answer to the one before it.
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = address.into_connection_info().map_err(|error| chain(&error))?;
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    let client = match &terms.tls {
        None => Client::open(info),
        Some(tls) => {
            let client_tls = tls.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
                client_cert: certificate.clone(),
                client_key: key.to_vec(),
            });
            Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: tls.authority.clone() })
        }
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(terms.timeout))
        // Each wait has a limit of its own.
        .set_response_timeout(None);
    let client = client.map_err(|error| chain(&error))?;
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    match tokio::time::timeout(terms.timeout, connected).await {
        Ok(connected) => connected.map_err(|error| chain(&error)),
        Err(_) => Err("no connection within store.timeout".into()),
    }
}
