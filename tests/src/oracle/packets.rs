//! A sequence of packets in one piece of memory, for a test that keeps tens of thousands of them at a time.

use std::ops::Range;

/// Frames, each with the interface that it comes in by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    slot: u32,
    bytes: Range<usize>,
}

impl Packets {
    /// None, with room for `packets` of `bytes` in all.
    #[must_use]
    pub fn with_capacity(packets: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            places: Vec::with_capacity(packets),
        }
    }

    /// Adds a frame that comes in by the interface in `slot`.
    pub fn push(&mut self, slot: u32, frame: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame);
        let bytes = start..self.bytes.len();
        self.places.push(Place { slot, bytes });
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Those whose numbers are in `range`, counted from 0: the slot and the frame of each.
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = (u32, &[u8])> {
        let places = self.places.get(range).unwrap_or_default();
        places.iter().map(|Place { slot, bytes }| {
            let frame = self.bytes.get(bytes.clone()).unwrap_or_default();
            (*slot, frame)
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.range(0..self.len())
    }

    /// Forgets them, but not the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}

impl<'f> FromIterator<(u32, &'f [u8])> for Packets {
    fn from_iter<I: IntoIterator<Item = (u32, &'f [u8])>>(packets: I) -> Self {
        let mut all = Self::default();
        for (slot, frame) in packets {
            all.push(slot, frame);
        }
        all
    }
}
