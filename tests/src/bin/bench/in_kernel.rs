//! The program alone, by `BPF_PROG_TEST_RUN`: nanoseconds a packet, beside the empty program and xdp-filter.
//!
//! Everything runs in turns, row by row and round by round, so that what else the machine does meets all alike.

use anyhow::{Context as _, Result, ensure};
use aya::programs::Xdp;
use detector::tables::Tables;
use detector_common::{config::Config, verdict::Verdict};
use detector_tests::{builder::Route, lab::ETH0};
use serde::Serialize;

use crate::{
    clock::on_first_cpu,
    packets::{MANY_SENDERS_MASK, Packet, Varied},
    programs::{Detector, Floor, enforced, entry_of, run, run_to},
    statistic::{Spread, ratios},
    xdp_filter::{Features, XdpFilter},
};

/// What was measured.
#[derive(Serialize)]
pub(crate) struct InKernel {
    pub(crate) rounds: u32,
    /// Instructions of the detector's program that the verifier went through.
    pub(crate) verified_instructions: Option<u32>,
    /// xdp-filter's programs, in the order of [`Row::peers`].
    pub(crate) peers: Vec<Peer>,
    pub(crate) rows: Vec<Row>,
}

/// Another program.
#[derive(Serialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// What it was told.
    pub(crate) rules: &'static str,
    /// Its entry: the program that a packet meets first.
    pub(crate) entry: Option<String>,
    /// Why it was not measured.
    pub(crate) missing: Option<String>,
}

/// One kind of packet.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) packet: &'static str,
    pub(crate) bytes: usize,
    pub(crate) goal: Option<f64>,
    /// Whether each packet comes from a source of its own.
    pub(crate) random_senders: bool,
    /// The empty program.
    pub(crate) floor_ns: Spread,
    /// The yardstick.
    pub(crate) yardstick_ns: Spread,
    /// What the detector takes longer than the empty program, in units of what the yardstick takes longer.
    pub(crate) work: Spread,
    pub(crate) detector: Cost,
    /// Nothing where it is missing.
    pub(crate) peers: Vec<Option<Cost>>,
}

/// What a program costs for a packet, and what it makes of it.
#[derive(Serialize)]
pub(crate) struct Cost {
    pub(crate) verdict: &'static str,
    pub(crate) ns: Spread,
    /// To the empty program in the same round.
    pub(crate) ratio: Spread,
}

/// xdp-filter, loaded.
struct Entry {
    program: Xdp,
    name: String,
    /// Keeps it loaded.
    _filter: XdpFilter,
}

impl Entry {
    fn load(features: Features) -> Result<Self> {
        let filter = XdpFilter::load(features)?;
        let (program, name) = entry_of(filter.host(), ETH0)?;
        Ok(Self {
            program,
            name,
            _filter: filter,
        })
    }
}

/// Everything that is run.
struct Programs {
    detector: Detector,
    floor: Floor,
    peers: Vec<(Features, Result<Entry>)>,
}

/// What one kind of packet has cost so far.
struct Samples {
    packet: Packet,
    tables: Tables,
    floor: Vec<f64>,
    yardstick: Vec<f64>,
    detector: Vec<f64>,
    peers: Vec<Option<(Verdict, Vec<f64>)>>,
}

/// Measures every kind of packet, in the detector and, if `with_peers`, in xdp-filter.
pub(crate) fn measure(rounds: u32, with_peers: bool, packets: Vec<Packet>) -> Result<InKernel> {
    on_first_cpu(|| measure_here(rounds, with_peers, packets))
}

fn measure_here(rounds: u32, with_peers: bool, packets: Vec<Packet>) -> Result<InKernel> {
    let features: &[Features] = if with_peers {
        &[Features::Tcp, Features::All]
    } else {
        &[]
    };
    let mut programs = Programs {
        detector: Detector::load(&enforced(&Config::DEFAULT))?,
        floor: Floor::load(MANY_SENDERS_MASK)?,
        peers: features
            .iter()
            .map(|&features| (features, Entry::load(features)))
            .collect(),
    };
    let samples = packets.into_iter().map(|packet| {
        Ok(Samples {
            tables: enforced(&packet.config),
            packet,
            floor: Vec::new(),
            yardstick: Vec::new(),
            detector: Vec::new(),
            peers: features.iter().map(|_| None).collect(),
        })
    });
    let mut samples = samples.collect::<Result<Vec<Samples>>>()?;
    for _ in 0..rounds {
        for samples in &mut samples {
            let name = samples.packet.name;
            samples.take_one(&mut programs).context(name)?;
        }
    }
    Ok(InKernel {
        rounds,
        verified_instructions: programs.detector.kernel.verified_instructions()?,
        peers: programs.peers.iter().map(Peer::of).collect(),
        rows: samples.iter().map(Samples::row).collect(),
    })
}

