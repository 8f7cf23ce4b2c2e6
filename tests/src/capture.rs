//! Capture files made for tests, in every container and over every link that `detector replay` reads; and those that
//! others made, as a test reads them.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use detector::replay::capture::CaptureReader;
use flate2::{Compression, write::GzEncoder};
use pcap_file::{
    DataLink, Endianness,
    pcap::{PcapHeader, PcapPacket, PcapTsResolution, PcapWriter},
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::EnhancedPacketBlock, interface_description::InterfaceDescriptionBlock,
        },
    },
};

use crate::{builder::BROADCAST_MAC, worms::TimedFrame};

/// When the captures begin: 2001-07-19 00:00:01 UTC, the day Code Red was everywhere.
pub const START: Duration = Duration::from_secs(995_500_801);

/// The length of an Ethernet header.
const ETHERNET_LEN: usize = 14;

/// What packets of a capture begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Their Ethernet header.
    Ethernet,
    /// A Linux cooked header.
    Cooked,
    /// A Linux cooked header, version 2.
    CookedV2,
}

/// Frames that follow one another after `spacing` each.
pub fn evenly(
    frames: impl IntoIterator<Item = Vec<u8>>,
    spacing: Duration,
) -> impl Iterator<Item = TimedFrame> {
    let times = (0..).map(move |index| spacing * index);
    times
        .zip(frames)
        .map(|(at, frame)| TimedFrame { at, frame })
}

/// A pcap file of whole Ethernet frames that is captured over `link`.
pub fn pcap(link: Link, frames: impl IntoIterator<Item = TimedFrame>) -> Result<Vec<u8>> {
    let header = PcapHeader {
        datalink: link.number(),
        ts_resolution: PcapTsResolution::NanoSecond,
        endianness: Endianness::Little,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(Vec::new(), header)?;
    for TimedFrame { at, frame } in frames {
        let packet = link.packet(&frame);
        writer.write_packet(&PcapPacket::new(START + at, length(&packet)?, packet)?)?;
    }
    Ok(writer.into_inner())
}

/// A pcapng file of whole Ethernet frames, each with the interface it came by, below `interfaces`.
pub fn pcapng(
    interfaces: u32,
    frames: impl IntoIterator<Item = (u32, TimedFrame)>,
) -> Result<Vec<u8>> {
    let mut writer = PcapNgWriter::new(Vec::new())?;
    for _ in 0..interfaces {
        writer.write_pcapng_block(InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0))?;
    }
    for (interface_id, TimedFrame { at, frame }) in frames {
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id,
            timestamp: START + at,
            original_len: length(&frame)?,
            data: frame.into(),
            options: vec![],
        })?;
    }
    Ok(writer.into_inner())
}

/// The capture files in `folder`, by name.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default();
        if extension == "pcap" || extension == "pcapng" {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The frames of a capture file with the interface each came by, up to where it is broken or of a link type that is not
/// read.
pub fn frames_of(file: &Path) -> Result<Vec<(u32, Vec<u8>)>> {
    let mut reader = CaptureReader::open(file)?;
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        frames.push((frame.interface, frame.bytes.to_vec()));
    }
    Ok(frames)
}

/// `bytes` as a gzip file.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

impl Link {
    fn number(self) -> DataLink {
        match self {
            Self::Ethernet => DataLink::ETHERNET,
            Self::Cooked => DataLink::LINUX_SLL,
            Self::CookedV2 => DataLink::LINUX_SLL2,
        }
    }

    /// What is captured of an Ethernet frame.
    ///
    /// <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html>, `…_SLL2.html`
    fn packet(self, frame: &[u8]) -> Vec<u8> {
        let (header, body) = frame.split_at(frame.len().min(ETHERNET_LEN));
        let &[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, e0, e1] = header else {
            return frame.to_vec();
        };
        let to_all = [d0, d1, d2, d3, d4, d5] == BROADCAST_MAC;
        let kind = u8::from(to_all);
        let cooked = match self {
            Self::Ethernet => return frame.to_vec(),
            Self::Cooked => {
                vec![0, kind, 0, 1, 0, 6, s0, s1, s2, s3, s4, s5, 0, 0, e0, e1]
            }
            Self::CookedV2 => {
                let interface = [0, 0, 0, 2];
                let mut header = vec![e0, e1, 0, 0];
                header.extend(interface);
                header.extend([0, 1, kind, 6, s0, s1, s2, s3, s4, s5, 0, 0]);
                header
            }
        };
        [cooked.as_slice(), body].concat()
    }
}

fn length(packet: &[u8]) -> Result<u32> {
    Ok(packet.len().try_into()?)
}
