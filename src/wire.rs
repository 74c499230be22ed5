//! A TCP stream as hyper sees it.
//!
//! Guarantees: a small message leaves in one plain `send`: gathering a head and a short body here is cheaper than having
//! the kernel gather them (`writev` passes through the file layer); larger ones are handed over as they lie, uncopied.
//! Does not know: what is read or written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Up to this many bytes are gathered: a head and a short answer.
const SMALL: usize = 2048;

pub struct Wire(TokioIo<TcpStream>);

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self(TokioIo::new(stream))
    }

    pub fn into_inner(self) -> TcpStream {
        self.0.into_inner()
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            [only] => Pin::new(&mut self.0).poll_write(context, only),
            several if several.iter().map(|slice| slice.len()).sum::<usize>() <= SMALL => {
                let (mut gathered, mut length) = ([0; SMALL], 0);
                for slice in several {
                    gathered[length..length + slice.len()].copy_from_slice(slice);
                    length += slice.len();
                }
                Pin::new(&mut self.0).poll_write(context, &gathered[..length])
            }
            large => Pin::new(&mut self.0).poll_write_vectored(context, large),
        }
    }
}
