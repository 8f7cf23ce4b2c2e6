//! A per-CPU array, read and written as a whole with one system call, or looked at in a few places.
//!
//! aya reads one entry at a time and asks for the number of CPUs each time; a test that compares every entry of every map
//! again and again cannot wait for that. Before Linux 5.13 there is no other way: then entries are read one by one, and
//! [`PerCpuMap::read_at`] reads only some.

use std::{
    ffi::{c_long, c_uint},
    marker::PhantomData,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    ptr::{from_mut, from_ref},
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    maps::MapData,
    util::{KernelVersion, nr_cpus},
};
use bytemuck::{Pod, allocation::zeroed_vec};
use nix::{errno::Errno, libc};

use crate::oracle::Log;

const BPF_MAP_LOOKUP_ELEM: c_uint = 1;
const BPF_MAP_LOOKUP_BATCH: c_uint = 24;
const BPF_MAP_UPDATE_BATCH: c_uint = 26;

/// What `bpf` takes for the two commands, as `linux/bpf.h` has it.
#[repr(C)]
struct Batch {
    from: u64,
    to: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// What `bpf` takes for one entry.
#[repr(C)]
struct Element {
    map_fd: u32,
    reserved: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The first kernel that reads and writes per-CPU arrays as a whole.
const WHOLE_SINCE: KernelVersion = KernelVersion::new(5, 13, 0);

/// A per-CPU array of `T`.
pub(super) struct PerCpuMap<T> {
    map: MapData,
    len: usize,
    cpus: usize,
    is_read_whole: bool,
    entries: PhantomData<T>,
}

impl<T: Pod> PerCpuMap<T> {
    /// The map that is pinned at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let map = MapData::from_pin(path)?;
        let info = map.info()?;
        let size = info.value_size() as usize;
        let expected = size_of::<T>();
        ensure!(
            size == expected && size.is_multiple_of(8),
            "{} has entries of {size} bytes, not {expected}, or not of whole words",
            path.display()
        );
        let cpus = nr_cpus().map_err(|(file, error)| anyhow::Error::new(error).context(file))?;
        Ok(Self {
            len: info.max_entries() as usize,
            map,
            cpus,
            is_read_whole: KernelVersion::current()? >= WHOLE_SINCE,
            entries: PhantomData,
        })
    }

    /// The map that is pinned at `path`, of which there is one copy for all CPUs: for each call here it is CPU 0's.
    pub(super) fn open_shared(path: &Path) -> Result<Self> {
        let map = Self::open(path)?;
        Ok(Self {
            cpus: 1,
            // Linux has this for arrays since 5.6.
            is_read_whole: true,
            ..map
        })
    }

    /// How many CPUs have a copy.
    pub(super) fn cpus(&self) -> usize {
        self.cpus
    }

    /// Whether one system call reads every entry.
    pub(super) fn is_read_whole(&self) -> bool {
        self.is_read_whole
    }

    /// Every entry of this CPU's copy.
    pub(super) fn read(&self, cpu: usize) -> Result<Vec<T>> {
        if !self.is_read_whole {
            return self.read_at(cpu, 0..u32::try_from(self.len)?);
        }
        let mut values: Vec<T> = zeroed_vec(self.len * self.cpus);
        self.run(BPF_MAP_LOOKUP_BATCH, &mut values)
            .context("the kernel does not read a whole map")?;
        Ok(values.into_iter().skip(cpu).step_by(self.cpus).collect())
    }

    /// The entries of this CPU's copy at these places, one behind the other.
    pub(super) fn read_at(
        &self,
        cpu: usize,
        places: impl IntoIterator<Item = u32>,
    ) -> Result<Vec<T>> {
        let mut values: Vec<T> = zeroed_vec(self.cpus);
        let entry = |place| {
            self.look_up(place, &mut values)?;
            values.get(cpu).copied().context("no such CPU")
        };
        places.into_iter().map(entry).collect()
    }

    /// Sets every entry of this CPU's copy, and clears those of the others.
    pub(super) fn write(&mut self, cpu: usize, entries: &[T]) -> Result<()> {
        let given = entries.len();
        ensure!(given == self.len, "{given} entries for {}", self.len);
        let mut values: Vec<T> = zeroed_vec(self.len * self.cpus);
        for (value, entry) in values.iter_mut().skip(cpu).step_by(self.cpus).zip(entries) {
            *value = *entry;
        }
        self.run(BPF_MAP_UPDATE_BATCH, &mut values)
            .context("the kernel does not write a whole map (needs Linux 5.13)")
    }

    /// Whether this CPU's copy has, at every place of `log`, what `host` has there.
    pub(super) fn agrees_with(&self, cpu: usize, host: &[T], log: &Log<T>) -> Result<bool> {
        let mut values: Vec<T> = zeroed_vec(self.cpus);
        for place in log.places() {
            self.look_up(place, &mut values)?;
            let (Some(host), Some(kernel)) = (host.get(place as usize), values.get(cpu)) else {
                return Ok(false);
            };
            if bytemuck::bytes_of(host) != bytemuck::bytes_of(kernel) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the entry at `place` of every CPU.
    fn look_up(&self, place: u32, values: &mut [T]) -> Result<()> {
        ensure!((place as usize) < self.len, "{place} of {}", self.len);
        ensure!(values.len() == self.cpus, "no room for every CPU");
        let mut element = Element {
            map_fd: self.fd()?,
            reserved: 0,
            key: from_ref(&place) as u64,
            value: values.as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: `element` is what the command takes. There is a value for each CPU, whose size is a multiple of eight,
        // as `open` has found; key and values outlive the call.
        let result: c_long = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_LOOKUP_ELEM,
                from_mut(&mut element),
                size_of::<Element>(),
            )
        };
        Errno::result(result).context("the kernel does not read an entry")?;
        Ok(())
    }

    fn fd(&self) -> Result<u32> {
        Ok(u32::try_from(self.map.fd().as_fd().as_raw_fd())?)
    }

    /// Moves every entry of every CPU from the map to `values`, or from `values` to the map.
    fn run(&self, command: c_uint, values: &mut [T]) -> Result<()> {
        let mut keys: Vec<u32> = (0..u32::try_from(self.len)?).collect();
        let mut next_key = 0_u32;
        let mut batch = Batch {
            from: 0,
            to: from_mut(&mut next_key) as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: u32::try_from(self.len)?,
            map_fd: self.fd()?,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: `batch` is what both commands take. There are `len` keys, and a value for each of them and each CPU,
        // whose size is a multiple of eight, as `open` has found; all outlive the call.
        let result: c_long = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                command,
                from_mut(&mut batch),
                size_of::<Batch>(),
            )
        };
        Errno::result(result)?;
        ensure!(
            batch.count as usize == self.len,
            "the kernel moved {} entries of {}",
            batch.count,
            self.len
        );
        Ok(())
    }
}
