//! The packets against their published description: offsets, lengths and counts, not a copy of the code.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::builder::TIMESTAMP_OPTIONS;

/// Where the payload of an untagged TCP, UDP or ICMP frame without IP options starts.
fn payload(frame: &[u8]) -> &[u8] {
    let transport = match frame[23] {
        6 => usize::from(frame[46] >> 4) * 4,
        _ => 8,
    };
    &frame[34 + transport..]
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn sent_by(name: &str, route: &Route) -> Vec<u8> {
    all()
        .iter()
        .find(|worm| worm.name == name)
        .map(|worm| worm.frame(route))
        .unwrap_or_default()
}

#[test]
fn every_worm_has_its_own_name_and_a_frame_that_fits_on_ethernet() {
    let worms = all();
    let names: BTreeSet<_> = worms.iter().map(|worm| worm.name).collect();
    assert_eq!((worms.len(), names.len()), (28, 28));
    for route in [
        Route::default(),
        Route {
            tcp_options: TIMESTAMP_OPTIONS,
            ..Route::default()
        },
    ] {
        for worm in &worms {
            let frame = worm.frame(&route);
            assert!(frame.len() <= 1514, "{}: {} bytes", worm.name, frame.len());
            assert!(
                etherparse::SlicedPacket::from_ethernet(&frame).is_ok(),
                "{}",
                worm.name
            );
        }
    }
}

#[test]
fn code_red_has_its_run_and_its_addresses_at_the_known_offsets() {
    for (name, run_byte) in [("code-red", b'N'), ("code-red-ii", b'X')] {
        let frame = sent_by(name, &Route::default());
        let payload = payload(&frame);
        assert_eq!((frame.len(), payload.len()), (1514, FULL_SEGMENT), "{name}");
        assert_eq!(position(payload, b".ida?"), Some(12), "{name}");
        assert_eq!(payload[17..241], [run_byte; 224], "{name}");
        assert_eq!(position(payload, b"%u9090%u6858"), Some(241), "{name}");
        assert_eq!(
            position(payload, b"%u00=a  HTTP/1.0\r\n"),
            Some(373),
            "{name}"
        );
    }
}

#[test]
fn tcp_options_move_the_payload_and_shorten_a_full_segment() {
    let frame = sent_by(
        "code-red",
        &Route {
            tcp_options: TIMESTAMP_OPTIONS,
            ..Route::default()
        },
    );
    assert_eq!(
        (frame.len(), position(&frame, b"GET /default.ida?NNN")),
        (1514, Some(66))
    );
}

#[test]
fn nimda_sends_sixteen_requests_whose_command_ends_where_it_is_known_to() {
    let ends = [
        25, 23, 33, 33, 49, 70, 70, 98, 50, 50, 50, 50, 51, 49, 53, 49,
    ];
    for ((name, _), expected) in NIMDA_URLS.iter().zip(ends) {
        let frame = sent_by(name, &Route::default());
        let end = position(payload(&frame), b".exe?/c+").map(|start| start + 8);
        assert_eq!(end, Some(expected), "{name}");
        assert!(
            payload(&frame).ends_with(b"dir HTTP/1.0\r\nHost: www\r\nConnnection: close\r\n\r\n"),
            "{name}"
        );
    }
}

#[test]
fn slammer_is_376_bytes_with_the_published_ones_in_place() {
    let frame = sent_by("sql-slammer", &Route::default());
    let payload = payload(&frame);
    assert_eq!((frame.len(), payload.len()), (418, 376));
    assert_eq!(
        (frame[16..18].to_vec(), frame[36..40].to_vec()),
        (vec![0x01, 0x94], vec![0x05, 0x9a, 0x01, 0x80])
    );
    assert_eq!((payload[0], &payload[1..97]), (0x04, &[0x01; 96][..]));
    assert_eq!(payload[97..103], [0xdc, 0xc9, 0xb0, 0x42, 0xeb, 0x0e]);
    assert_eq!(
        (&payload[203..207], &payload[213..217]),
        (&b"sock"[..], &b"send"[..])
    );
    assert_eq!(
        payload[270..279],
        [0x81, 0xf1, 0x03, 0x01, 0x04, 0x9b, 0x81, 0xf1, 0x01]
    );
}

#[test]
fn welchia_and_witty_and_mirai_and_mydoom_are_as_described() {
    let route = Route::default();
    let ping = sent_by("welchia-ping", &route);
    assert_eq!(
        (&ping[16..18], &ping[34..36], &ping[38..40]),
        (&[0, 92][..], &[8, 0][..], &[2, 0][..])
    );
    assert_eq!(payload(&ping), [0xaa; 64]);

    let witty = sent_by("witty", &route);
    assert_eq!(witty[34..36], 4000_u16.to_be_bytes());
    assert_eq!(
        (&payload(&witty)[..2], &payload(&witty)[7..9]),
        (&[5, 0][..], &[0x12, 2][..])
    );
    assert_eq!(
        (&payload(&witty)[31..33], &payload(&witty)[77..79]),
        (&[0x6e, 0][..], &[0xde, 3][..])
    );
    assert!(position(payload(&witty), b"insert witty message here").is_some());

    let mirai = sent_by("mirai-scan", &route);
    assert_eq!(mirai.len(), 54);
    assert_eq!(
        (&mirai[30..34], &mirai[36..38]),
        (&mirai[38..42], &[0, 23][..])
    );
    assert_eq!((mirai[20] & 0x40, mirai[46] >> 4, mirai[47]), (0, 5, 0x02));

    let mydoom = sent_by("mydoom-backdoor", &route);
    assert_eq!(
        (&payload(&mydoom)[..5], &mydoom[36..38]),
        (&[0x85, 0x13, 0x3c, 0x9e, 0xa2][..], &[0x0c, 0x37][..])
    );
}

#[test]
fn the_smb_probes_have_the_captured_bytes_and_consistent_lengths() {
    let probe = sent_by("eternalblue-probe", &Route::default());
    let probe = payload(&probe);
    assert_eq!(probe.len(), 78);
    assert_eq!(probe[..16], *b"\0\0\0\x4a\xffSMB\x25\0\0\0\0\x18\x01\x28");
    assert_eq!(probe[65..78], *b"\x23\0\0\0\x07\0\\PIPE\\\0");
    let ping = sent_by("doublepulsar-ping", &Route::default());
    let ping = payload(&ping);
    assert_eq!(ping.len(), 82);
    assert_eq!(ping[..16], *b"\0\0\0\x4e\xffSMB\x32\0\0\0\0\x18\x07\xc0");
    assert_eq!(
        (&ping[30..32], &ping[34..37], &ping[65..69]),
        (&[0xff, 0xfe][..], &[0x41, 0, 15][..], &[14, 0, 13, 0][..])
    );
}

#[test]
fn the_arp_storm_has_the_counts_of_the_capture() {
    let storm: Vec<_> = arp_storm().collect();
    assert_eq!(storm.len(), 622);
    assert!(storm.is_sorted_by_key(|timed| timed.at));
    let end = storm.last().map_or(0.0, |timed| timed.at.as_secs_f64());
    assert!((28.96..28.98).contains(&end), "{end}");
    let mut requests_by_sender = BTreeMap::new();
    for timed in &storm {
        assert_eq!(
            (timed.frame.len(), &timed.frame[..6], &timed.frame[6..12]),
            (60, &[0xff; 6][..], &ARP_STORM_MAC[..])
        );
        *requests_by_sender.entry(&timed.frame[28..32]).or_insert(0) += 1;
    }
    let mut requests: Vec<u32> = requests_by_sender.into_values().collect();
    requests.sort_unstable();
    assert_eq!(requests, [2, 3, 8, 9, 27, 29, 47, 205, 292]);
    let targets: BTreeSet<_> = storm.iter().map(|timed| &timed.frame[38..42]).collect();
    assert_eq!(targets.len(), 303);
    let busiest_second = storm.iter().map(|first| {
        let in_second = |timed: &&TimedFrame| {
            (first.at..first.at + std::time::Duration::from_secs(1)).contains(&timed.at)
        };
        storm.iter().filter(in_second).count()
    });
    assert!(matches!(busiest_second.max(), Some(30..=39)));
}

#[test]
fn ordinary_packets_parse_and_fit_on_ethernet() {
    let route = Route::default();
    for benign in benign::all(&route)
        .into_iter()
        .chain(benign::lookalikes(&route))
    {
        let frame = benign.packet.build();
        assert!(
            frame.len() <= 1514 && etherparse::SlicedPacket::from_ethernet(&frame).is_ok(),
            "{}",
            benign.name
        );
    }
    assert_eq!(benign::http_response(&route).build().len(), 1514);
}
