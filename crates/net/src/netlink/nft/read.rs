//! What the kernel says about its tables.

use std::io;

use rtnetlink::packet_core::NLM_F_DUMP;

use super::super::message::{Answer, Message, attributes, find, number, text};
use super::super::socket::Socket;
use super::{DATA_VALUE, Element, Family, GETCHAIN, GETRULE, GETSETELEM, LIST_ELEM, NEWGEN, keyed};

/// A chain the kernel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundChain {
    pub(crate) table: String,
    pub(crate) name: String,
    /// Number of the hook and priority; `None` for a chain that only rules call.
    pub(crate) hook: Option<(u32, i32)>,
    pub(crate) kind: String,
    /// Whether what its rules let through is dropped.
    pub(crate) drops: bool,
}

/// A rule the kernel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundRule {
    pub(crate) handle: u64,
    pub(crate) comment: String,
}

/// Every chain of a family.
pub(crate) fn chains(socket: &mut Socket, family: Family) -> io::Result<Vec<FoundChain>> {
    let all = dump(socket, || Message::new(GETCHAIN, NLM_F_DUMP, &family.generic()))?;
    Ok(all.iter().map(|answer| parse_chain(tail(answer))).collect())
}

fn parse_chain(body: &[u8]) -> FoundChain {
    let hook = find(body, 4);
    FoundChain {
        table: text(find(body, 1)).to_owned(),
        name: text(find(body, 3)).to_owned(),
        hook: (!hook.is_empty()).then(|| (big(find(hook, 1)), big(find(hook, 2)).cast_signed())),
        kind: text(find(body, 7)).to_owned(),
        drops: find(body, 5) == [0; 4],
    }
}

/// The rules of a chain, in order.
pub(crate) fn rules(
    socket: &mut Socket,
    family: Family,
    table: &str,
    chain: &str,
) -> io::Result<Vec<FoundRule>> {
    let all = dump(socket, || {
        Message::new(GETRULE, NLM_F_DUMP, &family.generic()).text(1, table).text(2, chain)
    })?;
    let ours = all.iter().filter(|answer| text(find(tail(answer), 2)) == chain);
    Ok(ours.map(|answer| parse_rule(tail(answer))).collect())
}

fn parse_rule(body: &[u8]) -> FoundRule {
    let handle = find(body, 3).try_into().map_or(0, u64::from_be_bytes);
    let userdata = find(body, 7);
    let comment =
        if userdata.first() == Some(&0) { text(&userdata[2.min(userdata.len())..]) } else { "" };
    FoundRule { handle, comment: comment.to_owned() }
}

/// The elements of a map; `None` if there is no such map.
pub(crate) fn elements(
    socket: &mut Socket,
    table: &str,
    map: &str,
) -> io::Result<Option<Vec<Element>>> {
    let question = || {
        Message::new(GETSETELEM, NLM_F_DUMP, &Family::Inet.generic()).text(1, table).text(2, map)
    };
    match dump(socket, question) {
        Ok(all) => Ok(Some(all.iter().flat_map(|answer| parse_elements(tail(answer))).collect())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a map says of one key; `None` if nothing, or if there is no such map.
pub(crate) fn element(
    socket: &mut Socket,
    table: &str,
    map: &str,
    key: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    match socket.ask(keyed(GETSETELEM, 0, table, map, key)) {
        Ok(all) => {
            let mut found = all.iter().flat_map(|answer| parse_elements(tail(answer)));
            Ok(found.next().map(|(_, data)| data))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse_elements(body: &[u8]) -> Vec<Element> {
    let value = |element, kind| find(find(element, kind), DATA_VALUE).to_vec();
    attributes(find(body, 3))
        .filter(|(kind, _)| *kind == LIST_ELEM)
        .map(|(_, element)| (value(element, 1), value(element, 2)))
        .collect()
}

/// Whether a notification says that a thread with another name than `ours` changed a table.
pub(crate) fn foreign_change(answer: &Answer, ours: &str) -> bool {
    const PROCESS_NAME: u16 = 3;
    answer.kind == NEWGEN && text(find(tail(answer), PROCESS_NAME)) != ours
}

/// The attributes of an answer, behind its generic header.
fn tail(answer: &Answer) -> &[u8] {
    answer.body.get(4..).unwrap_or_default()
}

fn big(value: &[u8]) -> u32 {
    u32::from_be(number(value, 0))
}

/// Asks again while the tables change under the answer, a few times.
fn dump(socket: &mut Socket, question: impl Fn() -> Message) -> io::Result<Vec<Answer>> {
    let mut tries = 0;
    loop {
        match socket.ask(question()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && tries < 10 => tries += 1,
            other => return other,
        }
    }
}
