//! Who looks for victims: scans and sweeps over seconds and minutes, on the host, with time made here.
//!
//! What a detector keeps is small and of fixed size. So scans are held against a [`Reference`] that remembers every host for
//! ever: where that one is sure, the detector must say the same. The ARP guard's models are in `neighbour_models.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context as _, Result, ensure};
use detector::{
    replay::runtime::Replay,
    tables::{HashSeed, Tables},
};
use detector_common::{
    config::{Config, Mode, Policy},
    detect::Detector,
    packet::Frame,
    reason::Reason,
    sketch,
    verdict::Verdict,
};
use detector_tests::{
    builder::{ACK, Arp, Mac, OVERRIDE, PacketBuilder, RST, SOLICITED, SYN},
    fixtures::HTTP_PORTS,
    generate::Dice,
    oracle::HostMaps,
};

const SECOND: u64 = 1_000_000_000;
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const SENDER: Mac = [2, 0, 0, 0, 0, 9];
const ROUTER: Mac = [2, 0, 0, 0, 0, 1];

/// A classifier with every default, and a clock.
struct Network {
    tables: Tables,
}

/// Packets, each with its time in nanoseconds.
type Traffic = Vec<(u64, PacketBuilder)>;

impl Network {
    fn new() -> Self {
        Self {
            tables: Tables::of_worms(Config::DEFAULT, HashSeed::FIXED, &HTTP_PORTS),
        }
    }

    /// Which detectors find something in the traffic, and in how many packets.
    fn found(&self, traffic: &Traffic) -> BTreeMap<Detector, u64> {
        let mut replay = Replay::new(&self.tables);
        for (at, packet) in traffic {
            let frame = packet.build();
            let _ = replay.classify(&Frame::whole(&frame), 0, SECOND + at);
        }
        let mut found = BTreeMap::new();
        for (key, finding) in replay.findings().iter() {
            if let Some(detector) = key.detector() {
                *found.entry(detector).or_default() += finding.count;
            }
        }
        found
    }
}

fn syn(host: Ipv4Addr, port: u16) -> PacketBuilder {
    PacketBuilder::new()
        .ipv4(INSIDE, host)
        .tcp(40_000, port)
        .flags(SYN)
}

/// What a host answers, whatever address the question had on its way.
fn answer(host: Ipv4Addr, port: u16, flags: u8) -> PacketBuilder {
    PacketBuilder::new()
        .ipv4(host, [203, 0, 113, 7])
        .tcp(port, 61_000)
        .flags(flags)
}

fn host(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xc633_0000 + number * 7)
}

/// Tries `count` hosts, one every `every` nanoseconds; of every `of`, the first answers with `flags` soon after.
fn tries(count: u32, every: u64, answers: Option<(u32, u8)>) -> Traffic {
    let mut traffic = Traffic::new();
    for number in 0..count {
        let at = u64::from(number) * every;
        traffic.push((at, syn(host(number), 445)));
        if let Some((of, flags)) = answers
            && number % of == 0
        {
            traffic.push((at + 30_000_000, answer(host(number), 445, flags)));
        }
    }
    traffic.sort_by_key(|(at, _)| *at);
    traffic
}

#[test]
fn a_worm_that_tries_host_after_host_is_found_soon_at_any_rate() {
    let network = Network::new();
    // Mirai's rate, Code Red's, and a target every eight seconds.
    for (every, within) in [
        (SECOND / 160, 10 * 160),
        (SECOND / 14, 60),
        (8 * SECOND, 30),
    ] {
        let found = network.found(&tries(within, every, None));
        assert!(found.contains_key(&Detector::Scan), "{every}: {found:?}");
    }
    let found = network.found(&tries(16, SECOND, None));
    assert!(found.contains_key(&Detector::Scan), "{found:?}");
}

#[test]
fn a_scan_is_found_although_one_host_in_five_answers_and_whether_the_others_refuse_or_not() {
    let network = Network::new();
    let found = network.found(&tries(60, SECOND, Some((5, SYN | ACK))));
    assert!(found.contains_key(&Detector::Scan), "{found:?}");
    let found = network.found(&tries(60, SECOND, Some((1, RST | ACK))));
    assert!(found.contains_key(&Detector::Scan), "{found:?}");
}

