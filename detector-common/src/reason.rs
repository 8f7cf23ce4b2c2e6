//! Why a packet got its verdict: one append-only list.
//!
//! A reason is at once the parser's error, the index of the counters, a field of the event and the name in every
//! output. A number is never used again; a reason that goes away leaves its number reserved.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal;)+) => {
        /// Why a packet got its verdict.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Reason {
            /// Every reason, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The reason with this number; one that there is none of is [`Self::StateMissing`].
            #[inline(always)]
            #[must_use]
            pub fn from_number(number: u8) -> Self {
                match Self::ALL.get(usize::from(number)) {
                    Some(reason) => *reason,
                    None => Self::StateMissing,
                }
            }

            /// The name in counters, JSON and metrics: `snake_case`, stable.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

/// The size of a table indexed by reason: more than the reasons there are, so that a new one moves no other.
pub const REASON_SLOTS: u32 = 64;

reasons! {
    /// Understood, and nothing was found.
    Clean = 0, "clean";
    /// The frame ends inside its Ethernet header.
    EthernetTruncated = 1, "ethernet_truncated";
    /// An 802.3 length stands where Ethernet II has its type.
    EthernetLengthField = 2, "ethernet_length_field";
    /// Neither ARP nor IPv4 nor IPv6.
    EtherTypeUnknown = 3, "ethertype_unknown";
    /// The frame ends inside a VLAN tag.
    VlanTruncated = 4, "vlan_truncated";
    /// More than two VLAN tags.
    VlanTooDeep = 5, "vlan_too_deep";
    /// The frame ends inside its ARP message.
    ArpTruncated = 6, "arp_truncated";
    /// ARP for something other than IPv4 over Ethernet.
    ArpNotEthernetIpv4 = 7, "arp_not_ethernet_ipv4";
    /// Neither an ARP request nor a reply.
    ArpOperationUnknown = 8, "arp_operation_unknown";
    /// The frame ends inside its IPv4 header.
    Ipv4Truncated = 9, "ipv4_truncated";
    /// The version field of an IPv4 header is not 4.
    Ipv4Version = 10, "ipv4_version";
    /// An IPv4 header length below 20 bytes.
    Ipv4HeaderLength = 11, "ipv4_header_length";
    /// An IPv4 total length smaller than the header.
    Ipv4TotalLength = 12, "ipv4_total_length";
    /// An IPv4 total length larger than the frame.
    Ipv4BeyondFrame = 13, "ipv4_beyond_frame";
    /// A later IPv4 fragment, which has no ports.
    Ipv4LaterFragment = 14, "ipv4_later_fragment";
    /// The frame ends inside its IPv6 header.
    Ipv6Truncated = 15, "ipv6_truncated";
    /// The version field of an IPv6 header is not 6.
    Ipv6Version = 16, "ipv6_version";
    /// An IPv6 payload length larger than the frame.
    Ipv6BeyondFrame = 17, "ipv6_beyond_frame";
    /// An IPv6 jumbogram, RFC 2675.
    Ipv6Jumbogram = 18, "ipv6_jumbogram";
    /// The packet ends inside an IPv6 extension header.
    Ipv6ExtensionTruncated = 19, "ipv6_extension_truncated";
    /// More or longer IPv6 extension headers than are followed.
    Ipv6ExtensionTooDeep = 20, "ipv6_extension_too_deep";
    /// A later IPv6 fragment, which has no ports.
    Ipv6LaterFragment = 21, "ipv6_later_fragment";
    /// Neither TCP nor UDP nor ICMP.
    IpProtocolUnknown = 22, "ip_protocol_unknown";
    /// The packet ends inside its TCP header.
    TcpTruncated = 23, "tcp_truncated";
    /// A TCP data offset below 20 bytes.
    TcpDataOffset = 24, "tcp_data_offset";
    /// The packet ends inside its TCP options.
    TcpOptionsTruncated = 25, "tcp_options_truncated";
    /// The packet ends inside its UDP header.
    UdpTruncated = 26, "udp_truncated";
    /// A UDP length below 8 bytes or larger than the packet.
    UdpLength = 27, "udp_length";
    /// The packet ends inside its ICMP header.
    IcmpTruncated = 28, "icmp_truncated";
    /// An ARP request to all or to a multicast group, within every limit.
    ArpRequest = 29, "arp_request";
    /// An ARP request to one host: a neighbour table is refreshed.
    ArpUnicastRequest = 30, "arp_unicast_request";
    /// An ARP probe from 0.0.0.0, RFC 5227.
    ArpProbe = 31, "arp_probe";
    /// An ARP announcement of the sender's own address, RFC 5227.
    ArpAnnouncement = 32, "arp_announcement";
    /// An ARP reply.
    ArpReply = 33, "arp_reply";
    /// A worm's signature.
    Signature = 34, "signature";
    /// A broadcast ARP request above its sender's limit.
    ArpFlood = 35, "arp_flood";
    /// A broadcast ARP request above its segment's limit.
    ArpFloodSegment = 36, "arp_flood_segment";
    /// A table of the classifier is missing: nothing was looked for.
    StateMissing = 37, "state_missing";
    /// An ARP reply above its sender's limit.
    ArpReplyFlood = 38, "arp_reply_flood";
    /// An ARP request for one of many addresses that do not answer.
    ArpSweep = 39, "arp_sweep";
    /// An ARP message that claims another's address.
    ArpSpoof = 40, "arp_spoof";
    /// The first packet of a TCP connection, of a source that scans.
    Scan = 41, "scan";
    /// A UDP packet of a source that tries host after host.
    UdpSweep = 42, "udp_sweep";
    /// An ICMP echo request of a source that tries host after host.
    IcmpSweep = 43, "icmp_sweep";
    /// A packet of a source that is blocked.
    Blocked = 44, "blocked";
    /// A neighbour solicitation to a multicast group, within every limit.
    NdSolicitation = 45, "nd_solicitation";
    /// A neighbour solicitation to one host: a neighbour table is refreshed.
    NdUnicastSolicitation = 46, "nd_unicast_solicitation";
    /// A neighbour solicitation from no address, which asks whether anybody has one, RFC 4862.
    NdProbe = 47, "nd_probe";
    /// A neighbour advertisement that somebody asked for.
    NdAdvertisement = 48, "nd_advertisement";
    /// A neighbour advertisement that nobody asked for.
    NdUnsolicitedAdvertisement = 49, "nd_unsolicited_advertisement";
    /// A neighbour solicitation to a group above its sender's limit.
    NdFlood = 50, "nd_flood";
    /// A neighbour advertisement above its sender's limit.
    NdAdvertisementFlood = 51, "nd_advertisement_flood";
    /// A neighbour solicitation for one of many addresses that do not answer.
    NdSweep = 52, "nd_sweep";
    /// A message of neighbour discovery that claims another's address.
    NdSpoof = 53, "nd_spoof";
    /// A first fragment that does not hold its whole TCP, UDP or ICMP header, RFC 1858 and RFC 7112.
    FirstFragmentTooShort = 54, "first_fragment_too_short";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_no_gap_and_fits_its_slots() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        assert!(Reason::ALL.len() <= REASON_SLOTS as usize);
    }

    #[test]
    fn a_reason_has_a_name_fit_for_a_metric_and_a_meaning_that_is_a_sentence() {
        for reason in Reason::ALL {
            assert!(
                reason
                    .name()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            );
            assert!(reason.meaning().ends_with('.'), "{}", reason.name());
        }
    }
}
