//! The parser against an independent one, `etherparse`, over generated, mutated and arbitrary frames.
//!
//! Where both read a frame, they must read the same. Where one refuses what the other reads, the difference must be on
//! the list of [`excuse`], which says why. The seed is fixed, so a run is the same every time; a failure prints the
//! shortest recipe that shows it.

use std::{cell::RefCell, collections::BTreeSet, ops::Range};

use detector_common::{
    packet::Frame,
    parse::{PAYLOAD_OFFSET_MAX, ipv6::EXTENSIONS_MAX, parse},
    reason::Reason,
};
use detector_tests::{
    generate::{Kitchen, Recipe},
    oracle::referee::{self, Headers, Network, Refusal},
};
use etherparse::{
    LinkExtSlice, NetSlice, SlicedPacket,
    err::{
        Layer, ip_auth::HeaderError as AuthenticationError,
        ipv6_exts::HeaderError as ExtensionError, packet::SliceError,
    },
};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_assert, prop_assert_eq,
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};

/// How many reasons to differ there are in [`excuse`].
const EXCUSES: usize = 9;
/// The longest frame that is made.
const LONGEST: usize = 3000;
/// For the longest TCP header there must be room before a payload's farthest place.
const LONGEST_TCP_HEADER: usize = 60;

#[test]
fn generated_frames_are_read_as_the_referee_reads_them() {
    let kitchen = Kitchen::new();
    let mut used = BTreeSet::new();
    check(100_000, recipe(0..5), |recipe| {
        used.extend(agree(&kitchen.make(&recipe, LONGEST))?);
        Ok(())
    });
    // An excuse that nothing needs would hide what it was not meant for.
    assert_eq!(used.len(), EXCUSES, "excuses that were needed: {used:#?}");
}

#[test]
fn arbitrary_bytes_are_read_as_the_referee_reads_them() {
    check(20_000, vec(any::<u8>(), 0..200), |frame| {
        agree(&frame).map(drop)
    });
}

#[test]
fn well_formed_frames_are_read() {
    // Without this the comparison could be one of refusals.
    let kitchen = Kitchen::new();
    let (mut read, mut made) = (0, 0);
    check(5_000, recipe(0..1), |recipe| {
        let frame = kitchen.make(&recipe, LONGEST);
        made += 1;
        read += i32::from(ours(&Frame::whole(&frame)).is_ok());
        Ok(())
    });
    assert!(read > made / 2, "only {read} of {made} frames were read");
}

#[test]
fn arbitrary_bytes_never_panic_however_long_the_frame_was() {
    let frames = (vec(any::<u8>(), 0..5000), any::<usize>());
    check(10_000, frames, |(bytes, wire_len)| {
        // Only that it comes back is asked here; what it says, everywhere else.
        let _ = ours(&Frame::captured(&bytes, wire_len));
        Ok(())
    });
}

#[test]
fn a_frame_that_is_cut_short_is_truncated_or_read_alike() {
    let kitchen = Kitchen::new();
    check(1_000, recipe(0..1), |recipe| {
        let frame = kitchen.make(&recipe, LONGEST);
        let Ok(whole) = ours(&Frame::whole(&frame)) else {
            return Ok(());
        };
        for len in 0..frame.len() {
            match ours(&Frame::whole(&frame[..len])) {
                Ok(headers) => prop_assert_eq!(&headers, &whole, "cut after {} bytes", len),
                Err(reason) => prop_assert!(
                    OF_CUT_FRAMES.contains(&reason),
                    "cut after {len} bytes: {reason:?}"
                ),
            }
        }
        Ok(())
    });
}

#[test]
fn a_frame_that_was_captured_in_part_is_truncated_or_read_alike() {
    let kitchen = Kitchen::new();
    check(1_000, recipe(0..1), |recipe| {
        let frame = kitchen.make(&recipe, LONGEST);
        let Ok(whole) = ours(&Frame::whole(&frame)) else {
            return Ok(());
        };
        for len in 0..frame.len() {
            match ours(&Frame::captured(&frame[..len], frame.len())) {
                Ok(headers) => prop_assert_eq!(&headers, &whole, "kept {} bytes", len),
                Err(reason) => prop_assert!(
                    OF_CAPTURED_FRAMES.contains(&reason),
                    "kept {len} bytes: {reason:?}"
                ),
            }
        }
        Ok(())
    });
}

/// Where a frame may be cut: in a header, or behind one that says how long the packet is.
const OF_CUT_FRAMES: [Reason; 7] = [
    Reason::EthernetTruncated,
    Reason::VlanTruncated,
    Reason::ArpTruncated,
    Reason::Ipv4Truncated,
    Reason::Ipv4BeyondFrame,
    Reason::Ipv6Truncated,
    Reason::Ipv6BeyondFrame,
];

/// Where the kept part of a frame may end: in a header.
const OF_CAPTURED_FRAMES: [Reason; 9] = [
    Reason::EthernetTruncated,
    Reason::VlanTruncated,
    Reason::ArpTruncated,
    Reason::Ipv4Truncated,
    Reason::Ipv6Truncated,
    Reason::Ipv6ExtensionTruncated,
    Reason::TcpTruncated,
    Reason::UdpTruncated,
    Reason::IcmpTruncated,
];

