//! The crate `oauth2` as an OAuth client of the gate: own tokens, a session, introspection, revocation, errors.
//!
//! Guarantees: every token comes and goes through the crate's public API, errors are matched by its types; the first
//! surprise ends the run with exit code 1 and one sentence, and neither a token nor a secret is ever printed.
//! Does not know: signatures (the crate has no JOSE), nor how the gate works inside.

use std::env;
use std::error::Error as _;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType as Code, BasicTokenResponse};
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    IntrospectionUrl, RefreshToken, RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl,
    Scope, StandardRevocableToken, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};
use serde_json::Value;

/// Longer than any healthy run, shorter than a test harness's patience.
const DEADLINE: Duration = Duration::from_secs(60);

type Checked<T = ()> = Result<T, String>;
type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;
type Refusal = RequestTokenError<HttpError, BasicErrorResponse>;

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))
        .and_then(|runtime| {
            let flow = async { tokio::time::timeout(DEADLINE, flow()).await };
            runtime.block_on(flow).map_err(|_| "no end within 60 s".to_owned())?
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(surprise) => {
            eprintln!("FAILED: {surprise}");
            ExitCode::FAILURE
        }
    }
}

async fn flow() -> Checked {
    let gate = Gate::discover().await?;
    ok("the metadata name every endpoint");
    for way in [AuthType::BasicAuth, AuthType::RequestBody] {
        own_token(&gate, way).await?;
    }
    a_session(&gate).await?;
    errors(&gate).await?;
    for id in ["odd", "umlaut"] {
        gate.own(id, AuthType::BasicAuth, &gate.secret(id)?).await.map_err(at(id))?;
        gate.own(id, AuthType::RequestBody, &gate.secret(id)?).await.map_err(at(id))?;
    }
    ok("odd secrets are sent encoded");
    Ok(())
}

async fn own_token(gate: &Gate, way: AuthType) -> Checked {
    let token = gate.own("reports", way.clone(), &gate.secret("reports")?).await.map_err(at("client credentials"))?;
    expect(token.refresh_token().is_none(), "a client got something to renew its own token with")?;
    expect(names(token.scopes()) == ["messages:list"], "another scope than asked for")?;
    let (client, token) = (gate.client("reports", way, &gate.secret("reports")?)?, token.access_token());
    expect(gate.uses(token).await? == 200, "the route refuses the client's token")?;
    let told = client.introspect(token).request_async(&gate.http()).await.map_err(at("introspection"))?;
    expect(told.active() && told.sub() == Some("client:reports"), "a fresh token is not active, or another's")?;
    let revocation = client.revoke_token(StandardRevocableToken::from(token)).map_err(|error| error.to_string())?;
    revocation.request_async(&gate.http()).await.map_err(|error| format!("revocation: {error}"))?;
    let told = client.introspect(token).request_async(&gate.http()).await.map_err(at("introspection"))?;
    expect(!told.active(), "a revoked token is active")?;
    expect(gate.uses(token).await? == 401, "the route takes a revoked token")?;
    ok("a token for the client itself is used, introspected and revoked");
    Ok(())
}

async fn a_session(gate: &Gate) -> Checked {
    let client = gate.client("web", AuthType::BasicAuth, &gate.secret("web")?)?;
    let first = gate.sign_in(&client).await?;
    let consumed = renewing(&first)?;
    let narrow = client.exchange_refresh_token(consumed).add_scope(Scope::new("messages:list".into()));
    let narrow = narrow.request_async(&gate.http()).await.map_err(at("refresh"))?;
    expect(names(narrow.scopes()) == ["messages:list"], "a narrower scope was asked for")?;
    let wide = client.exchange_refresh_token(renewing(&narrow)?).request_async(&gate.http()).await;
    let wide = wide.map_err(at("refresh"))?;
    expect(names(wide.scopes()) == names(first.scopes()), "narrowing one token narrowed the session")?;
    ok("a session is refreshed, for one token with a narrower scope");

    refused(client.exchange_refresh_token(consumed).request_async(&gate.http()).await, Code::InvalidGrant)?;
    expect(gate.uses(wide.access_token()).await? == 401, "reuse did not end the session")?;
    ok("reuse is an InvalidGrant and ends the session");

    let next = gate.sign_in(&client).await?;
    let revocation = client.revoke_token(StandardRevocableToken::from(renewing(&next)?));
    let revocation = revocation.map_err(|error| error.to_string())?;
    revocation.request_async(&gate.http()).await.map_err(|error| format!("revocation: {error}"))?;
    expect(gate.uses(next.access_token()).await? == 401, "the route takes a token of an ended session")?;
    refused(client.exchange_refresh_token(renewing(&next)?).request_async(&gate.http()).await, Code::InvalidGrant)?;
    ok("revoking the refresh token ends its session");
    Ok(())
}

async fn errors(gate: &Gate) -> Checked {
    for way in [AuthType::BasicAuth, AuthType::RequestBody] {
        refused(gate.own("reports", way, "wrong").await, Code::InvalidClient)?;
    }
    refused(gate.own("web", AuthType::BasicAuth, &gate.secret("web")?).await, Code::UnauthorizedClient)?;
    let reports = gate.client("reports", AuthType::BasicAuth, &gate.secret("reports")?)?;
    let beyond = reports.exchange_client_credentials().add_scope(Scope::new("logs:read".into()));
    refused(beyond.request_async(&gate.http()).await, Code::InvalidScope)?;
    ok("errors have their variants");
    Ok(())
}

