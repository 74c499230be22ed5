//! `[upstream]`: the API behind the gate.
//!
//! Guarantees: the origin is complete and carries no credentials; an account is there exactly if it is used.
//! Does not know: connections, and whether anything answers there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;

use super::kind::{Choice, TEN_YEARS};
use super::path;
use super::reader::Reader;
use super::route::RouteRule;
use super::secret::Secret;
use super::server::Server;
use super::upstream_tls::{Table, UpstreamTls};

#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    pub url: Origin,
    /// `None`: in the clear.
    pub tls: Option<UpstreamTls>,
    /// What the upstream reads in `Host`; `None`: what the client has sent.
    pub host: Option<String>,
    pub protocol: Protocol,
    pub credentials: Credentials,
    /// The one of `basic`.
    pub account: Option<Account>,
    /// How long a key seals passwords before the next one does.
    pub sealing_rotation: Duration,
    pub connect_timeout: Duration,
    /// Without a byte moving in either direction before the answer begins.
    pub first_byte_timeout: Duration,
    /// Without a byte from the upstream in the middle of an answer.
    pub idle_timeout: Duration,
    /// How long an unused connection is kept; zero keeps none.
    pub keepalive: Duration,
    /// Protocols that a client may change to, as `Upgrade` names them.
    pub upgrades: Vec<String>,
}

/// Where the upstream is. The name in it is resolved by whoever connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub https: bool,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// What stands in front of every path: empty, or `/base` without a slash at its end.
    pub base: String,
}

/// What is spoken with the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, as nothing was agreed upon.
    Auto,
    Http1,
    /// From the first byte on, without asking.
    Http2,
}

/// What the upstream gets to authenticate the gate or the client with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing but the identity headers.
    Strip,
    /// The client's access token.
    Bearer,
    /// One account for everybody.
    Basic,
    /// The user's own name and password, sealed into the tokens.
    Sealed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub username: String,
    pub password: Secret,
}

impl Upstream {
    /// Everything but the account, and what was written of that: see [`WrittenAccount::settle`].
    pub(super) fn read(r: &mut Reader, server: &Server) -> (Self, WrittenAccount) {
        let deadline = Duration::from_millis(1)..=TEN_YEARS;
        let default = Origin { https: false, host: "127.0.0.1".into(), port: 3000, base: String::new() };
        let url = r.parsed("upstream.url", default, origin);
        let credentials = r.choice(MODE, Credentials::Strip);
        let account = WrittenAccount::read(r);
        let mut upstream = Self {
            protocol: r.choice("upstream.protocol", Protocol::Auto),
            host: r.optional_parsed("upstream.host", host),
            credentials,
            account: None,
            sealing_rotation: Duration::ZERO,
            connect_timeout: r.duration("upstream.connect_timeout", Duration::from_secs(5), deadline.clone()),
            first_byte_timeout: r.duration("upstream.first_byte_timeout", Duration::from_secs(60), deadline.clone()),
            idle_timeout: r.duration("upstream.idle_timeout", Duration::from_mins(5), deadline),
            keepalive: r.duration("upstream.keepalive", Duration::from_secs(4), Duration::ZERO..=TEN_YEARS),
            upgrades: r.list_or("upstream.upgrades", &["websocket"], protocol),
            tls: None,
            url,
        };
        let month = Duration::from_hours(720);
        upstream.sealing_rotation = r.seconds("upstream.sealing_rotation", month, Duration::from_secs(1)..=TEN_YEARS);
        // Last: its keys form a table of their own.
        upstream.tls = UpstreamTls::read(r, &TLS, upstream.url.https);
        r.contradiction_if(
            upstream.url.is_ours(server),
            &["upstream.url", "server.listen"],
            "the upstream is the gate itself: upstream.url and server.listen are the same",
        );
        (upstream, account)
    }
}

const MODE: &str = "upstream.credentials";
const TLS: Table = Table {
    name: "upstream.tls",
    urls: &["upstream.url"],
    if_secure: "upstream.url begins with https://",
    unchecked: true,
};

const USERNAME: &str = "upstream.username";
const PASSWORD: [&str; 2] = ["upstream.password", "upstream.password_file"];

/// The account of `basic` as it was written.
pub(super) struct WrittenAccount {
    username: Option<String>,
    password: Option<Secret>,
}