/// Why the two may differ on a frame; `None` if they may not.
fn excuse(
    frame: &[u8],
    ours: &Result<Headers, Reason>,
    theirs: &Result<Headers, Refusal>,
) -> Option<&'static str> {
    match (ours, theirs) {
        (Err(reason), Ok(headers)) => excuse_refusal(*reason, headers, frame),
        (Ok(headers), Err(refusal)) => excuse_reading(headers, refusal, frame),
        // That both refuse it is no difference; that both read it, but not alike, has no excuse.
        (Err(_), Err(_)) | (Ok(_), Ok(_)) => None,
    }
}

/// Why the classifier may refuse what the referee reads.
fn excuse_refusal(reason: Reason, headers: &Headers, frame: &[u8]) -> Option<&'static str> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (ipv4, ipv6) = match &sliced.net {
        Some(NetSlice::Ipv4(ipv4)) => (Some(ipv4), None),
        Some(NetSlice::Ipv6(ipv6)) => (None, Some(ipv6)),
        Some(NetSlice::Arp(_)) | None => (None, None),
    };
    let old_tag = sliced
        .link_exts
        .iter()
        .any(|header| matches!(header, LinkExtSlice::Vlan(tag) if tag.ether_type().0 == 0x9100));
    if reason == Reason::EtherTypeUnknown && (frame[12..14] == [0x91, 0] || old_tag) {
        return Some("0x9100 was never a standard tag; the referee follows it");
    }
    if reason == Reason::IpProtocolUnknown && ipv4.is_some_and(|ip| ip.extensions().auth.is_some())
    {
        return Some("the classifier steps over an authentication header in IPv6 only");
    }
    if ipv6.is_some_and(|ip| ip.header().payload_length() == 0) {
        return Some("for the referee an IPv6 packet of length 0 reaches to the end of the frame");
    }
    if reason == Reason::Ipv6ExtensionTooDeep
        && ipv6.is_some_and(|ip| {
            let extensions = ip.extensions();
            let transport = ip.payload().payload.as_ptr() as usize - frame.as_ptr() as usize;
            extensions.clone().into_iter().count() > EXTENSIONS_MAX
                || transport + LONGEST_TCP_HEADER > PAYLOAD_OFFSET_MAX
        })
    {
        return Some("the referee follows any number of extension headers, of any length");
    }
    if let Network::Ip { payload, .. } = &headers.network
        && reason == Reason::UdpLength
        && frame[payload.start - 4..payload.start - 2] == [0, 0]
    {
        return Some("for the referee a datagram of length 0 reaches to the end of the packet");
    }
    None
}

/// Why the referee may refuse what the classifier reads.
fn excuse_reading(headers: &Headers, refusal: &Refusal, frame: &[u8]) -> Option<&'static str> {
    let Network::Ip { transport, .. } = &headers.network else {
        return None;
    };
    match refusal {
        Refusal::Broken(SliceError::Ipv6Exts(ExtensionError::HopByHopNotAtStart)) => {
            Some("to the classifier the order of extension headers is the receiver's matter")
        }
        Refusal::Broken(SliceError::Ipv6Exts(ExtensionError::IpAuth(
            AuthenticationError::ZeroPayloadLen,
        ))) => Some("the classifier takes an authentication header for as long as it says"),
        Refusal::Broken(SliceError::Len(error))
            if matches!(
                error.layer,
                Layer::Icmpv4Timestamp | Layer::Icmpv4TimestampReply
            ) && matches!(transport.icmp.0, 13 | 14) =>
        {
            Some("the classifier does not look behind the header that all of ICMP shares")
        }
        Refusal::NotRead if has_mobility_header(frame) => {
            Some("the referee does not follow mobility headers")
        }
        Refusal::Broken(_)
        | Refusal::NotRead
        | Refusal::ManyTags
        | Refusal::Macsec
        | Refusal::LaterFragment => None,
    }
}

/// Whether the extension headers that the referee follows end at a mobility header.
fn has_mobility_header(frame: &[u8]) -> bool {
    let sliced = SlicedPacket::from_ethernet(frame);
    sliced.is_ok_and(|sliced| match sliced.net {
        Some(NetSlice::Ipv6(ip)) => ip.payload().ip_number.0 == 135,
        Some(NetSlice::Ipv4(_) | NetSlice::Arp(_)) | None => false,
    })
}

/// Fails unless the two agree on `frame`, or gives their excuse.
fn agree(frame: &[u8]) -> Result<Option<&'static str>, TestCaseError> {
    let ours = ours(&Frame::whole(frame));
    let theirs = referee::read(frame);
    if ours.as_ref().ok() == theirs.as_ref().ok() {
        return Ok(None);
    }
    let excuse = excuse(frame, &ours, &theirs);
    prop_assert!(
        excuse.is_some(),
        "{frame:02x?}\n  classifier: {ours:?}\n  referee:    {theirs:?}"
    );
    Ok(excuse)
}

fn ours(frame: &Frame<'_>) -> Result<Headers, Reason> {
    parse(frame).map(|packet| Headers::of(&packet))
}

fn recipe(mutations: Range<usize>) -> impl Strategy<Value = Recipe> {
    (any::<u64>(), vec(any::<u64>(), mutations))
        .prop_map(|(packet, mutations)| Recipe { packet, mutations })
}

/// Asks `property` of that many values.
fn check<S: Strategy>(
    cases: u32,
    values: S,
    mut property: impl FnMut(S::Value) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(0x00de_7ec7),
        failure_persistence: None,
        ..Config::default()
    });
    let property = RefCell::new(&mut property);
    let result = runner.run(&values, |value| (property.borrow_mut())(value));
    assert!(
        result.is_ok(),
        "{}",
        result
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    );
}
