//! Every keyword: whether it is honoured, and if not, why.

use super::problem::{Hint, Problem};
use crate::text::nearest;

/// What becomes of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// It is honoured.
    Honoured(Keyword),
    /// It says nothing of a packet: it is kept, or told.
    Silent,
    /// It is honoured, or a rule that has it is [partial](super::Rule::is_partial), and refused where that may not be.
    Partial(Keyword),
    /// A rule that has it is refused.
    Refused(&'static str),
}

impl Handling {
    fn of(keyword: Keyword) -> Self {
        if keyword == Keyword::Pcre {
            Self::Partial(keyword)
        } else {
            Self::Honoured(keyword)
        }
    }
}

macro_rules! keywords {
    ($($variant:ident = $name:literal,)+) => {
        /// A keyword that is honoured.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Keyword {
            $(
                #[doc = concat!("`", $name, "`.")]
                $variant,
            )+
        }

        impl Keyword {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// How it is written.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

keywords! {
    Msg = "msg",
    Sid = "sid",
    Gid = "gid",
    Rev = "rev",
    Priority = "priority",
    Content = "content",
    UriContent = "uricontent",
    Nocase = "nocase",
    Offset = "offset",
    Depth = "depth",
    Distance = "distance",
    Within = "within",
    StartsWith = "startswith",
    EndsWith = "endswith",
    IsDataAt = "isdataat",
    DataSize = "dsize",
    Flags = "flags",
    TcpFlags = "tcp.flags",
    IcmpType = "itype",
    IcmpCode = "icode",
    TimeToLive = "ttl",
    Identification = "id",
    IpOptions = "ipopts",
    FragmentBits = "fragbits",
    ByteTest = "byte_test",
    ByteJump = "byte_jump",
    Acknowledgement = "ack",
    TcpAcknowledgement = "tcp.ack",
    Sequence = "seq",
    TcpSequence = "tcp.seq",
    Window = "window",
    TcpWindow = "tcp.window",
    SameAddress = "sameip",
    IcmpId = "icmp_id",
    IcmpSequence = "icmp_seq",
    IpProtocol = "ip_proto",
    Flow = "flow",
    Threshold = "threshold",
    DetectionFilter = "detection_filter",
    FlowBits = "flowbits",
    NoAlert = "noalert",
    HttpUri = "http.uri",
    HttpUriRaw = "http.uri.raw",
    HttpMethod = "http.method",
    HttpHeader = "http.header",
    PayloadBuffer = "pkt_data",
    OfHttpUri = "http_uri",
    OfHttpUriRaw = "http_raw_uri",
    OfHttpMethod = "http_method",
    OfHttpHeader = "http_header",
    NoTcpOptions = "detector.no_tcp_options",
    SequenceIsDestination = "detector.seq_is_destination",
    Pcre = "pcre",
}

/// Keywords that say nothing of a packet. The payload is looked at as it is in any case, and which pattern is looked for first is ours to
/// choose.
const SILENT: [&str; 7] = [
    "classtype",
    "reference",
    "metadata",
    "fast_pattern",
    "prefilter",
    "rawbytes",
    "target",
];

const ARITHMETIC: &str = "a number of a payload is not kept, or not read in this way";
const STATE: &str = "of a connection only bits are remembered (flowbits)";
const REASSEMBLED: &str = "files, answers and protocols within a connection are not followed";
const SCRIPT: &str = "a packet filter runs no scripts";
const EVENT: &str = "what Suricata's own decoders object to is not told";
const RESPONSE: &str = "a packet filter drops packets, and answers, changes or keeps none";
const CHECKSUM: &str = "no checksum is looked at";
const CHANGED: &str = "a buffer is looked at as it is";
const OTHER: &str = "it says something to another program alone";
const HEADER: &str = "this header field is not looked at";

/// Keywords that make a rule refused, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("byte_extract", ARITHMETIC),
    ("byte_math", ARITHMETIC),
    ("base64_decode", ARITHMETIC),
    ("base64_data", ARITHMETIC),
    ("asn1", ARITHMETIC),
    ("rpc", ARITHMETIC),
    ("cvs", ARITHMETIC),
    ("dce_iface", REASSEMBLED),
    ("dce_opnum", REASSEMBLED),
    ("dce_stub_data", REASSEMBLED),
    ("flowint", STATE),
    ("xbits", STATE),
    ("hostbits", STATE),
    ("tag", STATE),
    ("stream_size", STATE),
    ("lua", SCRIPT),
    ("luajit", SCRIPT),
    ("file_data", REASSEMBLED),
    ("filename", REASSEMBLED),
    ("fileext", REASSEMBLED),
    ("filemagic", REASSEMBLED),
    ("filemd5", REASSEMBLED),
    ("filestore", REASSEMBLED),
    ("http_cookie", REASSEMBLED),
    ("http_client_body", REASSEMBLED),
    ("http_raw_header", REASSEMBLED),
    ("http_host", REASSEMBLED),
    ("http_user_agent", REASSEMBLED),
    ("http_stat_code", REASSEMBLED),
    ("http_stat_msg", REASSEMBLED),
    ("urilen", REASSEMBLED),
    ("dns_query", REASSEMBLED),
    ("ssl_state", REASSEMBLED),
    ("ssl_version", REASSEMBLED),
    ("app-layer-protocol", REASSEMBLED),
    ("app-layer-event", EVENT),
    ("ftpbounce", REASSEMBLED),
    ("decode-event", EVENT),
    ("stream-event", EVENT),
    ("engine-event", EVENT),
    ("absent", REASSEMBLED),
    ("bsize", "the length of a buffer is not asked for"),
    ("dataset", STATE),
    ("datarep", STATE),
    ("bypass", STATE),
    ("tos", HEADER),
    ("fragoffset", HEADER),
    ("geoip", "where an address is is not known"),
    ("iprep", "nothing is known of an address's reputation"),
    // Snort's.
    ("resp", RESPONSE),
    ("react", RESPONSE),
    ("replace", RESPONSE),
    ("logto", RESPONSE),
    ("session", RESPONSE),
    ("activates", STATE),
    ("activated_by", STATE),
    ("count", STATE),
    ("regex", "a content is bytes, and has no wildcards"),
    ("content-list", "contents stand in the rule"),
    (
        "protected_content",
        "a content that is only known by its hash is not looked for",
    ),
    ("soid", OTHER),
    ("service", REASSEMBLED),
    ("appid", REASSEMBLED),
    ("appids", REASSEMBLED),
    ("sd_pattern", "patterns of sensitive data are not matched"),
    ("http_encode", REASSEMBLED),
    ("http_raw_cookie", REASSEMBLED),
    ("sip_method", REASSEMBLED),
    ("sip_stat_code", REASSEMBLED),
    ("sip_header", REASSEMBLED),
    ("sip_body", REASSEMBLED),
    ("gtp_type", REASSEMBLED),
    ("gtp_info", REASSEMBLED),
    ("gtp_version", REASSEMBLED),
    ("modbus_func", REASSEMBLED),
    ("modbus_unit", REASSEMBLED),
    ("modbus_data", REASSEMBLED),
    ("dnp3_data", REASSEMBLED),
    ("file_type", REASSEMBLED),
    ("ber_data", ARITHMETIC),
    ("ber_skip", ARITHMETIC),
    // Suricata's.
    ("flowvar", STATE),
    ("pktvar", STATE),
    ("alert", OTHER),
    ("config", OTHER),
    ("requires", OTHER),
    ("nfq_set_mark", OTHER),
    ("template2", OTHER),
    ("ipv4-csum", CHECKSUM),
    ("tcpv4-csum", CHECKSUM),
    ("tcpv6-csum", CHECKSUM),
    ("udpv4-csum", CHECKSUM),
    ("udpv6-csum", CHECKSUM),
    ("icmpv4-csum", CHECKSUM),
    ("icmpv6-csum", CHECKSUM),
    ("l3_proto", HEADER),
    ("frame", REASSEMBLED),
    ("tls_store", REASSEMBLED),
    ("http_server_body", REASSEMBLED),
    ("http_raw_host", REASSEMBLED),
    ("nfs_procedure", REASSEMBLED),
    ("filesha1", REASSEMBLED),
    ("filesha256", REASSEMBLED),
    ("filesize", REASSEMBLED),
    ("modbus", REASSEMBLED),
    ("cip_service", REASSEMBLED),
    ("enip_command", REASSEMBLED),
    ("dnp3_func", REASSEMBLED),
    ("dnp3_ind", REASSEMBLED),
    ("dnp3_obj", REASSEMBLED),
    ("krb5_err_code", REASSEMBLED),
    ("krb5_msg_type", REASSEMBLED),
    ("ftpdata_command", REASSEMBLED),
    ("compress_whitespace", CHANGED),
    ("strip_whitespace", CHANGED),
    ("strip_pseudo_headers", CHANGED),
    ("to_md5", CHANGED),
    ("to_sha1", CHANGED),
    ("to_sha256", CHANGED),
    ("dotprefix", CHANGED),
    ("pcrexform", CHANGED),
    ("url_decode", CHANGED),
    ("xor", CHANGED),
    ("header_lowercase", CHANGED),
    ("to_lowercase", CHANGED),
    ("to_uppercase", CHANGED),
];

/// What keywords begin with that make a rule refused, whatever follows, unless they are honoured.
const FAMILIES: &[(&str, &str)] = &[
    ("http.*", REASSEMBLED),
    ("http2.*", REASSEMBLED),
    ("file.*", REASSEMBLED),
    ("dns.*", REASSEMBLED),
    ("tls.*", REASSEMBLED),
    ("ja3.*", REASSEMBLED),
    ("ja3s.*", REASSEMBLED),
    ("ja4.*", REASSEMBLED),
    ("ssh.*", REASSEMBLED),
    ("smb.*", REASSEMBLED),
    ("smtp.*", REASSEMBLED),
    ("krb5.*", REASSEMBLED),
    ("ftp.*", REASSEMBLED),
    ("sip.*", REASSEMBLED),
    ("snmp.*", REASSEMBLED),
    ("mqtt.*", REASSEMBLED),
    ("rfb.*", REASSEMBLED),
    ("quic.*", REASSEMBLED),
    ("ike.*", REASSEMBLED),
    ("dcerpc.*", REASSEMBLED),
    ("tls_cert_*", REASSEMBLED),
    ("dnp3.*", REASSEMBLED),
    ("dhcp.*", REASSEMBLED),
    ("nfs.*", REASSEMBLED),
    ("flow.*", STATE),
    ("ip.*", HEADER),
    ("tcp.*", HEADER),
    ("udp.*", HEADER),
    ("ipv4.*", HEADER),
    ("ipv6.*", HEADER),
    ("icmpv4.*", HEADER),
    ("icmpv6.*", HEADER),
];

/// Every keyword that is known, with what becomes of it.
pub fn all() -> impl Iterator<Item = (&'static str, Handling)> {
    let honoured = Keyword::ALL
        .iter()
        .map(|keyword| (keyword.name(), Handling::of(*keyword)));
    let silent = SILENT.into_iter().map(|name| (name, Handling::Silent));
    let refused = REFUSED
        .iter()
        .chain(FAMILIES)
        .map(|(name, why)| (*name, Handling::Refused(why)));
    honoured.chain(silent).chain(refused)
}

/// The keyword of this name; `None` if it says nothing of a packet.
pub(super) fn known(name: &str) -> Result<Option<Keyword>, Problem> {
    let is_of_family = |known: &str| {
        let family = known.strip_suffix('*');
        family.is_some_and(|family| name.starts_with(family))
    };
    match all().find(|(known, _)| *known == name || is_of_family(known)) {
        Some((_, Handling::Honoured(keyword) | Handling::Partial(keyword))) => Ok(Some(keyword)),
        Some((_, Handling::Silent)) => Ok(None),
        Some((keyword, Handling::Refused(why))) => Err(Problem::Refused { keyword, why }),
        None => {
            let names: Vec<_> = all().map(|(name, _)| name).collect();
            let hint = Hint(nearest(name, &names));
            Err(Problem::UnknownKeyword(name.into(), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_keyword_is_known_once() {
        let mut names = BTreeSet::new();
        assert!(all().all(|(name, _)| names.insert(name)));
        assert!(known("nocas").is_err_and(|problem| problem.to_string().contains("\"nocase\"")));
    }

    #[test]
    fn the_documentation_says_of_every_keyword_what_becomes_of_it() {
        let documented = include_str!("../../../docs/rules.md");
        let row = |(name, handling)| match handling {
            Handling::Honoured(_) => format!("| `{name}` | honoured |"),
            Handling::Silent => format!("| `{name}` | says nothing of a packet |"),
            Handling::Partial(_) => format!("| `{name}` | partial |"),
            Handling::Refused(why) => format!("| `{name}` | refused | {why} |"),
        };
        let missing: Vec<_> = all()
            .map(row)
            .filter(|row| !documented.contains(row))
            .collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }
}
