//! The HTTP client of the demo: one request, one connection, one answer held in memory.
//!
//! Guarantees: a call ends within [`PATIENCE`] and reads at most [`ANSWER_LIMIT`] bytes.
//! Does not know: what is asked for, and what an answer means.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// How long one call may take, from connecting to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many bytes of an answer are read.
const ANSWER_LIMIT: usize = 1 << 20;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("no connection")]
    Connect(#[from] std::io::Error),
    #[error("the request is not valid HTTP")]
    Request(#[from] http::Error),
    #[error("the exchange broke off")]
    Exchange(#[from] hyper::Error),
    #[error("the answer could not be read")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// Where a call goes.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Target {
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Under TLS, with an authority (PEM) that vouches for it.
    pub(super) fn secure(address: SocketAddr, authority: &str) -> Result<Self, rustls::Error> {
        let wrong = |_| rustls::Error::General("no authority".into());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).map_err(wrong)?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { address, tls: Some(Arc::new(config).into()) })
    }

    /// As it stands in a URL.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }
}

/// A request that is about to be made. No `Debug`: its headers hold credentials.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn basic(self, user: &str, password: &str) -> Self {
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        self.header(AUTHORIZATION, &format!("Basic {credentials}"))
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    pub(super) fn json(mut self, body: &Value) -> Self {
        self.body = Bytes::from(body.to_string());
        self.header(CONTENT_TYPE, "application/json")
    }

    /// Sets a header. A value that HTTP does not allow leaves it out: it came from an answer, and the call without it
    /// is refused in plain sight.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Makes the request.
    pub(super) async fn send(self, to: &Target) -> Result<Answer, CallError> {
        tokio::time::timeout(PATIENCE, self.exchange(to)).await.unwrap_or(Err(CallError::Late))
    }

    async fn exchange(self, to: &Target) -> Result<Answer, CallError> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(HOST, to.address.to_string())
            .body(Full::new(self.body))?;
        request.headers_mut().extend(self.headers);

        let stream = TcpStream::connect(to.address).await?;
        let stream: Box<dyn Stream> = match &to.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(to.address.ip().into(), stream).await?),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // What goes wrong on the connection also ends the exchange below, which reports it.
        let connection = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(CallError::Answer)?.to_bytes();
        connection.abort();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// What came back. No `Debug`: its body may hold tokens.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The text at `pointer` (RFC 6901) in the body.
    pub(super) fn text(&self, pointer: &str) -> Option<String> {
        Some(self.json().pointer(pointer)?.as_str()?.to_owned())
    }
}
