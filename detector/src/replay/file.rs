//! One capture through a classifier of its own.

use std::{path::Path, time::Duration};

use detector_common::packet;
use serde::Serialize;

use super::{
    Counts, FoundAt,
    capture::{CaptureError, CaptureReader},
    progress::Bar,
    runtime::Replay,
};
use crate::{
    output::{FileName, Time},
    tables::Tables,
};

/// How many frames are classified before progress is looked at: about a hundredth of a second.
const FRAMES_PER_LOOK: u32 = 1 << 15;

/// A capture that was replayed, as far as it could be read.
#[derive(Debug)]
pub struct Replayed {
    /// What was counted.
    pub report: FileReport,
    /// What was found, the earliest first.
    pub findings: Vec<FoundAt>,
}

/// What is told of one capture besides its findings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// Its name, fit for a terminal.
    pub file: FileName,
    /// Why it was not read to its end; `null` if it was.
    pub error: Option<String>,
    /// When its first packet was captured; `null` if it has none.
    pub first: Option<Time>,
    /// When its last packet was captured.
    pub last: Option<Time>,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Replays the capture at `path`. Of a broken one, what stands before the damage is replayed.
///
/// Fails if it cannot be opened.
pub fn replay(path: &Path, tables: &Tables) -> Result<Replayed, CaptureError> {
    let mut reader = CaptureReader::open(path)?;
    let bar = Bar::of(&reader);
    let mut replay = Replay::new(tables);
    let mut span = Span::default();
    let error = loop {
        match classify_some(&mut reader, &mut replay, &mut span) {
            Ok(true) => bar.show(&reader),
            Ok(false) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    Ok(Replayed {
        report: FileReport {
            file: reader.file().clone(),
            error,
            first: span.first(),
            last: span.last(),
            counts: Counts::of(&replay, span.duration().as_secs_f64()),
        },
        findings: replay.findings().told(&tables.book),
    })
}

/// Classifies the next frames; `false` at the end.
fn classify_some(
    reader: &mut CaptureReader,
    replay: &mut Replay<'_>,
    span: &mut Span,
) -> Result<bool, CaptureError> {
    for _ in 0..FRAMES_PER_LOOK {
        let Some(frame) = reader.next_frame()? else {
            return Ok(false);
        };
        span.extend(frame.timestamp_ns);
        // The verdict is counted; there is nobody to carry it out.
        let _ = replay.classify(
            &packet::Frame::captured(frame.bytes, frame.wire_len),
            frame.interface,
            frame.timestamp_ns,
        );
    }
    Ok(true)
}

/// From the earliest packet to the latest, in nanoseconds since 1970. A capture need not be in order.
#[derive(Clone, Copy, Debug)]
struct Span {
    first_ns: u64,
    last_ns: u64,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            first_ns: u64::MAX,
            last_ns: 0,
        }
    }
}

impl Span {
    fn extend(&mut self, at_ns: u64) {
        self.first_ns = self.first_ns.min(at_ns);
        self.last_ns = self.last_ns.max(at_ns);
    }

    fn is_empty(&self) -> bool {
        self.first_ns > self.last_ns
    }

    fn first(&self) -> Option<Time> {
        (!self.is_empty()).then_some(Time(self.first_ns))
    }

    fn last(&self) -> Option<Time> {
        (!self.is_empty()).then_some(Time(self.last_ns))
    }

    fn duration(&self) -> Duration {
        Duration::from_nanos(self.last_ns.saturating_sub(self.first_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_from_the_earliest_to_the_latest_and_nothing_without_packets() {
        let mut span = Span::default();
        assert_eq!((span.first(), span.duration()), (None, Duration::ZERO));
        for at_ns in [7, 3, 5] {
            span.extend(at_ns);
        }
        assert_eq!((span.first(), span.last()), (Some(Time(3)), Some(Time(7))));
        assert_eq!(span.duration(), Duration::from_nanos(4));
    }
}
