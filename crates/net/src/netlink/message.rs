//! Netlink messages: a header, a fixed part, and attributes that may hold attributes.

use rtnetlink::packet_core::{NLA_F_NESTED, NLM_F_ACK, NLM_F_REQUEST, NetlinkBuffer, NlasIterator};

/// One message on its way to the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message of `kind` whose fixed part is `fixed`. Sockets fill in length and number.
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        Self { bytes }
    }

    pub(crate) fn attr(mut self, kind: u16, value: &[u8]) -> Self {
        let start = self.begin(kind);
        self.bytes.extend(value);
        self.end(start);
        self
    }

    /// A number in the byte order of the network.
    pub(crate) fn be32(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_be_bytes())
    }

    /// Text with the zero at its end that the kernel expects.
    pub(crate) fn text(mut self, kind: u16, value: &str) -> Self {
        let start = self.begin(kind);
        self.bytes.extend(value.as_bytes());
        self.bytes.push(0);
        self.end(start);
        self
    }

    pub(crate) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.begin(kind | NLA_F_NESTED);
        let mut filled = fill(self);
        filled.end(start);
        filled
    }

    fn begin(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }

    /// The bytes to send as number `sequence`.
    pub(crate) fn sealed(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }

    /// Whether the kernel is asked to acknowledge it.
    pub(crate) fn wants_ack(&self) -> bool {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) & NLM_F_ACK != 0
    }
}

/// One message from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// What follows the header: the fixed part and the attributes.
    pub(crate) body: Vec<u8>,
}

/// Cuts what one read of a socket returned into messages; a torn tail is left out.
pub(crate) fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while let Ok(message) = NetlinkBuffer::new_checked(bytes) {
        all.push(Answer {
            kind: message.message_type(),
            flags: message.flags(),
            sequence: message.sequence_number(),
            body: message.payload().to_vec(),
        });
        let length = message.length() as usize;
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    all
}

/// The attributes in `bytes`, each with its kind; a torn tail is left out.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attribute| {
        let (kind, end) = (attribute.kind(), usize::from(attribute.length()));
        (kind, attribute.into_inner().get(4..end).unwrap_or_default())
    })
}

/// The first attribute of `kind`, empty if there is none.
pub(crate) fn find(bytes: &[u8], kind: u16) -> &[u8] {
    attributes(bytes).find(|(found, _)| *found == kind).map_or(&[], |(_, value)| value)
}

/// Text up to its zero, empty if it is not text.
pub(crate) fn text(value: &[u8]) -> &str {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).unwrap_or_default()
}

/// The number at `offset` in this host's byte order, 0 if it is cut off.
pub(crate) fn number(bytes: &[u8], offset: usize) -> u32 {
    let four = bytes.get(offset..offset + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = Message::new(7, NLM_F_ACK, &[1, 2, 3, 4])
            .text(1, "swarm0")
            .nest(2, |inner| inner.attr(3, &[9]).be32(4, 5))
            .sealed(11);

        let all = answers(&bytes);

        assert_eq!((all.len(), all[0].kind, all[0].sequence), (1, 7, 11));
        let body = &all[0].body[4..];
        assert_eq!(text(find(body, 1)), "swarm0");
        assert_eq!(find(find(body, 2), 3), [9]);
        assert_eq!(find(find(body, 2), 4), 5_u32.to_be_bytes());
    }

    proptest! {
        /// Whatever comes, reading ends and stays inside the bytes.
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let within = |value: &[u8]| value.len() <= bytes.len();
            prop_assert!(answers(&bytes).iter().all(|answer| within(&answer.body)));
            prop_assert!(attributes(&bytes).all(|(_, value)| within(value)));
        }
    }
}
