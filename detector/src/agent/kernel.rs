//! The kernel program with its maps: a copy of the program for each interface, all around the same maps.
//!
//! A copy differs from the others by one constant, its interface's slot, so that the program looks nothing up to know
//! where it is. That the copies share their maps is what pins are for: the first makes and pins them, the others find
//! them there. Dropping a [`Kernel`] detaches every copy and removes the pins.

mod clock;
mod error;
mod frags;
mod maps;
mod pins;
mod response;
mod rules;

use std::path::Path;

use aya::{Ebpf, EbpfLoader, maps::ProgramArray, programs::Xdp};
use detector_common::abi::{self, NextProgram, SEGMENTS_PER_INTERFACE, global, map};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

pub use self::{
    clock::Clock,
    error::KernelError,
    frags::{has_frags, object},
    maps::{BindingMap, ConfigMap, Counted, Maps, PerCpu},
    pins::Pins,
    response::{BlockPlace, ResponseMaps},
    rules::RuleMaps,
};
use crate::tables::Tables;

/// The kernel program as the build script compiled it, for a kernel that has frames in several pieces: `detector`, `prefilter`, `inspector` and
/// `clock`.
pub const OBJECT: &[u8] = aya::include_bytes_aligned!(env!("DETECTOR_OBJECT"));

/// The programs that the kernel program is measured against: `floor_drop`, `floor_pass`, `yardstick`,
/// `random_sender`, `random_host`, `next_segment` and `send`.
pub const BENCH_OBJECT: &[u8] = aya::include_bytes_aligned!(env!("BENCH_OBJECT"));

/// The loaded program.
pub struct Kernel {
    /// By slot.
    copies: Vec<Ebpf>,
    maps: Maps,
    /// Last, for it is dropped last.
    _pins: Pins,
}

impl Kernel {
    /// Loads a copy of the program for each of `interfaces` (at most [`abi::INTERFACES_MAX`]), gives it its tables, and
    /// pins the maps in the directory `pins`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Another agent uses the directory, it is not on a bpf filesystem, the process may not load programs, or the kernel
    /// refuses this one.
    pub fn load(tables: &Tables, interfaces: u32, pins: &Path) -> Result<Self, KernelError> {
        Self::load_object(&object(has_frags()), tables, interfaces, pins)
    }

    /// The same of an [`object`]: that without frames in several pieces can be gone on with after programs that take none either, as
    /// those of the bench.
    ///
    /// # Errors
    ///
    /// As of [`Self::load`].
    pub fn load_object(
        object: &[u8],
        tables: &Tables,
        interfaces: u32,
        pins: &Path,
    ) -> Result<Self, KernelError> {
        // Linux before 5.11 counts maps as locked memory and allows next to none. If it may not be raised, the maps
        // that do not fit say so.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        let pins = Pins::take(pins)?;
        let tick_ns = clock::tick_ns()?;
        let has_frags = u32::from(has_frags());
        let mut copies = Vec::new();
        for slot in 0..interfaces.clamp(1, abi::INTERFACES_MAX) {
            let mut loader = EbpfLoader::new();
            loader
                .override_global(global::INTERFACE, &slot, true)
                .override_global(global::TICK_NS, &tick_ns, true)
                .override_global(global::HAS_FRAGS, &has_frags, true)
                .map_max_entries(map::SEGMENTS, interfaces * SEGMENTS_PER_INTERFACE);
            for name in map::ALL {
                loader.map_pin_path(name, pins.path_of(name));
            }
            let mut copy = loader.load(object)?;
            load_program(&mut copy, abi::PROGRAM)?;
            for next in NextProgram::ALL {
                load_program(&mut copy, next.name())?;
                connect(&mut copy, next)?;
            }
            copies.push(copy);
        }
        let [first, ..] = &mut *copies else {
            return Err(KernelError::Missing(abi::PROGRAM));
        };
        load_program(first, abi::CLOCK_PROGRAM)?;
        let mut maps = Maps::take(first)?;
        maps.set_tables(tables)?;
        Ok(Self {
            copies,
            maps,
            _pins: pins,
        })
    }

    /// The copy of the program for the interface in `slot`.
    ///
    /// # Errors
    ///
    /// There is no such slot.
    pub fn program(&mut self, slot: u32) -> Result<&mut Xdp, KernelError> {
        let copy = self.copies.get_mut(slot as usize);
        program(
            copy.ok_or(KernelError::Missing(abi::PROGRAM))?,
            abi::PROGRAM,
        )
    }

    /// How many instructions the verifier went through for one copy of the program and those that go on after it, where the kernel tells.
    ///
    /// # Errors
    ///
    /// The kernel does not answer.
    pub fn verified_instructions(&mut self) -> Result<Option<u32>, KernelError> {
        let Some(copy) = self.copies.first_mut() else {
            return Ok(None);
        };
        let next = NextProgram::ALL.map(NextProgram::name);
        [abi::PROGRAM]
            .into_iter()
            .chain(next)
            .map(|name| {
                let info = program(copy, name)?.info()?;
                Ok(info.verified_instruction_count())
            })
            .sum()
    }

    /// Every copy, by slot.
    #[cfg(feature = "debug-log")]
    pub(super) fn copies_mut(&mut self) -> impl Iterator<Item = &mut Ebpf> {
        self.copies.iter_mut()
    }

    /// The maps.
    #[must_use]
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// The maps, to change the tables or to take the events.
    pub fn maps_mut(&mut self) -> &mut Maps {
        &mut self.maps
    }

    /// What time the program's clock shows.
    ///
    /// # Errors
    ///
    /// The kernel does not run the program that tells.
    pub fn clock(&self) -> Result<Clock, KernelError> {
        let program = self.copies.first();
        let program = program.and_then(|copy| copy.program(abi::CLOCK_PROGRAM));
        let program = program.ok_or(KernelError::Missing(abi::CLOCK_PROGRAM))?;
        Clock::read(program.try_into()?)
    }
}

/// Tells the programs of a copy that this one goes on after them.
fn connect(copy: &mut Ebpf, next: NextProgram) -> Result<(), KernelError> {
    let program = program(copy, next.name())?
        .fd()?
        .try_clone()
        .map_err(KernelError::Descriptor)?;
    let map = copy.map_mut(abi::PROGRAMS_MAP);
    let map = map.ok_or(KernelError::Missing(abi::PROGRAMS_MAP))?;
    Ok(ProgramArray::try_from(map)?.set(next as u32, &program, 0)?)
}

fn load_program(object: &mut Ebpf, name: &'static str) -> Result<(), KernelError> {
    Ok(program(object, name)?.load()?)
}

fn program<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, KernelError> {
    let program = object.program_mut(name);
    Ok(program.ok_or(KernelError::Missing(name))?.try_into()?)
}