impl Samples {
    /// Runs every program once.
    fn take_one(&mut self, programs: &mut Programs) -> Result<()> {
        let Programs {
            detector,
            floor,
            peers,
        } = programs;
        detector.kernel.maps_mut().set_tables(&self.tables)?;
        if self.packet.is_blocked {
            detector.block(Route::default().src_ip, self.tables.config.hash_seed)?;
        }
        let Packet { frame, verdict, .. } = &self.packet;
        // Once for the caches, which the tables have been through.
        run_to(floor.of(*verdict)?, frame, *verdict)?;
        let before = run_to(floor.of(*verdict)?, frame, *verdict)?;
        self.yardstick
            .push(run_to(floor.yardstick()?, frame, Verdict::PASS)?);
        let mut cost = |program: &Xdp| match self.packet.varied {
            Some(varied) => floor.run_varied(varied, program, frame, before),
            None => run(program, frame),
        };
        let (ours, found) = cost(detector.program()?)?;
        ensure!(
            found == *verdict,
            "the verdict is {} where {} was expected",
            found.name(),
            verdict.name()
        );
        self.detector.push(ours);
        for ((_, entry), samples) in peers.iter().zip(&mut self.peers) {
            if let Ok(entry) = entry {
                let (theirs, found) = cost(&entry.program)?;
                samples.get_or_insert((found, Vec::new())).1.push(theirs);
            }
        }
        // Before and after: nobody is compared with a machine that has become slower or faster meanwhile.
        let after = run_to(floor.of(*verdict)?, frame, *verdict)?;
        self.floor.push(f64::midpoint(before, after));
        Ok(())
    }

    fn row(&self) -> Row {
        let cost = |verdict: Verdict, samples: &[f64]| {
            let ns = Spread::of(samples.iter().copied());
            Cost {
                verdict: verdict.name(),
                ns,
                ratio: Spread::of(ratios(samples, &self.floor)),
            }
        };
        Row {
            packet: self.packet.name,
            bytes: self.packet.frame.len(),
            goal: self.packet.goal,
            random_senders: matches!(self.packet.varied, Some(Varied::Mac | Varied::Host)),
            floor_ns: Spread::of(self.floor.iter().copied()),
            yardstick_ns: Spread::of(self.yardstick.iter().copied()),
            work: Spread::of(ratios(
                &above(&self.detector, &self.floor),
                &above(&self.yardstick, &self.floor),
            )),
            detector: cost(self.packet.verdict, &self.detector),
            peers: self
                .peers
                .iter()
                .map(|samples| {
                    samples
                        .as_ref()
                        .map(|(verdict, costs)| cost(*verdict, costs))
                })
                .collect(),
        }
    }
}

/// What each costs more than the empty program beside it.
fn above(costs: &[f64], floors: &[f64]) -> Vec<f64> {
    let pairs = costs.iter().zip(floors);
    pairs.map(|(cost, floor)| cost - floor).collect()
}

impl InKernel {
    /// What the yardstick takes longer than the empty program, in nanoseconds: the median of all kinds of packets.
    pub(crate) fn yardstick_ns(&self) -> f64 {
        let above = self.rows.iter();
        Spread::of(above.map(|row| row.yardstick_ns.median - row.floor_ns.median)).median
    }
}

impl Peer {
    fn of((features, entry): &(Features, Result<Entry>)) -> Self {
        Self {
            name: format!("xdp-filter {}", features.name()),
            rules: features.rules(),
            entry: entry.as_ref().ok().map(|entry| entry.name.clone()),
            missing: entry.as_ref().err().map(|error| format!("{error:#}")),
        }
    }
}
