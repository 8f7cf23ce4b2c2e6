//! What the parser and the referee `etherparse` may differ in: a name for each difference, and which frames have it.
//!
//! Where both read a frame, they must read the same; that one of them refuses it needs an excuse. The reason of each is
//! in `tests/disagreements.toml`, under its name.

use detector_common::{
    packet::Frame,
    parse::{PAYLOAD_OFFSET_MAX, ipv6::EXTENSIONS_MAX, parse},
    reason::Reason,
};
use etherparse::{
    LinkExtSlice, NetSlice, SlicedPacket,
    err::{
        Layer, ip_auth::HeaderError as AuthenticationError,
        ipv6_exts::HeaderError as ExtensionError, packet::SliceError,
    },
};

use super::referee::{self, Headers, Network, Refusal};

/// For the longest TCP header there must be room before a payload's farthest place.
const LONGEST_TCP_HEADER: usize = 60;

/// Every name that [`agree`] gives.
pub const EXCUSES: [&str; 9] = [
    "authentication-header-length-zero",
    "icmp-timestamp-truncated",
    "ipv4-authentication-header",
    "ipv6-extensions-too-deep",
    "ipv6-hop-by-hop-not-first",
    "ipv6-length-zero",
    "ipv6-mobility-header",
    "tag-0x9100",
    "udp-length-zero",
];

/// The name of the difference, if the two differ on `frame` in one that has an excuse.
///
/// Fails with what each reads if there is none.
pub fn agree(frame: &[u8]) -> Result<Option<&'static str>, String> {
    let ours = parse(&Frame::whole(frame)).map(|packet| Headers::of(&packet));
    let theirs = referee::read(frame);
    if ours.as_ref().ok() == theirs.as_ref().ok() {
        return Ok(None);
    }
    match excuse(frame, &ours, &theirs) {
        None => Err(format!(
            "the two differ on {frame:02x?}\n  classifier: {ours:?}\n  referee:    {theirs:?}"
        )),
        excuse => Ok(excuse),
    }
}

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
        return Some("tag-0x9100");
    }
    if reason == Reason::IpProtocolUnknown && ipv4.is_some_and(|ip| ip.extensions().auth.is_some())
    {
        return Some("ipv4-authentication-header");
    }
    if ipv6.is_some_and(|ip| ip.header().payload_length() == 0) {
        return Some("ipv6-length-zero");
    }
    if reason == Reason::Ipv6ExtensionTooDeep
        && ipv6.is_some_and(|ip| {
            let extensions = ip.extensions();
            let transport = ip.payload().payload.as_ptr() as usize - frame.as_ptr() as usize;
            extensions.clone().into_iter().count() > EXTENSIONS_MAX
                || transport + LONGEST_TCP_HEADER > PAYLOAD_OFFSET_MAX
        })
    {
        return Some("ipv6-extensions-too-deep");
    }
    if let Network::Ip { payload, .. } = &headers.network
        && reason == Reason::UdpLength
        && frame[payload.start - 4..payload.start - 2] == [0, 0]
    {
        return Some("udp-length-zero");
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
            Some("ipv6-hop-by-hop-not-first")
        }
        Refusal::Broken(SliceError::Ipv6Exts(ExtensionError::IpAuth(
            AuthenticationError::ZeroPayloadLen,
        ))) => Some("authentication-header-length-zero"),
        Refusal::Broken(SliceError::Len(error))
            if matches!(
                error.layer,
                Layer::Icmpv4Timestamp | Layer::Icmpv4TimestampReply
            ) && matches!(transport.icmp.0, 13 | 14) =>
        {
            Some("icmp-timestamp-truncated")
        }
        Refusal::NotRead if has_mobility_header(frame) => Some("ipv6-mobility-header"),
        Refusal::Broken(_)
        | Refusal::NotRead
        | Refusal::ManyTags
        | Refusal::Macsec
        | Refusal::LaterFragment
        | Refusal::UdpLength => None,
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