#[test]
fn whoever_is_answered_scans_nothing_whatever_nat_makes_of_it() {
    let network = Network::new();
    for every in [SECOND / 50, SECOND] {
        let found = network.found(&tries(500, every, Some((1, SYN | ACK))));
        assert_eq!(found, BTreeMap::new(), "{every}");
    }
    // Of the peers of a peer-to-peer network, every fourth is gone.
    let mut peers = tries(200, SECOND / 4, Some((1, SYN | ACK)));
    let mut number = 0;
    peers.retain(|(_, packet)| {
        let is_answer = packet.build().get(47).is_some_and(|flags| flags & ACK != 0);
        number += u32::from(is_answer);
        !is_answer || number % 4 != 0
    });
    assert_eq!(network.found(&peers), BTreeMap::new());
}

/// Two networks of ours on one interface, as they are where the card takes VLAN tags off itself: who answers is another than who asked.
#[test]
fn who_answers_by_the_interface_of_the_question_answers_unless_it_is_who_asked() {
    const SERVER: Mac = [2, 0, 0, 0, 0, 7];
    let network = Network::new();
    for (mac, is_scan) in [(SERVER, false), (SENDER, true)] {
        let mut maps = HostMaps::new(&network.tables, 1);
        for number in 0..60 {
            let at = SECOND * u64::from(number + 1);
            let ask = syn(host(number), 445).ethernet(SENDER, ROUTER);
            let _ = maps.run(0, &ask.build(), at);
            let answer = answer(host(number), 445, SYN | ACK).ethernet(mac, ROUTER);
            let _ = maps.run(0, &answer.build(), at + SECOND / 10);
        }
        let events = maps.take_events();
        let mut found = events.iter().filter_map(|event| event.key.detector());
        assert_eq!(found.any(|found| found == Detector::Scan), is_scan);
    }
}

#[test]
fn one_host_asked_again_and_again_and_every_port_of_one_host_are_no_scan() {
    let network = Network::new();
    let again = (0..500).map(|number| (number * SECOND / 10, syn(host(1), 445)));
    assert_eq!(network.found(&again.collect()), BTreeMap::new());
    let ports = (0..2000_u16).map(|port| (u64::from(port) * SECOND / 100, syn(host(1), port)));
    assert_eq!(network.found(&ports.collect()), BTreeMap::new());
    // Five hosts that are down, asked every second for ten minutes.
    let down = (0..600).map(|number| (number * SECOND, syn(host(number as u32 % 5), 445)));
    assert_eq!(network.found(&down.collect()), BTreeMap::new());
}

#[test]
fn datagrams_and_pings_to_silent_hosts_are_sweeps_of_their_own() {
    let network = Network::new();
    let to = |number| PacketBuilder::new().ipv4(INSIDE, host(number));
    let each = |packet: &dyn Fn(u32) -> PacketBuilder| -> Traffic {
        let every = |number| (u64::from(number) * SECOND, packet(number));
        (0..60).map(every).collect()
    };
    let found = network.found(&each(&|number| to(number).udp(40_000, 137)));
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Detector::UdpSweep]);
    let found = network.found(&each(&|number| to(number).icmp(8, 0, [0; 4])));
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Detector::IcmpSweep]);

    // A resolver is answered by all it asks.
    let mut resolver = Traffic::new();
    for number in 0..300 {
        let at = u64::from(number) * SECOND / 10;
        resolver.push((at, to(number).udp(40_000, 53)));
        let back = PacketBuilder::new().ipv4(host(number), [203, 0, 113, 7]);
        resolver.push((at + SECOND / 20, back.udp(53, 61_000)));
    }
    assert_eq!(network.found(&resolver), BTreeMap::new());
}

#[test]
fn a_service_that_answered_once_and_is_silent_now_counts_against_nobody() {
    let network = Network::new();
    let mut traffic = tries(100, SECOND / 10, Some((1, SYN | ACK)));
    // The line is down, and a host tries again all that it knew.
    let outage = 100 * SECOND;
    traffic.extend((0..100).map(|number| {
        (
            outage + u64::from(number) * SECOND,
            PacketBuilder::new()
                .ipv4([10, 0, 0, 6], host(number))
                .tcp(40_000, 445)
                .flags(SYN),
        )
    }));
    assert_eq!(network.found(&traffic), BTreeMap::new());
}

/// Every host that one source tried on one port, and when each answered.
#[derive(Default)]
struct Reference {
    tried: BTreeMap<Ipv4Addr, u64>,
    answered: BTreeSet<Ipv4Addr>,
}

