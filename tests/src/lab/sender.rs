//! Sends whole frames, byte for byte, out of one interface.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    sys::{
        socket::{MsgFlags, send, setsockopt, sockopt::SendTimeout},
        time::TimeVal,
    },
};

use super::socket;

/// How long one frame may wait for room in the queue.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// An interface opened for sending.
pub struct Sender {
    socket: OwnedFd,
}

impl Sender {
    pub(super) fn open(interface: &str) -> Result<Self> {
        let socket = socket::open(interface, 0)?;
        setsockopt(
            &socket,
            SendTimeout,
            &TimeVal::new(SEND_WITHIN.as_secs().try_into()?, 0),
        )?;
        Ok(Self { socket })
    }

    /// Sends one frame: at least an Ethernet header, at most 1500 bytes behind it (4 more with a VLAN tag).
    ///
    /// A full queue delays the frame and does not lose it.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let deadline = Instant::now() + SEND_WITHIN;
        loop {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(sent) if sent == frame.len() => return Ok(()),
                Ok(sent) => bail!("{sent} of {} bytes were sent", frame.len()),
                Err(Errno::ENOBUFS | Errno::EINTR) if Instant::now() < deadline => {
                    thread::yield_now();
                }
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot send a frame of {} bytes", frame.len()));
                }
            }
        }
    }

    /// Sends frames one behind the other as fast as they are taken, and tells how many there were.
    pub fn send_all<Frame: AsRef<[u8]>>(
        &self,
        frames: impl IntoIterator<Item = Frame>,
    ) -> Result<usize> {
        let mut count = 0;
        for frame in frames {
            self.send(frame.as_ref())?;
            count += 1;
        }
        Ok(count)
    }
}
