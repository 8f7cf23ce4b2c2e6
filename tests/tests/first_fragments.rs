//! First fragments that do not hold their headers, under each policy, on the host and in the kernel. That needs root; nothing is attached
//! to an interface.

use anyhow::{Context as _, Result};
use detector::{
    output::Prefix,
    replay::runtime::Replay,
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::Tally,
    config::{Config, Mode, Policy},
    packet::Frame,
    reason::Reason,
    verdict::Verdict,
};
use detector_tests::{
    builder::{CLIENT_IPV6, PacketBuilder, Route, SERVER_IPV6},
    kernel::TestKernel,
    requirements::kernel_or_skip,
};

const TCP: u8 = 6;
const TOO_SHORT: Reason = Reason::FirstFragmentTooShort;

/// First fragments that end in their TCP headers, over IPv4 and IPv6.
fn too_short() -> [Vec<u8>; 2] {
    let ipv4 = Route::default().ipv4().fragment(0, true).protocol(TCP);
    let ipv6 = PacketBuilder::new()
        .ipv6(CLIENT_IPV6, SERVER_IPV6)
        .ipv6_fragment(0, true, 7)
        .next_header(TCP);
    [ipv4, ipv6].map(|packet| packet.payload(&[0; 16]).build())
}

/// What the policy is not about: a first fragment that holds its headers, a later one, and a packet in one fragment.
fn others() -> [Vec<u8>; 3] {
    let fragment = |offset, more, bytes: usize| {
        let packet = Route::default().ipv4().fragment(offset, more);
        let mut header = vec![0; bytes];
        // A TCP header of 20 bytes.
        header[12] = 0x50;
        packet.protocol(TCP).payload(&header).build()
    };
    let whole = Route::default().ipv4().protocol(TCP).payload(&[0; 16]);
    [fragment(0, true, 24), fragment(1, true, 16), whole.build()]
}

fn tables(mode: Mode, policy: Option<Policy>) -> Tables {
    let config = Config::DEFAULT.with_mode(mode);
    let config = policy.map_or(config, |policy| config.with_short_first_fragments(policy));
    Tables::of_worms(config, HashSeed::FIXED, &[80])
}

/// Modes and policies, and what becomes then of a first fragment that is too short.
const EXPECTED: [(Mode, Option<Policy>, Verdict); 5] = [
    (Mode::Monitor, None, Verdict::PASS),
    (Mode::Enforce, None, Verdict::PASS),
    (Mode::Enforce, Some(Policy::Count), Verdict::PASS),
    (Mode::Monitor, Some(Policy::Drop), Verdict::WOULD_DROP),
    (Mode::Enforce, Some(Policy::Drop), Verdict::DROP),
];

#[test]
fn they_pass_unless_the_operator_says_otherwise_and_are_counted() {
    for (mode, policy, verdict) in EXPECTED {
        let tables = tables(mode, policy);
        let mut replay = Replay::new(&tables);
        for frame in too_short() {
            let decision = replay.classify(&Frame::whole(&frame), 0, 1);
            assert_eq!((decision.reason, decision.verdict), (TOO_SHORT, verdict));
        }
        let counted: Vec<_> = replay.counters().collect();
        assert_eq!(counted.len(), 1, "{counted:?}");
        assert_eq!((counted[0].1, counted[0].2.packets), (verdict, 2));
        for frame in others() {
            let decision = replay.classify(&Frame::whole(&frame), 0, 1);
            assert_ne!(decision.reason, TOO_SHORT);
            assert_eq!(decision.verdict, Verdict::PASS);
        }
        // Nobody is found by it, and nobody is told.
        assert_eq!(replay.findings().iter().count(), 0);
    }
}

#[test]
fn the_kernel_does_with_them_as_the_host_does() -> Result<()> {
    if !kernel_or_skip("the_kernel_does_with_them_as_the_host_does") {
        return Ok(());
    }
    for (mode, policy, verdict) in EXPECTED {
        let mut kernel = TestKernel::load(&tables(mode, policy), 1)?;
        for frame in too_short() {
            assert_eq!(kernel.run(0, &frame)?.passes(), verdict.passes());
        }
        let counted = kernel.own_state()?.counted();
        let counted: Vec<_> = counted.iter().map(|(at, of)| (*at, of.packets)).collect();
        assert_eq!(counted, [((0, TOO_SHORT, verdict), 2)]);
        for frame in others() {
            assert_eq!(kernel.run(0, &frame)?, Verdict::PASS);
        }
        assert!(kernel.take_events()?.is_empty());
    }
    Ok(())
}

#[test]
fn of_who_is_protected_none_is_dropped() -> Result<()> {
    if !kernel_or_skip("of_who_is_protected_none_is_dropped") {
        return Ok(());
    }
    for (mode, others_verdict) in [
        (Mode::Enforce, Verdict::DROP),
        (Mode::Monitor, Verdict::WOULD_DROP),
    ] {
        let mut kernel = TestKernel::load(&tables(mode, Some(Policy::Drop)), 1)?;
        let maps = kernel.kernel.maps_mut().take_response();
        let mut maps = maps.context("somebody has taken the maps")?;
        let source = Route::default().src_ip.to_string();
        maps.protect(source.parse::<Prefix>()?.to_key())?;
        let [ipv4, ipv6] = too_short();
        assert_eq!(kernel.run(0, &ipv4)?, Verdict::PASS);
        let verdict = kernel.run(0, &ipv6)?;
        assert_eq!(verdict.passes(), others_verdict.passes());
        let state = kernel.own_state()?;
        assert_eq!(state.tally(Tally::ProtectedSpared), 1);
        let counted: Vec<_> = state.counted().into_keys().collect();
        let expected = [
            (0, TOO_SHORT, Verdict::PASS),
            (0, TOO_SHORT, others_verdict),
        ];
        assert_eq!(counted, expected);
    }
    Ok(())
}
