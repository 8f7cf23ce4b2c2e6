//! What the kernel program does with who is blocked and who is protected. Needs root; nothing is attached to an interface.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context as _, Result};
use detector::{
    agent::kernel::{BlockPlace, ResponseMaps},
    output::Prefix,
    tables::Tables,
};
use detector_common::{
    abi::Tally,
    blocks::{AddressHash, BLOCKS_MAX, Block},
    config::Mode,
    proof::Proof,
    reason::Reason,
    verdict::Verdict,
};
use detector_tests::{
    builder::{ACK, CLIENT_IPV6, PacketBuilder, Route, SYN},
    fixtures,
    kernel::TestKernel,
    lab::wait_until,
    oracle::State,
    requirements::kernel_or_skip,
    worms::{self, benign},
};

const HOUR_NS: u64 = 3_600_000_000_000;
/// Packets in the name of who is protected.
const FORGED: u32 = 1_000_000;

/// The program with the maps through which somebody is blocked.
struct Blocking {
    kernel: TestKernel,
    maps: ResponseMaps,
    seed: u64,
}

impl Blocking {
    /// With blocks of addresses, and of prefixes, in force.
    fn new(mode: Mode, addresses: bool, prefixes: bool) -> Result<Self> {
        let tables = fixtures::tables(mode)?;
        let config = tables.config.with_blocks(addresses, prefixes);
        let tables = Tables { config, ..tables };
        let mut kernel = TestKernel::load(&tables, 1)?;
        let maps = kernel.kernel.maps_mut().take_response();
        Ok(Self {
            maps: maps.context("somebody has taken the maps")?,
            kernel,
            seed: tables.config.hash_seed,
        })
    }

    /// Blocks a prefix, in the record `record`, for so long.
    fn block(&mut self, record: u32, prefix: &str, for_ns: u64) -> Result<bool> {
        let (address, bits) = prefix.parse::<Prefix>()?.to_key();
        let place = if bits == 128 {
            BlockPlace::Address(AddressHash::new(address, self.seed))
        } else {
            BlockPlace::Prefix(address, bits)
        };
        let until_ns = self.kernel.now_ns()? + for_ns;
        Ok(self
            .maps
            .add_block(record, place, Block { address, until_ns })?)
    }

    /// Whether an ordinary packet of `source` passes.
    fn passes(&mut self, source: &str) -> Result<bool> {
        let frame = from(source)?.build();
        Ok(self.kernel.run(0, &frame)?.passes())
    }

    /// The same of a segment of a connection of `source` that stands.
    fn passes_established(&mut self, source: &str) -> Result<bool> {
        let route = Route {
            src_ip: source.parse()?,
            ..Route::default()
        };
        let frame = benign::http_response(&route).build();
        Ok(self.kernel.run(0, &frame)?.passes())
    }

    fn counted(&self, reason: Reason, verdict: Verdict) -> Result<u64> {
        let all = self.kernel.own_state()?.counted();
        let counter = all.get(&(0, reason, verdict));
        Ok(counter.map_or(0, |counter| counter.packets))
    }
}

/// An ordinary packet of `source`.
fn from(source: &str) -> Result<PacketBuilder> {
    let Ok(source) = source.parse::<Ipv4Addr>() else {
        let (source, destination): (Ipv6Addr, Ipv6Addr) = (source.parse()?, "2001:db8::1".parse()?);
        return Ok(PacketBuilder::new().ipv6(source, destination).udp(1024, 53));
    };
    let route = Route {
        src_ip: source,
        ..Route::default()
    };
    Ok(benign::syn(&route, 80))
}

