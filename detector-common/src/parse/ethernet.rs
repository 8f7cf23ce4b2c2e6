//! Ethernet II (IEEE 802.3 §3.2.6) with up to two VLAN tags (802.1Q, 802.1ad). A third tag is a reason, not a guess.

use crate::{
    net::{EtherType, MacAddress, Vlan},
    packet::PacketBytes,
    reason::Reason,
};

/// The length of an Ethernet header, in bytes.
pub const HEADER_LEN: usize = 14;
/// The length of a VLAN tag with the type that follows it, in bytes.
pub const TAG_LEN: usize = 4;

/// The link layer of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who sent the frame.
    pub source: MacAddress,
    /// Whom it is for.
    pub destination: MacAddress,
    /// Its VLAN tags.
    pub vlan: Vlan,
}

/// Reads the Ethernet header and the tags: the link, what the frame carries, and where that begins.
#[inline(always)]
pub fn parse<P: PacketBytes>(packet: &P) -> Result<(Link, EtherType, usize), Reason> {
    let [destination, source] = packet.two_words::<6>(0).or(Reason::EthernetTruncated)?;
    let mut ethertype = EtherType(source.u16(6));
    let mut offset = HEADER_LEN;
    let mut vlan = Vlan::default();

    if is_tag(ethertype) {
        (vlan.outer, ethertype) = parse_tag(packet, offset)?;
        offset = HEADER_LEN + TAG_LEN;
        if is_tag(ethertype) {
            (vlan.inner, ethertype) = parse_tag(packet, offset)?;
            offset = HEADER_LEN + 2 * TAG_LEN;
            if is_tag(ethertype) {
                return Err(Reason::VlanTooDeep);
            }
        }
    }
    if ethertype.0 < EtherType::FIRST.0 {
        return Err(Reason::EthernetLengthField);
    }

    let link = Link {
        destination: MacAddress::from_word(destination.0),
        source: MacAddress::from_word(source.0),
        vlan,
    };
    Ok((link, ethertype, offset))
}

#[inline(always)]
fn is_tag(ethertype: EtherType) -> bool {
    ethertype == EtherType::VLAN || ethertype == EtherType::SERVICE_VLAN
}

/// The VLAN identifier of the tag at `offset`, and the type behind it.
#[inline(always)]
fn parse_tag<P: PacketBytes>(packet: &P, offset: usize) -> Result<(u16, EtherType), Reason> {
    let [high, low, type_high, type_low] = packet
        .read::<TAG_LEN>(offset)
        .ok_or(Reason::VlanTruncated)?;
    Ok((
        u16::from_be_bytes([high, low]) & 0x0fff,
        EtherType(u16::from_be_bytes([type_high, type_low])),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Frame;

    /// A frame of zeros with `types` where types stand: in the header, then behind each tag.
    fn frame(types: &[u16]) -> [u8; 64] {
        let mut frame = [0; 64];
        for (index, ethertype) in types.iter().enumerate() {
            let at = 12 + 4 * index;
            frame[at..at + 2].copy_from_slice(&ethertype.to_be_bytes());
        }
        frame
    }

    fn result(frame: &[u8]) -> Result<(EtherType, usize), Reason> {
        parse(&Frame::whole(frame)).map(|(_, ethertype, offset)| (ethertype, offset))
    }

    #[test]
    fn up_to_two_tags_are_followed_and_a_third_is_a_reason() {
        assert_eq!(result(&frame(&[0x0800])), Ok((EtherType::IPV4, 14)));
        assert_eq!(result(&frame(&[0x8100, 0x0806])), Ok((EtherType::ARP, 18)));
        assert_eq!(
            result(&frame(&[0x88a8, 0x8100, 0x86dd])),
            Ok((EtherType::IPV6, 22))
        );
        assert_eq!(
            result(&frame(&[0x88a8, 0x8100, 0x8100, 0x0800])),
            Err(Reason::VlanTooDeep)
        );
    }

    #[test]
    fn the_identifier_is_the_lower_twelve_bits_of_the_tag() {
        let mut tagged = frame(&[0x8100, 0x0800]);
        tagged[14..16].copy_from_slice(&0xffff_u16.to_be_bytes());
        let vlan = parse(&Frame::whole(&tagged)).map(|(link, ..)| link.vlan);
        assert_eq!(
            vlan,
            Ok(Vlan {
                outer: 4095,
                inner: 0
            })
        );
    }

    #[test]
    fn a_frame_that_ends_early_is_truncated_where_it_ends() {
        let tagged = frame(&[0x8100, 0x8100, 0x0800]);
        for len in 0..14 {
            assert_eq!(result(&tagged[..len]), Err(Reason::EthernetTruncated));
        }
        for len in 14..22 {
            assert_eq!(result(&tagged[..len]), Err(Reason::VlanTruncated));
        }
        assert_eq!(result(&tagged[..22]), Ok((EtherType::IPV4, 22)));
    }

    #[test]
    fn a_length_field_is_not_a_type() {
        assert_eq!(result(&frame(&[0x05ff])), Err(Reason::EthernetLengthField));
        assert_eq!(
            result(&frame(&[0x8100, 0x0026])),
            Err(Reason::EthernetLengthField)
        );
    }
}
