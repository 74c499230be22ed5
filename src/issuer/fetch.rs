//! One fetch of a JWK Set over HTTP.
//!
//! Guarantees: bounded in time, from looking up the name to the last byte, and in bytes of head and body; redirects are
//! not followed, no proxy of the environment is asked, no connection is kept.
//! Does not know: what the bytes mean, when to fetch.

use std::io;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio_util::task::AbortOnDropHandle;

use super::source::{Bounds, Endpoint};
use super::tls::{self, TlsError};

const MOST_HEADERS: usize = 100;
const MOST_HEAD_BYTES: usize = 32 << 10;

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("no TLS")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    Setup(#[from] TlsError),
    #[error("a host that no certificate could name")]
    Host(#[from] InvalidDnsNameError),
    #[error("a request that cannot be written")]
    Request(#[from] http::Error),
    #[error("broke off, or is no HTTP")]
    Http(#[from] hyper::Error),
    #[error("broke off in the body")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("answered {0}, and redirects are not followed")]
    Redirect(StatusCode),
    #[error("more than {0} bytes (limits.max_jwks_bytes)")]
    TooLarge(usize),
    #[error("no whole answer in time (limits.jwks_timeout)")]
    Timeout,
}

/// The body of the answer, if that is a 200.
pub(super) async fn fetch(endpoint: &Endpoint, bounds: &Bounds) -> Result<Vec<u8>, FetchError> {
    let fetched = timeout(bounds.timeout, connect_and_ask(endpoint, bounds.bytes)).await;
    fetched.unwrap_or(Err(FetchError::Timeout))
}

async fn connect_and_ask(endpoint: &Endpoint, most: usize) -> Result<Vec<u8>, FetchError> {
    let address = (endpoint.host.as_str(), endpoint.port);
    if !endpoint.https {
        let stream = TcpStream::connect(address).await.map_err(FetchError::Connect)?;
        return ask(stream, endpoint, most).await;
    }
    let (connector, name) =
        (tls::connector(endpoint.ca_file.as_deref())?, ServerName::try_from(endpoint.host.clone())?);
    let stream = TcpStream::connect(address).await.map_err(FetchError::Connect)?;
    let stream = connector.connect(name, stream).await.map_err(FetchError::Tls)?;
    ask(stream, endpoint, most).await
}

async fn ask<S>(stream: S, endpoint: &Endpoint, most: usize) -> Result<Vec<u8>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = http1::Builder::new();
    connection.max_headers(MOST_HEADERS).max_buf_size(MOST_HEAD_BYTES);
    let (mut sender, connection) = connection.handshake(TokioIo::new(stream)).await?;
    // Ends with this fetch, however that ends.
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(&endpoint.target)
        .header(HOST, endpoint.authority())
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    match answer.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(FetchError::Redirect(status)),
        status => return Err(FetchError::Status(status)),
    }
    match Limited::new(answer.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge(most)),
        Err(error) => Err(FetchError::Body(error)),
    }
}
