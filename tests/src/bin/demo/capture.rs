//! The user's capture as traffic: every frame that fits a cable, from the outside, at its own pace if that is quick enough.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use detector::replay::capture::CaptureReader;

use crate::traffic::{Kind, Planned, Traffic};

/// The longest frame that goes through a cable of the laboratory: 1500 bytes behind the Ethernet header.
const FRAME_MAX: usize = 1514;
/// The shortest that can be sent.
const FRAME_MIN: usize = 14;
/// The most frames that are sent.
const FRAMES_MAX: usize = 200_000;
/// How long sending may take; a longer capture is sent as much faster.
const LONGEST: Duration = Duration::from_secs(15);

/// Reads the capture at `file`.
pub(crate) fn traffic(file: &Path) -> Result<Traffic> {
    let mut reader = CaptureReader::open(file)?;
    let mut inbound: Vec<Planned> = Vec::new();
    let mut first_ns = None;
    let mut left_out = 0_u64;
    while let Some(frame) = reader.next_frame()? {
        let whole = frame.bytes.len() == frame.wire_len;
        if !whole || !(FRAME_MIN..=FRAME_MAX).contains(&frame.wire_len) {
            left_out += 1;
            continue;
        }
        if inbound.len() == FRAMES_MAX {
            println!("capture: only the first {FRAMES_MAX} frames are sent");
            break;
        }
        let first_ns = *first_ns.get_or_insert(frame.timestamp_ns);
        inbound.push(Planned {
            at: Duration::from_nanos(frame.timestamp_ns.saturating_sub(first_ns)),
            kind: Kind::Captured,
            frame: frame.bytes.to_vec(),
        });
    }
    inbound.sort_by_key(|planned| planned.at);
    let last = inbound
        .last()
        .context("the capture has no frame that can be sent")?
        .at;
    ensure!(!inbound.is_empty(), "nothing to send");
    if left_out > 0 {
        println!(
            "capture: {left_out} frames are left out: cut short, or longer than the {FRAME_MAX} bytes a cable takes"
        );
    }
    if last > LONGEST {
        let speed = last.as_secs_f64() / LONGEST.as_secs_f64();
        println!(
            "capture: sent {speed:.1} times faster than it was recorded, so floods look larger"
        );
        for planned in &mut inbound {
            planned.at = planned.at.div_f64(speed);
        }
    }
    Ok(Traffic {
        inbound,
        outbound: Vec::new(),
    })
}
