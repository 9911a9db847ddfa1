//! Connections the kernel remembers: forgets those of an address that is no longer in use.
//!
//! Without it a client that keeps sending to a published UDP port would stay bound to the task
//! that had the port before.

use std::io;
use std::net::Ipv4Addr;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP};

use super::message::{Message, find};
use super::socket::Socket;

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const TUPLE_IP: u16 = 1;
const IP_V4_SRC: u16 = 1;

const GENERIC: [u8; 4] = [2, 0, 0, 0];

/// Forgets every connection that `address` answers.
pub(crate) fn forget(socket: &mut Socket, address: Ipv4Addr) -> io::Result<()> {
    let all = match socket.ask(Message::new(GET, NLM_F_DUMP, &GENERIC)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
        other => other?,
    };
    for answer in all {
        let attributes = answer.body.get(4..).unwrap_or_default();
        let reply = find(find(attributes, TUPLE_REPLY), TUPLE_IP);
        if find(reply, IP_V4_SRC) != address.octets() {
            continue;
        }
        let mut delete = Message::new(DELETE, NLM_F_ACK, &GENERIC);
        for kind in [TUPLE_ORIG, ID, ZONE] {
            let value = find(attributes, kind);
            if !value.is_empty() {
                let nested = if kind == TUPLE_ORIG { 0x8000 } else { 0 };
                delete = delete.attr(kind | nested, value);
            }
        }
        match socket.send(vec![delete]) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}
