//! Forged sources without end, through the real program: how long an offender is remembered, and what the others lose.
//!
//! A CPU keeps 8192 hosts with signatures, in sets of four. A host that offended more than once yields within the hour
//! to nobody who did so once. Whoever forges sources and takes the trouble to show each one twice competes on equal
//! terms: then the host that was seen longest ago goes, so a set forgets one if four others came into it since. Of `n`
//! others in 2048 sets that is the chance that a Poisson number with mean `n / 2048` is at least 4.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use detector_common::{
    abi::{Tally, segment_index},
    config::{Mode, Policy},
    detect::Detector,
    net::{IpAddress, MacAddress, Vlan},
    reason::Reason,
    sources::{SETS_OF_A_KIND, SourceKey, WAYS},
    verdict::Verdict,
};
use detector_tests::{
    agent::running::SOON,
    builder::{ACK, Arp, PacketBuilder, Route, SYN},
    fixtures::{self, SEGMENT_BURST, SENDER_BURST},
    generate::Dice,
    kernel::TestKernel,
    requirements::kernel_or_skip,
    worms::{self, benign},
};

use super::numbered;

/// Forged hosts, each of which shows itself once.
const FORGED: u32 = 1_000_000;
/// How many of them come between two packets of an offender: many times the table.
const BETWEEN: u32 = 100_000;
/// The same of ARP senders: a tenth, for an offender among them has but a bucket that fills again.
const BETWEEN_SENDERS: u32 = 10_000;
/// Offenders that are watched at once, each in a set of its own as a rule.
const OFFENDERS: u8 = 64;
/// Where the destination address stands in an Ethernet frame with IPv4.
const DESTINATION_AT: usize = 30;
/// Slammer's number.
const SLAMMER: u16 = 40;

/// A million forged ARP senders that send once each take no memory, make the kernel forget no sender that exceeded its
/// rate, and get no more through than the segment's bucket holds.
#[test]
fn a_million_forged_senders_cost_no_memory_and_hide_nobody() -> Result<()> {
    if !kernel_or_skip("a_million_forged_senders_cost_no_memory_and_hide_nobody") {
        return Ok(());
    }
    let mut kernel = TestKernel::load(&fixtures::tables(Mode::Enforce)?, 1)?;
    let memory = kernel.memory()?;
    let frame = benign::arp_request(&Route::default()).build();

    // An offender makes itself known, and goes on among a million others, each of whom sends once.
    let began_ns = kernel.now_ns()?;
    exceed_the_burst(&mut kernel, &frame)?;
    let mut forged = frame.clone();
    let mut dice = Dice::new(7);
    let (mut dropped, mut again) = (0, 0);
    for sender in 0..FORGED {
        forged[7..12].copy_from_slice(&dice.bytes(5));
        dropped += u64::from(kernel.run(0, &forged)? == Verdict::DROP);
        if sender % BETWEEN_SENDERS == 0 {
            again += u64::from(kernel.run(0, &frame)? == Verdict::DROP);
        }
    }
    let seconds = (kernel.now_ns()? - began_ns).div_ceil(1_000_000_000);
    let state = kernel.state()?;

    let mac = MacAddress::new(Route::default().src_mac);
    let offender = SourceKey::of_sender(0, Vlan::default(), mac);
    let sources = state.known_sources();
    let offender = sources
        .get(&offender)
        .context("the offender was forgotten")?;
    let seen = u64::from(SENDER_BURST + 1 + FORGED / BETWEEN_SENDERS);
    assert_eq!(offender.packets, seen, "packets of the offender");
    assert!(
        again > 0,
        "no request of the offender was dropped among the forged ones"
    );
    assert!(
        offender.objections.flagged + seconds >= seen - u64::from(SENDER_BURST),
        "{} of {seen} packets of the offender were flagged in {seconds} s",
        offender.objections.flagged
    );

    // What conforms is the segment's burst and a packet a second: all else is the flood.
    let passed = u64::from(FORGED) - dropped;
    let bound = u64::from(SEGMENT_BURST) + seconds;
    assert!(
        passed <= bound,
        "{passed} forged requests passed in {seconds} s, not {bound}"
    );
    let flood = state.counted()[&(0, Reason::ArpFloodSegment, Verdict::DROP)].packets;
    assert!(
        flood >= dropped,
        "{flood} requests counted as the segment's flood of {dropped} dropped"
    );
    let segment = state.segments[segment_index(0, Vlan::default()) as usize];
    assert_eq!(
        segment.objections.dropped, flood,
        "what the segment keeps of the flood"
    );

    assert_eq!(
        kernel.memory()?,
        memory,
        "bytes of all maps, after and before"
    );
    Ok(())
}

