//! How the cost of a packet grows: with signatures, with sources, with its payload, with CPUs at work.

use std::{panic::resume_unwind, sync::Barrier, thread};

use anyhow::{Context as _, Result, ensure};
use detector_common::{
    config::Config,
    detect::signature::{
        compile::{CompileError, compile},
        table::ROWS_MAX,
        worms::{Severity, Signature, Test, Traffic},
    },
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
    packets::{Random, http_request},
    programs::{Detector, Floor, HTTP_PORTS, enforced, run_to},
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
            signatures(rounds).context("growth with signatures")?,
            sources(rounds).context("growth with sources")?,
            payload(rounds).context("growth with the payload")?,
        ])
    });
    let mut growth = growth?;
    growth.push(cpus(rounds).context("growth with CPUs")?);
    Ok(growth)
}

fn signatures(rounds: u32) -> Result<Growth> {
    let counts = [1, 10, 20, 30, 40, 50, ROWS_MAX];
    let mut detector = Detector::load(&enforced(&Config::DEFAULT)?)?;
    let floor = Floor::load(0)?;
    let route = Route::default();
    let clean = http_request(&route, FULL_SEGMENT);
    let (mut searched, mut found) = (Vec::new(), Vec::new());
    for count in counts {
        let mut tables = enforced(&Config::DEFAULT)?;
        let rows = synthetic(count);
        compile(&mut tables.signatures, &rows, HTTP_PORTS)?;
        detector.kernel.maps_mut().set_tables(&tables)?;
        let last = rows.last().context("no signature")?;
        // Any request for a path.
        let worm = worms::nimda(&route, last.name);
        for (points, packet, verdict) in [
            (&mut searched, &clean, Verdict::PASS),
            (&mut found, &worm, Verdict::DROP),
        ] {
            points.push(point(
                count as u32,
                rounds,
                &mut detector,
                &floor,
                packet,
                verdict,
            )?);
        }
    }
    let more = compile(
        &mut enforced(&Config::DEFAULT)?.signatures,
        &synthetic(ROWS_MAX + 1),
        HTTP_PORTS,
    );
    ensure!(
        more == Err(CompileError::TooManyRows),
        "{} signatures were not refused: {more:?}",
        ROWS_MAX + 1
    );
    Ok(Growth {
        of: "signatures",
        note: format!("the table holds {ROWS_MAX}, and refuses one more"),
        curves: vec![
            curve("HTTP request, none found", searched),
            curve("probe of the last signature", found),
        ],
    })
}

/// Signatures that differ in three digits of a path.
fn synthetic(count: usize) -> Vec<Signature> {
    (0..count)
        .map(|number| {
            // Signatures are constants, and these are needed until the program ends.
            let path: &'static str = format!("/{number:03}-probe.cgi").leak();
            let text: &'static str = format!("GET {path}").leak();
            Signature {
                id: number as u16 + 1,
                name: path,
                title: "",
                severity: Severity::Low,
                reference: "",
                traffic: Traffic::Http,
                tests: Box::leak(Box::new([Test::Text { at: 0, text }])),
            }
        })
        .collect()
}

fn sources(rounds: u32) -> Result<Growth> {
    let mut detector = Detector::load(&enforced(&Config::DEFAULT)?)?;
    let frame = benign::arp_request(&Route::default()).build();
    let mut points = Vec::new();
    for bits in (0..=20).step_by(4) {
        let senders = 1 << bits;
        let mut floor = Floor::load(senders - 1)?;
        let (mut costs, mut bases) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let base = run_to(floor.of(Verdict::DROP)?, &frame, Verdict::DROP)?;
            let (cost, _) = floor.run_random(Random::Mac, detector.program()?, &frame, base)?;
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
    let mut detector = Detector::load(&enforced(&Config::DEFAULT)?)?;
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
        note: "a pattern stands at a known place near the start, so the rest is not read"
            .to_owned(),
        curves: vec![
            curve("HTTP request", watched),
            curve("HTTP response", unwatched),
        ],
    })
}

/// Every CPU runs the program at the same time as the others; what a packet costs each of them.
fn cpus(rounds: u32) -> Result<Growth> {
    let mut detector = Detector::load(&enforced(&Config::DEFAULT)?)?;
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