#[test]
fn a_blocked_address_is_dropped_until_its_block_ends_and_no_other_is() -> Result<()> {
    if !kernel_or_skip("a_blocked_address_is_dropped_until_its_block_ends_and_no_other_is") {
        return Ok(());
    }
    let mut blocking = Blocking::new(Mode::Enforce, true, false)?;
    assert!(blocking.block(0, "198.51.100.7", HOUR_NS)?);
    assert!(blocking.block(BLOCKS_MAX - 1, "2001:db8::7", 2_000_000_000)?);
    for source in ["198.51.100.7", "2001:db8::7"] {
        assert!(!blocking.passes(source)?, "{source}");
    }
    assert!(!blocking.passes_established("198.51.100.7")?);
    for source in ["198.51.100.6", "198.51.100.8"] {
        assert!(blocking.passes_established(source)?, "{source}");
    }
    for source in ["198.51.100.6", "198.51.100.8", "2001:db8::6", "::7"] {
        assert!(blocking.passes(source)?, "{source}");
    }
    // Not even what has no transport header.
    let route = Route {
        src_ip: [198, 51, 100, 7].into(),
        ..Route::default()
    };
    let esp = route.ipv4().protocol(50);
    assert_eq!(blocking.kernel.run(0, &esp.build())?, Verdict::DROP);
    let cost = blocking.maps.blocked(0)?;
    assert_eq!(cost.packets, 3);
    // Nor what has an IP header that leads nowhere.
    let ipv6 = || from("2001:db8::7");
    let deep = PacketBuilder::new().ipv6("2001:db8::7".parse::<Ipv6Addr>()?, CLIENT_IPV6);
    let deep = (0..7).fold(deep, |packet, _| packet.destination_options(&[]));
    for (what, packet) in [
        (
            "a later fragment",
            benign::syn(&route, 80).fragment(7, true),
        ),
        ("no header length", benign::syn(&route, 80).ihl(0)),
        ("beyond the frame", ipv6()?.payload_length(9000)),
        ("too many extensions", deep.udp(1024, 53)),
    ] {
        let verdict = blocking.kernel.run(0, &packet.build())?;
        assert_eq!(verdict, Verdict::DROP, "{what}");
    }
    assert!(cost.last_ns > 0 && cost.bytes > 100, "{cost:?}");
    wait_until("the block to end", Duration::from_secs(20), || {
        blocking.passes("2001:db8::7")
    })?;
    assert!(!blocking.passes("198.51.100.7")?);
    let address = "198.51.100.7".parse::<Prefix>()?.to_key().0;
    let place = BlockPlace::Address(AddressHash::new(address, blocking.seed));
    blocking.maps.remove_block(0, place)?;
    assert!(blocking.passes("198.51.100.7")?);
    Ok(())
}

#[test]
fn of_a_blocked_prefix_every_address_is_dropped_and_none_beside_it() -> Result<()> {
    if !kernel_or_skip("of_a_blocked_prefix_every_address_is_dropped_and_none_beside_it") {
        return Ok(());
    }
    let mut blocking = Blocking::new(Mode::Enforce, false, true)?;
    blocking.block(1, "198.51.100.0/24", HOUR_NS)?;
    blocking.block(2, "2001:db8:7::/48", HOUR_NS)?;
    blocking.block(3, "192.0.2.0/24", 0)?;
    for source in ["198.51.100.0", "198.51.100.255", "2001:db8:7:ffff::1"] {
        assert!(!blocking.passes(source)?, "{source}");
    }
    for source in [
        "198.51.99.255",
        "198.51.101.0",
        "2001:db8:8::1",
        "192.0.2.1",
    ] {
        assert!(blocking.passes(source)?, "{source}");
    }
    assert!(!blocking.passes_established("198.51.100.255")?);
    assert!(blocking.passes_established("198.51.99.255")?);
    assert_eq!(blocking.maps.blocked(1)?.packets, 3);
    assert_eq!(blocking.maps.blocked(2)?.packets, 1);
    Ok(())
}

#[test]
fn monitoring_counts_who_is_blocked_and_drops_nothing() -> Result<()> {
    if !kernel_or_skip("monitoring_counts_who_is_blocked_and_drops_nothing") {
        return Ok(());
    }
    let mut blocking = Blocking::new(Mode::Monitor, true, true)?;
    blocking.block(7, "198.51.100.7", HOUR_NS)?;
    assert!(blocking.passes("198.51.100.7")?);
    assert_eq!(blocking.counted(Reason::Blocked, Verdict::WOULD_DROP)?, 1);
    assert_eq!(blocking.maps.blocked(7)?.packets, 1);
    Ok(())
}

#[test]
fn as_many_as_the_quota_are_blocked_and_each_is_found() -> Result<()> {
    if !kernel_or_skip("as_many_as_the_quota_are_blocked_and_each_is_found") {
        return Ok(());
    }
    let mut blocking = Blocking::new(Mode::Enforce, true, false)?;
    let address = |number: u32| Ipv4Addr::from(0x0a00_0000 | number).to_string();
    let mut refused = Vec::new();
    for number in 0..BLOCKS_MAX {
        if !blocking.block(number, &address(number), HOUR_NS)? {
            refused.push(number);
        }
    }
    assert!(refused.len() <= 2, "{} had no room", refused.len());
    for number in 0..BLOCKS_MAX {
        let passes = blocking.passes(&address(number))?;
        assert_eq!(passes, refused.contains(&number), "{number}");
        assert!(blocking.passes(&address(number + BLOCKS_MAX))?, "{number}");
    }
    Ok(())
}

