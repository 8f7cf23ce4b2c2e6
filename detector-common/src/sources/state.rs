//! What a source did: counts, times, the bucket of a detector that limits, and when it is to be reported.

use bytemuck::{Pod, Zeroable};

use crate::{
    net::{IpAddress, MacAddress},
    token_bucket::TokenBucket,
};

/// What came with a source on the other layer: a host's MAC, or the IPv4 address an ARP sender calls its own. One word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Companion {
    word: u64,
}

impl Companion {
    /// A MAC.
    #[inline(always)]
    #[must_use]
    pub fn mac(mac: MacAddress) -> Self {
        Self {
            word: mac.to_word(),
        }
    }

    /// An IPv4 address.
    #[inline(always)]
    #[must_use]
    pub fn ip(ip: IpAddress) -> Self {
        let [_, low] = ip.words();
        Self {
            word: u64::from_le(low) >> 32,
        }
    }

    /// The MAC it was made of.
    #[must_use]
    pub fn to_mac(self) -> MacAddress {
        MacAddress::from_word(self.word)
    }

    /// The IPv4 address it was made of.
    #[must_use]
    pub fn to_ip(self) -> IpAddress {
        IpAddress::from_v4_number((self.word as u32).swap_bytes())
    }
}

/// What one source did under one detector. Times are nanoseconds of the runtime's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SourceState {
    /// Its first packet.
    pub first_ns: u64,
    /// Its last packet.
    pub last_ns: u64,
    /// Packets the detector looked at.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What the detector objected to.
    pub objections: Objections,
    /// The bucket of a detector that limits.
    pub bucket: TokenBucket,
    /// The address of the other layer that came with it last.
    pub companion: Companion,
}

impl SourceState {
    /// Takes note of a packet.
    #[inline(always)]
    pub fn see(&mut self, now_ns: u64, bytes: u64, companion: Companion) {
        if self.packets == 0 {
            self.first_ns = now_ns;
        }
        self.last_ns = now_ns;
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(bytes);
        self.companion = companion;
    }

    /// Unites what two CPUs (or two gateways) saw of the same source.
    pub fn merge(&mut self, other: &Self) {
        if other.packets == 0 {
            return;
        }
        if self.packets == 0 {
            *self = *other;
            return;
        }
        if other.last_ns > self.last_ns {
            self.companion = other.companion;
        }
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.objections.merge(&other.objections);
    }
}

/// Packets of a source that a detector objected to, and which of them have been reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Objections {
    /// Packets the detector objected to.
    pub flagged: u64,
    /// Flagged packets that were dropped.
    pub dropped: u64,
    /// When the source was last reported; 0: never.
    pub reported_ns: u64,
    /// Flagged packets since it was last reported.
    pub unreported: u64,
}

impl Objections {
    /// Takes note that the detector objects to this packet.
    #[inline(always)]
    pub fn flag(&mut self, dropped: bool) {
        self.flagged = self.flagged.wrapping_add(1);
        self.dropped = self.dropped.wrapping_add(u64::from(dropped));
        self.unreported = self.unreported.wrapping_add(1);
    }

    /// The flagged packets that a report stands for; 0 if none is due. At most one is due every `interval_ns`.
    ///
    /// VERIFIER: a number and not an `Option`, of which the compiler would carry along the half that nobody wrote.
    #[inline(always)]
    pub fn report(&mut self, now_ns: u64, interval_ns: u64) -> u64 {
        if self.reported_ns != 0 && now_ns.saturating_sub(self.reported_ns) < interval_ns {
            return 0;
        }
        // A clock may start at 0, which means "never" here.
        self.reported_ns = if now_ns == 0 { 1 } else { now_ns };
        let count = self.unreported;
        self.unreported = 0;
        count
    }

    /// Unites what two CPUs (or two gateways) objected to in the same source.
    pub fn merge(&mut self, other: &Self) {
        self.reported_ns = self.reported_ns.max(other.reported_ns);
        for (mine, theirs) in [
            (&mut self.flagged, other.flagged),
            (&mut self.dropped, other.dropped),
            (&mut self.unreported, other.unreported),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_report_is_due_once_an_interval_and_stands_for_all_since_the_last() {
        let mut objections = Objections::default();
        let mut reports = [0; 3];
        for packet in 0..30_u64 {
            objections.flag(false);
            let count = objections.report(SECOND + packet * SECOND / 10, SECOND);
            reports[(packet / 10) as usize] += count;
        }
        assert_eq!(reports, [1, 10, 10]);
        assert_eq!(objections.unreported, 9);
    }

    fn flagged(packets: u64) -> Objections {
        Objections {
            flagged: packets,
            ..Default::default()
        }
    }

    #[test]
    fn merging_adds_counts_and_keeps_the_first_and_the_last() {
        let mut mine = SourceState {
            first_ns: 5,
            last_ns: 9,
            packets: 2,
            objections: flagged(1),
            ..Default::default()
        };
        let theirs = SourceState {
            first_ns: 3,
            last_ns: 7,
            packets: 3,
            objections: flagged(3),
            ..Default::default()
        };
        mine.merge(&theirs);
        assert_eq!(
            (
                mine.first_ns,
                mine.last_ns,
                mine.packets,
                mine.objections.flagged
            ),
            (3, 9, 5, 4)
        );
        mine.merge(&SourceState::default());
        assert_eq!(mine.first_ns, 3);
    }
}
