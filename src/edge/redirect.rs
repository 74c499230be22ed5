//! A plain HTTP listener that sends clients to HTTPS.
//!
//! Guarantees: it answers each connection once, with 308 and the same host and target, and closes it; a client has five
//! seconds to ask; few at a time are served, more wait in the system's queue; a host that is none is not repeated.
//! Does not know: routes, tokens, certificates.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue, LOCATION};
use http::uri::Authority;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

const MOST_CONNECTIONS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to leave the listener alone when descriptors have run out.
const BREATHER: Duration = Duration::from_millis(50);

/// A listener at work. It ends when this is dropped.
pub struct Redirect {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Redirect {
    /// Begins to answer on a bound socket that does not block, and sends clients to `port`.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn start(listener: TcpListener, port: u16) -> io::Result<Self> {
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let stopped = stop.clone();
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = serve(listener, port) => {}
                }
                Ok::<_, io::Error>(())
            })
        };
        thread::Builder::new().name("redirect".into()).spawn(work)?;
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: tokio::net::TcpListener, port: u16) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(BREATHER).await;
            continue;
        };
        spawn_local(async move {
            let answer = service_fn(move |request| {
                let answer = answer(&request, port);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(16 * 1024).keep_alive(false);
            // What goes wrong is the client's affair. It may not read, either.
            let _ = timeout(2 * PATIENCE, connection.serve_connection(TokioIo::new(stream), answer)).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, port: u16) -> Response<Empty<Bytes>> {
    let mut answer = Response::new(Empty::new());
    let host = request.uri().authority().map(|it| it.as_str().as_bytes());
    let host = host.or_else(|| request.headers().get(HOST).map(HeaderValue::as_bytes));
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    match host.and_then(|host| location(host, port, target)) {
        Some(location) => {
            *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
            answer.headers_mut().insert(LOCATION, location);
        }
        None => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn location(host: &[u8], port: u16, target: &str) -> Option<HeaderValue> {
    let authority = Authority::try_from(host).ok().filter(|authority| !authority.as_str().contains('@'))?;
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    // `OPTIONS *` has no path.
    let target = if target.starts_with('/') { target } else { "/" };
    HeaderValue::try_from(format!("https://{}{port}{target}", authority.host())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_and_the_target_stay_and_the_port_changes() {
        for (host, port, target, expected) in [
            ("a.example", 443, "/a?b=c", Some("https://a.example/a?b=c")),
            ("a.example:80", 443, "/", Some("https://a.example/")),
            ("a.example:8080", 8443, "/", Some("https://a.example:8443/")),
            ("[::1]:80", 8443, "/", Some("https://[::1]:8443/")),
            ("a.example", 443, "*", Some("https://a.example/")),
            ("user@evil.example", 443, "/", None),
            ("a b", 443, "/", None),
            ("a/b", 443, "/", None),
            ("", 443, "/", None),
        ] {
            let found = location(host.as_bytes(), port, target);
            assert_eq!(found.as_ref().map(|it| it.to_str().unwrap()), expected, "{host}");
        }
    }
}
