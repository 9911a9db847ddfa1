//! nf_tables: tables, chains, rules and maps. One verb per function, no policy.
//!
//! Changes travel in a [`batch`], which the kernel carries out whole or not at all. A rule
//! carries a digest of itself as its comment, since the kernel shows expressions in another form
//! than it was given: equal comments are equal rules.

pub(crate) mod expr;
mod read;

use std::io;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE};

use super::message::Message;
use super::socket::Socket;

pub(crate) use expr::Rule;
pub(crate) use read::{FoundChain, FoundRule, chains, element, elements, foreign_change, rules};

const SUBSYSTEM: u16 = 10 << 8;
const NEWTABLE: u16 = SUBSYSTEM;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const GETCHAIN: u16 = SUBSYSTEM | 4;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
const DELRULE: u16 = SUBSYSTEM | 8;
const NEWSET: u16 = SUBSYSTEM | 9;
const NEWSETELEM: u16 = SUBSYSTEM | 12;
const GETSETELEM: u16 = SUBSYSTEM | 13;
const DELSETELEM: u16 = SUBSYSTEM | 14;
const NEWGEN: u16 = SUBSYSTEM | 15;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const LIST_ELEM: u16 = 1;
const DATA_VALUE: u16 = 1;

/// Family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Inet,
    Ip,
}

impl Family {
    fn generic(self) -> [u8; 4] {
        match self {
            Self::Inet => [1, 0, 0, 0],
            Self::Ip => [2, 0, 0, 0],
        }
    }
}

/// A chain that the kernel calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    /// `filter` or `nat`.
    pub(crate) kind: &'static str,
    pub(crate) hook: Hook,
    pub(crate) priority: i32,
}

/// Where the kernel calls a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Prerouting = 0,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// One element of a map: both as the registers hold them.
pub(crate) type Element = (Vec<u8>, Vec<u8>);

/// Carries out `changes` all or none.
pub(crate) fn batch(socket: &mut Socket, changes: Vec<Message>) -> io::Result<()> {
    let edge = [0, 0, 0, 10];
    let mut all = vec![Message::new(BATCH_BEGIN, 0, &edge)];
    all.extend(changes);
    all.push(Message::new(BATCH_END, 0, &edge));
    socket.send(all)
}

pub(crate) fn add_table(table: &str) -> Message {
    Message::new(NEWTABLE, NLM_F_ACK | NLM_F_CREATE, &Family::Inet.generic()).text(1, table)
}

pub(crate) fn delete_table(table: &str) -> Message {
    Message::new(DELTABLE, NLM_F_ACK, &Family::Inet.generic()).text(1, table)
}

/// Adds a chain that accepts what its rules let through.
pub(crate) fn add_chain(table: &str, chain: &Chain) -> Message {
    Message::new(NEWCHAIN, NLM_F_ACK | NLM_F_CREATE, &Family::Inet.generic())
        .text(1, table)
        .text(3, chain.name)
        .nest(4, |hook| hook.be32(1, chain.hook as u32).be32(2, chain.priority.cast_unsigned()))
        .be32(5, 1)
        .text(7, chain.kind)
}

/// Adds a rule at the end of a chain of ours.
pub(crate) fn append_rule(table: &str, chain: &str, rule: &Rule) -> Message {
    add_rule(Family::Inet, NLM_F_APPEND, table, chain, rule)
}

/// Adds a rule at the front of a chain of somebody else's.
pub(crate) fn insert_rule(family: Family, table: &str, chain: &str, rule: &Rule) -> Message {
    add_rule(family, 0, table, chain, rule)
}

fn add_rule(family: Family, place: u16, table: &str, chain: &str, rule: &Rule) -> Message {
    let message = Message::new(NEWRULE, NLM_F_ACK | NLM_F_CREATE | place, &family.generic())
        .text(1, table)
        .text(2, chain)
        .nest(4, |list| rule.write(list));
    let comment = rule.comment();
    let mut userdata = vec![0, u8::try_from(comment.len() + 1).unwrap_or(u8::MAX)];
    userdata.extend(comment.as_bytes());
    userdata.push(0);
    message.attr(7, &userdata)
}

/// Removes one rule, or all rules of a chain when `handle` is `None`.
pub(crate) fn delete_rules(
    family: Family,
    table: &str,
    chain: &str,
    handle: Option<u64>,
) -> Message {
    let message = Message::new(DELRULE, NLM_F_ACK, &family.generic()).text(1, table).text(2, chain);
    match handle {
        Some(handle) => message.attr(3, &handle.to_be_bytes()),
        None => message,
    }
}

/// Adds a map of (protocol, port) to (address, port), as `nft` would show it.
pub(crate) fn add_map(table: &str, map: &str) -> Message {
    const MAP: u32 = 8;
    const INET_PROTO: u32 = 12;
    const INET_SERVICE: u32 = 13;
    const IPV4_ADDR: u32 = 7;
    Message::new(NEWSET, NLM_F_ACK | NLM_F_CREATE, &Family::Inet.generic())
        .text(1, table)
        .text(2, map)
        .be32(3, MAP)
        .be32(4, INET_PROTO << 6 | INET_SERVICE)
        .be32(5, 8)
        .be32(6, IPV4_ADDR << 6 | INET_SERVICE)
        .be32(7, 8)
        .be32(10, 1)
}

pub(crate) fn add_elements(table: &str, map: &str, elements: &[Element]) -> Message {
    let list = |list: Message| {
        elements.iter().fold(list, |list, (key, data)| {
            list.nest(LIST_ELEM, |element| {
                element
                    .nest(1, |value| value.attr(DATA_VALUE, key))
                    .nest(2, |value| value.attr(DATA_VALUE, data))
            })
        })
    };
    Message::new(NEWSETELEM, NLM_F_ACK | NLM_F_CREATE, &Family::Inet.generic())
        .text(1, table)
        .text(2, map)
        .nest(3, list)
}

fn keyed(kind: u16, flags: u16, table: &str, map: &str, key: &[u8]) -> Message {
    Message::new(kind, flags, &Family::Inet.generic())
        .text(1, table)
        .text(2, map)
        .nest(3, |list| list.nest(LIST_ELEM, |e| e.nest(1, |value| value.attr(DATA_VALUE, key))))
}

pub(crate) fn delete_element(table: &str, map: &str, key: &[u8]) -> Message {
    keyed(DELSETELEM, NLM_F_ACK, table, map, key)
}
