//! The pcap format: one header of the file, then records of one link type. Source: draft-ietf-opsawg-pcap.
//!
//! Both byte orders, microseconds and nanoseconds, and the 24-byte records of Kuznetzov's modified libpcap. Every
//! length is bounded before a byte of it is waited for.

use pcap_parser::{PcapHeader, nom, parse_pcap_header};

use super::error::{Damage, Found, Stop};
use super::input::{ByteOrder, Input};
use super::link_type::{Link, LinkType};
use super::{MAX_FRAME, Packet};

const MAGIC_LEN: usize = 4;
const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;
/// The modified records go on with an interface index, a protocol and a packet type.
const MODIFIED_RECORD_HEADER_LEN: usize = 24;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The header field has the link type in its low 16 bits, ten bits above it that must be 0, and on top the length of
/// the frame check sequence, which no reader depends on.
const LINK_TYPE_MASK: u32 = 0x03ff_ffff;

/// A pcap file after its header.
pub(super) struct Pcap {
    order: ByteOrder,
    link: Link,
    record_header_len: usize,
    nanos_per_fraction: u64,
}

impl Pcap {
    /// Reads the header of the file; [`Found`] if it is no pcap file at all.
    pub(super) fn open(input: &mut Input) -> Result<Self, Stop> {
        let start = input.available(FILE_HEADER_LEN)?;
        let header = match parse_pcap_header(start) {
            Ok((_, header)) => header,
            Err(nom::Err::Incomplete(_)) if start.len() >= MAGIC_LEN => {
                return Err(Stop::Truncated("the file header"));
            }
            Err(_) => return Err(Stop::NotACapture(what_it_is(start))),
        };
        input.consume(FILE_HEADER_LEN);
        Self::new(&header)
    }

    fn new(header: &PcapHeader) -> Result<Self, Stop> {
        let (major, minor) = (header.version_major, header.version_minor);
        // Before 2.4, of 1998, the two lengths of a record were the other way round.
        if major != 2 || minor < 4 {
            return Err(Damage::Version {
                format: "pcap",
                major,
                minor,
                known: "2.4",
            }
            .into());
        }
        let link_type = LinkType(header.network.0.cast_unsigned() & LINK_TYPE_MASK);
        let modified = header.is_modified_format();
        Ok(Self {
            order: if header.is_bigendian() {
                ByteOrder::Big
            } else {
                ByteOrder::Little
            },
            link: link_type.link().ok_or(Stop::LinkType(link_type))?,
            record_header_len: if modified {
                MODIFIED_RECORD_HEADER_LEN
            } else {
                RECORD_HEADER_LEN
            },
            nanos_per_fraction: if header.is_nanosecond_precision() {
                1
            } else {
                1000
            },
        })
    }

    /// Reads the next record.
    #[inline]
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Packet>, Stop> {
        let inside = "a packet";
        let Some([seconds, fraction, captured, wire]) = input.words(self.order, inside)? else {
            return Ok(None);
        };
        let body_len = captured as usize;
        if body_len > MAX_FRAME {
            return Err(Damage::FrameLength(captured).into());
        }
        let length = self.record_header_len + body_len;
        input.exactly(length, inside)?;
        let record = input.consume(length);
        Ok(Some(Packet {
            timestamp_ns: self.unix_ns(seconds, fraction),
            interface: 0,
            link: self.link,
            body: record.start + self.record_header_len..record.end,
            wire_len: wire as usize,
        }))
    }

    /// A fraction of a second or more, which some writers produce, is the end of that second.
    fn unix_ns(&self, seconds: u32, fraction: u32) -> u64 {
        let nanos = u64::from(fraction) * self.nanos_per_fraction;
        u64::from(seconds) * NANOS_PER_SECOND + nanos.min(NANOS_PER_SECOND - 1)
    }
}

