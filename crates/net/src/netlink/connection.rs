//! `rtnetlink`'s connections, for questions and for news.
//!
//! A connection moves only while its owner waits for it: no task runs one, so nothing has to end
//! one, and news that nobody reads stay in the kernel's buffer, which has a bound.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NLM_F_DUMP_INTR, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::proto::{Connection, ConnectionHandle};
use rtnetlink::sys::SocketAddr;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::DEADLINE;
use super::heard::Heard;
use super::route::Message;

/// Times a dump is asked for again while the kernel's table changes under it.
const TRIES: usize = 10;

/// A connection about links, addresses and routes. It belongs to the namespace it was opened in,
/// whatever namespace its thread is in later. Its thread may be no worker of a runtime.
pub(crate) struct Route {
    reactor: Arc<Reactor>,
    connection: Connection<Heard>,
    handle: ConnectionHandle<Heard>,
}

impl Route {
    /// Opens one in the namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        Self::on(Arc::new(Reactor(Some(runtime))))
    }

    /// Opens another one in the namespace the calling thread is in by now.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Self::on(Arc::clone(&self.reactor))
    }

    fn on(reactor: Arc<Reactor>) -> io::Result<Self> {
        let (mut connection, handle, _news) = {
            let _entered = reactor.0.as_ref().map(Runtime::enter);
            rtnetlink::proto::new_connection(NETLINK_ROUTE)?
        };
        // The end of a dump says whether it is whole.
        connection.set_forward_done(true);
        Ok(Self { reactor, connection, handle })
    }

    /// Sends `messages` one after the other, up to the first that the kernel refuses.
    pub(crate) fn send<const N: usize>(&mut self, messages: [Message; N]) -> io::Result<()> {
        messages.iter().try_for_each(|message| self.ask(message).map(drop))
    }

    /// Asks one question and returns all answers. Asks again when a dump was torn.
    pub(crate) fn ask(&mut self, question: &Message) -> io::Result<Vec<RouteNetlinkMessage>> {
        for _ in 0..TRIES {
            match self.ask_once(question.clone()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
        self.ask_once(question.clone())
    }

    fn ask_once(&mut self, question: Message) -> io::Result<Vec<RouteNetlinkMessage>> {
        let Self { reactor, connection, handle } = self;
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        let runtime = reactor.0.as_ref().ok_or_else(closed)?;
        let kernel = SocketAddr::new(0, 0);
        let answers = handle.request(question, kernel).map_err(|_| closed())?;
        runtime.block_on(async move {
            let answered = async {
                let mut answers = pin!(answers);
                let (mut all, mut torn) = (Vec::new(), false);
                while let Some(answer) = answers.next().await {
                    // Read to its end: the kernel begins no dump while another one lasts.
                    torn |= answer.header.flags & NLM_F_DUMP_INTR != 0;
                    all.extend(read(answer)?);
                }
                if torn { Err(io::ErrorKind::Interrupted.into()) } else { Ok(all) }
            };
            let driven = async {
                tokio::select! {
                    biased;
                    () = connection => Err(closed()),
                    answered = answered => answered,
                }
            };
            timeout(DEADLINE, driven).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").finish_non_exhaustive()
    }
}

/// What wakes a thread that waits for answers. `None` only while it is dropped.
struct Reactor(Option<Runtime>);

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A plain drop may wait, which a worker of another runtime is not allowed to do.
            runtime.shutdown_background();
        }
    }
}

/// What one answer tells; `None` for an acknowledgement or the end of a dump.
fn read(answer: NetlinkMessage<Heard>) -> io::Result<Option<RouteNetlinkMessage>> {
    match answer.payload {
        NetlinkPayload::InnerMessage(message) => Ok(Some(message.0)),
        NetlinkPayload::Error(refusal) if refusal.code.is_some() => Err(refusal.to_io()),
        NetlinkPayload::Done(done) if done.code < 0 => {
            Err(io::Error::from_raw_os_error(done.code.saturating_neg()))
        }
        _ => Ok(None),
    }
}

/// News of the links of one namespace.
pub(crate) struct Links {
    connection: Connection<RouteNetlinkMessage>,
    news: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
}

impl Links {
    /// Starts to listen in the namespace of the calling thread, which is one of a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        let (connection, _, news) = rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
        Ok(Self { connection, news })
    }

    /// Waits until something `matters`. Lost news do.
    pub(crate) async fn heard(&mut self, matters: impl Fn(&RouteNetlinkMessage) -> bool) {
        loop {
            let news = tokio::select! {
                biased;
                () = &mut self.connection => None,
                news = self.news.next() => news,
            };
            match news.map(|(news, _)| news.payload) {
                Some(NetlinkPayload::InnerMessage(news)) if !matters(&news) => {}
                Some(_) => {
                    // The caller looks at everything after this: what is queued is part of that.
                    while self.news.try_recv().is_ok() {}
                    return;
                }
                None => return self.reopen().await,
            }
        }
    }

    /// A socket that failed stays so.
    async fn reopen(&mut self) {
        match Self::listen() {
            Ok(links) => *self = links,
            Err(_) => tokio::time::sleep(DEADLINE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_answers_again_after_a_refusal() {
        let mut route = Route::open().unwrap();

        let none = super::super::route::link(&mut route, "no-such-link").unwrap();
        let links = super::super::route::links(&mut route).unwrap();

        assert_eq!(none, None);
        assert!(links.iter().any(|link| link.name == "lo"), "{links:?}");
    }
}
