//! From a TCP connection to one under TLS.
//!
//! Guarantees: a client that speaks plain HTTP is told so; what costs much begins only when the client has said all that
//! it has to say first, and in so many connections at once as were allowed: others wait their turn, and while any does,
//! those under way have to hurry; a handshake rests on what is in force when it begins.
//! Does not know: which certificate is shown to whom, deadlines.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncBufRead;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::clock;
use crate::metrics::Tally;
use crate::observe::chain;
use crate::tls::{ClientCertificate, InForce};
use crate::wire::{Line, Socket};

use super::connection::dismiss;
use super::pulse::Pulse;

/// How long one may take while others wait.
pub(super) const HURRY: Duration = Duration::from_secs(1);
/// The first byte of a record that begins a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// What may wait in a connection for a client that does not read, encrypted already: two full records.
const SEND_BUFFER: usize = 32 << 10;
/// `unrecognized_name`, fatal (RFC 6066 section 3, RFC 8446 section 6).
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];
const SPEAKS_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
x-portcullis: denied\r\nconnection: close\r\ncontent-length: 131\r\n\r\n\
{\"message\":\"A plain HTTP request was sent to an HTTPS port\",\"error\":\"invalid_request\",\"error_description\":\"this port speaks HTTPS\"}";

/// What connections are made with.
pub(super) struct Tls {
    pub(super) in_force: Arc<InForce>,
    /// For handshakes of this worker.
    pub(super) turns: Semaphore,
}

/// A connection under TLS, whose client has said something.
pub(super) struct Secured {
    pub(super) line: Line,
    pub(super) certificate: Option<ClientCertificate>,
    pub(super) http2: bool,
}

impl Tls {
    pub(super) fn new(in_force: Arc<InForce>, most: usize) -> Self {
        Self { in_force, turns: Semaphore::new(most) }
    }

    /// Whether others wait for a handshake to end.
    pub(super) fn is_pressed(&self) -> bool {
        self.turns.available_permits() == 0
    }
}

/// Goes through the handshake; `None` if there is nobody to talk to after it.
pub(super) async fn secure(
    stream: TcpStream,
    from: SocketAddr,
    tls: &Tls,
    pulse: &Pulse,
    tally: &Tally,
) -> Option<Secured> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first[0] != HANDSHAKE {
        if first[0].is_ascii_alphabetic() {
            dismiss(&stream, SPEAKS_HTTPS);
        }
        debug!(peer = %from, "no TLS");
        return None;
    }
    pulse.greeted();
    tally.handshakes_begun.add(1);
    match shaken(stream, tls, pulse, tally).await {
        Ok(secured) => secured,
        Err(error) => {
            debug!(peer = %from, error = chain(&error), "no TLS handshake");
            None
        }
    }
}

async fn shaken(stream: TcpStream, tls: &Tls, pulse: &Pulse, tally: &Tally) -> io::Result<Option<Secured>> {
    let begun = LazyConfigAcceptor::new(Acceptor::default(), Socket::new(stream)).await?;
    let turn = tls.turns.acquire().await;
    pulse.shakes_hands();
    let footing = tls.in_force.footing();
    if footing.refuses(begun.client_hello().server_name()) {
        dismiss(begun.io.stream(), UNRECOGNIZED_NAME);
        return Ok(None);
    }
    let config = footing.config().clone();
    let mut stream = Box::new(begun.into_stream_with(config, |it| it.set_buffer_limit(Some(SEND_BUFFER))).await?);
    drop(turn);
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = leaf.and_then(|leaf| ClientCertificate::read(leaf));
    let now = clock::wall().as_secs().cast_signed();
    // One that was verified by a library that could read it, and is not by ours, is nobody's.
    if leaf.is_some() && certificate.as_ref().is_none_or(|certificate| certificate.has_expired(now)) {
        return Err(io::Error::other("the certificate has expired since the session began"));
    }
    let http2 = session.alpn_protocol() == Some(b"h2");
    pulse.has_shaken();
    tally.handshakes_done.add(1);
    if !has_spoken(&mut stream).await? {
        return Ok(None);
    }
    Ok(Some(Secured { line: Line::Tls(stream), certificate, http2 }))
}

/// Waits for the first bytes without taking them.
async fn has_spoken(stream: &mut TlsStream<Socket>) -> io::Result<bool> {
    poll_fn(|context| Pin::new(&mut *stream).poll_fill_buf(context).map_ok(|bytes| !bytes.is_empty())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_has_the_length_it_names() {
        let text = str::from_utf8(SPEAKS_HTTPS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