impl Reference {
    /// Hosts that were tried for the first time within the last `window` and did not answer within a second.
    fn silent(&self, now: u64, window: u64) -> usize {
        let is_silent = |(host, at): &(&Ipv4Addr, &u64)| {
            !self.answered.contains(*host) && now - **at > SECOND && now - **at <= window
        };
        self.tried.iter().filter(is_silent).count()
    }
}

/// How a kind of scan looks, and how the answer to it.
struct Kind {
    detector: Detector,
    /// So many silent hosts in a minute are one.
    threshold: usize,
    attempt: fn(Ipv4Addr) -> PacketBuilder,
    answer: fn(Ipv4Addr) -> PacketBuilder,
}

const KINDS: [Kind; 3] = [
    Kind {
        detector: Detector::Scan,
        threshold: 10,
        attempt: |host| syn(host, 23),
        answer: |host| answer(host, 23, SYN | ACK),
    },
    Kind {
        detector: Detector::UdpSweep,
        threshold: 20,
        attempt: |host| PacketBuilder::new().ipv4(INSIDE, host).udp(40_000, 1434),
        answer: |host| {
            let back = PacketBuilder::new().ipv4(host, [203, 0, 113, 7]);
            back.udp(1434, 61_000)
        },
    },
    Kind {
        detector: Detector::IcmpSweep,
        threshold: 20,
        attempt: |host| {
            let ask = PacketBuilder::new().ipv4(INSIDE, host);
            ask.icmp(8, 0, [0; 4])
        },
        answer: |host| {
            let back = PacketBuilder::new().ipv4(host, [203, 0, 113, 7]);
            back.icmp(0, 0, [0; 4])
        },
    },
];

/// At random rates and shares of answers: what the reference is sure of, the detector says too.
#[test]
fn the_detectors_of_scans_agree_with_one_that_remembers_everything() -> Result<()> {
    for kind in &KINDS {
        agrees(kind).with_context(|| kind.detector.name())?;
    }
    Ok(())
}

fn agrees(kind: &Kind) -> Result<()> {
    let network = Network::new();
    let mut dice = Dice::new(11);
    let (mut scans, mut innocents) = (0, 0);
    for round in 0..400 {
        let answers_of_ten = dice.below(11) as u32;
        // Slow enough that every host is looked after.
        let every = SECOND / 4 + dice.roll() % (2 * SECOND);
        let hosts = dice.below(8 * kind.threshold) as u32 + 1;
        let mut reference = Reference::default();
        let mut traffic = Traffic::new();
        let mut now = 0;
        for number in 0..hosts {
            now += every;
            reference.tried.insert(host(number), now);
            traffic.push((now, (kind.attempt)(host(number))));
            if (dice.below(10) as u32) < answers_of_ten {
                reference.answered.insert(host(number));
                traffic.push((now + SECOND / 10, (kind.answer)(host(number))));
            }
        }
        let found = network.found(&traffic);
        let others = found.keys().any(|detector| *detector != kind.detector);
        ensure!(!others, "round {round}: {found:?}");
        let found = found.contains_key(&kind.detector);
        let silent = reference.silent(now, u64::MAX);
        let share = reference.answered.len() * 100 / hosts as usize;
        let case = format!("round {round}: {silent} of {hosts} silent, every {every} ns");
        // Twice the threshold of the short window, in half of it, since windows do not overlap.
        if reference.silent(now, 30 * SECOND) >= 2 * kind.threshold && share <= 20 {
            scans += 1;
            ensure!(found, "{case}");
        }
        if silent < kind.threshold || share >= 80 {
            innocents += 1;
            ensure!(!found, "{case}");
        }
    }
    ensure!(scans > 10 && innocents > 50, "{scans} {innocents}");
    Ok(())
}

fn ask(number: u32) -> PacketBuilder {
    PacketBuilder::new()
        .arp(Arp::request(SENDER, [10, 0, 0, 5], host(number)))
        .pad_to(60)
}

#[test]
fn a_sweep_by_arp_is_found_in_seconds_and_over_minutes_under_every_limit_of_a_rate() {
    let network = Network::new();
    // Twice the threshold in one window, since windows do not overlap: forty in ten seconds, and one in five seconds.
    for (every, count) in [(SECOND / 8, 60), (5 * SECOND, 130)] {
        let sweep = (0..count).map(|number| (u64::from(number) * every, ask(number)));
        let found = network.found(&sweep.collect());
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            [&Detector::ArpSweep],
            "{every}"
        );
    }
}

