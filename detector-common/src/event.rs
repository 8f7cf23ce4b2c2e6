//! What the kernel tells the agent of a finding: one record of fixed size, with a version.
//!
//! Nothing depends on its arrival: the counters and the source table are exact without it.

use bytemuck::{Pod, Zeroable};

use crate::{
    detect::scan::{Outcome, Scan},
    net::IpAddress,
    proof::Proof,
    reason::Reason,
    sources::{ArpSender, Companion, SourceKey},
    verdict::{Decision, Verdict},
};

/// The version of [`Event`]. A reader refuses any other.
pub const EVENT_VERSION: u16 = 3;

/// A finding: a packet that a detector objected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Event {
    /// What it is and what became of the packet.
    pub head: Head,
    /// When, in nanoseconds of the runtime's clock.
    pub at_ns: u64,
    /// Which source under which detector.
    pub key: SourceKey,
    /// The address of the other layer that came with the source.
    pub companion: Companion,
    /// Whom the packet was for.
    pub target: Target,
    /// The flagged packets this event stands for.
    pub count: u64,
    /// How widely the source reaches.
    pub reach: Reach,
    /// How sure it is that the source is who it says.
    pub proof: Proof,
}

/// How widely a source reaches, as far as its detector keeps it; 0 where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Reach {
    /// The bits set in the sketch of the addresses it asked for or tried: [`crate::detect::arp_sweep::LONG_BITS`] of them are, or
    /// [`crate::detect::scan::HOSTS_BITS`].
    pub targets_ones: u32,
    /// The networks (/24) of the addresses that an ARP sender called its own, as a sketch: at least as many as bits are set.
    pub networks: u32,
    /// What became of the hosts that a source tried.
    pub outcome: Outcome,
    reserved: u32,
}

impl Reach {
    /// The reach of a source that tries hosts.
    #[inline(always)]
    #[must_use]
    pub fn of_scan(scan: &Scan) -> Self {
        Self {
            targets_ones: scan.outcome.hosts_ones.into(),
            networks: 0,
            outcome: scan.outcome,
            reserved: 0,
        }
    }

    /// The reach of an ARP sender.
    #[inline(always)]
    #[must_use]
    pub fn of_sender(sender: &ArpSender) -> Self {
        Self {
            targets_ones: sender.sweep.targets_ones(),
            networks: sender.networks,
            outcome: Outcome::default(),
            reserved: 0,
        }
    }
}

/// The first eight bytes of every version of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Head {
    version: u16,
    reason: u8,
    verdict: u8,
    /// The length of the frame, in bytes.
    pub wire_len: u32,
}

impl Head {
    /// The head of the event of a packet of `wire_len` bytes.
    #[inline(always)]
    #[must_use]
    pub fn new(decision: Decision, wire_len: u32) -> Self {
        Self {
            version: EVENT_VERSION,
            reason: decision.reason as u8,
            verdict: decision.verdict.number(),
            wire_len,
        }
    }
}

/// Whom a packet was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Target {
    /// The destination address; for ARP the address asked for.
    pub address: IpAddress,
    /// The source port; 0 where there are none.
    pub source_port: u16,
    /// The destination port; 0 where there are none.
    pub port: u16,
    /// The IP protocol; 0 for ARP.
    pub protocol: u8,
    reserved: [u8; 3],
}

impl Target {
    /// The target of an IP packet.
    #[inline(always)]
    #[must_use]
    pub fn new(address: IpAddress, source_port: u16, port: u16, protocol: u8) -> Self {
        Self {
            address,
            source_port,
            port,
            protocol,
            reserved: [0; 3],
        }
    }

    /// The address an ARP request asks for.
    #[inline(always)]
    #[must_use]
    pub fn of_arp(address: IpAddress) -> Self {
        Self::new(address, 0, 0, 0)
    }
}

impl Event {
    /// The size of a record, in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// Reads a record of the ring buffer; `None` if it is not one of this version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let event: Self = bytemuck::try_pod_read_unaligned(bytes).ok()?;
        (event.head.version == EVENT_VERSION
            && event.reason().is_some()
            && event.key.detector().is_some())
        .then_some(event)
    }

    /// Why the packet got its verdict.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        Reason::ALL.get(usize::from(self.head.reason)).copied()
    }

    /// What became of the packet.
    pub fn verdict(&self) -> Verdict {
        Verdict::from_number(self.head.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{MacAddress, Vlan};

    fn event() -> Event {
        Event {
            head: Head::new(Decision::pass(Reason::ArpFlood), 60),
            at_ns: 7,
            key: SourceKey::of_sender(1, Vlan::default(), MacAddress::new([2; 6])),
            companion: Companion::default(),
            target: Target::of_arp(IpAddress::v4([192, 0, 2, 1])),
            count: 3,
            reach: Reach::default(),
            proof: Proof::CONFIRMED,
        }
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        assert_eq!(
            Event::from_bytes(bytemuck::bytes_of(&event())),
            Some(event())
        );
    }

    #[test]
    fn a_record_of_another_size_version_reason_or_detector_is_refused() {
        let record = event();
        let bytes = bytemuck::bytes_of(&record);
        assert_eq!(Event::from_bytes(&bytes[1..]), None);
        for (at, value) in [(0, 1), (2, 255), (39, 99)] {
            let mut changed = [0; Event::SIZE];
            changed.copy_from_slice(bytes);
            changed[at] = value;
            assert_eq!(Event::from_bytes(&changed), None, "byte {at}");
        }
    }
}
