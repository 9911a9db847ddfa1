//! A blocking socket to the kernel's tables. Every wait for the kernel has a deadline.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};
use rtnetlink::sys::{self, protocols::NETLINK_NETFILTER};

use super::DEADLINE;
use super::message::{self, Answer, Message};

/// Room for what is sent and answered at once: changes of some ten thousand ports in one batch.
const ROOM: usize = 8 << 20;
/// More than the largest piece of a dump.
const BUFFER: usize = 64 << 10;
/// The group that hears of changes of tables.
const TABLES: u32 = 7;

#[derive(Debug)]
pub(crate) struct Socket {
    socket: sys::Socket,
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = sys::Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        let deadline = nix::sys::time::TimeVal::new(DEADLINE.as_secs().cast_signed(), 0);
        setsockopt(&socket, sockopt::ReceiveTimeout, &deadline)?;
        // Who may not have more than the default can only ask, which needs no more.
        let _ = setsockopt(&socket, sockopt::SndBufForce, &ROOM);
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &ROOM);
        Ok(Self { socket, sequence: 0 })
    }

    /// Opens a socket that hears of every change of a table and never blocks.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut socket = sys::Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        socket.add_membership(TABLES)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends all `messages` at once and waits until each that asks for it is acknowledged.
    ///
    /// The first refusal is returned. Of a batch none has been carried out
    /// then, of other messages those after the refused one have.
    pub(crate) fn send(&mut self, messages: Vec<Message>) -> io::Result<()> {
        let mut waiting = messages.iter().filter(|message| message.wants_ack()).count();
        let mut bytes = Vec::new();
        let first = self.sequence.wrapping_add(1);
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(message.sealed(self.sequence));
        }
        self.socket.send(&bytes, 0)?;
        let mut refusal = None;
        while waiting > 0 {
            for answer in self.receive()? {
                let ours = answer.sequence.wrapping_sub(first) <= self.sequence.wrapping_sub(first);
                if ours && answer.kind == NLMSG_ERROR {
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
        let dump = u16::from_ne_bytes([bytes[6], bytes[7]]) & NLM_F_DUMP == NLM_F_DUMP;
        self.socket.send(&bytes, 0)?;
        let (mut all, mut torn) = (Vec::new(), false);
        loop {
            for answer in self.receive()? {
                if answer.sequence != self.sequence {
                    continue;
                }
                // Read to its end: the kernel begins no dump while another one lasts.
                torn |= answer.flags & NLM_F_DUMP_INTR != 0;
                if answer.kind == NLMSG_DONE {
                    return if torn { Err(io::ErrorKind::Interrupted.into()) } else { Ok(all) };
                }
                if answer.kind == NLMSG_ERROR {
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
        let mut buffer = Vec::with_capacity(BUFFER);
        // A wait with a deadline ends with any signal of the process.
        while let Err(error) = self.socket.recv(&mut buffer, 0) {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(message::answers(&buffer))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

fn refused(answer: &Answer) -> Option<io::Error> {
    let code = message::number(&answer.body, 0).cast_signed();
    (code != 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
}
