//! An accepted connection, and who is at its other end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{FIRST_BYTE, STAY};
use crate::ca::Certificate;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The address it connects from.
    pub addr: SocketAddr,
    /// Its certificate, checked when the connection was made; `None` for a stranger.
    pub certificate: Option<Certificate>,
}

/// Who sent a request; `None` when it did not come through [`super::serve`], such as over the
/// local socket.
#[must_use]
pub fn peer(extensions: &tonic::Extensions) -> Option<&Peer> {
    extensions.get()
}

/// An accepted connection whose handshake is done.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// Only a stranger's.
    visit: Option<Visit>,
}

/// A stranger's time with us, and his place, given back with the connection.
#[derive(Debug)]
struct Visit {
    _place: OwnedSemaphorePermit,
    /// Until he has said anything, and until he has to go then.
    over: Pin<Box<Sleep>>,
    begun: Instant,
    spoke: bool,
}

impl Visit {
    fn new(place: OwnedSemaphorePermit) -> Self {
        let begun = Instant::now();
        let over = Box::pin(sleep_until(begun + FIRST_BYTE));
        Self { _place: place, over, begun, spoke: false }
    }

    fn heard(&mut self) {
        if !self.spoke {
            self.spoke = true;
            self.over.as_mut().reset(self.begun + STAY);
        }
    }
}

impl Connection {
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        addr: SocketAddr,
        strangers: &Arc<Semaphore>,
    ) -> io::Result<Self> {
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|leaf| Certificate::from_der(leaf)).transpose();
        let certificate = certificate.map_err(io::Error::other)?;
        let visit = match certificate {
            Some(_) => None,
            None => {
                let place = Arc::clone(strangers).try_acquire_owned();
                Some(Visit::new(place.map_err(io::Error::other)?))
            }
        };
        Ok(Self { stream, peer: Peer { addr, certificate }, visit })
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Whoever serves a connection always reads, so this is looked at whenever it is due.
        if let Some(visit) = &mut this.visit
            && visit.over.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Some(visit) = this.visit.as_mut().filter(|_| buf.filled().len() > before) {
            visit.heard();
            // The deadline was moved: have it wake this task.
            let _ = visit.over.as_mut().poll(cx);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
