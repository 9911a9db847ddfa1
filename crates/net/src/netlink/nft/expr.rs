//! The few expressions our rules are made of.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::super::message::Message;
use super::LIST_ELEM;

/// The first of the 4-byte registers; every expression here loads it and tests it at once.
const REGISTER: u32 = 8;
const VERDICT: u32 = 0;
const COMMENT: &str = "swarm:";

/// One thing a rule tests or does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Expr {
    /// The packet is IPv4. Stands before anything that looks at addresses.
    Ipv4,
    /// It came in through this link.
    From(String),
    /// It came in through another link.
    NotFrom(String),
    /// It leaves through this link.
    To(String),
    /// It leaves through another link.
    NotTo(String),
    Source(Ipv4Network),
    Destination(Ipv4Network),
    /// Its destination is an address of this host.
    ToThisHost,
    /// Its connection is neither known nor related to a known one.
    Unknown,
    /// Its connection's destination has been translated.
    Translated,
    /// Its connection's destination has not been translated.
    NotTranslated,
    /// Its destination becomes what this map says of its protocol and port.
    TranslateBy(&'static str),
    /// Its source becomes the address of the link it leaves through.
    Masquerade,
    Count,
    Accept,
    Drop,
}

/// What one rule says, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rule(pub(crate) Vec<Expr>);

impl Rule {
    /// What tells this rule from every other one: FNV-1a of its words.
    pub(crate) fn comment(&self) -> String {
        format!("{COMMENT}{:016x}", crate::names::digest(format!("{self:?}").as_bytes()))
    }

    /// Whether a comment is one that [`Rule::comment`] makes.
    pub(crate) fn is_ours(comment: &str) -> bool {
        comment.starts_with(COMMENT)
    }

    pub(super) fn write(&self, list: Message) -> Message {
        self.0.iter().fold(list, |list, expr| expr.write(list))
    }
}

impl Expr {
    fn write(&self, list: Message) -> Message {
        const NFPROTO: u32 = 15;
        const STATUS: u32 = 2;
        const DNATED: u32 = 1 << 5;
        match self {
            Self::Ipv4 => equal(meta(list, NFPROTO, 0), &[2]),
            Self::From(name) => equal(meta(list, 6, 0), &padded(name)),
            Self::NotFrom(name) => compare(meta(list, 6, 0), 1, &padded(name)),
            Self::To(name) => equal(meta(list, 7, 0), &padded(name)),
            Self::NotTo(name) => compare(meta(list, 7, 0), 1, &padded(name)),
            Self::Source(network) => within(list, 12, *network),
            Self::Destination(network) => within(list, 16, *network),
            Self::ToThisHost => to_this_host(list),
            Self::Unknown => equal(bits(ct(list, 0), ESTABLISHED | RELATED), &[0; 4]),
            Self::Translated => compare(bits(ct(list, STATUS), DNATED), 1, &[0; 4]),
            Self::NotTranslated => equal(bits(ct(list, STATUS), DNATED), &[0; 4]),
            Self::TranslateBy(map) => translate(list, map),
            Self::Masquerade => one(list, "masq", |data| data),
            Self::Count => one(list, "counter", |data| data.attr(1, &[0; 8]).attr(2, &[0; 8])),
            Self::Accept => verdict(list, 1),
            Self::Drop => verdict(list, 0),
        }
    }
}

const ESTABLISHED: u32 = 1 << 1;
const RELATED: u32 = 1 << 2;

fn one(list: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    list.nest(LIST_ELEM, |expr| expr.text(1, name).nest(2, data))
}

/// Loads a property of the packet into a register, counted from ours in steps of 4 bytes.
fn meta(list: Message, key: u32, register: u32) -> Message {
    one(list, "meta", |data| data.be32(1, REGISTER + register).be32(2, key))
}

fn ct(list: Message, key: u32) -> Message {
    one(list, "ct", |data| data.be32(1, REGISTER).be32(2, key))
}

fn payload(list: Message, base: u32, offset: u32, length: u32, register: u32) -> Message {
    one(list, "payload", |data| {
        data.be32(1, REGISTER + register).be32(2, base).be32(3, offset).be32(4, length)
    })
}

/// Keeps some bits of the register, in this host's byte order.
fn bits(list: Message, mask: u32) -> Message {
    mask_with(list, mask.to_ne_bytes())
}

fn mask_with(list: Message, mask: [u8; 4]) -> Message {
    one(list, "bitwise", |data| {
        data.be32(1, REGISTER)
            .be32(2, REGISTER)
            .be32(3, 4)
            .nest(4, |value| value.attr(1, &mask))
            .nest(5, |value| value.attr(1, &[0; 4]))
    })
}

fn compare(list: Message, operator: u32, value: &[u8]) -> Message {
    one(list, "cmp", |data| {
        data.be32(1, REGISTER).be32(2, operator).nest(3, |data| data.attr(1, value))
    })
}

fn equal(list: Message, value: &[u8]) -> Message {
    compare(list, 0, value)
}

fn within(list: Message, offset: u32, network: Ipv4Network) -> Message {
    let list = payload(list, 1, offset, 4, 0);
    let list = mask_with(list, network.mask().octets());
    equal(list, &Ipv4Addr::octets(&network.network()))
}

fn to_this_host(list: Message) -> Message {
    const ADDRESS_TYPE: u32 = 3;
    const DESTINATION: u32 = 1 << 1;
    let list =
        one(list, "fib", |data| data.be32(1, REGISTER).be32(2, ADDRESS_TYPE).be32(3, DESTINATION));
    equal(list, &u32::from(libc::RTN_LOCAL).to_ne_bytes())
}

fn translate(list: Message, map: &str) -> Message {
    const TRANSPORT: u32 = 2;
    const DNAT: u32 = 1;
    const INET: u32 = 2;
    let list = meta(list, 16, 0);
    let list = payload(list, TRANSPORT, 2, 2, 1);
    let list = one(list, "lookup", |data| data.text(1, map).be32(2, REGISTER).be32(3, REGISTER));
    one(list, "nat", |data| {
        data.be32(1, DNAT).be32(2, INET).be32(3, REGISTER).be32(5, REGISTER + 1)
    })
}

fn verdict(list: Message, code: u32) -> Message {
    one(list, "immediate", |data| {
        data.be32(1, VERDICT).nest(2, |value| value.nest(2, |verdict| verdict.be32(1, code)))
    })
}

/// A link's name as the kernel compares it: 16 bytes.
fn padded(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *place = byte;
    }
    bytes
}
