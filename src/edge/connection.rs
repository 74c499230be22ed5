//! One client connection, from accept to close.
//!
//! Guarantees: HTTP/1.1 and HTTP/2 by prior knowledge are told apart without consuming a byte and within the first-byte
//! deadline (hyper-util's own detection waits for ever); every phase has a deadline; draining lets requests in flight
//! finish and tells the client not to come back on this connection.
//! Does not know: what a request is about.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioTimer;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use crate::gateway::Peer;
use crate::observe::chain;
use crate::upstream::Answer;
use crate::wire::{Line, Socket, Wire};

use super::crowd::Crowd;
use super::frames::{Metered, Scratch};
use super::handshake::{self, Tls};
use super::order::Duty;
use super::place::Place;
use super::preamble;
use super::pulse::{Pulse, Tracked, Watched, Word};
use super::rounds::Rounds;
use super::switched::{Streams, over_http1};

/// How long each wait on a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From accept to the first byte; under TLS again, from the handshake to what is said first.
    pub first_byte: Duration,
    /// For a client to say all that begins a TLS handshake and to have its turn; and again for the rest of it.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub header: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    /// For a client to read what is ready for it.
    pub stall: Duration,
}

/// What hyper itself may buffer and hold, beyond which it answers without us.
#[derive(Clone, Copy, Debug)]
pub struct Reserves {
    pub headers: usize,
    pub header_bytes: usize,
    pub h2_streams: u32,
    /// Whether HTTP/2 clients are told that they may ask for a WebSocket.
    pub extended_connect: bool,
    /// Frames of a connection that carry no request, from one round to the next.
    pub h2_frames: u32,
    /// Bytes of bodies that wait for the upstream or, over all streams of a connection, for the client.
    pub buffered_bytes: u32,
}

impl Reserves {
    /// What each stream may hold back for a client that does not read.
    fn send_buffer(&self) -> usize {
        const LEAST: u32 = 16 << 10;
        (self.buffered_bytes / self.h2_streams).max(LEAST) as usize
    }
}

