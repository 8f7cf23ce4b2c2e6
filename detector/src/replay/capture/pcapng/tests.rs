//! pcapng files as the draft allows them, and as it does not.
//!
//! Every kind of block that is read, in both byte orders; then every way in which one can lie, with the message that
//! names the lie and the place.

use super::super::MAX_FRAME;
use super::super::input::ByteOrder;
use super::super::testing::{
    Bytes, ORDERS, block, failure, frames, interface, length_of, packet, section,
};

const SECOND: u64 = 1_000_000_000;

/// The interface and the time of every frame.
fn seen(blocks: &[Vec<u8>]) -> Vec<(u32, u64)> {
    frames(&blocks.concat())
        .iter()
        .map(|frame| (frame.interface, frame.timestamp_ns))
        .collect()
}

#[test]
fn an_interface_has_its_own_resolution_and_offset_in_both_byte_orders() {
    for order in ORDERS {
        let offset = Bytes::new(order).u64(100).done();
        let blocks = [
            section(order),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &[(9, &[9]), (14, &offset), (0, &[])]),
            interface(order, 1, 0, &[(9, &[0x94])]),
            packet(order, 0, 5_000_001, &[1]),
            packet(order, 1, 7 * SECOND, &[1]),
            packet(order, 2, 3 << 20, &[1]),
        ];
        assert_eq!(
            seen(&blocks),
            [(0, 5 * SECOND + 1000), (1, 107 * SECOND), (2, 3 * SECOND)]
        );
    }
}

#[test]
fn a_section_has_its_own_byte_order_and_interfaces_and_the_file_counts_them_on() {
    let [first, second] = ORDERS;
    let blocks = [
        section(first),
        interface(first, 1, 0, &[]),
        interface(first, 1, 0, &[]),
        packet(first, 1, 1, &[1]),
        section(second),
        interface(second, 1, 0, &[(9, &[0])]),
        packet(second, 0, 1, &[1]),
    ];
    assert_eq!(seen(&blocks), [(1, 1000), (2, SECOND)]);
}

#[test]
fn a_simple_packet_has_the_time_of_the_one_before_it_and_no_padding() {
    for order in ORDERS {
        let simple = |data: &[u8], wire_len| {
            block(order, 3, &Bytes::new(order).u32(wire_len).raw(data).done())
        };
        let file = [
            section(order),
            interface(order, 1, 5, &[]),
            simple(&[1, 2, 3], 3),
            packet(order, 0, 9, &[4]),
            simple(&[1, 2, 3, 4, 5], 1514),
        ];
        let given = frames(&file.concat());
        let given: Vec<_> = given
            .iter()
            .map(|frame| (frame.timestamp_ns, frame.bytes.as_slice(), frame.wire_len))
            .collect();
        let expected: [(u64, &[u8], usize); 3] = [
            (0, &[1, 2, 3], 3),
            (9000, &[4], 1),
            (9000, &[1, 2, 3, 4, 5], 1514),
        ];
        assert_eq!(given, expected);
    }
}

#[test]
fn an_obsolete_packet_is_read_without_its_drop_count() {
    for order in ORDERS {
        let body = Bytes::new(order)
            .u16(1)
            .u16(0xffff)
            .u32(0)
            .u32(4)
            .u32(2)
            .u32(60);
        let file = [
            section(order),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &[]),
            block(order, 2, &body.raw(&[8, 9]).done()),
        ];
        let given = frames(&file.concat());
        let given: Vec<_> = given
            .iter()
            .map(|frame| (frame.interface, frame.bytes.as_slice()))
            .collect();
        assert_eq!(given, [(1, [8, 9].as_slice())]);
    }
}

#[test]
fn an_option_of_a_packet_is_not_a_part_of_it() {
    let order = ByteOrder::Little;
    let body = Bytes::new(order)
        .u32(0)
        .u64(0)
        .u32(3)
        .u32(3)
        .raw(&[1, 2, 3])
        .padded();
    let body = body.u16(2).u16(4).u32(1).u32(0).done();
    let file = [
        section(order),
        interface(order, 1, 0, &[]),
        block(order, 6, &body),
    ];
    assert_eq!(
        frames(&file.concat())
            .first()
            .map(|frame| frame.bytes.clone()),
        Some(vec![1, 2, 3])
    );
}

