//! One message of links, addresses or routes, as far as `rtnetlink` can read it.
//!
//! Left alone, it drops a message with one attribute it cannot read, such as a name that is no
//! text: a bridge or a route of somebody else would not be there for us, and a question for one
//! link would wait for its answer in vain. Here only that attribute is missing.

use rtnetlink::packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable,
    NlasIterator,
};
use rtnetlink::packet_route::RouteNetlinkMessage;

#[derive(Clone, Debug)]
pub(crate) struct Heard(pub(crate) RouteNetlinkMessage);

impl NetlinkDeserializable for Heard {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let read = |bytes: &[u8]| RouteNetlinkMessage::deserialize(header, bytes).map(Self);
        read(payload).or_else(|error| {
            let parts = payload.split_at_checked(fixed_part(header.message_type));
            let (fixed, attributes) = parts.ok_or(error)?;
            let mut readable = fixed.to_vec();
            for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
                let length = usize::from(attribute.length());
                let mut bytes = attribute.into_inner().get(..length).unwrap_or_default().to_vec();
                bytes.resize(length.next_multiple_of(4), 0);
                if read(&[fixed, &bytes].concat()).is_ok() {
                    readable.extend(bytes);
                }
            }
            read(&readable)
        })
    }
}

/// Bytes before the attributes; more than any message has where that is not known.
fn fixed_part(kind: u16) -> usize {
    match kind {
        libc::RTM_NEWLINK => 16,
        libc::RTM_NEWADDR => 8,
        libc::RTM_NEWROUTE => 12,
        _ => usize::MAX,
    }
}

impl NetlinkSerializable for Heard {
    fn message_type(&self) -> u16 {
        self.0.message_type()
    }

    fn buffer_len(&self) -> usize {
        NetlinkSerializable::buffer_len(&self.0)
    }

    fn serialize(&self, buffer: &mut [u8]) {
        self.0.serialize(buffer);
    }
}

impl From<Heard> for NetlinkPayload<Heard> {
    fn from(message: Heard) -> Self {
        Self::InnerMessage(message)
    }
}