/// The gate as its metadata and its environment tell of it.
struct Gate {
    url: String,
    metadata: Value,
    secrets: Value,
    http: reqwest::Client,
}

impl Gate {
    async fn discover() -> Checked<Self> {
        let http = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
        let url = variable("GATE_URL")?;
        let text = http.get(format!("{url}/.well-known/oauth-authorization-server")).send().await;
        let text = text.map_err(|error| error.to_string())?.bytes().await.map_err(|error| error.to_string())?;
        let metadata: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        expect(metadata["issuer"] == *url, "the metadata are another issuer's")?;
        let secrets = serde_json::from_str(&variable("GATE_SECRETS")?).map_err(|error| error.to_string())?;
        Ok(Self { url, metadata, secrets, http })
    }

    fn secret(&self, id: &str) -> Checked<String> {
        self.secrets[id].as_str().map(str::to_owned).ok_or_else(|| format!("no secret of {id}"))
    }

    fn client(&self, id: &str, way: AuthType, secret: &str) -> Checked<Client> {
        // The crate revokes by https alone: `http` below is what undoes that.
        let place = |name: &str| self.metadata[name].as_str().unwrap_or_default().replacen("http:", "https:", 1);
        let wrong = |error| format!("an endpoint is no URL: {error}");
        Ok(BasicClient::new(ClientId::new(id.into()))
            .set_client_secret(ClientSecret::new(secret.into()))
            .set_auth_type(way)
            .set_token_uri(TokenUrl::new(place("token_endpoint")).map_err(wrong)?)
            .set_introspection_url(IntrospectionUrl::new(place("introspection_endpoint")).map_err(wrong)?)
            .set_revocation_url(RevocationUrl::new(place("revocation_endpoint")).map_err(wrong)?))
    }

    /// What stands before a gate in earnest: it takes https and passes http on.
    fn http(&self) -> impl Fn(HttpRequest) -> std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>>>> {
        let http = self.http.clone();
        move |request| Box::pin(carried(http.clone(), request))
    }

    async fn own(&self, id: &str, way: AuthType, secret: &str) -> Result<BasicTokenResponse, Refusal> {
        let client = self.client(id, way, secret).map_err(RequestTokenError::Other)?;
        let wanted = client.exchange_client_credentials().add_scope(Scope::new("messages:list".into()));
        wanted.request_async(&self.http()).await
    }

    async fn sign_in(&self, client: &Client) -> Checked<BasicTokenResponse> {
        let name = ResourceOwnerUsername::new(variable("GATE_USER")?);
        let password = ResourceOwnerPassword::new(variable("GATE_PASSWORD")?);
        let answer = client.exchange_password(&name, &password).request_async(&self.http()).await;
        answer.map_err(at("password"))
    }

    /// What the route answers to a token.
    async fn uses(&self, token: &AccessToken) -> Checked<u16> {
        let call = self.http.get(format!("{}/3rdparty/v1/messages", self.url)).bearer_auth(token.secret());
        Ok(call.send().await.map_err(|error| error.to_string())?.status().as_u16())
    }
}

#[derive(Debug)]
struct HttpError(String);

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HttpError {}

async fn carried(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let wrong = |error: reqwest::Error| HttpError(format!("{error}: {:?}", error.source()));
    let mut request = reqwest::Request::try_from(request).map_err(wrong)?;
    request.url_mut().set_scheme("http").map_err(|()| HttpError("no http URL".into()))?;
    let answer = http.execute(request).await.map_err(wrong)?;
    let mut taken = HttpResponse::default();
    (*taken.status_mut(), *taken.headers_mut()) = (answer.status(), answer.headers().clone());
    *taken.body_mut() = answer.bytes().await.map_err(wrong)?.to_vec();
    Ok(taken)
}

fn refused(answer: Result<BasicTokenResponse, Refusal>, code: Code) -> Checked {
    match answer {
        Err(RequestTokenError::ServerResponse(told)) if *told.error() == code => Ok(()),
        Err(error) => Err(format!("refused in another way than by {code:?}: {error}")),
        Ok(_) => Err(format!("accepted instead of {code:?}")),
    }
}

fn renewing(token: &BasicTokenResponse) -> Checked<&RefreshToken> {
    token.refresh_token().ok_or_else(|| "no refresh token".to_owned())
}

fn names(scopes: Option<&Vec<Scope>>) -> Vec<&str> {
    scopes.into_iter().flatten().map(|scope| scope.as_str()).collect()
}

fn variable(name: &str) -> Checked<String> {
    env::var(name).map_err(|_| format!("the environment variable {name} is missing"))
}

fn at(step: &str) -> impl Fn(Refusal) -> String {
    // Not its whole: an answer that cannot be read is in it, tokens and all.
    move |error| match error {
        RequestTokenError::ServerResponse(told) => format!("{step}: {told}"),
        RequestTokenError::Parse(error, _) => format!("{step}: {error}"),
        error => format!("{step}: {error}"),
    }
}

fn expect(holds: bool, surprise: &str) -> Checked {
    if holds { Ok(()) } else { Err(surprise.to_owned()) }
}

fn ok(step: &str) {
    println!("ok: {step}");
}
