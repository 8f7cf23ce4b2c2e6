//! The builder against an independent reader: everything it makes parses strictly with etherparse, carries the
//! values that were set, and every checksum verifies; what it breaks on purpose is broken at the right place.

use anyhow::{Context as _, Result, ensure};
use etherparse::{NetSlice, SlicedPacket, TransportSlice, checksum::Sum16BitWords};

use super::*;

/// Parses strictly and checks every checksum that the packet has.
fn verified(frame: &[u8]) -> Result<SlicedPacket<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).context("etherparse rejects the frame")?;
    let (addresses, fragmented) = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            ensure!(
                header.header_checksum() == header.to_header().calc_header_checksum(),
                "IPv4 checksum"
            );
            (
                [&header.source()[..], &header.destination()[..]].concat(),
                ip.is_payload_fragmented(),
            )
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            (
                [&header.source()[..], &header.destination()[..]].concat(),
                ip.is_payload_fragmented(),
            )
        }
        _ => return Ok(packet),
    };
    let (protocol, segment) = match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => (6, tcp.slice()),
        Some(TransportSlice::Udp(udp)) => (17, udp.slice()),
        Some(TransportSlice::Icmpv6(icmp)) => (58, icmp.slice()),
        Some(TransportSlice::Icmpv4(icmp)) => {
            let sum = Sum16BitWords::new()
                .add_slice(icmp.slice())
                .ones_complement();
            ensure!(sum == 0, "ICMP checksum");
            return Ok(packet);
        }
        _ => return Ok(packet),
    };
    if !fragmented {
        let sum = Sum16BitWords::new()
            .add_slice(&addresses)
            .add_4bytes(u32::try_from(segment.len())?.to_be_bytes())
            .add_2bytes([0, protocol])
            .add_slice(segment)
            .ones_complement();
        ensure!(sum == 0, "transport checksum of protocol {protocol}");
    }
    Ok(packet)
}

fn parsed_tcp<'a>(packet: &'a SlicedPacket<'_>) -> Result<&'a etherparse::TcpSlice<'a>> {
    match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Ok(tcp),
        other => anyhow::bail!("not TCP: {other:?}"),
    }
}

fn parsed_ipv4<'a>(packet: &'a SlicedPacket<'_>) -> Result<&'a etherparse::Ipv4Slice<'a>> {
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => Ok(ip),
        other => anyhow::bail!("not IPv4: {other:?}"),
    }
}

