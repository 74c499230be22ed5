//! A sample SMS upstream: answers as SMSGate does, in memory, on a thread of its own.
//!
//! Guarantees: it is listening when [`SampleUpstream::start`] returns and gone when it is dropped; connections, bodies
//! and all that is remembered are bounded.
//! Does not know: tokens. It believes whoever connects about who the caller is (`X-Auth-Subject`), as an upstream behind
//! the gateway does, and so belongs on a loopback address.

mod messages;
mod mobile;
mod phone;
mod reply;
mod seen;
mod sms_api;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use reply::{Ask, Refusal, Reply, ReplyBody};
pub use seen::Seen;
use sms_api::SmsApi;

/// The largest request body, in bytes.
const BODY: usize = 1 << 20;
/// How much of a request's head is read ahead, in bytes.
const HEAD: usize = 64 * 1024;
/// How many connections are open at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 1024;

/// A running sample upstream. Dropping it closes its listener and its connections.
pub struct SampleUpstream {
    address: SocketAddr,
    api: Arc<Mutex<SmsApi>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SampleUpstream {
    /// Listens on `bind` (port 0: a free one) and answers the API under `prefix`, such as `/3rdparty/v1` or `/`.
    ///
    /// # Errors
    /// The address cannot be bound, or the thread or its runtime cannot be made.
    pub fn start(bind: SocketAddr, prefix: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(bind)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let api = Arc::new(Mutex::new(SmsApi::new(prefix)));
        let (stop, stopped) = oneshot::channel();
        let shared = api.clone();
        let thread = std::thread::Builder::new().name("sample-upstream".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, shared) => {}
                }
            });
        })?;
        Ok(Self { address, api, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last requests that reached it (at most 256), the newest last.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.api).arrivals.latest()
    }
}

impl Drop for SampleUpstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported by its own message.
            let _ = thread.join();
        }
    }
}

/// A panic elsewhere leaves nothing half-changed that a sample could not live with.
fn lock(api: &Mutex<SmsApi>) -> MutexGuard<'_, SmsApi> {
    api.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: tokio::net::TcpListener, api: Arc<Mutex<SmsApi>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed, so the loop ends only with its runtime.
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: asking again at once would only burn the processor.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let api = api.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, api.clone()));
            // A connection that breaks is its client's business.
            let _ = http1::Builder::new().max_buf_size(HEAD).serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, api: Arc<Mutex<SmsApi>>) -> Result<Response<ReplyBody>, Infallible> {
    // Whole seconds: some clients of this API read no fractions.
    let now = i64::try_from(crate::clock::wall().as_secs()).ok().and_then(|secs| Timestamp::from_second(secs).ok());
    let now = now.unwrap_or(Timestamp::UNIX_EPOCH);
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    lock(&api).arrivals.note(head.method.clone(), target.to_owned(), head.headers.clone(), now);

    // A length that is told needs no reading to be refused.
    if body.size_hint().lower() > BODY as u64 {
        return Ok(Reply::from(Refusal::too_large()).into_response());
    }
    let reply = match Limited::new(body, BODY).collect().await {
        Ok(body) => {
            let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
            let ask = Ask { method: &head.method, path, query, headers: &head.headers, body: &body.to_bytes() };
            lock(&api).answer(&ask, now)
        }
        Err(e) if e.is::<LengthLimitError>() => Refusal::too_large().into(),
        Err(_) => Refusal::bad("the request body broke off").into(),
    };
    Ok(reply.into_response())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn start() -> SampleUpstream {
        SampleUpstream::start(SocketAddr::from(([127, 0, 0, 1], 0)), "/3rdparty/v1").unwrap()
    }

    fn connect(upstream: &SampleUpstream) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(upstream.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        BufReader::new(stream)
    }

    /// Sends `request` and reads an answer: its head, and its body if the head tells a length.
    fn exchange(stream: &mut BufReader<TcpStream>, request: &str) -> (String, String) {
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "ended after {head:?}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    #[test]
    fn a_connection_carries_several_requests() {
        let upstream = start();
        let mut stream = connect(&upstream);
        let body = r#"{"phoneNumbers":["+15550100"],"textMessage":{"text":"hi"},"id":"m1"}"#;
        let head = "POST /3rdparty/v1/messages HTTP/1.1\r\nHost: a\r\nX-Auth-Subject: ada\r\n";
        let (head, sent) = exchange(&mut stream, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
        assert!(head.starts_with("HTTP/1.1 202 Accepted\r\n"), "{head}");
        assert!(sent.contains(r#""phoneNumber":"+15550100""#), "{sent}");
        let look = "GET /3rdparty/v1/messages/m1?x=%2B HTTP/1.1\r\nHost: a\r\nX-Auth-Subject: ada\r\n\r\n";
        let (head, looked) = exchange(&mut stream, look);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && looked.contains("Sent"), "{head}{looked}");

        let seen = upstream.seen();
        assert_eq!((seen.len(), seen[1].target.as_str()), (2, "/3rdparty/v1/messages/m1?x=%2B"));
        assert_eq!(seen[1].subject(), Some("ada"));
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        let upstream = start();
        let head = format!("POST /3rdparty/v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", BODY + 1);
        let (head, body) = exchange(&mut connect(&upstream), &head);
        assert!(head.starts_with("HTTP/1.1 413"), "{head}");
        assert_eq!(body, r#"{"message":"request body too large"}"#);
    }

    #[test]
    fn a_stream_of_events_begins_at_once() {
        let upstream = start();
        let mut stream = connect(&upstream);
        let (_, body) =
            exchange(&mut stream, "POST /mobile/v1/device HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let device: serde_json::Value = serde_json::from_str(&body).unwrap();
        let token = device["token"].as_str().unwrap();
        let events = format!("GET /mobile/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        let (head, _) = exchange(&mut stream, &events);
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        let mut chunk = String::new();
        stream.read_line(&mut chunk).unwrap();
        stream.read_line(&mut chunk).unwrap();
        assert!(chunk.ends_with(":keep-alive\n"), "{chunk:?}");
    }

    #[test]
    fn dropping_it_ends_its_connections() {
        let upstream = start();
        let mut stream = connect(&upstream);
        exchange(&mut stream, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        let address = upstream.address();
        drop(upstream);
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        assert!(TcpStream::connect(address).is_err());
    }
}
