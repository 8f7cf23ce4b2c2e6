//! The kernel program against the same classifier on the host: 200,000 generated and mutated packets, every packet of the
//! public captures, and whatever once told the two apart; equal in verdict, counters, signature hits, sources, segments,
//! tallies and events.
//!
//! How the two are kept at the same time is [`Lockstep`]'s matter. Another seed than the usual one is given by
//! `DETECTOR_TEST_SEED`; `cargo xtask fuzz differential` runs many more. Needs root; nothing is attached to an interface.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use anyhow::{Context as _, Result, ensure};
use detector::agent::kernel::has_frags;
use detector_common::{abi::Tally, reason::Reason};
use detector_tests::{
    builder::{Arp, PacketBuilder, Route},
    capture::{files_in, frames_of},
    generate::seed_or,
    kernel::{FRAME_MAX, FRAME_MIN},
    oracle::{
        Difference, Lockstep,
        campaign::{self, INTERFACES, Supply},
    },
    requirements::{captures_or_skip, kernel_or_skip},
    rule_names::BOOK,
    worms::benign,
};

/// Senders of ARP requests, half as many as there is room for: some sets are full.
const SENDERS: u16 = 4096;
const SEED: u64 = 0xde7e_c705_0000_0002;

#[test]
fn generated_packets_are_the_same_in_kernel_and_host() -> Result<()> {
    if !kernel_or_skip("generated_packets_are_the_same_in_kernel_and_host") {
        return Ok(());
    }
    let seed = seed_or(SEED)?;
    let outcome = campaign::compare(&Supply::of(seed, Vec::new()), 200_000, |_| {
        ControlFlow::Continue(())
    })
    .with_context(|| format!("DETECTOR_TEST_SEED={seed}"))?;
    println!(
        "{} packets, the clock ticked in {} batches, because of {} of which packets were run again",
        outcome.packets, outcome.ticked.0, outcome.ticked.1
    );

    // The packets were worth comparing: they led everywhere that a frame of this length leads.
    let state = outcome.state;
    let reached: BTreeSet<_> = state
        .counted()
        .keys()
        .map(|(_, reason, _)| *reason)
        .collect();
    for reason in Reason::ALL {
        // No frame takes a map away, the kernel takes no shorter one, and nobody is blocked.
        let excused = matches!(
            reason,
            Reason::StateMissing | Reason::EthernetTruncated | Reason::Blocked
        );
        assert!(
            reached.contains(reason) || excused,
            "no packet led to {}",
            reason.name()
        );
    }
    for tally in [Tally::EventsSent, Tally::SourcesDisplaced] {
        assert!(state.tally(tally) > 0, "no packet led to {}", tally.name());
    }
    for (slot, rule) in BOOK.iter() {
        let packets = state.rule_hits[usize::from(slot)].packets;
        assert!(packets > 0, "no packet showed {}", rule.name);
    }
    Ok(())
}

#[test]
fn senders_that_fill_their_half_of_the_table_are_the_same_in_kernel_and_host() -> Result<()> {
    if !kernel_or_skip("senders_that_fill_their_half_of_the_table_are_the_same_in_kernel_and_host")
    {
        return Ok(());
    }
    let configurations = campaign::configurations()?;
    let mut lockstep = Lockstep::new(&configurations[0], INTERFACES)?;
    // Each sender offends at once; the later ones find sets that are full of offenders.
    for sender in 0..SENDERS {
        let [high, low] = sender.to_be_bytes();
        let route = Route::default();
        let request = Arp::request([2, 0, 0, 0, high, low], route.src_ip, route.dst_ip);
        let frame = PacketBuilder::new().arp(request).pad_to(60).build();
        for _ in 0..8 {
            lockstep.push(0, &frame)?;
        }
    }
    lockstep.settle()?;
    let refused = lockstep.state().tally(Tally::SourcesRefused);
    assert!(refused > 0, "no sender was refused");
    Ok(())
}

#[test]
fn every_packet_of_the_captures_is_the_same_in_kernel_and_host() -> Result<()> {
    let name = "every_packet_of_the_captures_is_the_same_in_kernel_and_host";
    let Some(folder) = captures_or_skip(name) else {
        return Ok(());
    };
    if !kernel_or_skip(name) {
        return Ok(());
    }
    let configurations = campaign::configurations()?;
    let mut lockstep = Lockstep::new(&configurations[0], INTERFACES)?;
    for file in files_in(&folder)? {
        run(&mut lockstep, &file)?;
    }
    let packets = lockstep.packets();
    println!("{packets} packets of captures, without those too short or too long for a test run");
    ensure!(packets > 10_000, "only {packets} packets");
    Ok(())
}

/// The kernel gives a program only the first piece of a frame that is longer than a page, and the host has all of it.
#[test]
fn a_difference_is_brought_down_to_the_packet_that_shows_it() -> Result<()> {
    if !kernel_or_skip("a_difference_is_brought_down_to_the_packet_that_shows_it") {
        return Ok(());
    }
    let configurations = campaign::configurations()?;
    let mut lockstep = Lockstep::new(&configurations[0], INTERFACES)?;
    let ordinary = benign::http_request(&Route::default()).build();
    let long = benign::http_request(&Route::default())
        .payload(&[b'x'; FRAME_MAX])
        .build();
    let mut run_all = || {
        for packet in 0..3000 {
            let frame = if packet == 1234 { &long } else { &ordinary };
            lockstep.push(0, frame)?;
        }
        lockstep.settle()
    };
    let error = run_all().expect_err("the two had not the same bytes");
    let difference = error.downcast::<Difference>()?;
    assert_eq!(difference.packet, Some(1234));
    assert!(difference.from_nothing);
    assert_eq!(difference.packets.len(), 1);
    // The kernel has the first piece of the frame. Where it says that there are others, not all of the payload is there to look at.
    let expected = if has_frags() {
        "rules_cut_short"
    } else {
        "ipv4_beyond_frame"
    };
    assert!(difference.to_string().contains(expected), "{difference}");

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("found.pcapng");
    difference.write(&file)?;
    assert_eq!(frames_of(&file)?, [(0, long)]);
    Ok(())
}

/// What `cargo xtask fuzz differential` once found, see CONTRIBUTING.md.
#[test]
fn what_once_told_kernel_and_host_apart_is_the_same_in_both() -> Result<()> {
    if !kernel_or_skip("what_once_told_kernel_and_host_apart_is_the_same_in_both") {
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions/differential");
    let configurations = campaign::configurations()?;
    for file in files_in(&folder)? {
        for tables in &configurations {
            run(&mut Lockstep::new(tables, INTERFACES)?, &file)?;
        }
    }
    Ok(())
}

/// Runs the packets of a capture that a test run takes.
fn run(lockstep: &mut Lockstep<'_>, file: &Path) -> Result<()> {
    let mut push_all = || {
        for (interface, frame) in frames_of(file)? {
            if (FRAME_MIN..=FRAME_MAX).contains(&frame.len()) {
                lockstep.push(interface % INTERFACES, &frame)?;
            }
        }
        lockstep.settle()
    };
    push_all().with_context(|| file.display().to_string())
}