/// What a file is that begins neither as pcap nor as pcapng does.
fn what_it_is(start: &[u8]) -> Found {
    match *start {
        [] => Found::Nothing,
        [0x1f, 0x8b, _, _, ..] => Found::Known("gzip data inside gzip data"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Found::Known("zstd data"),
        [0xfd, b'7', b'z', b'X', ..] => Found::Known("xz data"),
        [b'B', b'Z', b'h', _, ..] => Found::Known("bzip2 data"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Found::Known("lz4 data"),
        [b'P', b'K', 0x03, 0x04, ..] => Found::Known("a zip archive"),
        [b's', b'n', b'o', b'o', ..] => Found::Known("a snoop file"),
        [a, b, c, d, ..] => Found::Bytes([a, b, c, d]),
        ref short => Found::Short(short.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Bytes, MICROS, NANOS, ORDERS, Read, failure, frames, pcap, record,
    };
    use super::*;

    #[test]
    fn both_byte_orders_and_both_resolutions_give_the_same_frame() {
        for order in ORDERS {
            for (magic, fraction) in [(MICROS, 999_999), (NANOS, 999_999_000)] {
                let mut file = pcap(order, magic, 1);
                file.extend(record(order, [1_700_000_000, fraction], &[1, 2, 3], 1514));
                let expected = Read {
                    timestamp_ns: 1_700_000_000_999_999_000,
                    interface: 0,
                    bytes: vec![1, 2, 3],
                    wire_len: 1514,
                };
                assert_eq!(frames(&file), [expected]);
            }
        }
    }

    #[test]
    fn a_file_without_packets_is_a_capture_without_frames() {
        assert_eq!(frames(&pcap(ByteOrder::Little, MICROS, 1)), []);
    }

    #[test]
    fn a_fraction_of_more_than_a_second_is_the_end_of_that_second() {
        let order = ByteOrder::Little;
        let mut file = pcap(order, MICROS, 1);
        file.extend(record(order, [u32::MAX, u32::MAX], &[], 0));
        let times: Vec<u64> = frames(&file)
            .iter()
            .map(|frame| frame.timestamp_ns)
            .collect();
        assert_eq!(times, [4_294_967_295_999_999_999]);
    }

    #[test]
    fn a_frame_is_never_longer_than_it_was_on_the_wire() {
        let order = ByteOrder::Big;
        let mut file = pcap(order, MICROS, 1);
        file.extend(record(order, [0, 0], &[7; 60], 0));
        let lengths: Vec<usize> = frames(&file).iter().map(|frame| frame.wire_len).collect();
        assert_eq!(lengths, [60]);
    }

    #[test]
    fn a_cooked_packet_is_an_ethernet_frame_of_its_own_length() {
        let order = ByteOrder::Little;
        for (link_type, header_len) in [(113, 16), (276, 20)] {
            let mut file = pcap(order, MICROS, link_type);
            file.extend(record(order, [0, 0], &[0; 30], 1000));
            file.extend(record(order, [0, 0], &[0; 15], 1000));
            let lengths: Vec<_> = frames(&file)
                .iter()
                .map(|frame| (frame.bytes.len(), frame.wire_len))
                .collect();
            assert_eq!(
                lengths,
                [(44 - header_len, 1014 - header_len), (0, 1014 - header_len)]
            );
        }
    }

    #[test]
    fn the_longest_packet_is_read_and_a_longer_one_is_refused_before_it_is_waited_for() {
        let order = ByteOrder::Little;
        let mut file = pcap(order, NANOS, 1);
        file.extend(record(order, [0, 0], &vec![1; MAX_FRAME], 0));
        file.extend(record(order, [0, 0], &vec![2; MAX_FRAME], 0));
        assert_eq!(frames(&file).len(), 2);
        file.extend(Bytes::new(order).u32(0).u32(0).u32(u32::MAX).u32(60).done());
        let message = "test.pcap: broken after packet 2 (byte 524344): \
            a packet of 4294967295 captured bytes, and 262144 is the most";
        assert_eq!(failure(&file), (2, message.to_owned()));
    }

    #[test]
    fn the_records_of_the_modified_format_have_a_longer_header() {
        let order = ByteOrder::Little;
        let mut file = pcap(order, 0xa1b2_cd34, 1);
        for number in 1..=3 {
            let header = Bytes::new(order).u32(number).u32(0).u32(2).u32(2).u64(0);
            file.extend(header.raw(&[5, 6]).done());
        }
        let given = frames(&file);
        assert_eq!(given.len(), 3);
        assert!(given.iter().all(|frame| frame.bytes == [5, 6]));
    }

    #[test]
    fn a_link_type_that_cannot_be_read_is_named_when_the_file_is_opened() {
        let message = "test.pcap: packets of link type 101 (raw IP) cannot be read, \
            only those of 1 (Ethernet), 113 (Linux cooked) and 276 (Linux cooked v2)";
        assert_eq!(
            failure(&pcap(ByteOrder::Big, MICROS, 101)),
            (0, message.to_owned())
        );
    }

    #[test]
    fn the_length_of_the_check_sequence_is_no_part_of_the_link_type() {
        assert_eq!(frames(&pcap(ByteOrder::Big, MICROS, 0x2400_0001)), []);
    }

    #[test]
    fn another_version_is_refused() {
        let mut file = pcap(ByteOrder::Big, MICROS, 1);
        file.splice(4..8, [0, 2, 0, 2]);
        let message = "test.pcap: broken before the first packet (byte 0): \
            it says that it is pcap 2.2, and only 2.4 can be read";
        assert_eq!(failure(&file), (0, message.to_owned()));
    }
}
