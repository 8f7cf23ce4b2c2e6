//! What ARP and IPv6 neighbour discovery (RFC 4861) have in common: whoever looks for a neighbour asks all, and is answered.
//!
//! The detectors are the same, and so are their limits; only names differ.

use crate::{detect::Detector, reason::Reason};

/// Which of the two protocols.
///
/// VERIFIER: a number, as [`Class`] is, of which the compiler makes no branches that it does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family(u8);

impl Family {
    /// ARP, of IPv4.
    pub const ARP: Self = Self(0);
    /// Neighbour discovery, of IPv6.
    pub const ND: Self = Self(1);

    /// The family with this number.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self(number & 1)
    }

    /// Its number.
    #[inline(always)]
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The detector that is to this family what `detector` is to ARP.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only ARP has counterparts; whatever else there will be has none"
    )]
    pub fn detector(self, detector: Detector) -> Detector {
        if self == Self::ARP {
            return detector;
        }
        match detector {
            Detector::ArpFlood => Detector::NdFlood,
            Detector::ArpSweep => Detector::NdSweep,
            Detector::ArpSpoof => Detector::NdSpoof,
            other => other,
        }
    }

    /// The reason that is to this family what `reason` is to ARP.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only ARP has counterparts; whatever else there will be has none"
    )]
    pub fn reason(self, reason: Reason) -> Reason {
        if self == Self::ARP {
            return reason;
        }
        match reason {
            Reason::ArpFlood => Reason::NdFlood,
            Reason::ArpReplyFlood => Reason::NdAdvertisementFlood,
            Reason::ArpSweep => Reason::NdSweep,
            Reason::ArpSpoof => Reason::NdSpoof,
            other => other,
        }
    }
}

/// What kind of message it is. Only [`Self::REQUEST`], [`Self::REPLY`] and [`Self::ANNOUNCEMENT`] feed a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(u8);

impl Class {
    /// It asks whether anybody has an address that the sender wants: RFC 5227, and RFC 4862 §5.4.
    pub const PROBE: Self = Self(0);
    /// It says whose an address is, and nobody asked.
    pub const ANNOUNCEMENT: Self = Self(1);
    /// It answers.
    pub const REPLY: Self = Self(2);
    /// It asks all, or a multicast group, whose members answer.
    pub const REQUEST: Self = Self(3);
    /// It asks one host: a neighbour table is refreshed.
    pub const UNICAST_REQUEST: Self = Self(4);

    /// The class with this number.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self(number)
    }

    /// Its number.
    #[inline(always)]
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The reason under which such a message is counted to which nobody objects.
    #[inline(always)]
    #[must_use]
    pub fn reason(self, family: Family) -> Reason {
        let (arp, nd) = match self {
            Self::PROBE => (Reason::ArpProbe, Reason::NdProbe),
            Self::ANNOUNCEMENT => (Reason::ArpAnnouncement, Reason::NdUnsolicitedAdvertisement),
            Self::REPLY => (Reason::ArpReply, Reason::NdAdvertisement),
            Self::REQUEST => (Reason::ArpRequest, Reason::NdSolicitation),
            Self(_) => (Reason::ArpUnicastRequest, Reason::NdUnicastSolicitation),
        };
        if family == Family::ARP { arp } else { nd }
    }
}
