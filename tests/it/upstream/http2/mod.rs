//! The same for clients that speak HTTP/2: what goes wrong in one exchange is told on its stream, and the others go on.

mod answers;
mod uploads;

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request};

use super::{FINE, Stage, named};

/// A client's connection, which a thread of its own keeps going.
pub struct Client(SendRequest<Bytes>);

impl Client {
    fn of(stage: &Stage) -> Self {
        Self::to(stage.gate.address)
    }

    pub fn to(address: SocketAddr) -> Self {
        let (hand_over, connected) = channel();
        thread::spawn(move || {
            wait_as_long_as_it_takes(async {
                let stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let (client, connection) = h2::client::handshake(stream).await.unwrap();
                hand_over.send(client).unwrap();
                let _ = connection.await;
            });
        });
        Self(connected.recv().unwrap())
    }

    /// Begins a request that is called `name`; one without a body has ended with that.
    pub fn begin(&mut self, method: Method, name: &str, body: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.begin_with(method, name, HeaderMap::new(), body)
    }

    pub fn begin_with(
        &mut self,
        method: Method,
        name: &str,
        headers: HeaderMap,
        body: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request =
            Request::builder().method(method).uri(format!("http://gate{}", named(name))).body(()).unwrap();
        *request.headers_mut() = headers;
        self.0.send_request(request, !body).unwrap()
    }

    /// The connection is as good as before.
    #[track_caller]
    fn goes_on(&mut self, stage: &Stage) {
        let (answer, _) = self.begin(Method::GET, "another", false);
        let mut leg = stage.upstream.accept();
        assert_eq!(leg.request().target, named("another"));
        leg.send(FINE);
        assert_eq!(whole(answer).unwrap().body, b"fine");
    }
}

struct Whole {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

#[track_caller]
fn whole(answer: ResponseFuture) -> Result<Whole, h2::Error> {
    let (head, download) = wait(answer)?.into_parts();
    let (body, trailers) = rest(download)?;
    Ok(Whole { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

#[track_caller]
pub fn rest(mut download: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    wait(async {
        let mut body = Vec::new();
        while let Some(piece) = download.data().await {
            let piece = piece?;
            download.flow_control().release_capacity(piece.len())?;
            body.extend_from_slice(&piece);
        }
        Ok((body, download.trailers().await?))
    })
}

#[track_caller]
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(20);
    wait_as_long_as_it_takes(async { tokio::time::timeout(patience, future).await }).expect("something happens")
}

pub fn wait_as_long_as_it_takes<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}
