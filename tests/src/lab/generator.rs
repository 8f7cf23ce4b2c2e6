//! Packets at the pace of a driver: the kernel copies one frame again and again, and hands the copies to an interface itself.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use detector::agent::kernel::BENCH_OBJECT;
use nix::net::if_::if_nametoindex;

/// What is handed over at once; a cable holds four times as many.
const BATCH: u32 = 64;

/// A program that sends its packet out of one interface.
pub struct Generator {
    object: Ebpf,
}

impl Generator {
    /// Sends out of an interface of the network namespace that the thread is in.
    ///
    /// What is at the other end of the cable has to have a program of XDP, or no driver takes the packets.
    pub fn new(interface: &str) -> Result<Self> {
        let interface = if_nametoindex(interface)?;
        let mut object = EbpfLoader::new()
            .override_global("SEND_TO", &interface, true)
            .load(BENCH_OBJECT)?;
        let program: &mut Xdp = object
            .program_mut("send")
            .context("no program send")?
            .try_into()?;
        program.load()?;
        Ok(Self { object })
    }

    /// Sends so many copies of `frame`. The other end works them off on this CPU before this comes back.
    pub fn send(&self, frame: &[u8], copies: u32) -> Result<()> {
        let program = self.object.program("send").context("no program send")?;
        run_live(program.try_into()?, frame, copies)
    }
}

/// Runs a program over so many copies of `frame`, which then go where it says.
pub fn run_live(program: &Xdp, frame: &[u8], copies: u32) -> Result<()> {
    program.test_run(TestRunOptions {
        data_in: Some(frame),
        repeat: copies,
        attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
        ..TestRunOptions::new()
    })?;
    Ok(())
}
