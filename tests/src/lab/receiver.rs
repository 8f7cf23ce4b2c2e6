//! Receives and counts the frames that arrive on one interface, as they stood on the wire.
//!
//! Every wait has a deadline and ends as soon as it can. A frame the socket had no room for would make a count
//! wrong without a sign, so every count asks the kernel and fails if there was one.

use std::{
    io::IoSliceMut,
    mem::size_of,
    os::fd::{AsRawFd as _, OwnedFd},
    ptr::from_mut,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    cmsg_space,
    errno::Errno,
    libc,
    sys::{
        socket::{
            ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt,
            sockopt::{RcvBufForce, ReceiveTimeout},
        },
        time::TimeVal,
    },
};

use super::socket;

const EVERY_ETHERTYPE: u16 = 0x0003;
const BUFFER_BYTES: usize = 64 << 20;
/// How often a wait looks at its deadline while nothing arrives.
const TICK_MICROSECONDS: i64 = 10_000;
/// The largest frame, also after the kernel has joined segments.
const FRAME_BYTES: usize = 1 << 17;

/// `struct tpacket_auxdata` of `linux/if_packet.h`: 20 bytes, of which the receiver needs three fields.
const AUXDATA_BYTES: usize = 20;
const TCI_AT: usize = 16;
const TPID_AT: usize = 18;
const STATUS_VLAN_VALID: u32 = 1 << 4;

/// An interface opened for receiving; what it sends itself is not received.
pub struct Receiver {
    socket: OwnedFd,
}

impl Receiver {
    pub(super) fn open(interface: &str) -> Result<Self> {
        let socket = socket::open(interface, EVERY_ETHERTYPE)?;
        setsockopt(&socket, RcvBufForce, &BUFFER_BYTES)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, TICK_MICROSECONDS))?;
        socket::set_option(&socket, libc::PACKET_IGNORE_OUTGOING, 1)?;
        socket::set_option(&socket, libc::PACKET_AUXDATA, 1)?;
        Ok(Self { socket })
    }

    /// The next frame, or nothing if none comes before the deadline.
    pub fn next(&self, deadline: Instant) -> Result<Option<Vec<u8>>> {
        loop {
            match self.receive() {
                Ok(frame) => return Ok(Some(frame)),
                Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < deadline => {}
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
    }

    /// Waits until `expected` matching frames have come, or the time is over, and tells how many came.
    pub fn wait_for(
        &self,
        expected: usize,
        within: Duration,
        matches: impl Fn(&[u8]) -> bool,
    ) -> Result<usize> {
        let deadline = Instant::now() + within;
        let mut count = 0;
        while count < expected {
            let Some(frame) = self.next(deadline)? else {
                break;
            };
            count += usize::from(matches(&frame));
        }
        self.ensure_nothing_was_lost()?;
        Ok(count)
    }

    /// Counts matching frames up to one that `is_last` knows; fails if that one does not come in time.
    ///
    /// Send the frames, then one more that is not like them: what has not come before it will not come.
    pub fn count_before(
        &self,
        within: Duration,
        is_last: impl Fn(&[u8]) -> bool,
        matches: impl Fn(&[u8]) -> bool,
    ) -> Result<usize> {
        let frames = self.frames_before(within, is_last)?;
        Ok(frames.iter().filter(|frame| matches(frame)).count())
    }

    /// All frames up to one that `is_last` knows, as [`Self::count_before`].
    pub fn frames_before(
        &self,
        within: Duration,
        is_last: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Vec<u8>>> {
        let deadline = Instant::now() + within;
        let mut frames = Vec::new();
        loop {
            match self.next(deadline)? {
                Some(frame) if is_last(&frame) => break,
                Some(frame) => frames.push(frame),
                None => bail!(
                    "{} frames came within {within:?}, but not the last one",
                    frames.len()
                ),
            }
        }
        self.ensure_nothing_was_lost()?;
        Ok(frames)
    }

    fn ensure_nothing_was_lost(&self) -> Result<()> {
        let mut statistics = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of::<libc::tpacket_stats>().try_into()?;
        // SAFETY: both pointers are to live values, and the length is that of the statistics.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                from_mut(&mut statistics).cast(),
                from_mut(&mut length),
            )
        };
        Errno::result(result).context("cannot read the packet socket's statistics")?;
        ensure!(
            statistics.tp_drops == 0,
            "the receiver had no room for {} frames",
            statistics.tp_drops
        );
        Ok(())
    }

    fn receive(&self) -> nix::Result<Vec<u8>> {
        let mut frame = vec![0; FRAME_BYTES];
        let mut control = cmsg_space!([u8; AUXDATA_BYTES]);
        let mut parts = [IoSliceMut::new(&mut frame)];
        let message = recvmsg::<LinkAddr>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let tag = message.cmsgs()?.find_map(|control| stripped_tag(&control));
        let length = message.bytes;
        frame.truncate(length);
        if let Some(tag) = tag {
            let behind_addresses = 12.min(frame.len());
            frame.splice(behind_addresses..behind_addresses, tag);
        }
        Ok(frame)
    }
}

/// The outer VLAN tag, which the kernel takes out of the frame and reports beside it.
fn stripped_tag(control: &ControlMessageOwned) -> Option<[u8; 4]> {
    let ControlMessageOwned::Unknown(unknown) = control else {
        return None;
    };
    let data = &unknown.data_bytes;
    let number = |at: usize| Some(u16::from_ne_bytes(data.get(at..at + 2)?.try_into().ok()?));
    let status = u32::from_ne_bytes(data.get(..4)?.try_into().ok()?);
    if status & STATUS_VLAN_VALID == 0 {
        return None;
    }
    let ([a, b], [c, d]) = (
        number(TPID_AT)?.to_be_bytes(),
        number(TCI_AT)?.to_be_bytes(),
    );
    Some([a, b, c, d])
}
