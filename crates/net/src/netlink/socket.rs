//! A blocking netlink socket. Every wait for the kernel has a deadline.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use super::message::{self, Answer, Message};

/// The kernel answers at once; a longer silence means that an answer was lost.
const DEADLINE: Duration = Duration::from_secs(5);
/// Room for what is sent and answered at once: changes of some ten thousand ports in one batch.
const ROOM: libc::c_int = 8 << 20;
/// More than the largest piece of a dump.
const BUFFER: usize = 64 << 10;

/// Which part of the kernel a socket speaks with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Route,
    Netfilter,
}

/// What a socket is told about without asking.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Group {
    Links,
    Tables,
}

impl Group {
    /// Bit of the group in the address a socket binds to.
    fn bit(self) -> u32 {
        match self {
            Self::Links => 1,
            Self::Tables => 1 << 6,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the namespace of the calling thread.
    pub(crate) fn open(protocol: Protocol) -> io::Result<Self> {
        let socket = Self::bound(protocol, 0, SockFlag::SOCK_CLOEXEC)?;
        let deadline = nix::sys::time::TimeVal::new(DEADLINE.as_secs().cast_signed(), 0);
        setsockopt(&socket.fd, sockopt::ReceiveTimeout, &deadline)?;
        socket.set(libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1)?;
        socket.set(libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
        // Who may not have more than the default can only ask, which needs no more.
        let _ = socket.set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, ROOM);
        let _ = socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, ROOM);
        Ok(socket)
    }

    /// Opens a socket that hears `group` and never blocks.
    pub(crate) fn listen(protocol: Protocol, group: Group) -> io::Result<Self> {
        Self::bound(protocol, group.bit(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)
    }

    fn bound(protocol: Protocol, groups: u32, flags: SockFlag) -> io::Result<Self> {
        let protocol = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { fd, sequence: 0 })
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
        // SAFETY: `value` lives through the call, and 4 is its size.
        let done = unsafe {
            let value = (&raw const value).cast();
            libc::setsockopt(self.fd.as_raw_fd(), level, option, value, 4)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Sends all `messages` at once and waits until each that asks for it is acknowledged.
    ///
    /// The first refusal is returned. Route messages after a refused one have been carried out;
    /// of a batch of nft messages none has.
    pub(crate) fn send(&mut self, messages: Vec<Message>) -> io::Result<()> {
        let mut waiting = messages.iter().filter(|message| message.wants_ack()).count();
        let mut bytes = Vec::new();
        let first = self.sequence.wrapping_add(1);
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(message.sealed(self.sequence));
        }
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let mut refusal = None;
        while waiting > 0 {
            for answer in self.receive()? {
                let ours = answer.sequence.wrapping_sub(first) <= self.sequence.wrapping_sub(first);
                if ours && answer.kind == message::ERROR {
                    waiting = waiting.saturating_sub(1);
                    refusal = refusal.or(refused(&answer));
                }
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Asks one question and returns all answers: of a dump, or one.
    ///
    /// A dump that the kernel could not keep consistent comes back as `Interrupted`.
    pub(crate) fn ask(&mut self, question: Message) -> io::Result<Vec<Answer>> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = question.sealed(self.sequence);
        let dump = u16::from_ne_bytes([bytes[6], bytes[7]]) & message::DUMP == message::DUMP;
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let mut all = Vec::new();
        loop {
            for answer in self.receive()? {
                if answer.sequence != self.sequence {
                    continue;
                }
                if answer.flags & message::TORN != 0 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                if answer.kind == message::DONE {
                    return Ok(all);
                }
                if answer.kind == message::ERROR {
                    return refused(&answer).map_or(Ok(all), Err);
                }
                all.push(answer);
                if !dump {
                    return Ok(all);
                }
            }
        }
    }

    /// What has arrived. Waits for it, unless the socket was opened to listen.
    pub(crate) fn receive(&self) -> io::Result<Vec<Answer>> {
        let mut buffer = vec![0; BUFFER];
        let length = loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                // A wait with a deadline ends with any signal of the process.
                Err(Errno::EINTR) => {}
                received => break received?,
            }
        };
        Ok(message::answers(&buffer[..length]))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

fn refused(answer: &Answer) -> Option<io::Error> {
    let code = message::number(&answer.body, 0).cast_signed();
    (code != 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
}