#[test]
fn neighbours_that_answer_or_have_spoken_and_one_that_is_gone_are_no_sweep() {
    let network = Network::new();
    let mut traffic = Traffic::new();
    for number in 0..200_u32 {
        let at = u64::from(number) * SECOND / 5;
        let [.., high, low] = number.to_be_bytes();
        let mac = [2, 0, 0, 1, high, low];
        let reply = Arp::reply(mac, host(number), SENDER, [10, 0, 0, 5]);
        if number % 2 == 0 {
            // It speaks first.
            let announcement = Arp::announcement(mac, host(number));
            traffic.push((at, PacketBuilder::new().arp(announcement)));
            traffic.push((at + 1, ask(number)));
        } else {
            traffic.push((at, ask(number)));
            traffic.push((at + 1, PacketBuilder::new().arp(reply)));
        }
        traffic.push((at + 2, ask(1_000_000)));
    }
    assert_eq!(network.found(&traffic), BTreeMap::new());
}

/// The same over IPv6: whoever looks for neighbours asks for every address of a prefix, and hardly any exists.
/// A request to one host, which nobody counts, says whose each address of the network is before they are asked for.
#[test]
fn who_names_itself_the_owner_of_every_address_in_unicast_requests_sweeps_still() {
    let network = Network::new();
    let mut traffic = Traffic::new();
    for number in 0..200 {
        let claim = Arp::request(SENDER, host(number), [192, 0, 2, 1]);
        let claim = PacketBuilder::new().arp(claim).ethernet(SENDER, ROUTER);
        traffic.push((u64::from(number) * SECOND / 50, claim));
        traffic.push((20 * SECOND + u64::from(number) * SECOND, ask(number)));
    }
    traffic.sort_by_key(|(at, _)| *at);
    assert!(network.found(&traffic).contains_key(&Detector::ArpSweep));
}

#[test]
fn a_sweep_by_neighbour_discovery_is_found_and_who_is_answered_sweeps_nothing() {
    let network = Network::new();
    let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
    let target = |number: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, number);
    let ask = |number| PacketBuilder::new().solicitation(SENDER, own, target(number));
    for (every, count) in [(SECOND / 8, 60), (5 * SECOND, 130)] {
        let sweep = (0..count).map(|number| (u64::from(number) * every, ask(number)));
        let found = network.found(&sweep.collect());
        assert_eq!(found.keys().collect::<Vec<_>>(), [&Detector::NdSweep]);
    }
    let mut answered = Traffic::new();
    for number in 0..200_u16 {
        let at = u64::from(number) * SECOND / 5;
        let [high, low] = number.to_be_bytes();
        let mac = [2, 0, 0, 2, high, low];
        let says = PacketBuilder::new().advertisement(
            mac,
            target(number),
            (SENDER, own),
            SOLICITED | OVERRIDE,
        );
        answered.push((at, ask(number)));
        answered.push((at + SECOND / 10, says));
        // A refresh, and one that is gone.
        answered.push((at + 1, ask(number).ethernet(SENDER, mac)));
        answered.push((at + 2, ask(60_000)));
    }
    assert_eq!(network.found(&answered), BTreeMap::new());
    // Asked without end, a host is a flood, and so is one that tells all without being asked.
    let flood = (0..400).map(|number| (number * SECOND / 100, ask(7)));
    let found = network.found(&flood.collect());
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Detector::NdFlood]);
    let all = (
        [0x33, 0x33, 0, 0, 0, 1],
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    );
    let tell = || PacketBuilder::new().advertisement(SENDER, own, all, OVERRIDE);
    let flood = (0..2000).map(|number| (number * SECOND / 400, tell()));
    let found = network.found(&flood.collect());
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Detector::NdFlood]);
}

/// The estimate of a sweep's targets against the exact number, over many senders.
#[test]
fn the_targets_of_a_sweep_are_told_within_the_error_that_is_stated() -> Result<()> {
    let network = Network::new();
    let (mut within_one, mut within_three, rounds) = (0, 0, 60_u32);
    for round in 0..rounds {
        let mut replay = Replay::new(&network.tables);
        for number in 0..303 {
            let frame = ask(round * 1000 + number).build();
            let at = SECOND + u64::from(number) * SECOND / 10;
            let _ = replay.classify(&Frame::whole(&frame), 0, at);
        }
        let found = replay.findings().iter();
        let mut sweeps = found.filter(|(key, _)| key.detector() == Some(Detector::ArpSweep));
        let (_, sweep) = sweeps.next().context("no sweep")?;
        let targets = sketch::estimate(256, sweep.reach.targets_ones);
        let error = targets.abs_diff(303);
        // 5.5 % of 303 are 17.
        within_one += u32::from(error <= 17);
        within_three += u32::from(error <= 51);
    }
    assert!(within_one * 100 / rounds >= 55, "{within_one} of {rounds}");
    assert_eq!(within_three, rounds);
    Ok(())
}

