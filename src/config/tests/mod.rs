//! The configuration as a whole: layers, where mistakes are found, and what comes out.
//!
//! Guarantees: no test here reads the process's own environment or working directory.
//! Does not know: single values; their files test them.

mod reference;
mod secrets;
mod shipped;
mod token_keys;
mod wrong;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::token::AccessOverlap;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn layers(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let file = File::parse(Path::new("config.toml"), file.into()).map(Some);
    let config = assemble(file, pairs(environment), pairs(flags));
    config.map_err(|mistakes| mistakes.iter().map(Mistake::to_string).collect())
}

/// The values alone, without where they come from.
fn values(mut config: Config) -> Config {
    config.settings.clear();
    config
}

#[track_caller]
fn right(file: &str) -> Config {
    layers(file, &[], &[]).unwrap()
}

#[track_caller]
fn mistakes(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(layers(file, environment, flags).unwrap_err(), expected);
}

#[test]
fn later_layers_win() {
    let file = "server.listen = '127.0.0.1:1'\nworkers = 1\ntoken.issuer = 'file'\n";
    let environment = [("PORTCULLIS_SERVER__LISTEN", "127.0.0.1:2"), ("PORTCULLIS_WORKERS", "2")];
    let flags = [("server.listen", "127.0.0.1:3"), ("server.listen", "127.0.0.1:4")];
    let config = layers(file, &environment, &flags).unwrap();
    assert_eq!(config.server.listen, SocketAddr::from(([127, 0, 0, 1], 4)));
    assert_eq!(config.workers.get(), 2);
    assert_eq!(config.token.issuer, "file");
    assert_eq!(config.token.audience, Vec::<String>::new());

    let source = |key| config.settings().iter().find(|setting| setting.key == key).unwrap().source.to_string();
    assert_eq!(source("server.listen"), "--set server.listen");
    assert_eq!(source("workers"), "PORTCULLIS_WORKERS");
    assert_eq!(source("token.issuer"), "config.toml:3");
    assert_eq!(source("token.audience"), "default");
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_places() {
    let file = "\
[server]
lisen = '127.0.0.1:8080'
drain_timeout = 30

[upstream]
url = 'ftp://api'
";
    mistakes(
        file,
        &[("PORTCULLIS_SERVER__LISEN", "x"), ("PORTCULLIS_WORKERS", "many")],
        &[("server.lisen", "x"), ("log.level", "loud")],
        &[
            "config.toml:2:1: server.lisen: unknown key (did you mean `listen`?)",
            "config.toml:3:17: server.drain_timeout: needs a unit: 30 of what? \
             Write a duration such as \"30s\", \"15m\" or \"500ms\"",
            "config.toml:6:7: upstream.url: must begin with http:// or https://",
            "PORTCULLIS_SERVER__LISEN: unknown variable (did you mean `PORTCULLIS_SERVER__LISTEN`?)",
            "PORTCULLIS_WORKERS: must be a whole number",
            "--set log.level: `loud` is not one of error, warn, info, debug, trace",
            "--set server.lisen: unknown key (did you mean `server.listen`?)",
        ],
    );
}

#[test]
fn a_syntax_mistake_has_its_place_and_does_not_hide_unknown_names() {
    mistakes(
        "workers = 1\n[server\nlisten = 'x'\n",
        &[("PORTCULLIS_WORKER", "1")],
        &[],
        &[
            "config.toml:2:8: invalid table header, expected `.`, `]`",
            "PORTCULLIS_WORKER: unknown variable (did you mean `PORTCULLIS_WORKERS`?)",
        ],
    );
}

#[test]
fn lists_come_from_variables() {
    let environment =
        [("PORTCULLIS_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"), ("PORTCULLIS_TOKEN__AUDIENCE", r#"["a,b", "c"]"#)];
    let config = layers("token.audience = ['replaced', 'not', 'merged']", &environment, &[]).unwrap();
    assert_eq!(config.server.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!(config.token.audience, ["a,b", "c"]);
    let none = layers("token.audience = ['a']", &[("PORTCULLIS_TOKEN__AUDIENCE", "")], &[]).unwrap();
    assert!(none.token.audience.is_empty());
    mistakes("", &[("PORTCULLIS_TOKEN__AUDIENCE", "a,,b")], &[], &["PORTCULLIS_TOKEN__AUDIENCE: must not be empty"]);
}

#[test]
fn variables_of_kubernetes_service_links_are_no_settings() {
    let links = [
        ("PORTCULLIS_PORT", "tcp://10.96.0.10:8080"),
        ("PORTCULLIS_PORT_8080_TCP", "tcp://10.96.0.10:8080"),
        ("PORTCULLIS_SERVICE_HOST", "10.96.0.10"),
        ("PORTCULLIS_SERVICE_PORT", "8080"),
        ("PORTCULLIS_CONFIG", "x"),
        ("PORTCULLIS_LOG", "debug"),
        ("PORTCULLIS_TEST_REQUIRE", "all"),
    ];
    assert_eq!(layers("", &links, &[]), Ok(Config::default()));
}

#[test]
fn the_effective_configuration_reads_back_as_the_same() {
    let file = "\
data_dir = 'a \"b\" \\ c'
limits.max_body_bytes = 70000
token.audience = ['a', 'b']
token.access_overlap = 'until-expiry'
routes.prefix = '/'
upstream.url = 'https://api/base'
upstream.host = 'api:8443'
upstream.tls.ca_file = 'ca.pem'
upstream.tls.server_name = 'api.internal'
upstream.tls.certificate = 'gate.crt'
upstream.tls.key = 'gate.key'
[[issuer]]
issuer = 'https://a'
jwks_url = 'https://[::1]:8443/keys?a=b'
ca_file = 'ca.pem'
audience = ['a']
algorithms = ['RS256', 'EdDSA']
scopes = { 'a.b' = 'c:d', 'e' = ['f', 'all:any'], none = [] }
[[issuer]]
issuer = 'http://b'
jwks_file = 'b.json'
audience = ['a', 'b']
algorithms = ['ES384']
roles_claim = 'realm_access.roles'
cooldown = '1500ms'
[[route]]
path = '/a/{id}'
methods = ['GET', 'POST']
role = 'b'
[[route]]
path = '/*'
access = 'authenticated'
";
    let config = layers(file, &[("PORTCULLIS_WORKERS", "3")], &[("log.level", "debug")]).unwrap();
    let printed = config.effective();
    assert!(printed.contains("# PORTCULLIS_WORKERS") && printed.contains("# --set log.level"), "{printed}");
    assert_eq!(values(right(&printed)), values(config));
    assert_eq!(values(right(&Config::default().effective())), values(Config::default()));
}

#[test]
fn the_strict_preset_changes_defaults_alone_and_is_told_as_their_origin() {
    let minutes = |number| Duration::from_mins(number);
    let lifetimes = |config: &Config| {
        let (token, form, oauth) = (&config.token, &config.profiles.form, &config.profiles.oauth);
        let access = [token.access_ttl, token.access_ttl_max, form.access_ttl, oauth.access_ttl];
        (access, [token.refresh_ttl, form.refresh_ttl, oauth.refresh_ttl], token.session_ttl)
    };
    let (_, _, session_ttl) = lifetimes(&Config::default());
    let strict = right("token.lifetimes = 'strict'");
    assert_eq!(lifetimes(&strict), ([minutes(5); 4], [minutes(60); 3], session_ttl));
    let standard = right("token.lifetimes = 'standard'");
    assert_eq!(lifetimes(&standard), lifetimes(&Config::default()));

    let file = "token.lifetimes = 'strict'\ntoken.refresh_ttl = '2h'\nprofiles.form.access_ttl = '6m'";
    let config = right(file);
    let (access, refresh, _) = lifetimes(&config);
    assert_eq!((access[2], refresh), (minutes(6), [minutes(120), minutes(60), minutes(60)]));
    let source = |key| config.settings().iter().find(|setting| setting.key == key).unwrap().source.to_string();
    assert_eq!(source("token.access_ttl_max"), "token.lifetimes");
    assert_eq!(source("profiles.oauth.refresh_ttl"), "token.lifetimes");
    assert_eq!(source("token.refresh_ttl"), "config.toml:2");
    assert_eq!(source("profiles.form.access_ttl"), "config.toml:3");
    assert_eq!(source("token.session_ttl"), "default");
    assert_eq!(values(right(&config.effective())), values(config));
    // Clients follow their profile.
    let client = "token.lifetimes = 'strict'\n[[client]]\nid = 'a'\npublic = true";
    assert_eq!(right(client).clients[0].refresh_ttl, minutes(60));
}

#[test]
fn trusted_values_have_their_types() {
    let config = Config::default();
    assert!(config.workers.get() > 0);
    assert_eq!(config.limits.password_parallel, config.workers);
    assert_eq!(config.limits.max_header_bytes, 32_768);
    assert_eq!(config.token.key, KeySource::Ring);
    assert_eq!(config.token.access_overlap, AccessOverlap::For(Duration::from_secs(30)));
    assert_eq!(
        (config.routes.prefix.as_str(), config.routes.upstream_prefix.as_str()),
        ("/3rdparty/v1", "/3rdparty/v1")
    );

    let config = right("routes.upstream_prefix = '/'\ntoken.algorithm = 'ES256'\ntoken.key_file = 'k.pem'");
    assert_eq!((config.routes.prefix.as_str(), config.routes.upstream_prefix.as_str()), ("/3rdparty/v1", ""));
    assert_eq!(config.token.key, KeySource::File { algorithm: Algorithm::ES256, path: "k.pem".into() });
    let config = right("routes.prefix = '/'");
    assert_eq!((config.routes.prefix.as_str(), config.routes.upstream_prefix.as_str()), ("", ""));
}

#[test]
fn a_named_file_must_exist_and_the_default_one_need_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.toml");
    assert!(File::read(&path, false).unwrap().is_none());
    let options = LoadOptions { file: Some(path.clone()), ..LoadOptions::default() };
    let found = load(options.clone()).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with(&format!("{}: cannot be read: No such file", path.display())));

    fs::write(&path, b"workers = 1\n# \xff").unwrap();
    assert_eq!(
        load(options.clone()).unwrap_err()[0].to_string(),
        format!("{}:2:3: is not valid UTF-8", path.display())
    );
    fs::write(&path, "workers = 5").unwrap();
    assert_eq!(load(options).unwrap().workers.get(), 5);
}
