//! What the kernel program does where something is missing or full: it passes what it cannot judge and counts what it
//! cannot report. Needs root; nothing is attached to an interface.

use anyhow::Result;
use bytemuck::{Zeroable as _, allocation::zeroed_box};
use detector::tables::Tables;
use detector_common::{
    abi::{EVENTS_BYTES, Tally},
    config::{Config, Mode},
    event::Event,
    net::{IpAddress, Vlan},
    reason::Reason,
    sources::SourceKey,
    verdict::Verdict,
};
use detector_tests::{
    builder::Route,
    fixtures,
    kernel::{FRAME_MIN, TestKernel},
    requirements::kernel_or_skip,
    worms,
};

/// Events that nobody reads: more than there is room for.
const UNREAD: u32 = 5000;
/// A report interval that a test can wait for.
const INTERVAL_NS: u64 = 20_000_000;

#[test]
fn without_a_configuration_everything_passes_and_nothing_is_kept() -> Result<()> {
    if !kernel_or_skip("without_a_configuration_everything_passes_and_nothing_is_kept") {
        return Ok(());
    }
    let tables = Tables {
        config: Config::zeroed(),
        ..fixtures::tables(Mode::Enforce)?
    };
    let mut kernel = TestKernel::load(&tables, 1)?;
    passes_every_fixture(&mut kernel)?;
    let state = kernel.state()?;
    assert!(state.known_sources().is_empty(), "a source was kept");
    assert!(state.known_segments().is_empty(), "a segment was kept");
    Ok(())
}

#[test]
fn without_rules_every_worm_is_clean() -> Result<()> {
    if !kernel_or_skip("without_rules_every_worm_is_clean") {
        return Ok(());
    }
    let mut tables = fixtures::tables(Mode::Enforce)?;
    tables.filter = zeroed_box();
    tables.rules = zeroed_box();
    let mut kernel = TestKernel::load(&tables, 1)?;
    let worms = worms::all();
    for worm in &worms {
        let verdict = kernel.run(0, &worm.frame(&Route::default()))?;
        assert_eq!(verdict, Verdict::PASS, "{}", worm.name);
    }
    let counted = kernel.state()?.counted();
    let clean = counted.get(&(0, Reason::Clean, Verdict::PASS));
    let clean = clean.map_or(0, |counter| counter.packets);
    assert_eq!(
        clean,
        worms.len() as u64,
        "worms counted as clean, of {counted:?}"
    );
    Ok(())
}

#[test]
fn events_that_do_not_fit_are_counted_and_cost_no_verdict() -> Result<()> {
    if !kernel_or_skip("events_that_do_not_fit_are_counted_and_cost_no_verdict") {
        return Ok(());
    }
    let mut kernel = TestKernel::load(&fixtures::tables(Mode::Enforce)?, 1)?;
    let slammer = |host: u32| {
        worms::slammer(&Route {
            src_ip: host.into(),
            ..Route::default()
        })
        .build()
    };
    for host in 0..UNREAD {
        assert_eq!(
            kernel.run(0, &slammer(0x0a00_0000 + host))?,
            Verdict::DROP,
            "the verdict on host {host} while nobody reads the events"
        );
    }
    let read = kernel.take_events()?.len() as u64;
    let state = kernel.state()?;
    let (sent, lost) = (
        state.tally(Tally::EventsSent),
        state.tally(Tally::EventsLost),
    );
    // A record is preceded by a header of eight bytes.
    let room = u64::from(EVENTS_BYTES) / (Event::SIZE as u64 + 8);
    assert!(
        read <= room && read > room - 2,
        "{read} events read where {room} fit"
    );
    assert_eq!(
        (sent, sent + lost),
        (read, u64::from(UNREAD)),
        "(sent, sent + lost)"
    );
    let dropped = state.counted()[&(0, Reason::Signature, Verdict::DROP)].packets;
    assert_eq!(dropped, u64::from(UNREAD), "packets counted as dropped");

    // Once there is room, events come again.
    assert_eq!(kernel.run(0, &slammer(0x0b00_0000))?, Verdict::DROP);
    assert_eq!(
        kernel.take_events()?.len(),
        1,
        "events after the buffer was emptied"
    );
    Ok(())
}

