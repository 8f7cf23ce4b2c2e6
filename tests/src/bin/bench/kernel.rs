//! The kernel program, by `BPF_PROG_TEST_RUN`: nanoseconds a packet, and as a ratio to the empty program.

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::ProgramArray,
    programs::{TestRun as _, TestRunOptions, Xdp},
};
use detector::{
    agent::kernel::{BENCH_OBJECT, Kernel},
    tables::{HashSeed, Tables},
};
use detector_common::{
    config::{Config, Mode},
    verdict::Verdict,
};
use detector_tests::{builder::Route, lab::PrivateBpffs, worms, worms::benign};

/// How often the kernel repeats a packet in one measurement.
const REPEAT: u32 = 500_000;
/// The actions of XDP that a row may end with.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// One kind of packet.
struct Row {
    name: &'static str,
    frame: Vec<u8>,
    verdict: Verdict,
    /// Whether each packet comes from a sender of its own.
    random_senders: bool,
    /// The most it may cost, as a ratio to the floor.
    goal: Option<f64>,
}

fn rows() -> Vec<Row> {
    let route = Route::default();
    let row = |name, frame, verdict, goal| Row {
        name,
        frame,
        verdict,
        random_senders: false,
        goal,
    };
    let arp = benign::arp_request(&route).build();
    vec![
        row(
            "ARP request, 60 B, limited",
            arp.clone(),
            Verdict::DROP,
            Some(2.0),
        ),
        Row {
            random_senders: true,
            ..row(
                "ARP request, 1,048,576 random senders",
                arp,
                Verdict::DROP,
                Some(2.5),
            )
        },
        row(
            "Code Red, 1514 B, dropped",
            worms::code_red(&route).build(),
            Verdict::DROP,
            Some(2.0),
        ),
        row(
            "HTTP response, 1514 B, passed",
            benign::http_response(&route).build(),
            Verdict::PASS,
            Some(1.5),
        ),
        row(
            "HTTP request, passed",
            benign::http_request(&route).build(),
            Verdict::PASS,
            None,
        ),
        row(
            "SYN to port 80, passed",
            benign::syn(&route, 80).build(),
            Verdict::PASS,
            None,
        ),
        row(
            "DNS query, passed",
            benign::dns_query(&route).build(),
            Verdict::PASS,
            None,
        ),
        row(
            "SQL Slammer, dropped",
            worms::slammer(&route).build(),
            Verdict::DROP,
            None,
        ),
    ]
}

/// Measures every row and prints it beside its floor.
pub(crate) fn measure(rounds: u32) -> Result<()> {
    let bpffs = PrivateBpffs::new()?;
    let tables = Tables::new(
        Config::DEFAULT.with_mode(Mode::Enforce),
        HashSeed::secret(),
        &[80, 8080],
    )?;
    let mut kernel = Kernel::load(&tables, 1, &bpffs.path().join("bench"))?;
    let mut floor = Floor::load()?;
    println!(
        "kernel program: {} instructions verified; BPF_PROG_TEST_RUN, median of {rounds}, {REPEAT} packets each",
        kernel
            .program(0)?
            .info()?
            .verified_instruction_count()
            .context("the kernel does not count verified instructions")?
    );
    println!(
        "{:<40} {:>9} {:>9} {:>7} {:>7}",
        "packet", "floor ns", "ns", "ratio", "goal"
    );
    for row in rows() {
        let program = kernel.program(0)?;
        floor.next(program)?;
        let (mut floors, mut costs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let base = run(floor.of(row.verdict)?, &row)?;
            let cost = if row.random_senders {
                // What giving the packet a sender costs is no cost of the program's.
                let with_program = run(floor.program("random_sender")?, &row)?;
                floor.next_is_floor()?;
                let alone = run(floor.program("random_sender")?, &row)?;
                floor.next(program)?;
                with_program - (alone - base)
            } else {
                run(program, &row)?
            };
            floors.push(base);
            costs.push(cost);
            ratios.push(cost / base);
        }
        println!(
            "{:<40} {:>9.1} {:>9.1} {:>6.2}x {:>7}",
            row.name,
            median(&mut floors),
            median(&mut costs),
            median(&mut ratios),
            row.goal
                .map_or_else(String::new, |goal| format!("{goal:.1}x"))
        );
    }
    Ok(())
}

/// The empty programs.
struct Floor {
    object: Ebpf,
    next: ProgramArray<aya::maps::MapData>,
}

impl Floor {
    fn load() -> Result<Self> {
        let mut object = EbpfLoader::new().load(BENCH_OBJECT)?;
        for (_, program) in object.programs_mut() {
            <&mut Xdp>::try_from(program)?.load()?;
        }
        let next = object.take_map("NEXT").context("no map NEXT")?.try_into()?;
        Ok(Self { object, next })
    }

    fn program(&self, name: &str) -> Result<&Xdp> {
        let program = self.object.program(name);
        Ok(program
            .with_context(|| format!("no program {name}"))?
            .try_into()?)
    }

    /// The empty program that does what the row's packet meets.
    fn of(&self, verdict: Verdict) -> Result<&Xdp> {
        self.program(match verdict {
            Verdict::DROP => "floor_drop",
            _ => "floor_pass",
        })
    }

    /// Has `random_sender` hand its packets to `program`.
    fn next(&mut self, program: &Xdp) -> Result<()> {
        Ok(self.next.set(0, program.fd()?, 0)?)
    }

    fn next_is_floor(&mut self) -> Result<()> {
        let floor = self.program("floor_drop")?.fd()?.try_clone()?;
        Ok(self.next.set(0, &floor, 0)?)
    }
}

/// Runs a program over the row's packet and gives the nanoseconds of one.
fn run(program: &Xdp, row: &Row) -> Result<f64> {
    let result = program.test_run(TestRunOptions {
        data_in: Some(&row.frame),
        repeat: REPEAT,
        ..TestRunOptions::new()
    })?;
    let expected = match row.verdict {
        Verdict::DROP => XDP_DROP,
        _ => XDP_PASS,
    };
    ensure!(
        result.return_value == expected,
        "{}: XDP action {} where {expected} was expected",
        row.name,
        result.return_value
    );
    Ok(result.duration.as_secs_f64() * 1e9)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
