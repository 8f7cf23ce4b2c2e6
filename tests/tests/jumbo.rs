//! Frames longer than a page: in the kernel they lie in several pieces (XDP multi-buffer), of which programs read the first.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{EbpfLoader, programs::Xdp};
use detector::{
    agent::kernel::object,
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::{self, NextProgram, Tally, global},
    config::{Config, Mode},
    packet::Frame,
    verdict::Verdict,
};
use detector_tests::{
    agent::running::{SOON, attached, ensure_nothing_is_left, select, start, stats_after, sum},
    builder::{ACK, PacketBuilder, Route},
    kernel::{FRAME_MAX, TestKernel},
    lab::{ETH0, Pair},
    oracle::HostMaps,
    requirements::{frags_or_skip, kernel_or_skip},
};
use serde_json::json;
use tempfile::TempDir;

/// The payload of a long frame, in bytes.
const LONG: usize = 8000;
/// What a rule looks for.
const PATTERN: &[u8] = b"here-it-stands";
/// Where it does.
const WATCHED: u16 = 9999;
/// Where no rule looks.
const UNWATCHED: u16 = 9998;
/// The rules.
const RULES: &str = "drop udp any any -> any 9999 (content:\"here-it-stands\"; sid:1000001;)\n\
                     drop tcp any any -> any 9999 (content:\"here-it-stands\"; sid:1000002;)\n";

/// A payload of so many bytes with the pattern at `place`.
fn payload(len: usize, place: Option<usize>) -> Vec<u8> {
    let mut payload = vec![b'.'; len];
    if let Some(place) = place {
        payload[place..place + PATTERN.len()].copy_from_slice(PATTERN);
    }
    payload
}

fn datagram(route: &Route, port: u16, len: usize, place: Option<usize>) -> PacketBuilder {
    let packet = route.ipv4().udp(route.src_port, port);
    packet.payload(&payload(len, place))
}

/// On an interface whose frames may be longer than a page, all are counted with their whole length. What stands in the first piece is found,
/// and dropped; what stands behind it passes, and that is counted.
#[test]
fn frames_longer_than_a_page_are_guarded_in_native_mode_and_counted_whole() -> Result<()> {
    if !frags_or_skip("frames_longer_than_a_page_are_guarded_in_native_mode_and_counted_whole") {
        return Ok(());
    }
    guards("native")
}

/// So it is where the driver does not know of programs: newer kernels leave a frame in pieces there too, and others put it together, but
/// no rule looks farther than a page.
#[test]
fn frames_longer_than_a_page_are_guarded_in_generic_mode_too() -> Result<()> {
    if !kernel_or_skip("frames_longer_than_a_page_are_guarded_in_generic_mode_too") {
        return Ok(());
    }
    guards("generic")
}