impl WrittenAccount {
    fn read(r: &mut Reader) -> Self {
        Self { username: r.optional_parsed(USERNAME, username), password: r.secret(PASSWORD[0]) }
    }

    /// The account, which has to be there exactly if something uses it: everything, or some of the `routes`.
    pub(super) fn settle(self, r: &mut Reader, mode: Credentials, routes: &[RouteRule]) -> Option<Account> {
        let Self { username, password } = self;
        let needless = format!("is used only with {MODE} = \"basic\"");
        let of_route = routes.iter().any(|rule| rule.credentials == Some(Credentials::Basic));
        let basic = of_route || mode == Credentials::Basic;
        // An account that is left over, or that was believed to be in use, is worth a question.
        r.contradiction_if(!basic && username.is_some(), &[USERNAME, MODE], &needless);
        let given = r.given(&PASSWORD);
        r.contradiction_if(!basic && password.is_some(), &[given, MODE], &needless);
        r.contradiction_if(basic && username.is_none(), &[MODE, USERNAME], format!("\"basic\" needs {USERNAME}"));
        let lacks_password = format!("\"basic\" needs {} or {}", PASSWORD[0], PASSWORD[1]);
        r.contradiction_if(basic && password.is_none(), &[MODE, PASSWORD[0], PASSWORD[1]], lacks_password);
        Some(Account { username: username?, password: password? }).filter(|_| basic)
    }
}

fn username(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must not be empty".into()),
        // RFC 7617 section 2: the first colon ends the name.
        text if text.contains(':') || text.contains(char::is_control) => {
            Err("must not contain a colon or control characters".into())
        }
        text => Ok(text.into()),
    }
}

/// What stands in `Host`: a name or an address, with a port or without.
fn host(text: &str) -> Result<String, String> {
    match text.parse::<Authority>() {
        Ok(authority) if !text.contains('@') && !authority.host().is_empty() => Ok(text.into()),
        _ => Err("must be a host, with or without a port, such as `api.example.com`".into()),
    }
}

/// A protocol as `Upgrade` names it (RFC 9110 section 7.8).
fn protocol(text: &str) -> Result<String, String> {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let (name, version) = text.split_once('/').unwrap_or((text, "0"));
    if !is_token(name) || !is_token(version) {
        return Err("must be the name of a protocol, such as \"websocket\"".into());
    }
    // Requests within would not be judged.
    if ["h2c", "http", "tls"].iter().any(|never| name.eq_ignore_ascii_case(never)) {
        return Err("would carry requests past the gate".into());
    }
    Ok(text.into())
}

/// Mistakes do not repeat the URL: it may hold a password, which is what is wrong with it.
pub(super) fn origin(text: &str) -> Result<Origin, String> {
    let Some((scheme, _)) = text.split_once("://") else {
        return Err("must be a URL such as `http://127.0.0.1:3000`".into());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {}
        _ => return Err("must begin with http:// or https://".into()),
    }
    let https = scheme.eq_ignore_ascii_case("https");
    // The parser drops a fragment without a word.
    if text.contains('#') {
        return Err("must not have a fragment".into());
    }
    if text.contains('@') {
        return Err("must not hold a user name or password: use upstream.username and upstream.password".into());
    }
    let uri: Uri = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
    if uri.query().is_some() {
        return Err("must not have a query".into());
    }
    let authority = uri.authority().ok_or("has no host")?;
    let host = authority.host();
    let port = match authority.as_str().strip_prefix(host) {
        Some("") if https => 443,
        Some("") => 80,
        Some(_) => authority.port_u16().filter(|port| *port != 0).ok_or("has no usable port")?,
        None => return Err("has no usable host".into()),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() {
        return Err("has no host".into());
    }
    let base = path::prefix(uri.path()).map_err(|text| format!("has a path that {text}"))?;
    Ok(Origin { https, host: bare.into(), port, base })
}

impl Origin {
    /// Whether a request to this origin would come straight back to the gate.
    pub(super) fn is_ours(&self, server: &Server) -> bool {
        let ours = server.listen.ip();
        let reaches = |theirs: IpAddr| {
            // Listening on `::` takes IPv4 as well; connecting to an unspecified address reaches the loopback one.
            let family = theirs.is_ipv4() == ours.is_ipv4() || ours == IpAddr::from(Ipv6Addr::UNSPECIFIED);
            let everywhere = ours.is_unspecified() && (theirs.is_loopback() || theirs.is_unspecified());
            theirs == ours || (family && (everywhere || (theirs.is_unspecified() && ours.is_loopback())))
        };
        let same_host = match self.host.parse::<IpAddr>() {
            Ok(theirs) => reaches(theirs),
            Err(_) if self.host.eq_ignore_ascii_case("localhost") => {
                reaches(Ipv4Addr::LOCALHOST.into()) || reaches(Ipv6Addr::LOCALHOST.into())
            }
            Err(_) => false,
        };
        same_host && self.port == server.listen.port()
    }
}

/// The URL, with its port always written out.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { https, host, port, base } = self;
        let scheme = if *https { "https" } else { "http" };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}{base}")
        } else {
            write!(f, "{scheme}://{host}:{port}{base}")
        }
    }
}

