//! The ring buffer of events, read as the kernel fills it.

use std::io;

use aya::maps::{MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};

/// So many events are taken before others get a turn: a flood of them must not keep a signal waiting.
const TURN: usize = 256;

/// The events of the kernel program.
pub(super) struct Events {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl Events {
    pub(super) fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        // SAFETY: the map is open and stays so, and its descriptor the same, while the ring buffer lives.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE)? };
        Ok(Self { ring })
    }

    /// Gives every record to `take`, and ends only if the ring buffer cannot be waited for.
    pub(super) async fn forward(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let mut ready = self.ring.readable_mut().await?;
            if forward_some(ready.get_inner_mut(), &mut take) < TURN {
                ready.clear_ready();
            }
            tokio::task::yield_now().await;
        }
    }

    /// The next records, at most `most`: at least one, or none if there was none after all.
    pub(super) async fn next(&mut self, most: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut ready = self.ring.readable_mut().await?;
        let mut records = Vec::new();
        while records.len() < most {
            let Some(record) = ready.get_inner_mut().next() else {
                ready.clear_ready();
                break;
            };
            records.push(record.to_vec());
        }
        Ok(records)
    }

    /// Gives what is there to `take`. It ends when the ring is empty, so nobody may be filling it.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        while forward_some(self.ring.get_mut(), &mut take) == TURN {}
    }
}

fn forward_some(ring: &mut RingBuf<MapData>, take: &mut impl FnMut(&[u8])) -> usize {
    let mut taken = 0;
    while taken < TURN {
        let Some(record) = ring.next() else { break };
        take(&record);
        taken += 1;
    }
    taken
}
