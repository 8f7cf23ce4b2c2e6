//! `BPF_PROG_TEST_RUN` by the system call itself: one frame, no copy back, nothing allocated.
//!
//! aya's makes and checks more than the run takes in the kernel, which counts where a hundred million frames are run.

use std::{
    ffi::{c_long, c_uint},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    ptr::from_mut,
};

use anyhow::Result;
use aya::programs::Xdp;
use nix::{errno::Errno, libc};

const BPF_PROG_TEST_RUN: c_uint = 10;

/// What `bpf` takes for the command, as `linux/bpf.h` has it.
#[derive(Default)]
#[repr(C)]
struct Attributes {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    // The record is a multiple of eight bytes long, and the kernel wants the rest to be zero.
    reserved: u32,
}

/// A program to be run on one frame after another.
pub(super) struct TestRun {
    attributes: Attributes,
    /// Keeps the program.
    _program: OwnedFd,
}

impl TestRun {
    /// Runs of `program`.
    pub(super) fn of(program: &Xdp) -> Result<Self> {
        let program = program.fd()?.as_fd().try_clone_to_owned()?;
        Ok(Self {
            attributes: Attributes {
                prog_fd: u32::try_from(program.as_raw_fd())?,
                repeat: 1,
                ..Attributes::default()
            },
            _program: program,
        })
    }

    /// What the program returns for `frame`.
    pub(super) fn run(&mut self, frame: &[u8]) -> nix::Result<u32> {
        let attributes = &mut self.attributes;
        // The kernel leaves the length of what it could have copied back here, and takes it for the room there is.
        attributes.data_size_out = 0;
        attributes.data_in = frame.as_ptr() as u64;
        attributes.data_size_in = u32::try_from(frame.len()).map_err(|_| Errno::E2BIG)?;
        // SAFETY: `attributes` is what the command takes; the frame outlives the call, which only reads it, and nothing
        // but `attributes` is written, for no other place is given.
        let result: c_long = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_PROG_TEST_RUN,
                from_mut(attributes),
                size_of::<Attributes>(),
            )
        };
        Errno::result(result).map(|_| attributes.retval)
    }
}
