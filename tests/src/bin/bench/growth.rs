//! How the cost of a packet grows: with signatures, with sources, with its payload, with CPUs at work.

use std::{fmt::Write as _, panic::resume_unwind, path::Path, sync::Barrier, thread};

use anyhow::{Context as _, Result, ensure};
use detector::{
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    config::{Config, Mode},
    verdict::Verdict,
};
use detector_tests::{
    builder::{PacketBuilder, Route},
    cpu,
    worms::{self, FULL_SEGMENT, benign},
};
use serde::Serialize;

use crate::{
    clock::on_first_cpu,
    packets::{HTTP, Varied, http_request, http_requests},
    programs::{Detector, Floor, enforced, run_to},
    statistic::{Spread, ratios},
};

/// What grows, and how the cost does.
#[derive(Serialize)]
pub(crate) struct Growth {
    /// What grows.
    pub(crate) of: &'static str,
    /// What is to be known about it.
    pub(crate) note: String,
    pub(crate) curves: Vec<Curve>,
}

/// One kind of packet.
#[derive(Serialize)]
pub(crate) struct Curve {
    pub(crate) packet: &'static str,
    pub(crate) points: Vec<Point>,
}

/// One measurement.
#[derive(Serialize)]
pub(crate) struct Point {
    pub(crate) x: u32,
    pub(crate) ns: Spread,
    /// To the empty program in the same round.
    pub(crate) ratio: Spread,
}

/// Measures every curve.
pub(crate) fn measure(rounds: u32) -> Result<Vec<Growth>> {
    let growth = on_first_cpu(|| {
        Ok(vec![
            rules(rounds).context("growth with rules")?,
            request_rules(rounds).context("growth with rules of requests")?,
            sources(rounds).context("growth with sources")?,
            payload(rounds).context("growth with the payload")?,
        ])
    });
    let mut growth = growth?;
    growth.push(cpus(rounds).context("growth with CPUs")?);
    Ok(growth)
}

/// How many rules there are.
const RULES: [u32; 5] = [1, 10, 100, 1000, 10_000];

/// Rules that look for something anywhere in a payload to the HTTP port.
fn rules(rounds: u32) -> Result<Growth> {
    let route = Route::default();
    let note = "each looks for a path anywhere in a payload of 1460 bytes, segments in order; an attacker sends nothing but beginnings of such paths";
    with_more("rules", note, "", rounds, |count| {
        let clean = http_request(&route, FULL_SEGMENT);
        let worm = worms::nimda(&route, &path(count - 1));
        [
            ("HTTP request, none found", clean, Verdict::PASS),
            ("probe of the last rule", worm, Verdict::DROP),
            (
                "what hits the filter everywhere",
                attack(&route, count),
                Verdict::PASS,
            ),
        ]
    })
}

/// Rules that look for something in the targets of requests.
fn request_rules(rounds: u32) -> Result<Growth> {
    let route = Route::default();
    let note = "each looks for a path in `http.uri`, segments in order; none is found";
    with_more("rules of requests", note, "http.uri; ", rounds, |_| {
        let (one, eight) = (http_request(&route, FULL_SEGMENT), http_requests(&route));
        [
            ("one HTTP request, 1460 bytes", one, Verdict::PASS),
            ("eight requests, all encoded", eight, Verdict::PASS),
        ]
    })
}

