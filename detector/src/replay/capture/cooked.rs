//! Linux cooked captures, what `tcpdump -i any` writes, as Ethernet frames.
//!
//! A cooked header has no destination address, but it says how the packet was addressed: a broadcast stays one, so
//! that a broadcast ARP request is known as such. The Ethernet header is written over the end of the cooked one, which
//! is longer: nothing is copied. A packet that is shorter than its cooked header becomes an empty frame, which is for
//! the classifier to judge. Layouts: <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html> and
//! <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>.

const ETHERNET_LEN: usize = 14;
const V1_LEN: usize = 16;
const V2_LEN: usize = 20;

/// By how much a frame is shorter than the version 1 packet it was, in bytes.
pub(super) const V1_EXCESS: usize = V1_LEN - ETHERNET_LEN;
/// By how much a frame is shorter than the version 2 packet it was, in bytes.
pub(super) const V2_EXCESS: usize = V2_LEN - ETHERNET_LEN;

/// The hardware types (`ARPHRD_`) of Frame Relay, of 802.11 with radiotap and of netlink, the ones whose protocol
/// field is not an `EtherType`.
const WITHOUT_ETHER_TYPE: [u16; 3] = [770, 803, 824];

/// The fields of either header that an Ethernet header needs.
struct Cooked {
    packet_type: u16,
    hardware_type: u16,
    address_len: u16,
    address: [u8; 6],
    protocol: [u8; 2],
}

/// The Ethernet frame of a `LINKTYPE_LINUX_SLL` packet, written into it.
pub(super) fn frame_of_v1(packet: &mut [u8]) -> &[u8] {
    let Some(
        &[
            type0,
            type1,
            hw0,
            hw1,
            len0,
            len1,
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            _,
            _,
            p0,
            p1,
        ],
    ) = packet.first_chunk::<V1_LEN>()
    else {
        return &[];
    };
    let cooked = Cooked {
        packet_type: u16::from_be_bytes([type0, type1]),
        hardware_type: u16::from_be_bytes([hw0, hw1]),
        address_len: u16::from_be_bytes([len0, len1]),
        address: [m0, m1, m2, m3, m4, m5],
        protocol: [p0, p1],
    };
    cooked.overwrite(packet.get_mut(V1_EXCESS..))
}

/// The Ethernet frame of a `LINKTYPE_LINUX_SLL2` packet, written into it.
pub(super) fn frame_of_v2(packet: &mut [u8]) -> &[u8] {
    let Some(
        &[
            p0,
            p1,
            _,
            _,
            _,
            _,
            _,
            _,
            hw0,
            hw1,
            packet_type,
            len,
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            _,
            _,
        ],
    ) = packet.first_chunk::<V2_LEN>()
    else {
        return &[];
    };
    let cooked = Cooked {
        packet_type: packet_type.into(),
        hardware_type: u16::from_be_bytes([hw0, hw1]),
        address_len: len.into(),
        address: [m0, m1, m2, m3, m4, m5],
        protocol: [p0, p1],
    };
    cooked.overwrite(packet.get_mut(V2_EXCESS..))
}

impl Cooked {
    /// Puts the Ethernet header at the start of `frame`.
    fn overwrite(self, frame: Option<&mut [u8]>) -> &[u8] {
        let Some(frame) = frame else { return &[] };
        if let Some(header) = frame.first_chunk_mut::<ETHERNET_LEN>() {
            let [d0, d1, d2, d3, d4, d5] = self.destination();
            let [s0, s1, s2, s3, s4, s5] = self.source();
            let [t0, t1] = self.ether_type();
            *header = [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1];
        }
        frame
    }

    fn destination(&self) -> [u8; 6] {
        match self.packet_type {
            1 => [0xff; 6],
            // Which group it was sent to is not known, only that it was one.
            2 => [0x01, 0x00, 0x5e, 0x00, 0x00, 0x00],
            _ => [0; 6],
        }
    }

    fn source(&self) -> [u8; 6] {
        if self.address_len == 6 {
            self.address
        } else {
            [0; 6]
        }
    }

    /// The protocol as it is, below 0x0600 too: 1 and 4 are 802.3 frames, and the classifier knows that range.
    fn ether_type(&self) -> [u8; 2] {
        if WITHOUT_ETHER_TYPE.contains(&self.hardware_type) {
            [0; 2]
        } else {
            self.protocol
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARP_V1: [u8; 18] = [
        0, 1, 0, 1, 0, 6, 2, 3, 4, 5, 6, 7, 0, 0, 0x08, 0x06, 0xaa, 0xbb,
    ];
    const ARP_V2: [u8; 22] = [
        0x08, 0x06, 0, 0, 0, 0, 0, 9, 0, 1, 1, 6, 2, 3, 4, 5, 6, 7, 0, 0, 0xaa, 0xbb,
    ];
    const ARP: [u8; 16] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 3, 4, 5, 6, 7, 0x08, 0x06, 0xaa, 0xbb,
    ];

    #[test]
    fn a_broadcast_arp_request_stays_one_in_both_versions() {
        assert_eq!(frame_of_v1(&mut ARP_V1.to_vec()), ARP);
        assert_eq!(frame_of_v2(&mut ARP_V2.to_vec()), ARP);
    }

    #[test]
    fn a_multicast_goes_to_a_group_and_a_packet_of_our_own_to_nobody() {
        for (packet_type, destination) in [
            (2, [1, 0, 0x5e, 0, 0, 0]),
            (0, [0; 6]),
            (3, [0; 6]),
            (4, [0; 6]),
        ] {
            let mut packet = ARP_V1;
            packet[1] = packet_type;
            assert_eq!(frame_of_v1(&mut packet)[..6], destination);
        }
    }

    #[test]
    fn an_address_that_is_not_of_six_bytes_is_no_source() {
        for length in [0, 1, 5, 7, 8, 0xff] {
            let mut packet = ARP_V2;
            packet[11] = length;
            assert_eq!(frame_of_v2(&mut packet)[6..12], [0; 6]);
        }
    }

    #[test]
    fn a_protocol_below_the_ether_types_is_kept() {
        let mut packet = ARP_V1;
        packet[14..16].copy_from_slice(&[0, 4]);
        assert_eq!(frame_of_v1(&mut packet)[12..14], [0, 4]);
    }

    #[test]
    fn a_protocol_of_netlink_is_no_ether_type() {
        let mut packet = ARP_V1;
        packet[2..4].copy_from_slice(&824_u16.to_be_bytes());
        assert_eq!(frame_of_v1(&mut packet)[12..14], [0, 0]);
    }

    #[test]
    fn a_packet_that_is_shorter_than_its_header_is_an_empty_frame() {
        for length in 0..V1_LEN {
            assert!(frame_of_v1(&mut ARP_V1.to_vec()[..length]).is_empty());
        }
        for length in 0..V2_LEN {
            assert!(frame_of_v2(&mut ARP_V2.to_vec()[..length]).is_empty());
        }
    }

    #[test]
    fn a_packet_that_is_only_a_header_is_only_an_ethernet_header() {
        assert_eq!(
            frame_of_v1(&mut ARP_V1.to_vec()[..V1_LEN]).len(),
            ETHERNET_LEN
        );
        assert_eq!(
            frame_of_v2(&mut ARP_V2.to_vec()[..V2_LEN]).len(),
            ETHERNET_LEN
        );
    }
}
