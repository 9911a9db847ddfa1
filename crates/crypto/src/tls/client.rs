//! Connects to a manager.

use std::io;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::{Service, service_fn};

use super::verify::plain;
use super::{Credentials, HANDSHAKE_DEADLINE};
use crate::ca::MANAGER_NAME;

/// How often a connection is asked whether it still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long the answer may take.
const KEEP_ALIVE_DEADLINE: Duration = Duration::from_secs(5);

/// The text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address: expected HOST:PORT")]
pub struct InvalidAddress {
    /// What was given.
    pub text: String,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// Nobody was asked.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// Nobody answers there, or none to be trusted.
    #[error(transparent)]
    Unanswered(#[from] tonic::transport::Error),
}

/// What every connection is made by.
trait Connector:
    Service<Uri, Response = TokioIo<TlsStream<TcpStream>>, Error = io::Error, Future: Send>
    + Send
    + 'static
{
}

impl<C> Connector for C where
    C: Service<Uri, Response = TokioIo<TlsStream<TcpStream>>, Error = io::Error, Future: Send>
        + Send
        + 'static
{
}

/// A channel to the manager at `addr`, `host:port`.
///
/// Connects on first use and again whenever the connection is lost, each time with the
/// credentials of that moment; only a manager of the cluster is spoken to. Calls on it carry
/// their own deadlines.
///
/// # Errors
///
/// [`InvalidAddress`]. That nobody answers is seen by the calls.
pub fn channel(addr: &str, credentials: &Credentials) -> Result<Channel, InvalidAddress> {
    let (endpoint, connector) = prepared(addr, credentials)?;
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// The same, once there is a connection: who says nothing shows that before anything is asked.
///
/// # Errors
///
/// [`InvalidAddress`], or why there is no connection.
pub async fn connected(addr: &str, credentials: &Credentials) -> Result<Channel, Unconnected> {
    let (endpoint, connector) = prepared(addr, credentials)?;
    Ok(endpoint.connect_with_connector(connector).await?)
}

fn prepared(
    addr: &str,
    credentials: &Credentials,
) -> Result<(Endpoint, impl Connector), InvalidAddress> {
    let invalid = || InvalidAddress { text: addr.to_owned() };
    // The scheme keeps tonic from adding TLS of its own.
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).map_err(|_| invalid())?;
    let complete = endpoint.uri().port_u16().is_some() && endpoint.uri().path() == "/";
    if !complete || endpoint.uri().authority().is_none_or(|found| found.as_str() != addr) {
        return Err(invalid());
    }
    let (addr, credentials) = (addr.to_owned(), credentials.clone());
    let connector = service_fn(move |_| {
        let (addr, credentials) = (addr.clone(), credentials.clone());
        async move {
            let connected = timeout(HANDSHAKE_DEADLINE, connect(&addr, &credentials)).await;
            connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(TokioIo::new)
        }
    });
    let endpoint = endpoint
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_DEADLINE)
        .keep_alive_while_idle(true);
    Ok((endpoint, connector))
}

async fn connect(addr: &str, credentials: &Credentials) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let manager = ServerName::try_from(MANAGER_NAME).map_err(io::Error::other)?;
    TlsConnector::from(credentials.client()).connect(manager, stream).await.map_err(plain)
}