#[test]
fn a_tcp_segment_carries_what_was_set_and_every_checksum_verifies() -> Result<()> {
    let frame = PacketBuilder::new()
        .ipv4([192, 0, 2, 1], [198, 51, 100, 2])
        .ipv4_options(&[7, 7, 4, 0, 0, 0, 0])
        .ttl(17)
        .ip_id(0xbeef)
        .type_of_service(0x28)
        .tcp(1025, 80)
        .seq(0x0102_0304)
        .ack(0x0506_0708)
        .flags(PSH | ACK)
        .window(4321)
        .tcp_options(TIMESTAMP_OPTIONS)
        .payload(b"GET / HTTP/1.0\r\n\r\n")
        .build();
    let packet = verified(&frame)?;
    let ip = parsed_ipv4(&packet)?.header();
    assert_eq!(
        (ip.ihl(), ip.ttl(), ip.identification(), ip.dont_fragment()),
        (7, 17, 0xbeef, true)
    );
    assert_eq!(ip.source_addr(), Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(usize::from(ip.total_len()), frame.len() - 14);
    let tcp = parsed_tcp(&packet)?;
    assert_eq!((tcp.source_port(), tcp.destination_port()), (1025, 80));
    assert_eq!(
        (tcp.sequence_number(), tcp.acknowledgment_number()),
        (0x0102_0304, 0x0506_0708)
    );
    assert_eq!((tcp.psh(), tcp.ack(), tcp.syn()), (true, true, false));
    assert_eq!(
        (tcp.window_size(), tcp.options()),
        (4321, TIMESTAMP_OPTIONS)
    );
    assert_eq!(tcp.payload(), b"GET / HTTP/1.0\r\n\r\n");
    Ok(())
}

#[test]
fn every_transport_over_either_ip_verifies_with_odd_and_even_payloads() -> Result<()> {
    for payload in [&b""[..], b"x", b"even", b"odd length"] {
        for over_ip in [
            PacketBuilder::new().ipv4(CLIENT_IPV4, SERVER_IPV4),
            PacketBuilder::new().ipv6(CLIENT_IPV6, SERVER_IPV6),
        ] {
            verified(
                &over_ip
                    .clone()
                    .tcp(1, 2)
                    .flags(SYN)
                    .tcp_options(SYN_OPTIONS)
                    .payload(payload)
                    .build(),
            )?;
            verified(&over_ip.clone().udp(3, 4).payload(payload).build())?;
            verified(
                &over_ip
                    .clone()
                    .tcp(5, 6)
                    .ports(7, 8)
                    .payload(payload)
                    .build(),
            )?;
        }
        verified(
            &PacketBuilder::new()
                .icmp_echo(1, 2)
                .payload(payload)
                .build(),
        )?;
        verified(
            &PacketBuilder::new()
                .icmp_echo_reply(1, 2)
                .payload(payload)
                .build(),
        )?;
        verified(
            &PacketBuilder::new()
                .icmpv6_echo(1, 2)
                .payload(payload)
                .build(),
        )?;
        verified(
            &PacketBuilder::new()
                .icmpv6(135, 0, [0; 4])
                .payload(payload)
                .build(),
        )?;
    }
    Ok(())
}

#[test]
fn a_udp_checksum_that_computes_to_zero_is_sent_as_all_ones() -> Result<()> {
    for filler in 0..=u16::MAX {
        let frame = PacketBuilder::new()
            .udp(1, 2)
            .payload(&filler.to_be_bytes())
            .build();
        assert_ne!(frame[40..42], [0, 0], "payload {filler:#06x}");
        if frame[40..42] == [0xff, 0xff] {
            verified(&frame)?;
            return Ok(());
        }
    }
    anyhow::bail!("no payload made the checksum zero")
}

#[test]
fn tags_stand_between_ethernet_and_the_packet_whenever_they_are_added() -> Result<()> {
    let early = PacketBuilder::new().vlan_ad(100).vlan(7).udp(1, 2).build();
    let late = PacketBuilder::new().udp(1, 2).vlan_ad(100).vlan(7).build();
    assert_eq!(early, late);
    assert_eq!(early[12..22], [0x88, 0xa8, 0, 100, 0x81, 0, 0, 7, 0x08, 0]);
    assert_eq!(verified(&early)?.link_exts.len(), 2);
    verified(
        &PacketBuilder::new()
            .vlan(1)
            .vlan(2)
            .vlan(3)
            .udp(1, 2)
            .build(),
    )?;
    Ok(())
}

#[test]
fn arp_messages_have_the_bytes_of_rfc_826_and_go_to_the_right_station() -> Result<()> {
    let request = PacketBuilder::new()
        .arp_request(CLIENT_MAC, [192, 0, 2, 1], [192, 0, 2, 2])
        .pad_to(60)
        .build();
    let mut expected = vec![0xff; 6];
    expected.extend(CLIENT_MAC);
    expected.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    expected.extend(CLIENT_MAC);
    expected.extend([192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2]);
    expected.resize(60, 0);
    assert_eq!(request, expected);
    assert!(matches!(verified(&request)?.net, Some(NetSlice::Arp(_))));

    let reply = PacketBuilder::new()
        .arp_reply(SERVER_MAC, [192, 0, 2, 2], CLIENT_MAC, [192, 0, 2, 1])
        .build();
    assert_eq!(
        (reply.len(), &reply[..6], &reply[6..12]),
        (42, &CLIENT_MAC[..], &SERVER_MAC[..])
    );
    let probe = Arp::probe(CLIENT_MAC, [192, 0, 2, 9]);
    assert_eq!(probe.sender_ip, Ipv4Addr::UNSPECIFIED);
    let announcement = Arp::announcement(CLIENT_MAC, [192, 0, 2, 9]);
    assert_eq!(announcement.sender_ip, announcement.target_ip);
    let odd = PacketBuilder::new()
        .ethernet([2; 6], [4; 6])
        .arp(Arp {
            operation: 9,
            ..probe
        })
        .build();
    assert_eq!((&odd[..6], &odd[20..22]), (&[4; 6][..], &[0, 9][..]));
    Ok(())
}

#[test]
fn ipv6_extension_headers_chain_in_the_recommended_order() -> Result<()> {
    let frame = PacketBuilder::new()
        .ipv6(CLIENT_IPV6, SERVER_IPV6)
        .hop_limit(3)
        .traffic_class(0x5a, 0x000a_bcde)
        .hop_by_hop(&[5, 2, 0, 0])
        .routing(4, 0, &[0; 20])
        .ipv6_fragment(0, false, 77)
        .authentication(1, 2, &[0xee; 12])
        .destination_options(&[1, 3, 0, 0, 0])
        .udp(1, 2)
        .payload(b"end")
        .build();
    let packet = verified(&frame)?;
    assert!(matches!(&packet.transport, Some(TransportSlice::Udp(udp)) if udp.payload() == b"end"));
    assert_eq!(frame[14..18], [0x65, 0xaa, 0xbc, 0xde]);
    Ok(())
}

#[test]
fn each_extension_header_is_a_whole_number_of_eight_byte_units_and_says_so() {
    for length in 0..40 {
        let bytes = vec![0; length];
        let over_ip = PacketBuilder::new().ipv6(CLIENT_IPV6, SERVER_IPV6);
        for (builder, unit, extra) in [
            (over_ip.clone().hop_by_hop(&bytes), 8, 1),
            (over_ip.clone().destination_options(&bytes), 8, 1),
            (over_ip.clone().routing(4, 0, &bytes), 8, 1),
            (over_ip.authentication(1, 2, &bytes), 4, 2),
        ] {
            let frame = builder.build();
            let header = &frame[54..];
            assert_eq!(header.len() % 8, 0, "{length} bytes: {header:?}");
            assert_eq!(
                header.len(),
                (usize::from(header[1]) + extra) * unit,
                "{length} bytes: {header:?}"
            );
            assert_eq!(header[0], 59, "nothing follows");
        }
    }
}

#[test]
fn fragments_say_where_they_belong_and_later_ones_have_no_ports() -> Result<()> {
    let first = PacketBuilder::new()
        .ipv4(CLIENT_IPV4, SERVER_IPV4)
        .fragment(0, true)
        .udp(1, 2)
        .payload(&[0; 16]);
    assert!(parsed_ipv4(&verified(&first.build())?)?.is_payload_fragmented());
    let later = PacketBuilder::new()
        .ipv4(CLIENT_IPV4, SERVER_IPV4)
        .fragment(3, false)
        .protocol(17)
        .payload(&[0; 9]);
    let frame = later.build();
    let packet = verified(&frame)?;
    assert!(packet.transport.is_none());
    assert_eq!(parsed_ipv4(&packet)?.header().fragments_offset().value(), 3);
    let later = PacketBuilder::new()
        .ipv6(CLIENT_IPV6, SERVER_IPV6)
        .ipv6_fragment(3, true, 9)
        .next_header(6);
    let frame = later.payload(&[0; 16]).build();
    assert_eq!(frame[54..62], [6, 0, 0, 0x19, 0, 0, 0, 9]);
    assert!(verified(&frame)?.transport.is_none());
    Ok(())
}

#[test]
fn an_ip_packet_inside_another_is_named_by_its_protocol_number() -> Result<()> {
    let tunnel = PacketBuilder::new()
        .ipv4(CLIENT_IPV4, SERVER_IPV4)
        .ipv6(CLIENT_IPV6, SERVER_IPV6)
        .udp(1, 2);
    let frame = tunnel.build();
    assert_eq!(parsed_ipv4(&verified(&frame)?)?.payload_ip_number().0, 41);
    Ok(())
}

#[test]
fn a_tunnel_of_gre_names_what_it_carries_by_its_ethertype() -> Result<()> {
    let tunnel = PacketBuilder::new().gre();
    let inner = tunnel.ipv4(CLIENT_IPV4, SERVER_IPV4).tcp(1, 2);
    let frame = inner.payload(b"data").build();
    assert_eq!(parsed_ipv4(&verified(&frame)?)?.payload_ip_number().0, 47);
    assert_eq!(frame[34..38], [0, 0, 0x08, 0]);
    // Behind an Ethernet header it is a packet like any other.
    let carried = [&frame[..14], &frame[38..]].concat();
    assert_eq!(parsed_tcp(&verified(&carried)?)?.payload(), b"data");
    Ok(())
}

#[test]
fn overrides_change_their_field_and_nothing_else() {
    let good = PacketBuilder::new()
        .ipv4(CLIENT_IPV4, SERVER_IPV4)
        .tcp(1, 2)
        .payload(b"data");
    let differing = |broken: PacketBuilder| -> Vec<usize> {
        let (good, broken) = (good.build(), broken.build());
        assert_eq!(good.len(), broken.len());
        (0..good.len())
            .filter(|&index| good[index] != broken[index])
            .collect()
    };
    let checksum = good.build()[24..26].to_vec();
    let keep = u16::from_be_bytes([checksum[0], checksum[1]]);
    assert_eq!(differing(good.clone().ethertype(0x86dd)), [12, 13]);
    assert_eq!(
        differing(good.clone().version(5).header_checksum(keep)),
        [14]
    );
    assert_eq!(differing(good.clone().ihl(3).header_checksum(keep)), [14]);
    assert_eq!(
        differing(good.clone().total_length(0xffff).header_checksum(keep)),
        [16, 17]
    );
    assert_eq!(
        differing(good.clone().protocol(200).header_checksum(keep)),
        [23]
    );
    assert_eq!(differing(good.clone().header_checksum(!keep)), [24, 25]);
    assert_eq!(differing(good.clone().overwrite(24, &[!checksum[0]])), [24]);
    assert_eq!(
        differing(good.clone().overwrite(57, b"Xbeyond the end")),
        [57]
    );
    let data_offset = differing(good.clone().data_offset(15));
    assert!(
        data_offset.starts_with(&[46])
            && data_offset.iter().all(|index| [46, 50, 51].contains(index))
    );
    let udp = PacketBuilder::new()
        .udp(1, 2)
        .checksum(0)
        .udp_length(7)
        .build();
    assert_eq!(udp[38..42], [0, 7, 0, 0]);
    let ipv6 = PacketBuilder::new()
        .ipv6(CLIENT_IPV6, SERVER_IPV6)
        .payload_length(9)
        .hop_by_hop(&[]);
    let ipv6 = ipv6.extension_length(200).next_header(0).build();
    assert_eq!((&ipv6[18..20], &ipv6[54..56]), (&[0, 9][..], &[0, 200][..]));
}

#[test]
fn frames_are_padded_then_truncated() {
    let builder = PacketBuilder::new().udp(1, 2);
    assert_eq!(builder.clone().pad_to(60).build().len(), 60);
    assert_eq!(builder.clone().pad_to(10).build().len(), 42);
    assert_eq!(builder.pad_to(60).truncate(23).build().len(), 23);
}

#[test]
#[should_panic(expected = "PacketBuilder::seq was called before the header it belongs to")]
fn a_setter_without_its_header_panics() {
    let _ = PacketBuilder::new().udp(1, 2).seq(7);
}