#[test]
fn a_poisoner_is_told_and_a_router_with_a_virtual_address_is_not() {
    let network = Network::new();
    let gateway = [192, 0, 2, 1];
    let own: Mac = [2, 0, 0, 0, 0, 1];
    let victim: Mac = [2, 0, 0, 0, 0, 2];
    let claim = |mac: Mac| {
        let reply = Arp::reply(mac, gateway, victim, [192, 0, 2, 2]);
        PacketBuilder::new().arp(reply).pad_to(60)
    };
    let poison = |mac: Mac| -> Traffic {
        let mut traffic = vec![(0, claim(own))];
        traffic.extend((1..6).map(|number| (number * 2 * SECOND, claim(mac))));
        traffic
    };
    let found = network.found(&poison(SENDER));
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Detector::ArpSpoof]);
    assert_eq!(network.found(&poison(own)), BTreeMap::new());

    let virtual_router: Mac = [0, 0, 0x5e, 0, 1, 7];
    let from = |mac: Mac| claim(virtual_router).ethernet(mac, victim);
    let failover = (0..10).map(|number| {
        let master = if number < 5 { own } else { victim };
        (number * SECOND, from(master))
    });
    assert_eq!(network.found(&failover.collect()), BTreeMap::new());
}

#[test]
fn a_sweep_is_alerted_and_nothing_of_it_is_dropped_by_default_even_when_enforcing() {
    let mut network = Network::new();
    network.tables.config = Config::DEFAULT.with_mode(Mode::Enforce);
    let mut replay = Replay::new(&network.tables);
    for (at, packet) in tries(200, SECOND / 4, None) {
        let decision = replay.classify(&Frame::whole(&packet.build()), 0, SECOND + at);
        assert_eq!(decision.verdict, Verdict::PASS);
    }
    let scans = replay.counters().any(|(reason, ..)| reason == Reason::Scan);
    assert!(scans);
}

#[test]
fn a_limited_scanner_goes_on_at_the_limit_and_its_other_ports_are_free() {
    let mut network = Network::new();
    network.tables.config = Config::DEFAULT
        .with_mode(Mode::Enforce)
        .with_policy(Detector::Scan, Policy::Limit);
    let mut replay = Replay::new(&network.tables);
    let mut dropped = 0;
    let seconds = 100_u32;
    for (at, packet) in tries(4 * seconds, SECOND / 4, None) {
        let decision = replay.classify(&Frame::whole(&packet.build()), 0, SECOND + at);
        dropped += u32::from(!decision.verdict.passes());
    }
    let found = replay.counters();
    let scans = found.filter(|(reason, ..)| *reason == Reason::Scan);
    let scans: u64 = scans.map(|(_, _, counter)| counter.packets).sum();
    // Of four a second, one passes.
    let expected = scans * 3 / 4;
    assert!(
        expected.abs_diff(dropped.into()) <= 2,
        "{dropped} of {scans}"
    );
    assert!(scans > 300, "{scans}");
    let other = syn(host(9), 443).build();
    let decision = replay.classify(&Frame::whole(&other), 0, 200 * SECOND);
    assert!(decision.verdict.passes());
}

/// A scan can be forged, in the name of whoever is to lose his connections.
#[test]
fn a_source_in_whose_name_somebody_scans_still_reaches_what_answers() {
    let mut network = Network::new();
    network.tables.config = Config::DEFAULT
        .with_mode(Mode::Enforce)
        .with_policy(Detector::Scan, Policy::Drop);
    let mut replay = Replay::new(&network.tables);
    let mut run = |packet: PacketBuilder, at: u64| {
        let decision = replay.classify(&Frame::whole(&packet.build()), 0, SECOND + at);
        decision.verdict
    };
    let server = host(1_000);
    assert!(run(syn(server, 445), 0).passes());
    assert!(run(answer(server, 445, SYN | ACK), SECOND / 10).passes());
    let mut dropped = 0;
    for number in 0..200 {
        let at = SECOND + u64::from(number) * SECOND / 4;
        dropped += u32::from(!run(syn(host(number), 445), at).passes());
        assert!(run(syn(server, 445), at + SECOND / 8).passes(), "{number}");
    }
    assert!(dropped > 100, "{dropped}");
}
