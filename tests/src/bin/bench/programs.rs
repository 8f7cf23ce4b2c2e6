//! The programs that are run: `detector`'s own, the empty ones beside it, and whichever an interface has.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, ProgramArray},
    programs::{TestRun as _, TestRunOptions, Xdp, loaded_programs},
};
use aya_obj::programs::XdpAttachType;
use detector::{
    agent::kernel::{BENCH_OBJECT, BlockPlace, Kernel, ResponseMaps, object},
    tables::{HashSeed, Tables},
};
use detector_common::{
    blocks::{AddressHash, Block},
    config::{Config, Mode},
    net::IpAddress,
    verdict::Verdict,
};
use detector_tests::lab::{Host, PrivateBpffs};

use crate::{
    clock::{cpu_time, nanoseconds_each},
    packets::Varied,
};

/// The ports where HTTP worms are looked for: the default.
pub(crate) const HTTP_PORTS: &[u16] = &[80, 8080];

/// How often the kernel repeats a packet in one measurement: a millisecond or so. A shared machine changes its speed by a
/// third from one moment to the next, so what is compared has to run within one.
const REPEAT: u32 = 20_000;
/// The same where each packet has another sender: most of it with the source table in the processor's cache.
const REPEAT_SENDERS: u32 = 100_000;

/// The actions of XDP that a packet may end with.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// `detector`'s program, enforcing, on a bpf filesystem of its own.
pub(crate) struct Detector {
    pub(crate) kernel: Kernel,
    response: ResponseMaps,
    /// Last, for it is dropped last.
    _bpffs: PrivateBpffs,
}

impl Detector {
    pub(crate) fn load(tables: &Tables) -> Result<Self> {
        let bpffs = PrivateBpffs::new()?;
        let pins = bpffs.path().join("bench");
        let mut kernel = Kernel::load_object(&object(false), tables, 1, &pins)?;
        let response = kernel.maps_mut().take_response();
        Ok(Self {
            response: response.context("somebody has taken the maps")?,
            kernel,
            _bpffs: bpffs,
        })
    }

    /// Blocks a host, for good; again is no mistake.
    pub(crate) fn block(&mut self, host: Ipv4Addr, seed: u64) -> Result<()> {
        let address = IpAddress::v4(host.octets());
        let place = BlockPlace::Address(AddressHash::new(address, seed));
        let block = Block {
            address,
            until_ns: u64::MAX,
        };
        self.response.remove_block(0, place)?;
        let made = self.response.add_block(0, place, block)?;
        ensure!(made, "there is no room for a block");
        Ok(())
    }

    pub(crate) fn program(&mut self) -> Result<&Xdp> {
        Ok(self.kernel.program(0)?)
    }
}

/// The tables of `config`, enforced.
pub(crate) fn enforced(config: &Config) -> Tables {
    let config = config.with_mode(Mode::Enforce);
    Tables::of_worms(config, HashSeed::secret(), HTTP_PORTS)
}

/// The empty programs.
pub(crate) struct Floor {
    object: Ebpf,
    next: ProgramArray<MapData>,
}

impl Floor {
    /// Loads them, with programs that draw from the sources under `senders_mask`.
    pub(crate) fn load(senders_mask: u32) -> Result<Self> {
        let mut object = EbpfLoader::new()
            .override_global("SENDERS_MASK", &senders_mask, true)
            .load(BENCH_OBJECT)?;
        let names = [
            "floor_drop",
            "floor_pass",
            "yardstick",
            "random_sender",
            "random_host",
            "next_segment",
        ];
        for name in names {
            load(&mut object, name)?;
        }
        let next = object.take_map("NEXT").context("no map NEXT")?.try_into()?;
        Ok(Self { object, next })
    }

    /// The empty program with this verdict.
    pub(crate) fn of(&self, verdict: Verdict) -> Result<&Xdp> {
        self.program(match verdict {
            Verdict::DROP => "floor_drop",
            _ => "floor_pass",
        })
    }

    /// The fixed piece of work.
    pub(crate) fn yardstick(&self) -> Result<&Xdp> {
        self.program("yardstick")
    }

    /// What `program` costs for a packet that is another one each time, without what making it so costs; and what becomes of
    /// the packet. `base` is the cost of the empty program.
    pub(crate) fn run_varied(
        &mut self,
        varied: Varied,
        program: &Xdp,
        frame: &[u8],
        base: f64,
    ) -> Result<(f64, Verdict)> {
        self.next.set(0, program.fd()?, 0)?;
        let (with_program, verdict) =
            repeat(self.program(varied.program())?, frame, REPEAT_SENDERS)?;
        let floor = self.of(verdict)?.fd()?.try_clone()?;
        self.next.set(0, &floor, 0)?;
        let (alone, _) = repeat(self.program(varied.program())?, frame, REPEAT_SENDERS)?;
        Ok((with_program - alone + base, verdict))
    }

    fn program(&self, name: &str) -> Result<&Xdp> {
        let program = self.object.program(name);
        Ok(program
            .with_context(|| format!("no program {name}"))?
            .try_into()?)
    }
}

/// Loads one program of an object.
pub(crate) fn load<'object>(object: &'object mut Ebpf, name: &str) -> Result<&'object mut Xdp> {
    let program = object.program_mut(name);
    let program: &mut Xdp = program
        .with_context(|| format!("no program {name}"))?
        .try_into()?;
    program.load()?;
    Ok(program)
}

/// The program that every packet on an interface of `host` enters first, with its name.
pub(crate) fn entry_of(host: &Host, interface: &str) -> Result<(Xdp, String)> {
    let shown = host.output("ip", &["-json", "link", "show", "dev", interface])?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let id = shown
        .pointer("/0/xdp/prog/id")
        .and_then(serde_json::Value::as_u64)
        .with_context(|| format!("{interface} of {} has no program", host.name))?;
    for program in loaded_programs() {
        // One that ends meanwhile is not the one that is looked for.
        let Ok(program) = program else { continue };
        if u64::from(program.id()) == id {
            let name = program.name_as_str().unwrap_or("without a name").to_owned();
            let program =
                Xdp::from_program_info(program, name.clone().into(), XdpAttachType::Interface)?;
            return Ok((program, name));
        }
    }
    anyhow::bail!("the kernel has no program {id}")
}

/// Runs a program over a packet many times: the nanoseconds of one, and what becomes of it.
pub(crate) fn run(program: &Xdp, frame: &[u8]) -> Result<(f64, Verdict)> {
    repeat(program, frame, REPEAT)
}

/// As [`run`], for a program that must come to this verdict.
pub(crate) fn run_to(program: &Xdp, frame: &[u8], verdict: Verdict) -> Result<f64> {
    let (cost, found) = run(program, frame)?;
    ensure!(
        found == verdict,
        "the verdict is {} where {} was expected",
        found.name(),
        verdict.name()
    );
    Ok(cost)
}

fn repeat(program: &Xdp, frame: &[u8], repeat: u32) -> Result<(f64, Verdict)> {
    let (time, result) = cpu_time(|| {
        Ok(program.test_run(TestRunOptions {
            data_in: Some(frame),
            repeat,
            ..TestRunOptions::new()
        })?)
    })?;
    let verdict = match result.return_value {
        XDP_DROP => Verdict::DROP,
        XDP_PASS => Verdict::PASS,
        other => anyhow::bail!("the program returned {other}, which is neither pass nor drop"),
    };
    Ok((nanoseconds_each(time, repeat), verdict))
}