#[test]
fn a_source_is_reported_once_in_an_interval_for_each_finding() -> Result<()> {
    if !kernel_or_skip("a_source_is_reported_once_in_an_interval_for_each_finding") {
        return Ok(());
    }
    let mut tables = fixtures::tables(Mode::Enforce)?;
    tables.config.report_interval_ns = 3_600_000_000_000;
    let mut kernel = TestKernel::load(&tables, 1)?;
    let (one, other) = (host(1), host(2));
    for _ in 0..1000 {
        for worm in [
            worms::slammer(&one),
            worms::witty(&one),
            worms::slammer(&other),
        ] {
            assert_eq!(kernel.run(0, &worm.build())?, Verdict::DROP);
        }
    }
    let keys = [(40, one), (42, one), (40, other)].map(|(signature, route)| key(signature, &route));
    let events = kernel.take_events()?;
    let reported: Vec<_> = events
        .iter()
        .map(|event| (event.key, event.count))
        .collect();
    assert_eq!(
        reported,
        keys.map(|key| (key, 1)),
        "one event for each source and finding"
    );
    let sources = kernel.state()?.known_sources();
    for key in keys {
        let state = sources[&key];
        assert_eq!(
            (state.objections.flagged, state.objections.unreported),
            (1000, 999),
            "of {key:?}"
        );
    }
    Ok(())
}

#[test]
fn every_finding_is_in_one_report_or_still_to_be_reported() -> Result<()> {
    if !kernel_or_skip("every_finding_is_in_one_report_or_still_to_be_reported") {
        return Ok(());
    }
    let mut tables = fixtures::tables(Mode::Enforce)?;
    tables.config.report_interval_ns = INTERVAL_NS;
    let mut kernel = TestKernel::load(&tables, 1)?;
    let frame = worms::slammer(&host(1)).build();
    let began_ns = kernel.now_ns()?;
    let mut sent = 0;
    while kernel.now_ns()? < began_ns + 10 * INTERVAL_NS {
        assert_eq!(kernel.run(0, &frame)?, Verdict::DROP);
        sent += 1;
    }
    let most = (kernel.now_ns()? - began_ns) / INTERVAL_NS + 1;
    let events = kernel.take_events()?;
    assert!(
        events.len() >= 2,
        "{} events in ten intervals",
        events.len()
    );
    assert!(
        events.len() as u64 <= most,
        "{} events in {most} intervals",
        events.len()
    );
    let state = kernel.state()?.known_sources()[&key(40, &host(1))];
    let reported: u64 = events.iter().map(|event| event.count).sum();
    assert_eq!(
        reported + state.objections.unreported,
        sent,
        "findings reported and held back"
    );
    for pair in events.windows(2) {
        let apart_ns = pair[1].at_ns - pair[0].at_ns;
        assert!(
            apart_ns >= INTERVAL_NS,
            "two reports are {apart_ns} ns apart"
        );
    }
    Ok(())
}

/// Runs every fixture and fails if one is dropped or reported.
fn passes_every_fixture(kernel: &mut TestKernel) -> Result<()> {
    for fixture in fixtures::all() {
        let steps = fixture.before.iter().map(|step| &step.frame);
        for frame in steps.chain([&fixture.frame]) {
            if frame.len() >= FRAME_MIN {
                assert_eq!(kernel.run(0, frame)?, Verdict::PASS, "{}", fixture.name);
            }
        }
        let events = kernel.take_events()?;
        assert!(events.is_empty(), "{}: {events:?}", fixture.name);
    }
    Ok(())
}

fn host(number: u8) -> Route {
    Route {
        src_ip: [10, 0, 0, number].into(),
        ..Route::default()
    }
}

fn key(signature: u16, route: &Route) -> SourceKey {
    let ip = IpAddress::v4(route.src_ip.octets());
    SourceKey::of_host(signature, 0, Vlan::default(), ip)
}