/// Whoever forges packets in the name of who is protected costs these nothing: not one of a million is dropped.
#[test]
fn of_a_million_packets_forged_in_the_name_of_who_is_protected_none_is_dropped() -> Result<()> {
    if !kernel_or_skip(
        "of_a_million_packets_forged_in_the_name_of_who_is_protected_none_is_dropped",
    ) {
        return Ok(());
    }
    let mut blocking = Blocking::new(Mode::Enforce, false, false)?;
    for prefix in ["203.0.113.10", "198.51.100.0/24", "2001:db8::/64"] {
        blocking.maps.protect(prefix.parse::<Prefix>()?.to_key())?;
    }
    let worms = worms::all();
    let mut frames = Vec::new();
    for source in [[203, 0, 113, 10], [198, 51, 100, 99]] {
        let route = Route {
            src_ip: source.into(),
            ..Route::default()
        };
        frames.extend(worms.iter().map(|worm| worm.frame(&route)));
    }
    for packet in 0..FORGED {
        let frame = &frames[packet as usize % frames.len()];
        assert_eq!(blocking.kernel.run(0, frame)?, Verdict::PASS, "{packet}");
    }
    let state = blocking.kernel.own_state()?;
    assert_eq!(state.tally(Tally::ProtectedSpared), u64::from(FORGED));
    assert_eq!(
        blocking.counted(Reason::Signature, Verdict::PASS)?,
        u64::from(FORGED)
    );
    let other = worms[0].frame(&Route::default());
    assert_eq!(blocking.kernel.run(0, &other)?, Verdict::DROP);
    Ok(())
}

#[test]
fn a_client_outside_that_acknowledges_a_servers_number_is_confirmed_once() -> Result<()> {
    const NUMBER: u32 = 0xffff_fff0;
    if !kernel_or_skip("a_client_outside_that_acknowledges_a_servers_number_is_confirmed_once") {
        return Ok(());
    }
    let (wan, lan) = (0, 1);
    let tables = fixtures::tables(Mode::Enforce)?;
    let mut config = tables.config.with_lan([lan]);
    config.report_interval_ns = 0;
    let tables = Tables { config, ..tables };
    let mut kernel = TestKernel::load(&tables, 2)?;
    let there = Route::default();
    let worm = worms::code_red(&there).build();
    let port = u16::from_be_bytes([worm[34], worm[35]]);
    let back = Route {
        src_ip: there.dst_ip,
        dst_ip: there.src_ip,
        ..Route::default()
    };
    let accept = back
        .ipv4()
        .tcp(80, port)
        .flags(SYN | ACK)
        .seq(NUMBER)
        .build();
    let data = |acknowledged: u32| {
        worms::code_red(&there)
            .tcp_options(&[1; 12])
            .ack(acknowledged)
            .build()
    };
    let mut proofs = |accepted_on: Option<u32>, came_on: u32, acknowledged: &[u32]| {
        kernel.set_state(&State::empty(2))?;
        if let Some(slot) = accepted_on {
            let _ = kernel.run(slot, &accept)?;
        }
        for number in acknowledged {
            let _ = kernel.run(came_on, &data(*number))?;
        }
        let events = kernel.take_events()?;
        anyhow::Ok(events.iter().map(|event| event.proof).collect::<Vec<_>>())
    };
    let next = NUMBER.wrapping_add(1);
    // A number is looked at once: who guesses wrong guesses no more.
    for (accepted_on, came_on, acknowledged, expected) in [
        (
            Some(lan.into()),
            wan,
            [next, next],
            [Proof::CONFIRMED, Proof::SPOOFABLE],
        ),
        (Some(lan.into()), wan, [NUMBER, next], [Proof::SPOOFABLE; 2]),
        (
            Some(lan.into()),
            wan,
            [next.wrapping_add(1), next],
            [Proof::SPOOFABLE; 2],
        ),
        (None, wan, [next; 2], [Proof::SPOOFABLE; 2]),
        // Neither a server outside nor a client inside.
        (Some(wan), wan, [next; 2], [Proof::SPOOFABLE; 2]),
        (
            Some(lan.into()),
            lan.into(),
            [next; 2],
            [Proof::SPOOFABLE; 2],
        ),
    ] {
        let found = proofs(accepted_on, came_on, &acknowledged)?;
        assert_eq!(
            found, expected,
            "{accepted_on:?} {came_on} {acknowledged:?}"
        );
    }
    Ok(())
}
