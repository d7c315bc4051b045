//! A connection's socket, with a limit on how long a client may take in nothing of what it is sent, and on how long the head of
//! a request may take from its first byte on. How long nothing at all may come is hyper's to limit.
//!
//! hyper answers by itself, and with nothing but a status, what it cannot read as a request. That answer is replaced here by
//! a problem, as every other one: nothing before it has read the request, and nothing after it sees the answer.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use retailflow_engine::wire::Code;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::answer::written_out;
use crate::connections::Connection;
use crate::head::HeadScan;

/// How long what a refused client still sends is read: a socket closed on unread bytes is reset, and the answer lost.
const LINGER_MAX: Duration = Duration::from_millis(500);
/// So many bytes of it.
const LINGER_MAX_BYTES: usize = 1 << 20;
/// hyper's own answers are a status and three lines.
const BARE_MAX_BYTES: usize = 256;

/// What is said in the place of an answer of hyper's own; `None` for all others.
///
/// Ours from 400 on always say what type they have.
fn in_place_of(bytes: &[u8]) -> Option<Bytes> {
    let code = bytes.strip_prefix(b"HTTP/1.").filter(|rest| rest.len() < BARE_MAX_BYTES)?.get(2..5)?;
    let code = match code {
        b"400" => Code::MalformedRequest,
        b"414" => Code::UriTooLong,
        b"431" => Code::HeadersTooLarge,
        _ => return None,
    };
    let head = std::str::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let bare = head.ends_with("\r\n\r\n")
        && head.contains("\r\ncontent-length: 0\r\n")
        && !head.contains("\r\ncontent-type:");
    bare.then(|| written_out(code, code.meaning(), ""))
}

/// An answer that is written in the place of another one.
struct Instead {
    rest: Bytes,
    /// Bytes of the other one.
    of: usize,
}

/// A socket. Its timer exists only while a write waits: on the way of most requests there is none.
pub(crate) struct Guarded<S> {
    socket: S,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    head: Head,
    instead: Option<Instead>,
    /// Bytes that are still read after an answer that ends the connection; `None` when there was no such answer.
    linger: Option<usize>,
}

/// The head of a request that is on its way.
struct Head {
    connection: Arc<Connection>,
    timeout: Duration,
    /// Requests that had begun when the first byte of it came; a connection that is new has to send one at once.
    after: Option<u64>,
    /// Exists only while a part of a head waits for the rest: most come whole.
    late: Option<Pin<Box<Sleep>>>,
    scan: HeadScan,
}

impl Head {
    /// Bytes have come.
    fn came(&mut self, bytes: &[u8]) {
        // Those of a request that has begun are its body's.
        if !self.connection.is_idle() {
            return;
        }
        let begun = self.connection.begun_requests();
        if self.after != Some(begun) {
            (self.after, self.late, self.scan) = (Some(begun), None, HeadScan::default());
        }
        if let Some(how) = self.scan.see(bytes) {
            self.connection.set_ambiguous(how);
        }
    }

    /// Nothing has come for now: whether the rest of a head is late.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.after.is_none_or(|after| after != self.connection.begun_requests()) {
            (self.after, self.late) = (None, None);
            return false;
        }
        let timeout = self.timeout;
        let timer = self.late.get_or_insert_with(|| Box::pin(sleep(timeout)));
        timer.as_mut().poll(context).is_ready()
    }
}

impl<S> Guarded<S> {
    pub(crate) fn new(
        socket: S,
        write_timeout: Duration,
        head_timeout: Duration,
        connection: &Arc<Connection>,
    ) -> Self {
        let connection = Arc::clone(connection);
        let head =
            Head { connection, timeout: head_timeout, after: Some(0), late: None, scan: HeadScan::default() };
        Self { socket, write_timeout, stalled: None, head, instead: None, linger: None }
    }

    /// What a write came to, or the end of it all when it has waited too long.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Writes bytes, or what is said in their place.
    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = in_place_of(bytes).map(|rest| Instead { rest, of: bytes.len() });
        }
        while let Some(instead) = &mut self.instead {
            if instead.rest.is_empty() {
                let of = instead.of;
                self.instead = None;
                self.linger = Some(LINGER_MAX_BYTES);
                return Poll::Ready(Ok(of));
            }
            match Pin::new(&mut self.socket).poll_write(context, &instead.rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => instead.rest.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// Reads what a refused client still sends, within a time and a size.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(LINGER_MAX)));
        if timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut space = [0; 4096];
        while let Some(left) = self.linger.filter(|left| *left > 0) {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.linger = Some(left.saturating_sub(buffer.filled().len()));
                }
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        match read {
            Poll::Ready(_) => self.head.came(&buffer.filled()[before..]),
            Poll::Pending if self.head.is_late(context) => {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
            }
            Poll::Pending => {}
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match pieces {
            [only] => self.write(context, only),
            pieces => Pin::new(&mut self.socket).poll_write_vectored(context, pieces),
        };
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.socket).poll_shutdown(context);
        if self.linger.is_some() && matches!(ended, Poll::Ready(Ok(()))) {
            return self.poll_linger(context).map(Ok);
        }
        ended
    }
}
