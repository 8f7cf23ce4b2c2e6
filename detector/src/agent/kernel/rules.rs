//! The rules of the running program: two generations side by side, one of which is in force.
//!
//! A new one is written where nobody looks. Then one number changes, and every packet from there on goes by the new one: a packet reads
//! that number once.

use std::{thread::sleep, time::Duration};

use aya::{
    Ebpf,
    maps::{Array, MapData, PerCpuArray, PerCpuValues},
    util::nr_cpus,
};
use bytemuck::allocation::zeroed_box;
use detector_common::{
    abi::{RuleCounter, map},
    detect::signature::{
        table::{FilterTable, RuleTable},
        watch::{GENERATIONS, WatchLists},
    },
};
use nix::libc;

use super::{
    KernelError,
    maps::{Record, take},
};
use crate::tables::Tables;

/// Which rules are in force.
pub struct RuleMaps {
    filter: Array<MapData, Record<FilterTable>>,
    rules: Array<MapData, Record<RuleTable>>,
    watch: Array<MapData, Record<WatchLists>>,
    hits: PerCpuArray<MapData, Record<RuleCounter>>,
    /// What is in `watch`.
    lists: Box<WatchLists>,
}

impl RuleMaps {
    /// `hits` is a second descriptor of what rules met.
    pub(super) fn take(
        object: &mut Ebpf,
        hits: PerCpuArray<MapData, Record<RuleCounter>>,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            hits,
            filter: take(object, map::FILTER)?,
            rules: take(object, map::RULES)?,
            watch: take(object, map::WATCH)?,
            lists: zeroed_box(),
        })
    }

    /// Nothing is counted in these slots yet.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn clear_counters(&mut self, slots: impl Iterator<Item = u16>) -> Result<(), KernelError> {
        let cpus = nr_cpus().map_err(|(_, error)| KernelError::Cpus(error))?;
        for slot in slots {
            let nothing = vec![Record(RuleCounter::default()); cpus];
            let nothing = PerCpuValues::try_from(nothing).map_err(KernelError::Cpus)?;
            self.hits.set(slot.into(), nothing, 0)?;
        }
        Ok(())
    }

    /// Puts the rules of `tables` in force. No packet meets a part of them, and none passes because they change.
    ///
    /// # Errors
    ///
    /// The kernel refuses; then those before stay in force.
    pub fn switch(&mut self, tables: &Tables) -> Result<(), KernelError> {
        let next = (self.lists.generation as usize + 1) % GENERATIONS;
        let generation = next as u32;
        self.filter
            .set(generation, Record::wrap(&*tables.filter), 0)?;
        self.rules
            .set(generation, Record::wrap(&*tables.rules), 0)?;
        let [list, _] = &tables.watch.lists;
        let [icmp, ..] = &tables.watch.icmp;
        if let (Some(next_list), Some(next_icmp)) = (
            self.lists.lists.get_mut(next),
            self.lists.icmp.get_mut(next),
        ) {
            *next_list = *list;
            *next_icmp = *icmp;
        }
        // The whole record is written each time; but for what differs, over the same bytes.
        self.watch.set(0, Record::wrap(&*self.lists), 0)?;
        // All of it is there before anybody is sent there.
        wait_for_packets();
        let before = std::mem::replace(&mut self.lists.generation, generation);
        if let Err(error) = self.watch.set(0, Record::wrap(&*self.lists), 0) {
            self.lists.generation = before;
            return Err(error.into());
        }
        // Who still goes by those before is done with them before their place is written again.
        wait_for_packets();
        Ok(())
    }
}

/// Waits until every packet that a CPU is at is done with.
fn wait_for_packets() {
    /// The kernel waits until every CPU has left what RCU protects, which a packet's way through a program is. See membarrier(2).
    const GLOBAL: libc::c_int = 1;
    // SAFETY: changes nothing in this process.
    let waited = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if waited != 0 {
        // Where CPUs have no ticks there is no such call (EINVAL). A packet takes some microseconds, or milliseconds where a hypervisor
        // takes its CPU away.
        sleep(Duration::from_secs(1));
    }
}