/// What packets cost with more and more rules that look for a path each in a buffer. `packets` gives those for so many rules, each with its name and what
/// becomes of it.
fn with_more<const N: usize>(
    of: &'static str,
    note: &str,
    buffer: &str,
    rounds: u32,
    packets: impl Fn(u32) -> [(&'static str, PacketBuilder, Verdict); N],
) -> Result<Growth> {
    let mut detector = Detector::load(&enforced(&Config::DEFAULT))?;
    let mut floor = Floor::load(0)?;
    let mut curves = Vec::new();
    for count in RULES {
        let tables = with_each(count, buffer)?;
        detector.kernel.maps_mut().set_tables(&tables)?;
        for (index, (name, packet, verdict)) in packets(count).into_iter().enumerate() {
            let point = in_order(count, rounds, &mut detector, &mut floor, &packet, verdict)?;
            if curves.len() == index {
                curves.push(curve(name, Vec::new()));
            }
            let curve: &mut Curve = curves.get_mut(index).context("no curve")?;
            curve.points.push(point);
        }
    }
    Ok(Growth {
        of,
        note: note.to_owned(),
        curves,
    })
}

/// The tables of so many rules that look for a path each in a buffer; in the payload, if it is none. Enforced.
fn with_each(count: u32, buffer: &str) -> Result<Tables> {
    let mut text = String::new();
    for number in 0..count {
        let (path, sid) = (path(number), number + 1);
        writeln!(
            text,
            "drop tcp any any -> any 80 ({buffer}content:\"{path}\"; sid:{sid};)"
        )?;
    }
    let set = RuleSet::from_bytes(Path::new("synthetic.rules"), text.as_bytes());
    let config = Config::DEFAULT.with_mode(Mode::Enforce);
    let tables = Tables::new(
        config,
        HashSeed::secret(),
        &set.rules,
        &Variables::default(),
    );
    ensure!(
        set.refusals.is_empty() && tables.refused.is_empty(),
        "{} rules do not compile: {:?}",
        count,
        tables.refused.first()
    );
    Ok(tables)
}

/// A path that is none other's anywhere: its letters are drawn from its number.
fn path(number: u32) -> String {
    let mut state = u64::from(number) + 1;
    let letters = (0..10).map(|_| {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        char::from(b"abcdefghijklmnopqrstuvwxyz0123456789_-"[(state >> 40) as usize % 38])
    });
    format!("/{}.cgi", letters.collect::<String>())
}

/// A segment of nothing but beginnings of what rules look for: each begins as one does, and does not go on so.
fn attack(route: &Route, rules: u32) -> PacketBuilder {
    let beginnings = (0..).flat_map(|number| {
        let mut path = path(number % rules).into_bytes();
        path.truncate(path.len() - 1);
        path.push(b'!');
        path
    });
    let payload: Vec<_> = beginnings.take(FULL_SEGMENT).collect();
    route.ipv4().tcp(route.src_port, HTTP).payload(&payload)
}

fn sources(rounds: u32) -> Result<Growth> {
    let mut detector = Detector::load(&enforced(&Config::DEFAULT))?;
    let frame = benign::arp_request(&Route::default()).build();
    let mut points = Vec::new();
    for bits in (0..=20).step_by(4) {
        let senders = 1 << bits;
        let mut floor = Floor::load(senders - 1)?;
        let (mut costs, mut bases) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let base = run_to(floor.of(Verdict::DROP)?, &frame, Verdict::DROP)?;
            let (cost, _) = floor.run_varied(Varied::Mac, detector.program()?, &frame, base)?;
            // The first fills the table.
            if round > 0 {
                costs.push(cost);
                bases.push(base);
            }
        }
        points.push(Point::new(senders, &costs, &bases));
    }
    Ok(Growth {
        of: "sources",
        note: "each packet from one of them by chance; the table holds 8,192 of them a CPU"
            .to_owned(),
        curves: vec![curve("ARP request", points)],
    })
}

fn payload(rounds: u32) -> Result<Growth> {
    let mut detector = Detector::load(&enforced(&Config::DEFAULT))?;
    let floor = Floor::load(0)?;
    let route = Route::default();
    let (mut watched, mut unwatched) = (Vec::new(), Vec::new());
    for bytes in [0, 64, 128, 256, 512, 768, 1024, FULL_SEGMENT] {
        let request = http_request(&route, bytes);
        let response = route.ipv4().tcp(80, route.src_port);
        let response = response.payload(&vec![b'x'; bytes]);
        for (points, packet) in [(&mut watched, &request), (&mut unwatched, &response)] {
            let verdict = Verdict::PASS;
            points.push(point(
                bytes as u32,
                rounds,
                &mut detector,
                &floor,
                packet,
                verdict,
            )?);
        }
    }
    Ok(Growth {
        of: "payload bytes",
        note: "of what goes to an HTTP port every byte is looked at; of what comes from one none"
            .to_owned(),
        curves: vec![
            curve("HTTP request", watched),
            curve("HTTP response", unwatched),
        ],
    })
}

/// Every CPU runs the program at the same time as the others; what a packet costs each of them.
fn cpus(rounds: u32) -> Result<Growth> {
    let mut detector = Detector::load(&enforced(&Config::DEFAULT))?;
    let program = detector.program()?;
    let floor = Floor::load(0)?;
    let empty = floor.of(Verdict::DROP)?;
    let allowed = cpu::allowed()?;
    let all = allowed.len();
    let route = Route::default();
    let kinds = [
        ("ARP request above its limit", benign::arp_request(&route)),
        ("Code Red", worms::code_red(&route)),
    ];
    let mut curves = Vec::new();
    for (name, packet) in kinds {
        let frame = packet.build();
        let mut points = Vec::new();
        for count in (1..=all).filter(|count| count.is_power_of_two() || *count == all) {
            let start = Barrier::new(count);
            let work = |cpu: usize| -> Result<Vec<(f64, f64)>> {
                let held = cpu::hold(cpu);
                start.wait();
                held?;
                // The first few ARP requests of a CPU are within the limit, so the last one's verdict counts.
                (0..rounds)
                    .map(|_| {
                        let base = run_to(empty, &frame, Verdict::DROP)?;
                        Ok((run_to(program, &frame, Verdict::DROP)?, base))
                    })
                    .collect()
            };
            let samples = thread::scope(|scope| {
                let threads: Vec<_> = allowed
                    .iter()
                    .take(count)
                    .map(|&cpu| {
                        let work = &work;
                        scope.spawn(move || work(cpu))
                    })
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
                    .collect::<Result<Vec<_>>>()
            })?;
            let (costs, bases): (Vec<f64>, Vec<f64>) = samples.into_iter().flatten().unzip();
            points.push(Point::new(count as u32, &costs, &bases));
        }
        curves.push(curve(name, points));
    }
    Ok(Growth {
        of: "CPUs at work",
        note: "each of them; level means twice the CPUs, twice the packets".to_owned(),
        curves,
    })
}

fn point(
    x: u32,
    rounds: u32,
    detector: &mut Detector,
    floor: &Floor,
    packet: &PacketBuilder,
    verdict: Verdict,
) -> Result<Point> {
    let frame = packet.build();
    let program = detector.program()?;
    let (mut costs, mut bases) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bases.push(run_to(floor.of(verdict)?, &frame, verdict)?);
        costs.push(run_to(program, &frame, verdict)?);
    }
    Ok(Point::new(x, &costs, &bases))
}

/// As [`point`], of segments that come in order.
fn in_order(
    x: u32,
    rounds: u32,
    detector: &mut Detector,
    floor: &mut Floor,
    packet: &PacketBuilder,
    verdict: Verdict,
) -> Result<Point> {
    let frame = packet.build();
    let (mut costs, mut bases) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let base = run_to(floor.of(verdict)?, &frame, verdict)?;
        let (cost, found) =
            floor.run_varied(Varied::Sequence, detector.program()?, &frame, base)?;
        ensure!(
            found == verdict,
            "the verdict is {} where {} was expected",
            found.name(),
            verdict.name()
        );
        bases.push(base);
        costs.push(cost);
    }
    Ok(Point::new(x, &costs, &bases))
}

fn curve(packet: &'static str, points: Vec<Point>) -> Curve {
    Curve { packet, points }
}

impl Point {
    fn new(x: u32, costs: &[f64], bases: &[f64]) -> Self {
        Self {
            x,
            ns: Spread::of(costs.iter().copied()),
            ratio: Spread::of(ratios(costs, bases)),
        }
    }
}
