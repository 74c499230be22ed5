//! Settings from the environment.

use std::fs;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{Gate, Run, Start, Upstream};

const LIST: &str = "/3rdparty/v1/messages";

/// Holds an access token of the gate to be signed with `secret`.
#[track_caller]
fn signs_with(gate: &Gate, secret: &[u8]) {
    let token = gate.alice(&["messages:list"]).field("access_token");
    gate.get(LIST).bearer(&token).send().expect(200);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes(), &signature).unwrap();
}

#[test]
fn variables_are_settings() {
    let gate = Start::before(Upstream::start().address)
        .env("PORTCULLIS_TOKEN__ISSUER", "from-the-environment")
        .env("PORTCULLIS_TOKEN__ACCESS_TTL", "2m")
        .env("PORTCULLIS_TOKEN__AUDIENCE", "a,b")
        .start();
    let claims = gate.alice(&["messages:list"]).claims("access_token");
    assert_eq!(claims["iss"], "from-the-environment");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
    assert_eq!(claims["aud"], serde_json::json!(["a", "b"]));
}

#[test]
fn the_file_yields_to_the_environment_and_that_to_flags() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("config.toml"),
        "[token]\nissuer = \"file\"\nleeway = \"1s\"\nretry_window = \"2s\"\n",
    )
    .unwrap();
    let run = Run::new(folder.path(), &["config", "--set", "token.issuer=flag"]);
    let run = run.env("PORTCULLIS_TOKEN__ISSUER", "variable").env("PORTCULLIS_TOKEN__LEEWAY", "3s");
    let shown = run.end().expect(0).stdout;
    for (key, source) in [
        ("issuer = \"flag\"", "--set token.issuer"),
        ("leeway = \"3s\"", "PORTCULLIS_TOKEN__LEEWAY"),
        ("retry_window = \"2s\"", "config.toml:4"),
        ("access_ttl = \"15m\"", "default"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("no {key}: {shown}"));
        assert!(line.ends_with(&format!("# {source}")), "{line}");
    }
}

#[test]
fn a_secret_of_digits_is_a_text_like_any_other() {
    let digits = "07318462950183746529018374652901837465290183746529";
    let gate = Start::before(Upstream::start().address).env("PORTCULLIS_TOKEN__SECRET", digits).start();
    signs_with(&gate, digits.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let short = Run::new(folder.path(), &["check"]).env("PORTCULLIS_TOKEN__SECRET", "12345678").end().expect(78);
    assert!(short.stderr.contains("8 bytes long"), "{short:#?}");
}

#[test]
fn a_secret_in_a_file_loses_its_last_line_break_and_nothing_else() {
    let secret = " 0123456789abcdef0123456789abcdef \n";
    let start = Start::before(Upstream::start().address).env("PORTCULLIS_TOKEN__SECRET_FILE", "the secret");
    fs::write(start.path().join("the secret"), format!("{secret}\n")).unwrap();
    signs_with(&start.start(), secret.as_bytes());
}

#[test]
fn what_kubernetes_puts_there_is_no_setting() {
    let links = [
        ("PORTCULLIS_PORT", "tcp://10.0.0.1:8080"),
        ("PORTCULLIS_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PORTCULLIS_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("PORTCULLIS_PORT_8080_TCP_PORT", "8080"),
        ("PORTCULLIS_PORT_8080_TCP_PROTO", "tcp"),
        ("PORTCULLIS_SERVICE_HOST", "10.0.0.1"),
        ("PORTCULLIS_SERVICE_PORT", "8080"),
        ("PORTCULLIS_SERVICE_PORT_HTTP", "8080"),
        ("PORTCULLIS_EDGE_PORT", "tcp://10.0.0.2:8443"),
        ("PORTCULLIS_EDGE_SERVICE_HOST", "10.0.0.2"),
        ("PORTCULLIS_EDGE_SERVICE_PORT", "8443"),
    ];
    let start = Start::before(Upstream::start().address);
    let gate = links.into_iter().fold(start, |start, (name, value)| start.env(name, value)).start();
    gate.get(LIST).bearer(&gate.alice(&["messages:list"]).field("access_token")).send().expect(200);
}

#[test]
fn the_guides_name_for_the_secret_is_taken_and_its_default_is_not() {
    let secret = "another-secret-of-sixty-four-bytes-0123456789abcdefghijklmnopqrst";
    let start = || Start::before(Upstream::start().address);
    signs_with(&start().env("JWT_SECRET_KEY", secret).start(), secret.as_bytes());
    let both = start().env("JWT_SECRET_KEY", secret).env("PORTCULLIS_TOKEN__SECRET", secret);
    signs_with(&both.start(), secret.as_bytes());

    let folder = tempfile::tempdir().unwrap();
    let check = || Run::new(folder.path(), &["check"]);
    let ended = check().env("JWT_SECRET_KEY", "my-secret").end().expect(78);
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(told.contains("JWT_SECRET_KEY") && told.contains("well-known default `my-secret`"), "seed Z37: {told}");
    let run = check().env("JWT_SECRET_KEY", secret).env("PORTCULLIS_TOKEN__SECRET", &secret.replace('0', "9"));
    let ended = run.end().expect(78);
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(told.contains("differs from PORTCULLIS_TOKEN__SECRET") && !told.contains(secret), "{told}");
}