/// A million forged hosts that show a worm once each are all dropped, take no memory, and make the kernel forget no
/// host that did so twice, as long as it is seen once an hour. ARP senders do not feel them.
#[test]
fn a_million_forged_worm_senders_hide_nobody_who_was_seen_twice() -> Result<()> {
    if !kernel_or_skip("a_million_forged_worm_senders_hide_nobody_who_was_seen_twice") {
        return Ok(());
    }
    let mut kernel = TestKernel::load(&fixtures::tables(Mode::Enforce)?, 1)?;
    let memory = kernel.memory()?;
    let mut seen = 0;
    let mut see_offenders = |kernel: &mut TestKernel| -> Result<()> {
        seen += 1;
        (0..OFFENDERS).try_for_each(|number| show(kernel, &offender(number)))
    };
    see_offenders(&mut kernel)?;
    see_offenders(&mut kernel)?;
    let mut forged = numbered::worm(0);
    for number in 0..FORGED {
        numbered::set_number(&mut forged, number);
        show(&mut kernel, &forged)?;
        if number % BETWEEN == 0 {
            see_offenders(&mut kernel)?;
        }
    }
    let state = kernel.state()?;
    let sources = state.known_sources();
    for number in 0..OFFENDERS {
        let known = sources
            .get(&key(number))
            .context("an offender was forgotten")?;
        assert_eq!(known.packets, seen, "packets of offender {number}");
    }
    let displaced = state.tally(Tally::SourcesDisplaced);
    assert!(displaced > u64::from(FORGED) / 2, "{displaced} displaced");

    // An ARP sender nobody has met still gets a bucket of its own.
    let request = benign::arp_request(&Route::default()).build();
    exceed_the_burst(&mut kernel, &request)?;
    let state = kernel.state()?;
    let limited = state.counted()[&(0, Reason::ArpFlood, Verdict::DROP)].packets;
    assert_eq!((limited, state.tally(Tally::SourcesRefused)), (1, 0));
    assert_eq!(
        kernel.memory()?,
        memory,
        "bytes of all maps, after and before"
    );
    Ok(())
}

/// If each forged host shows itself twice, an offender is forgotten as often as the law in this file's head says: with
/// a sixteenth of the table between two of its packets once in 7500 times, with a quarter once in 53, with half once in
/// 7.
#[test]
fn forged_hosts_that_come_twice_make_forget_as_rarely_as_the_law_says() -> Result<()> {
    if !kernel_or_skip("forged_hosts_that_come_twice_make_forget_as_rarely_as_the_law_says") {
        return Ok(());
    }
    let table = SETS_OF_A_KIND * WAYS as u32;
    let mut kernel = TestKernel::load(&fixtures::tables(Mode::Enforce)?, 1)?;
    let (mut forged, mut frame) = (0.., numbered::worm(0));
    for (between, rounds) in [
        (table / 16, 20),
        (table / 4, 10),
        (table / 2, 8),
        (table, 5),
        (table * 8, 1),
    ] {
        let mut forgotten = 0_u32;
        for _ in 0..rounds {
            for _ in 0..2 {
                (0..OFFENDERS).try_for_each(|number| show(&mut kernel, &offender(number)))?;
            }
            for number in forged.by_ref().take(between as usize) {
                numbered::set_number(&mut frame, number);
                show(&mut kernel, &frame)?;
                show(&mut kernel, &frame)?;
            }
            let sources = kernel.state()?.known_sources();
            let missing = (0..OFFENDERS).filter(|number| !sources.contains_key(&key(*number)));
            forgotten += u32::try_from(missing.count())?;
        }
        let chances = f64::from(rounds) * f64::from(OFFENDERS);
        let expected = chances * at_least_four(f64::from(between) / f64::from(SETS_OF_A_KIND));
        // Four standard deviations, and one for numbers that are no whole ones.
        let off = (f64::from(forgotten) - expected).abs();
        assert!(
            off <= 4.0 * expected.sqrt() + 1.0,
            "{forgotten} of {chances} forgotten with {between} between, not about {expected:.1}"
        );
    }
    Ok(())
}

