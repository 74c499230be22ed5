//! The listener and its answers.
//!
//! Guarantees: a client has five seconds for a request, and few at a time are served; more wait in the system's queue.
//! Does not know: what the checks are.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::metrics::{CONTENT_TYPE as CONTENT_TYPE_OF_NUMBERS, Metrics};

use super::status::Status;

const MOST_CONNECTIONS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to leave the listener alone when descriptors have run out.
const BREATHER: Duration = Duration::from_millis(50);

/// A listener at work. It ends when this is dropped.
pub struct Admin {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Admin {
    /// Begins to answer on a bound socket that does not block.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn start(listener: TcpListener, status: Arc<Status>, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let stopped = stop.clone();
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = serve(listener, &status, &metrics) => {}
                }
                Ok::<_, io::Error>(())
            })
        };
        thread::Builder::new().name("admin".into()).spawn(work)?;
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: tokio::net::TcpListener, status: &Arc<Status>, metrics: &Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(BREATHER).await;
            continue;
        };
        let (status, metrics) = (Arc::clone(status), Arc::clone(metrics));
        let service = service_fn(move |request| {
            let answer = answer(&request, &status, &metrics);
            async move { Ok::<_, Infallible>(answer) }
        });
        spawn_local(async move {
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(8 * 1024);
            // What goes wrong is the client's affair.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, status: &Status, metrics: &Arc<Metrics>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n".into());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/livez" | "/healthz" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => ready(request.uri().query().unwrap_or_default(), status),
        "/metrics" => numbers(metrics),
        "/version" => version(),
        _ => text(StatusCode::NOT_FOUND, "there are /livez, /healthz, /readyz, /metrics and /version here\n".into()),
    }
}

fn ready(query: &str, status: &Status) -> Response<Full<Bytes>> {
    let parameters = || query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let excluded: Vec<_> = parameters().filter(|(name, _)| *name == "exclude").map(|(_, value)| value).collect();
    let readiness = status.readiness(&excluded);
    match readiness.ready {
        false => text(StatusCode::SERVICE_UNAVAILABLE, readiness.lines + "not ready\n"),
        true if parameters().any(|(name, _)| name == "verbose") => text(StatusCode::OK, readiness.lines + "ready\n"),
        true => text(StatusCode::OK, "ok\n".into()),
    }
}

fn numbers(metrics: &Arc<Metrics>) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, metrics.text());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_OF_NUMBERS));
    response
}

fn version() -> Response<Full<Bytes>> {
    let mut response =
        text(StatusCode::OK, concat!(r#"{"name":"portcullis","version":""#, env!("CARGO_PKG_VERSION"), "\"}\n").into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