fn guards(mode: &str) -> Result<()> {
    let pair = Pair::new()?;
    for host in [&pair.client, &pair.server] {
        host.ip(&format!("link set {ETH0} mtu 9000"))?;
    }
    let folder = TempDir::new()?;
    let rules = folder.path().join("jumbo.rules");
    fs::write(&rules, RULES)?;
    let config = folder.path().join("detector.toml");
    let text = format!("rules.worms = false\nrules.files = ['{}']", rules.display());
    fs::write(&config, text)?;
    let config = config.to_string_lossy();
    let mut agent = start(
        &pair.server,
        &[
            "--wan",
            ETH0,
            "--mode",
            mode,
            "--enforce",
            "--config",
            &config,
        ],
    )?;
    let hook = attached(&pair.server, ETH0)?.map(|(_, hook)| hook);
    assert_eq!(hook, Some(mode));

    let route = Pair::route();
    let long = |port, place| datagram(&route, port, LONG, place).build();
    let short = |place| datagram(&route, WATCHED, 1000, place).build();
    // How often, whether it is dropped, and whether all of it was looked at.
    let sent: [(Vec<u8>, usize, bool, bool); 6] = [
        (long(WATCHED, Some(0)), 5, true, false),
        (long(WATCHED, Some(3000)), 5, true, false),
        (long(WATCHED, Some(6000)), 7, false, false),
        (long(UNWATCHED, Some(0)), 3, false, true),
        (short(Some(500)), 4, true, true),
        (short(None), 6, false, true),
    ];
    let behind = pair.server.receiver(ETH0)?;
    let sender = pair.client.sender(ETH0)?;
    let (mut packets, mut bytes, mut dropped, mut dropped_bytes, mut cut_short) = (0, 0, 0, 0, 0);
    for (frame, times, is_dropped, is_whole) in &sent {
        sender.send_all(vec![frame; *times])?;
        packets += times;
        bytes += times * frame.len();
        if *is_dropped {
            dropped += times;
            dropped_bytes += times * frame.len();
        }
        if !is_whole {
            cut_short += times;
        }
    }
    let stats = stats_after(&pair.server, packets.try_into()?)?;
    let seen = select(&stats["interfaces"], &[("name", ETH0)]);
    assert_eq!(seen[0]["packets"], packets);
    assert_eq!(seen[0]["bytes"], bytes);
    assert_eq!(
        seen[0]["verdicts"],
        json!({ "pass": packets - dropped, "drop": dropped, "would_drop": 0 })
    );
    let of_reason = |reason| {
        let counted = select(&stats["counters"], &[("reason", reason)]);
        counted
            .first()
            .map(|one| (one["packets"].clone(), one["bytes"].clone()))
    };
    assert_eq!(
        of_reason("signature"),
        Some((dropped.into(), dropped_bytes.into()))
    );
    assert_eq!(
        of_reason("clean"),
        Some(((packets - dropped).into(), (bytes - dropped_bytes).into()))
    );
    assert_eq!(
        sum(&stats["signatures"], "bytes"),
        u64::try_from(dropped_bytes)?
    );
    assert_eq!(stats["table"]["rules_cut_short"], cut_short, "{stats:#}");

    let is_ours = |frame: &[u8]| sent.iter().any(|(sent, ..)| sent == frame);
    let passed = behind.wait_for(packets - dropped + 1, Duration::from_millis(200), is_ours)?;
    assert_eq!(passed, packets - dropped, "each that passes is as it was");
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

/// The kernel makes of a frame in pieces what the host makes of one that a capture has cut off where the first piece ends.
#[test]
fn a_frame_in_pieces_is_judged_as_one_of_which_a_capture_kept_the_first() -> Result<()> {
    if !frags_or_skip("a_frame_in_pieces_is_judged_as_one_of_which_a_capture_kept_the_first") {
        return Ok(());
    }
    let set = RuleSet::from_bytes(Path::new("test.rules"), RULES.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    let config = Config::DEFAULT.with_mode(Mode::Enforce);
    let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
    let mut kernel = TestKernel::load(&tables, 1)?;
    let mut host = HostMaps::new(&tables, 1);
    let mut found = 0;
    let frames = frames();
    for frame in &frames {
        let verdict = kernel.run(0, frame)?;
        let first = frame.get(..FRAME_MAX).unwrap_or(frame);
        let now_ns = kernel.now_ns()?;
        let decision = host.run_frame(0, &Frame::captured(first, frame.len()), now_ns);
        assert_eq!(verdict, decision.verdict, "{:02x?}…", &frame[..64]);
        found += usize::from(verdict == Verdict::DROP);
    }
    let state = kernel.own_state()?;
    assert_eq!(state.counters, host.state.counters);
    for tally in [Tally::RulesCutShort, Tally::EventsSent] {
        assert_eq!(state.tally(tally), host.state.tally(tally), "{tally:?}");
    }
    assert!((50..frames.len() - 50).contains(&found), "{found} found");
    assert!(state.tally(Tally::RulesCutShort) > 100);
    Ok(())
}

/// Frames whose pattern stands at many places, most of all around the end of the first piece; whose headers do not; that say another length
/// than they have; and that are just as long as a piece.
fn frames() -> Vec<Vec<u8>> {
    let route = Route::default();
    let mut frames = Vec::new();
    for place in [0, 1, 1000, 4031, 5000, LONG - PATTERN.len()] {
        frames.push(datagram(&route, WATCHED, LONG, Some(place)).build());
    }
    for place in FRAME_MAX - 160..FRAME_MAX + 16 {
        frames.push(datagram(&route, WATCHED, LONG, Some(place)).build());
        let segment = route.ipv4().tcp(route.src_port, WATCHED).flags(ACK);
        frames.push(segment.payload(&payload(5000, Some(place))).build());
    }
    for len in FRAME_MAX - 80..FRAME_MAX + 16 {
        let place = len.min(FRAME_MAX) / 2;
        frames.push(datagram(&route, WATCHED, len, Some(place)).build());
        frames.push(datagram(&route, UNWATCHED, len, None).build());
    }
    for said in [20, 3000, 4000, 8027, 8028, 8029, 9000, 65_535] {
        let packet = datagram(&route, WATCHED, LONG, Some(100));
        frames.push(packet.total_length(said).build());
    }
    frames
}

/// What asks for the length of a frame in pieces is not even looked at where the kernel has none: there the call would be refused.
#[test]
fn without_frames_in_pieces_the_verifier_follows_no_call_for_their_length() -> Result<()> {
    /// Where a call of a helper has its number, and a number that no kernel has.
    const CALL: [u8; 8] = [0x85, 0, 0, 0, 188, 0, 0, 0];
    const NUMBER_AT: usize = 4;
    const UNKNOWN: [u8; 4] = 0x7fff_u32.to_le_bytes();

    if !kernel_or_skip("without_frames_in_pieces_the_verifier_follows_no_call_for_their_length") {
        return Ok(());
    }
    let mut bytes = object(false).into_owned();
    let calls: Vec<_> = bytes.windows(8).enumerate().collect();
    let calls = calls.into_iter().filter(|(_, bytes)| *bytes == CALL);
    let calls: Vec<_> = calls.map(|(at, _)| at + NUMBER_AT).collect();
    ensure!(!calls.is_empty(), "the object asks for no such length");
    for at in calls {
        bytes[at..at + UNKNOWN.len()].copy_from_slice(&UNKNOWN);
    }
    let names = [abi::PROGRAM]
        .into_iter()
        .chain(NextProgram::ALL.map(NextProgram::name));
    for (has_frags, is_taken) in [(0_u32, true), (1, false)] {
        let mut loaded = EbpfLoader::new()
            .override_global(global::TICK_NS, &4_000_000_u64, true)
            .override_global(global::HAS_FRAGS, &has_frags, true)
            .load(&bytes)?;
        for name in names.clone() {
            let program = loaded.program_mut(name).context(name)?;
            let program: &mut Xdp = program.try_into()?;
            assert_eq!(program.load().is_ok(), is_taken, "{name}");
        }
    }
    Ok(())
}