impl Choice for Protocol {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("http1", Self::Http1), ("http2", Self::Http2)];
}

impl Choice for Credentials {
    const NAMES: &'static [(&'static str, Self)] =
        &[("strip", Self::Strip), ("bearer", Self::Bearer), ("basic", Self::Basic), ("sealed", Self::Sealed)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_complete() {
        for (text, shown) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("HTTP://sms_gate/", "http://sms_gate:80"),
            ("https://api", "https://api:443"),
            ("HTTPS://[::1]:8443/base", "https://[::1]:8443/base"),
            ("http://[::1]:3000/base/v2", "http://[::1]:3000/base/v2"),
        ] {
            let origin_ = origin(text).unwrap();
            assert_eq!(origin_.to_string(), shown);
            assert_eq!(origin(shown), Ok(origin_));
        }
    }

    #[track_caller]
    fn refuses(text: &str, part: &str) {
        let mistake = origin(text).unwrap_err();
        assert!(mistake.contains(part), "{text}: {mistake}");
        assert!(!mistake.contains("hush"), "{text}: {mistake}");
    }

    #[test]
    fn what_is_no_plain_origin_is_refused_without_repeating_it() {
        refuses("", "must be a URL");
        refuses("127.0.0.1:3000", "must be a URL");
        refuses("hush://api", "begin with http:// or https://");
        refuses("http://", "not a URL");
        refuses("http://:3000", "no host");
        refuses("http://api:", "no usable port");
        refuses("http://api:0", "no usable port");
        refuses("http://api:99999", "port");
        refuses("http://user:hush@api", "must not hold");
        refuses("http://api/?hush", "query");
        refuses("http://api/#hush", "fragment");
        refuses("http://api/base/", "end with `/`");
        refuses("http://api/a%2fb", "not `%`");
        refuses("http://a b", "not a URL");
    }

    #[track_caller]
    fn ours(url: &str, listen: &str, expected: bool) {
        let server = Server {
            drain_delay: Duration::ZERO,
            listen: listen.parse().unwrap(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            trace: super::super::server::Tracing::Off,
            drain_timeout: Duration::ZERO,
        };
        assert_eq!(origin(url).unwrap().is_ours(&server), expected, "{url} behind {listen}");
    }

    #[test]
    fn an_upstream_that_is_the_gate_itself_is_recognised() {
        ours("http://127.0.0.1:8080", "127.0.0.1:8080", true);
        ours("http://localhost:8080/base", "127.0.0.1:8080", true);
        ours("http://localhost:8080", "[::1]:8080", true);
        ours("http://127.0.0.1:8080", "0.0.0.0:8080", true);
        ours("http://127.0.0.1:8080", "[::]:8080", true);
        ours("http://0.0.0.0:8080", "127.0.0.1:8080", true);
        ours("http://[::1]:8080", "0.0.0.0:8080", false);
        ours("http://127.0.0.2:8080", "127.0.0.1:8080", false);
        ours("http://localhost:8080", "127.0.0.2:8080", false);
        ours("http://10.0.0.5:8080", "0.0.0.0:8080", false);
        ours("http://127.0.0.1:3000", "127.0.0.1:8080", false);
        ours("http://api:8080", "0.0.0.0:8080", false);
    }
}