#[test]
fn an_interface_that_cannot_be_read_is_an_error_only_when_it_has_a_packet() {
    let order = ByteOrder::Big;
    let mut file = [
        section(order),
        interface(order, 105, 0, &[]),
        interface(order, 1, 0, &[]),
        packet(order, 1, 0, &[1]),
    ]
    .concat();
    assert_eq!(frames(&file).len(), 1);
    file.extend(packet(order, 0, 0, &[1]));
    let (given, message) = failure(&file);
    assert_eq!(given, 1);
    assert!(
        message.contains("link type 105 (802.11) cannot be read"),
        "{message}"
    );
}

#[test]
fn a_block_that_nobody_reads_may_be_longer_than_the_window() {
    let order = ByteOrder::Little;
    let file = [
        section(order),
        block(order, 0x0bad, &vec![7; 4 * MAX_FRAME]),
        interface(order, 1, 0, &[]),
        packet(order, 0, 0, &vec![1; MAX_FRAME]),
    ];
    assert_eq!(frames(&file.concat()).len(), 1);
}

#[test]
fn what_cannot_be_true_is_refused_with_its_place() {
    let order = ByteOrder::Little;
    let start = [
        section(order),
        interface(order, 1, 0, &[]),
        packet(order, 0, 0, &[1, 2]),
    ]
    .concat();
    let at = format!("test.pcap: broken after packet 1 (byte {}): ", start.len());
    let head = |kind, length| Bytes::new(order).u32(kind).u32(length).done();
    let mut other_end = packet(order, 0, 0, &[1]);
    other_end.splice(32.., [0, 1, 0, 0]);
    let claims = |captured| {
        Bytes::new(order)
            .u32(0)
            .u64(0)
            .u32(captured)
            .u32(60)
            .u32(0)
            .done()
    };
    let cases = [
        (head(6, 8), "a block of 8 bytes"),
        (head(6, 33), "a block of 33 bytes"),
        (
            head(6, 0x10_0000),
            "a block of 1048576 bytes, and 524288 is the most",
        ),
        (
            head(99, 0xffff_fffc),
            "a block of 4294967292 bytes, and 16777216 is the most",
        ),
        (other_end, "a block of 36 bytes that ends as one of 256"),
        (
            block(order, 6, &claims(5)),
            "a packet of 5 captured bytes in a block of 36",
        ),
        (
            block(order, 6, &claims(262_145)),
            "a packet of 262145 captured bytes, and 262144 is the most",
        ),
        (block(order, 6, &[0; 8]), "a block of 20 bytes"),
        (
            packet(order, 1, 0, &[]),
            "a packet of interface 1, which is not described before it",
        ),
        (
            block(order, 1, &[0; 4]),
            "an interface description that makes no sense",
        ),
        (
            head(0x0a0d_0d0a, 28),
            "the file ends inside a section header",
        ),
        (
            block(order, 0x0a0d_0d0a, &[0; 16]),
            "a section without its byte-order magic",
        ),
    ];
    for (broken, damage) in cases {
        let (given, message) = failure(&[start.as_slice(), &broken].concat());
        assert_eq!((given, message.strip_prefix(&at)), (1, Some(damage)));
    }
}

#[test]
fn a_file_that_only_begins_like_pcapng_is_no_capture() {
    let (_, message) = failure(&[b"\n\r\r\n".as_slice(), &[0; 40]].concat());
    assert!(message.contains("not a capture"), "{message}");
}

#[test]
fn a_block_ends_where_it_says_even_if_that_is_the_end_of_the_file() {
    let order = ByteOrder::Big;
    let file = [section(order), block(order, 4, &[])].concat();
    assert_eq!(length_of(&file), 40);
    assert_eq!(frames(&file), []);
}