/// First packets of a million forged connections from outside keep no scanner inside from being found, nor does it by answering
/// itself in its victims' names.
#[test]
fn a_million_forged_first_packets_hide_no_scanner_inside_nor_does_it_hide_itself() -> Result<()> {
    const INSIDE: u8 = 1;
    if !kernel_or_skip(
        "a_million_forged_first_packets_hide_no_scanner_inside_nor_does_it_hide_itself",
    ) {
        return Ok(());
    }
    let mut tables = fixtures::tables(Mode::Enforce)?;
    tables.config = tables
        .config
        .with_lan([INSIDE])
        .with_policy(Detector::Scan, Policy::Drop);
    let mut kernel = TestKernel::load(&tables, 2)?;
    let mut forged = benign::syn(&Route::default(), 445).build();
    let (mut number, mut victim) = (0_u32, 0_u8);
    let (mut found, deadline) = (false, Instant::now() + SOON);
    // A sample of four hosts a second is looked after, and ten are a scan.
    while !found || number < FORGED {
        ensure!(Instant::now() < deadline, "{number} forged, {victim} tried");
        victim = victim.wrapping_add(1);
        let host = Route {
            dst_ip: [198, 18, victim, 1].into(),
            ..Route::default()
        };
        let attempt = benign::syn(&host, 445).build();
        found |= kernel.run(INSIDE.into(), &attempt)? == Verdict::DROP;
        let answer = PacketBuilder::new()
            .ethernet(host.src_mac, host.dst_mac)
            .ipv4(host.dst_ip, host.src_ip)
            .tcp(445, host.src_port)
            .flags(SYN | ACK);
        assert_eq!(kernel.run(INSIDE.into(), &answer.build())?, Verdict::PASS);
        for _ in 0..BETWEEN / 4 {
            number += 1;
            numbered::set_number(&mut forged, number);
            forged[DESTINATION_AT..][..4].copy_from_slice(&number.to_be_bytes());
            let _ = kernel.run(0, &forged)?;
        }
    }
    Ok(())
}

/// Enforcing, a flood of forged ARP senders that empties the segment's bucket costs others their broadcast requests,
/// and nothing else: replies, probes, announcements, unicast requests and everything that is not ARP pass.
#[test]
fn a_flood_of_forged_arp_senders_costs_others_broadcast_requests_and_nothing_else() -> Result<()> {
    if !kernel_or_skip(
        "a_flood_of_forged_arp_senders_costs_others_broadcast_requests_and_nothing_else",
    ) {
        return Ok(());
    }
    let mut kernel = TestKernel::load(&fixtures::tables(Mode::Enforce)?, 1)?;
    let route = Route::default();
    for number in 0..2 * SEGMENT_BURST {
        let [a, b, c, d] = number.to_be_bytes();
        // In names of their own: to take another's is another offence.
        let request = Arp::request([2, 0xf0, a, b, c, d], [10, 9, c, d], route.dst_ip);
        let frame = PacketBuilder::new().arp(request).pad_to(60).build();
        let _ = kernel.run(0, &frame)?;
    }
    let request = benign::arp_request(&route).build();
    assert_eq!(kernel.run(0, &request)?, Verdict::DROP);
    let mut unicast = request.clone();
    unicast[..6].copy_from_slice(&route.dst_mac);
    assert_eq!(kernel.run(0, &unicast)?, Verdict::PASS);
    for benign in benign::all(&route) {
        if benign.name != "arp-request" {
            let verdict = kernel.run(0, &benign.packet.build())?;
            assert_eq!(verdict, Verdict::PASS, "{}", benign.name);
        }
    }
    Ok(())
}

/// Sends as many ARP requests as a sender may at once, and one more.
fn exceed_the_burst(kernel: &mut TestKernel, request: &[u8]) -> Result<()> {
    for _ in 0..SENDER_BURST {
        assert_eq!(kernel.run(0, request)?, Verdict::PASS, "within the burst");
    }
    assert_eq!(kernel.run(0, request)?, Verdict::DROP, "after the burst");
    Ok(())
}

/// Runs a worm through the program, which drops it.
fn show(kernel: &mut TestKernel, frame: &[u8]) -> Result<()> {
    assert_eq!(kernel.run(0, frame)?, Verdict::DROP);
    Ok(())
}

/// A worm of a host that nobody forges.
fn offender(number: u8) -> Vec<u8> {
    let route = Route {
        src_ip: [192, 0, 2, number].into(),
        ..Route::default()
    };
    worms::slammer(&route).build()
}

fn key(number: u8) -> SourceKey {
    SourceKey::of_host(
        SLAMMER,
        0,
        Vlan::default(),
        IpAddress::v4([192, 0, 2, number]),
    )
}

/// The chance that a Poisson number with this mean is at least 4.
fn at_least_four(mean: f64) -> f64 {
    1.0 - (-mean).exp() * (1.0 + mean + mean.powi(2) / 2.0 + mean.powi(3) / 6.0)
}
