//! Requests over HTTP/2: in cleartext, by prior knowledge, or over whatever stream.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Answer;

/// Sends one request on a connection of its own and reads the answer to its end.
///
/// # Errors
/// When the gate resets the stream or closes the connection instead of answering.
pub fn exchange_h2(address: SocketAddr, request: Request<&'static [u8]>) -> Result<Answer, h2::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        exchange_h2_over(stream, request.map(Bytes::from_static)).await
    })
}

/// Sends one request on a connection and reads the answer to its end.
///
/// # Errors
/// When the gate resets the stream or closes the connection instead of answering.
pub async fn exchange_h2_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Bytes>,
) -> Result<Answer, h2::Error> {
    let (client, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    let (head, body) = request.into_parts();
    let mut client = client.ready().await?;
    let (answer, mut upload) = client.send_request(Request::from_parts(head, ()), body.is_empty())?;
    if !body.is_empty() {
        upload.send_data(body, true)?;
    }
    let (head, mut download) = answer.await?.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = download.data().await {
        let chunk = chunk?;
        download.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok(Answer { status: head.status.as_u16(), headers, body })
}