/// Streams of HTTP/2 that a client may take back before anybody has looked at them (CVE-2023-44487); more at once mean that
/// it is not about the answers.
const RESETS_BEFORE_THEIR_TURN: usize = 20;
/// Errors on streams that the gate has to reset for, over the life of a connection (CVE-2025-8671): no honest client makes
/// more than a few.
const RESETS_PROVOKED: usize = 100;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often a half-arrived preface is looked at again: it stays in the kernel, which cannot tell when more has come.
pub(super) const GLANCE: Duration = Duration::from_millis(10);
/// How long a drain waits for the first bytes of a connection: what had been sent before is there by then.
const LAST_CALL: Duration = Duration::from_millis(250);
/// The same where a handshake comes first, which takes a client that is far away two round trips.
const LAST_CALL_TLS: Duration = Duration::from_secs(1);
const TIMEOUT_ANSWER: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
x-portcullis: denied\r\nconnection: close\r\ncontent-length: 119\r\n\r\n\
{\"message\":\"Request head did not arrive in time\",\"error\":\"invalid_request\",\"error_description\":\"request head too slow\"}";

const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
x-portcullis: denied\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 101\r\n\r\n\
{\"message\":\"Too many connections\",\"error\":\"temporarily_unavailable\",\"error_description\":\"overloaded\"}";

/// What every connection of a worker is served with.
pub(super) struct Service {
    /// What requests are answered by that begin now.
    pub(super) duty: RefCell<Rc<Duty>>,
    pub(super) rounds: Rounds,
    pub(super) crowd: Arc<Crowd>,
    pub(super) scratch: Scratch,
    /// `None`: in the clear.
    pub(super) tls: Option<Tls>,
}

impl Service {
    pub(super) fn duty(&self) -> Rc<Duty> {
        Rc::clone(&self.duty.borrow())
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Tracked>, Infallible>>>>;

/// Serves a connection until either side ends it.
pub(super) async fn serve(mut stream: TcpStream, from: SocketAddr, service: Rc<Service>, _place: Place) {
    // Small answers leave at once; failing only costs latency.
    let _ = stream.set_nodelay(true);
    let pulse = Pulse::new();
    service.rounds.join(&pulse);
    let Some(mut peer) = introduced(&mut stream, from, &service, &pulse).await else { return };
    // Proxies speak for many.
    let most = service.duty().shift().max_connections_per_address;
    let seat = if peer.is_trusted() { Ok(None) } else { service.crowd.seat(peer.address, most) };
    let Ok(_seat) = seat else {
        service.duty().gateway.tally().connections_turned_away.add(1);
        return turn_away(&stream, from, service.tls.is_some());
    };
    let (line, spoken) = match &service.tls {
        None => {
            let Some(Ok(spoken)) = first_words(&stream, &pulse).await else { return };
            (Line::Plain(Socket::new(stream)), spoken)
        }
        Some(tls) => {
            // Boxed: it needs room that no connection needs later.
            let duty = service.duty();
            let secured = Box::pin(handshake::secure(stream, from, tls, &pulse, duty.gateway.tally()));
            let Some(Some(secured)) = while_patient(&pulse, LAST_CALL_TLS, secured).await else { return };
            peer.shows(secured.certificate);
            (secured.line, if secured.http2 { Spoken::Http2 } else { Spoken::Http1 })
        }
    };
    // Boxed: each connection keeps room for one protocol and not for both.
    match spoken {
        Spoken::Http1 => Box::pin(http1(line, Rc::new(peer), pulse, service)).await,
        Spoken::Http2 => Box::pin(http2(line, Rc::new(peer), pulse, service)).await,
    }
}

/// Says that there are too many, to who can read it without TLS.
pub(super) fn turn_away(stream: &TcpStream, from: SocketAddr, tls: bool) {
    let said = !tls && dismiss(stream, OVERLOADED);
    debug!(peer = %from, said, "too many connections");
}

/// Says a last thing, in one attempt: waiting for a client that may not read is what an overloaded gate cannot afford.
pub(super) fn dismiss(stream: &TcpStream, words: &[u8]) -> bool {
    // The kernel is asked, as the runtime does not know yet that a new connection can be written to.
    let socket = SockRef::from(stream);
    let said = socket.send(words).is_ok() && socket.shutdown(Shutdown::Write).is_ok();
    // What is left unread would have the kernel reset the connection, and the client lose the answer.
    let _ = (&*socket).read(&mut [0; 4096]);
    said
}

/// Who is at the other end: by a trusted proxy's preamble, or as the kernel says.
async fn introduced(stream: &mut TcpStream, from: SocketAddr, service: &Service, pulse: &Pulse) -> Option<Peer> {
    let scheme = if service.tls.is_some() { "https" } else { "http" };
    let duty = service.duty();
    let peer = |address| Peer::new(address, scheme, &duty.shift().trusted_proxies);
    let proxy = peer(from);
    if !(duty.shift().proxy_protocol && proxy.is_trusted()) {
        return Some(proxy);
    }
    // Boxed: it needs room that no connection needs later.
    let told = tokio::select! {
        biased;
        told = Box::pin(preamble::read(stream)) => told,
        _ = pulse.hear() => return None,
    };
    match told {
        Ok(client) => Some(client.map_or(proxy, peer)),
        Err(error) => {
            info!(peer = %from, error = chain(&error), "no PROXY preamble: the connection is closed");
            None
        }
    }
}

// An error of a connection is the client's going away or speaking nonsense; hyper has answered what can be answered.

async fn http1(line: Line, peer: Rc<Peer>, pulse: Rc<Pulse>, service: Rc<Service>) {
    let stream = Watched { stream: Wire::new(line), pulse: Rc::clone(&pulse) };
    let reserves = service.duty().shift().reserves;
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(reserves.headers)
        .max_buf_size(reserves.header_bytes)
        .serve_connection(stream, service_fn(answering(Rc::clone(&service), peer, Rc::clone(&pulse), None)));
    match run(&mut connection, &pulse, |connection| connection.graceful_shutdown()).await {
        Some(Word::HeadOverdue) => {
            let mut line = connection.into_parts().io.stream.into_inner();
            let _ = timeout(service.duty().shift().deadlines.stall, farewell(&mut line)).await;
        }
        // Under TLS, an end that is meant says so. In one attempt: nobody may be there.
        Some(Word::Overdue | Word::Drain) if !pulse.is_answering() => {
            connection.into_parts().io.stream.into_inner().end();
        }
        Some(Word::Overdue | Word::Drain) => {}
        None => {
            if let Some(tunnel) = pulse.switched() {
                let parts = connection.into_parts();
                Box::pin(over_http1(parts.io.stream.into_inner(), parts.read_buf, *tunnel, &pulse)).await;
            }
        }
    }
}

async fn http2(line: Line, peer: Rc<Peer>, pulse: Rc<Pulse>, service: Rc<Service>) {
    pulse.multiplex();
    let reserves = service.duty().shift().reserves;
    let watched = Watched { stream: Wire::new(line), pulse: Rc::clone(&pulse) };
    let stream = Metered::new(watched, Rc::clone(&pulse), Rc::clone(&service.scratch), reserves.h2_frames);
    let streams = Streams::new(&pulse);
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(reserves.h2_streams)
        .max_header_list_size(u32::try_from(reserves.header_bytes).unwrap_or(u32::MAX))
        .initial_connection_window_size(reserves.buffered_bytes)
        .initial_stream_window_size(reserves.buffered_bytes)
        .max_send_buf_size(reserves.send_buffer())
        .max_pending_accept_reset_streams(RESETS_BEFORE_THEIR_TURN)
        .max_local_error_reset_streams(RESETS_PROVOKED);
    if reserves.extended_connect {
        builder.enable_connect_protocol();
    }
    let answering = answering(Rc::clone(&service), peer, Rc::clone(&pulse), Some(streams));
    let mut connection = builder.serve_connection(stream, service_fn(answering));
    run(&mut connection, &pulse, |connection| connection.graceful_shutdown()).await;
}

/// Answers one request. Boxed, as hyper keeps the room for a future as long as the connection, idle or not. With `streams`,
/// it is one of HTTP/2.
fn answering(
    service: Rc<Service>,
    peer: Rc<Peer>,
    pulse: Rc<Pulse>,
    streams: Option<Streams>,
) -> impl Fn(Request<Incoming>) -> Answering {
    move |mut request| {
        let (answering, number) = pulse.begin();
        let duty = service.duty();
        let multiplexed = streams.is_some();
        if multiplexed && duty.is_last(number) {
            pulse.tell(Word::Drain);
        }
        // In HTTP/1.1 the mark stays with the request: there the connection is taken over, and not its stream.
        let switching = streams.as_ref().and_then(|streams| {
            streams.begin();
            request.extensions_mut().remove::<OnUpgrade>().map(|switching| (streams.clone(), switching))
        });
        // In HTTP/1.1 hyper leaves the body out itself.
        let to_head = multiplexed && *request.method() == Method::HEAD;
        let arrived_at = duty.gateway.arrival();
        let peer = Rc::clone(&peer);
        Box::pin(async move {
            let mut response = duty.gateway.handle(Box::new(request), &peer, arrived_at).await;
            // A tunnel is the last of its connection anyway.
            if !multiplexed && duty.is_last(number) && !matches!(response.body(), Answer::Switched(_)) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if to_head {
                response = without_body(response);
            }
            if let Some(hsts) = &duty.shift().hsts {
                response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
            }
            Ok(response.map(|answer| Tracked { answer: switch(answer, switching, answering.pulse()), answering }))
        })
    }
}

/// What HEAD is answered with: an answer of ours, its length and no more of it (RFC 9110 section 9.3.2). To the upstream's
/// there is no body.
fn without_body(mut response: Response<Answer>) -> Response<Answer> {
    if let Answer::Own(Some(body)) = response.body() {
        let length = HeaderValue::from(body.len());
        response.headers_mut().insert(CONTENT_LENGTH, length);
        *response.body_mut() = Answer::empty();
    }
    response
}

/// Takes the tunnel that an answer begins out of it, and ties the connection to one that lasts.
fn switch(answer: Answer, switching: Option<(Streams, OnUpgrade)>, pulse: &Rc<Pulse>) -> Answer {
    match (answer, switching) {
        (Answer::Switched(tunnel), Some((streams, switching))) => streams.switch(switching, *tunnel, pulse.hold()),
        (Answer::Switched(tunnel), None) => pulse.switch(tunnel),
        (answer, _) => {
            if let Some(tether) = answer.tether() {
                pulse.tie(tether);
            }
            return answer;
        }
    }
    Answer::empty()
}

/// Runs a connection to its end; `Some` if it was ended for what was overdue.
async fn run<C>(connection: &mut C, pulse: &Pulse, finish: impl Fn(Pin<&mut C>)) -> Option<Word>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    poll_fn(|context| {
        // An answer that leaves after the word to drain must say that it is the last; a connection that answers nothing
        // first reads what has come, which to hyper would be too late after that word.
        let mut told = if pulse.is_answering() { pulse.told(context) } else { None };
        loop {
            match told {
                None => {}
                Some(Word::Drain) => finish(Pin::new(connection)),
                Some(word) => return Poll::Ready(Some(word)),
            }
            if Pin::new(&mut *connection).poll(context).is_ready() {
                return Poll::Ready(None);
            }
            told = pulse.told(context);
            if told.is_none() {
                return Poll::Pending;
            }
        }
    })
    .await
}

enum Spoken {
    Http1,
    Http2,
}

/// The protocol of the first bytes.
async fn first_words(stream: &TcpStream, pulse: &Pulse) -> Option<io::Result<Spoken>> {
    while_patient(pulse, LAST_CALL, pin!(version_of(stream))).await
}

/// What comes of something that a client has to do; `None` if it does not come in time. A drain does not wait for long for
/// a client that says nothing.
async fn while_patient<T>(pulse: &Pulse, last_call: Duration, mut done: impl Future<Output = T> + Unpin) -> Option<T> {
    tokio::select! {
        biased;
        it = &mut done => Some(it),
        word = pulse.hear() => {
            if word != Word::Drain {
                return None;
            }
            let it = timeout(last_call, done).await.ok();
            pulse.tell(Word::Drain);
            it
        }
    }
}

/// Looks at the first bytes without taking them.
async fn version_of(stream: &TcpStream) -> io::Result<Spoken> {
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        let start = &start[..seen];
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if start == PREFACE {
            return Ok(Spoken::Http2);
        }
        if !PREFACE.starts_with(start) {
            return Ok(Spoken::Http1);
        }
        sleep(GLANCE).await;
    }
}

async fn farewell(stream: &mut Line) -> io::Result<()> {
    stream.write_all(TIMEOUT_ANSWER).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_answer_has_the_length_it_names() {
        let text = str::from_utf8(TIMEOUT_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }

    #[test]
    fn the_overload_answer_has_the_length_it_names() {
        let text = str::from_utf8(OVERLOADED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
