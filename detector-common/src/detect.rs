//! The detectors: one module each, a pure step over one entry of state or over one packet.

pub mod arp_flood;
pub mod arp_spoof;
pub mod arp_sweep;
pub mod scan;
pub mod signature;

/// One way to notice. Numbers are stable: they are in keys and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Detector {
    /// The pattern of a known worm stands in the packet.
    Signature = 1,
    /// An ARP sender asks more than its limit.
    ArpFlood = 2,
    /// All ARP senders of a segment together ask more than its limit: their addresses may be forged.
    ArpFloodSegment = 3,
    /// An ARP sender asks for many addresses that do not answer.
    ArpSweep = 4,
    /// An ARP sender claims an address that is another's.
    ArpSpoof = 5,
    /// A host tries one TCP port on host after host, and hardly any accepts.
    Scan = 6,
    /// The same with a UDP port.
    UdpSweep = 7,
    /// The same with ICMP echo requests.
    IcmpSweep = 8,
    /// A sender of IPv6 neighbour discovery asks, or advertises, more than its limit.
    NdFlood = 9,
    /// A sender of neighbour discovery asks for many addresses that do not answer.
    NdSweep = 10,
    /// A sender of neighbour discovery claims an address that is another's.
    NdSpoof = 11,
}

impl Detector {
    /// Every detector.
    pub const ALL: [Self; 11] = [
        Self::Signature,
        Self::ArpFlood,
        Self::ArpFloodSegment,
        Self::ArpSweep,
        Self::ArpSpoof,
        Self::Scan,
        Self::UdpSweep,
        Self::IcmpSweep,
        Self::NdFlood,
        Self::NdSweep,
        Self::NdSpoof,
    ];

    /// The detector of a number in a key.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|detector| *detector as u8 == number)
    }

    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::ArpFlood => "arp_flood",
            Self::ArpFloodSegment => "arp_flood_segment",
            Self::ArpSweep => "arp_sweep",
            Self::ArpSpoof => "arp_spoof",
            Self::Scan => "scan",
            Self::UdpSweep => "udp_sweep",
            Self::IcmpSweep => "icmp_sweep",
            Self::NdFlood => "nd_flood",
            Self::NdSweep => "nd_sweep",
            Self::NdSpoof => "nd_spoof",
        }
    }
}
