//! The vendor's own Rust crate against the gate: issue, refresh, send, read, list and revoke.
//!
//! Guarantees: every call goes through the crate's public API; the first surprise ends the run with exit code 1 and one
//! sentence, and neither a token nor the password is ever printed.
//! Does not know: how the gate works inside, nor what stands behind it beyond the API that the crate was written for.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use android_sms_gateway::types::{
    HealthStatus, JwtScope, ListMessagesOptions, Message, ProcessingState, SendOptions, TextMessage, TokenRequest,
    TokenResponse,
};
use android_sms_gateway::{Client, ClientConfig, Error};

/// Longer than any healthy run, shorter than a test harness's patience.
const DEADLINE: Duration = Duration::from_secs(60);
const TTL: u64 = 600;
const NUMBER: &str = "+15550100";
const SCOPES: [&str; 4] = [
    JwtScope::MESSAGES_SEND,
    JwtScope::MESSAGES_READ,
    JwtScope::MESSAGES_LIST,
    JwtScope::DEVICES_LIST,
];

type Checked<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))
        .and_then(|runtime| runtime.block_on(flow_within_deadline()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(surprise) => {
            eprintln!("FAILED: {surprise}");
            ExitCode::FAILURE
        }
    }
}

async fn flow_within_deadline() -> Checked {
    tokio::time::timeout(DEADLINE, flow())
        .await
        .map_err(|_| "no end within 60 s".to_owned())?
}

async fn flow() -> Checked {
    let account = client(
        ClientConfig::new().with_basic_auth(variable("GATE_USER")?, variable("GATE_PASSWORD")?),
        "the account's client",
    )?;

    let health = account.check_health().await.map_err(at("check_health"))?;
    expect(
        health.status == HealthStatus::Pass,
        "check_health answers another status than pass",
    )?;
    ok("check_health reaches the upstream");

    let request = TokenRequest {
        ttl: Some(TTL),
        scopes: SCOPES.map(JwtScope::new).to_vec(),
    };
    let issued = account.generate_token(&request).await.map_err(at("generate_token"))?;
    let first_refresh = checked_pair(&issued, "generate_token")?;
    ok("generate_token reads a whole pair");

    let renewed = account
        .refresh_token(first_refresh)
        .await
        .map_err(at("refresh_token"))?;
    let second_refresh = checked_pair(&renewed, "refresh_token")?;
    expect(renewed.id != issued.id, "refresh_token keeps the token id")?;
    expect(
        renewed.access_token != issued.access_token,
        "refresh_token keeps the access token",
    )?;
    expect(second_refresh != first_refresh, "refresh_token keeps the refresh token")?;
    ok("refresh_token rotates the pair");

    let session = client(
        ClientConfig::new().with_token(&renewed.access_token),
        "the session's client",
    )?;
    let id = send_and_read(&session).await?;

    account.revoke_token(&renewed.id).await.map_err(at("revoke_token"))?;
    account
        .revoke_token(&renewed.id)
        .await
        .map_err(at("revoke_token, once more"))?;
    ok("revoke_token succeeds twice");

    unauthorized(
        session.get_message_state(&id).await,
        "the revoked session's access token",
    )?;
    unauthorized(
        account.refresh_token(second_refresh).await,
        "the revoked session's refresh token",
    )?;
    ok("the revoked session's tokens are refused, with a message");
    Ok(())
}

/// Uses the API behind the gate with the session's access token. Returns the id of the message sent.
async fn send_and_read(session: &Client) -> Checked<String> {
    let message = Message {
        phone_numbers: vec![NUMBER.to_owned()],
        text_message: Some(TextMessage {
            text: "sent through the gate by the vendor's crate".to_owned(),
        }),
        ..Default::default()
    };
    let sent = session.send(&message, &SendOptions::new()).await.map_err(at("send"))?;
    expect(!sent.id.is_empty(), "send answers an empty id")?;
    expect(
        sent.state == ProcessingState::Pending,
        "send answers another state than Pending",
    )?;
    expect(
        sent.recipients
            .first()
            .is_some_and(|recipient| recipient.phone_number == NUMBER),
        "send answers another recipient than the one asked for",
    )?;
    ok("send is accepted by the upstream");

    let state = session
        .get_message_state(&sent.id)
        .await
        .map_err(at("get_message_state"))?;
    expect(state.id == sent.id, "get_message_state answers another message")?;
    ok("get_message_state reads the message back");

    let (messages, total) = session
        .list_messages(&ListMessagesOptions::new())
        .await
        .map_err(at("list_messages"))?;
    expect(
        total.is_some_and(|total| total >= messages.len() as u64),
        "list_messages finds no usable X-Total-Count header",
    )?;
    ok("list_messages reads the list and its X-Total-Count");

    let devices = session.list_devices().await.map_err(at("list_devices"))?;
    expect(
        devices
            .first()
            .is_some_and(|device| !device.id.is_empty() && !device.name.is_empty()),
        "list_devices answers no usable device",
    )?;
    ok("list_devices reads the devices");
    Ok(sent.id)
}

/// A client of the crate for the gate. Proxies of the environment are none of the gate's business.
fn client(config: ClientConfig, what: &str) -> Checked<Client> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(|error| format!("{what}: {error}"))?;
    Client::new(config.with_base_url(variable("GATE_URL")?).with_http_client(http)).map_err(at(what))
}

/// Checks what every token answer must hold and returns its refresh token.
fn checked_pair<'a>(pair: &'a TokenResponse, what: &str) -> Checked<&'a str> {
    expect(!pair.id.is_empty(), &format!("{what} answers an empty id"))?;
    expect(
        pair.token_type == "Bearer",
        &format!("{what} answers another token type than Bearer"),
    )?;
    expect(
        pair.access_token.split('.').count() == 3,
        &format!("{what} answers an access token that is no JWT"),
    )?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "the clock stands before 1970".to_owned())?;
    let left = pair.expires_at.timestamp() - now.as_secs() as i64;
    // A minute of room for a slow machine, two seconds for rounding.
    expect(
        (TTL as i64 - 60..=TTL as i64 + 2).contains(&left),
        &format!("{what} answers a lifetime of {left} s instead of {TTL} s"),
    )?;
    pair.refresh_token
        .as_deref()
        .ok_or_else(|| format!("{what} answers no refresh token"))
}

fn unauthorized<T>(answer: Result<T, Error>, what: &str) -> Checked {
    match answer {
        Err(Error::Unauthorized(body)) => expect(
            body.contains("\"message\""),
            &format!("{what} is refused without a readable message"),
        ),
        Err(error) => Err(format!(
            "{what} is refused in another way than by 401: {}",
            without_tokens(&error.to_string())
        )),
        Ok(_) => Err(format!("{what} is still accepted")),
    }
}

fn variable(name: &str) -> Checked<String> {
    env::var(name).map_err(|_| format!("the environment variable {name} is missing"))
}

fn at(step: &str) -> impl Fn(Error) -> String {
    move |error| format!("{step}: {}", without_tokens(&error.to_string()))
}

fn expect(holds: bool, surprise: &str) -> Checked {
    if holds { Ok(()) } else { Err(surprise.to_owned()) }
}

fn ok(step: &str) {
    println!("ok: {step}");
}

/// An error of the crate quotes the answer's body, and a body of the wrong status may hold a pair.
fn without_tokens(text: &str) -> String {
    text.split_inclusive('"')
        .map(|part| if part.starts_with("eyJ") { "…\"" } else { part })
        .collect()
}
