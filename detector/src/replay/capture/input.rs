//! The window through which a capture is read: a fixed piece of memory that slides over the stream.
//!
//! No length in a file makes it larger. What was consumed last stays in place until the next call that may read, so a
//! packet is handed out without a copy. The readers of `pcap-parser` are not used: they lose what the operating system
//! or the decoder said, and take a packet that is longer than its block for one that needs a larger buffer.

use std::{io, io::Read, ops::Range};

use super::error::Stop;
use super::source::Source;

/// The size of the window, in bytes: twice the longest frame, so that its headers and options fit beside it.
pub(super) const WINDOW: usize = 2 * super::MAX_FRAME;

/// The order of the bytes in the numbers of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The first `N` numbers of `bytes`, or `None` if there are fewer.
    pub(super) fn words<const N: usize>(self, bytes: &[u8]) -> Option<[u32; N]> {
        let (words, _) = bytes.as_chunks::<4>();
        Some(words.first_chunk::<N>()?.map(|word| self.u32(word)))
    }
}

/// A stream of capture bytes, seen through a window.
pub(super) struct Input {
    source: Source,
    window: Box<[u8]>,
    /// `window[start..end]` is what was read and not consumed; `start <= end <= window.len()`.
    start: usize,
    end: usize,
    /// The position of `window[start]` in the stream.
    offset: u64,
    /// The position of the current record in the stream.
    record: u64,
}

impl Input {
    pub(super) fn new(stream: Box<dyn Read + Send>) -> io::Result<Self> {
        Ok(Self {
            source: Source::new(stream)?,
            window: vec![0; WINDOW].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            record: 0,
        })
    }

    /// Notes that a record begins here, for the message if it is broken.
    pub(super) fn begin_record(&mut self) {
        self.record = self.offset;
    }

    /// Where the current record begins, in bytes from the start of the stream, after unpacking.
    pub(super) fn record_offset(&self) -> u64 {
        self.record
    }

    /// How many bytes of the file were used, before unpacking.
    pub(super) fn position(&self) -> u64 {
        match &self.source {
            Source::Plain(_) => self.offset,
            // How many of these are still to be unpacked is not known, but it is little.
            source @ Source::Gzip(_) => source.taken(),
        }
    }

    /// All that was read and not consumed: `wanted` bytes or more, or fewer if the stream ends before.
    #[inline]
    pub(super) fn available(&mut self, wanted: usize) -> Result<&[u8], Stop> {
        while self.end - self.start < wanted && self.refill(wanted)? {}
        Ok(self.window.get(self.start..self.end).unwrap_or_default())
    }

    /// The next `length` bytes; `inside` says what is incomplete if they are not there.
    #[inline]
    pub(super) fn exactly(&mut self, length: usize, inside: &'static str) -> Result<&[u8], Stop> {
        self.available(length)?
            .get(..length)
            .ok_or(Stop::Truncated(inside))
    }

    /// The next `N` numbers, or `None` if the stream ends before the first of them.
    #[inline]
    pub(super) fn words<const N: usize>(
        &mut self,
        order: ByteOrder,
        inside: &'static str,
    ) -> Result<Option<[u32; N]>, Stop> {
        let bytes = self.available(4 * N)?;
        match order.words(bytes) {
            None if bytes.is_empty() => Ok(None),
            None => Err(Stop::Truncated(inside)),
            words @ Some(_) => Ok(words),
        }
    }

    /// Consumes `length` bytes that were read, and gives their place in the window, for [`Self::consumed`].
    #[inline]
    pub(super) fn consume(&mut self, length: usize) -> Range<usize> {
        let length = length.min(self.end - self.start);
        let consumed = self.start..self.start + length;
        self.start = consumed.end;
        self.offset = self.offset.saturating_add(length as u64);
        consumed
    }

    /// What was consumed last, as long as nothing was read after it.
    #[inline]
    pub(super) fn consumed(&mut self, place: Range<usize>) -> &mut [u8] {
        self.window.get_mut(place).unwrap_or_default()
    }

    /// Consumes `length` bytes, of which any number may still have to be read.
    pub(super) fn skip(&mut self, mut length: usize, inside: &'static str) -> Result<(), Stop> {
        loop {
            length -= self.consume(length).len();
            if length == 0 {
                return Ok(());
            }
            self.exactly(1, inside)?;
        }
    }

    /// Reads what there is, with room for `wanted` unconsumed bytes in all; `false` at the end of the stream.
    #[cold]
    fn refill(&mut self, wanted: usize) -> Result<bool, Stop> {
        let unconsumed = self.end - self.start;
        // A move costs no more than what was consumed since the last one, or there is no room without it.
        if unconsumed <= self.start || self.window.len() - self.start < wanted {
            self.window.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, unconsumed);
        }
        let room = self.window.get_mut(self.end..).unwrap_or_default();
        debug_assert!(!room.is_empty(), "nobody wants more than the window holds");
        let read = self.source.read(room)?;
        self.end += read;
        Ok(read != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of `length` bytes, each of which is its position modulo 251.
    fn input(length: usize) -> Option<Input> {
        let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
        Input::new(Box::new(io::Cursor::new(bytes))).ok()
    }

    #[test]
    fn a_record_as_long_as_the_window_is_read_wherever_it_begins() -> Result<(), Stop> {
        for before in [0, 1, 100, WINDOW / 2, WINDOW - 1, WINDOW] {
            let Some(mut input) = input(before + 2 * WINDOW) else {
                unreachable!("memory does not fail")
            };
            input.skip(before, "what comes before")?;
            for start in [before, before + WINDOW] {
                let record = input.exactly(WINDOW, "a record")?;
                assert_eq!(record.first().copied().map(usize::from), Some(start % 251));
                input.consume(WINDOW);
            }
            assert!(input.available(1)?.is_empty());
            assert_eq!(input.position(), (before + 2 * WINDOW) as u64);
        }
        Ok(())
    }

    #[test]
    fn what_was_consumed_stays_until_more_is_read() -> Result<(), Stop> {
        let Some(mut input) = input(100) else {
            unreachable!("memory does not fail")
        };
        input.exactly(10, "a record")?;
        input.consume(8);
        let place = input.consume(2);
        assert_eq!(input.consumed(place), [8, 9]);
        Ok(())
    }
}
