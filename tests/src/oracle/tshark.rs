//! The other referee: what tshark, in another language and by other people, reads in the packets of a capture file.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use detector_common::parse;

/// What is asked of every packet. Of what occurs more than once in it, all is given, the outermost first.
const FIELDS: [&str; 27] = [
    "frame.protocols",
    "eth.src",
    "eth.dst",
    "ieee8021ad.id",
    "vlan.id",
    "arp.hw.type",
    "arp.proto.type",
    "arp.hw.size",
    "arp.proto.size",
    "arp.opcode",
    "arp.src.hw_mac",
    "arp.src.proto_ipv4",
    "arp.dst.proto_ipv4",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.flags",
    "tcp.payload",
    "udp.srcport",
    "udp.dstport",
    "udp.payload",
    "icmp.type",
    "icmpv6.type",
];

/// What dissection across packets would make of one, switched off: the classifier looks at each for itself.
const PREFERENCES: [&str; 4] = [
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
    "tcp.analyze_sequence_numbers:FALSE",
];

/// The headers of a packet, in words that can be compared: a name for each value; nothing if the packet is not read.
pub type Reading = BTreeMap<&'static str, String>;

/// What tshark reads in each packet of `file`.
pub fn read(file: &Path) -> Result<Vec<Reading>> {
    let mut command = Command::new("tshark");
    // Nothing that this machine's user prefers.
    command.env("WIRESHARK_CONFIG_DIR", "/nonexistent");
    command.args(["-n", "-T", "fields", "-E", "occurrence=a", "-r"]);
    command.arg(file);
    for preference in PREFERENCES {
        command.args(["-o", preference]);
    }
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().context("cannot run tshark")?;
    let said = String::from_utf8(output.stdout).context("tshark writes what is not UTF-8")?;
    // Of a capture that ends inside a packet, it reads what is before and fails.
    ensure!(
        output.status.success() || !said.is_empty(),
        "tshark fails on {}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    said.lines().map(reading).collect()
}

/// What the classifier reads in a frame.
#[must_use]
pub fn ours(packet: &parse::Packet, frame: &[u8]) -> Reading {
    let link = &packet.link;
    let mut reading = Reading::from([
        ("source mac", mac(link.source.octets())),
        ("destination mac", mac(link.destination.octets())),
        ("outer vlan", link.vlan.outer.to_string()),
        ("inner vlan", link.vlan.inner.to_string()),
    ]);
    let mut say = |name, value: String| reading.insert(name, value);
    match &packet.network {
        parse::Network::Arp(arp) => {
            say("protocol", "arp".to_owned());
            let asks = arp.operation == parse::arp::Operation::Request;
            say("operation", if asks { "1" } else { "2" }.to_owned());
            say("sender mac", mac(arp.sender_mac.octets()));
            say("sender ip", ip(arp.sender_ip.octets()));
            say("target ip", ip(arp.target_ip.octets()));
        }
        parse::Network::Ip(packet) => {
            let transport = &packet.transport;
            let protocol = match packet.transport.protocol.number().0 {
                6 => "tcp",
                17 => "udp",
                1 => "icmp",
                _ => "icmpv6",
            };
            say("protocol", protocol.to_owned());
            say("source ip", ip(packet.source.octets()));
            say("destination ip", ip(packet.destination.octets()));
            if protocol.starts_with("icmp") {
                say("icmp type", transport.icmp().kind.to_string());
                return reading;
            }
            say("source port", transport.source_port().to_string());
            say("destination port", transport.destination_port().to_string());
            if protocol == "tcp" {
                let tcp = transport.tcp();
                say("sequence", tcp.sequence.to_string());
                say("flags", format!("{:02x}", tcp.flags.0));
            }
            let payload = frame.get(packet.payload_offset..).unwrap_or_default();
            let payload = payload.get(..packet.payload_len).unwrap_or(payload);
            say("payload", hex(payload));
        }
    }
    reading
}

/// One line of tshark's.
fn reading(line: &str) -> Result<Reading> {
    let values: Vec<_> = line.split('\t').collect();
    ensure!(values.len() == FIELDS.len(), "tshark gives {line:?}");
    let all = |field: &str| {
        let place = FIELDS.iter().position(|name| *name == field);
        let value = place.and_then(|place| values.get(place));
        value.map_or("", |value| *value).split(',')
    };
    let first = |field: &str| all(field).next().unwrap_or_default().to_owned();

    let mut reading = Reading::new();
    let protocols = first("frame.protocols");
    let Some(protocol) = protocol(&protocols) else {
        return Ok(reading);
    };
    let mut say = |name, value: String| reading.insert(name, value);
    say("protocol", protocol.to_owned());
    say("source mac", first("eth.src"));
    say("destination mac", first("eth.dst"));
    let mut vlans = all("ieee8021ad.id")
        .chain(all("vlan.id"))
        .filter(|id| !id.is_empty());
    say("outer vlan", vlans.next().unwrap_or("0").to_owned());
    say("inner vlan", vlans.next().unwrap_or("0").to_owned());
    if protocol == "arp" {
        // The classifier reads what maps IPv4 to Ethernet, questions and answers; tshark reads any.
        let kind = ["arp.proto.type", "arp.hw.size", "arp.proto.size"].map(&first);
        let hardware = first("arp.hw.type");
        let operation = first("arp.opcode");
        if !matches!(hardware.as_str(), "1" | "6")
            || kind != ["0x0800", "6", "4"]
            || !matches!(operation.as_str(), "1" | "2")
        {
            return Ok(Reading::new());
        }
        say("operation", first("arp.opcode"));
        say("sender mac", first("arp.src.hw_mac"));
        say("sender ip", first("arp.src.proto_ipv4"));
        say("target ip", first("arp.dst.proto_ipv4"));
        return Ok(reading);
    }
    let version = if first("ip.src").is_empty() || before(&protocols, "ipv6", "ip") {
        ("ipv6.src", "ipv6.dst")
    } else {
        ("ip.src", "ip.dst")
    };
    say("source ip", first(version.0));
    say("destination ip", first(version.1));
    match protocol {
        "icmp" => say("icmp type", first("icmp.type")),
        "icmpv6" => say("icmp type", first("icmpv6.type")),
        "tcp" => {
            let flags = first("tcp.flags");
            let flags = flags
                .get(flags.len().saturating_sub(2)..)
                .unwrap_or_default();
            say("flags", flags.to_owned());
            say("sequence", first("tcp.seq_raw"));
            say("source port", first("tcp.srcport"));
            say("destination port", first("tcp.dstport"));
            say("payload", first("tcp.payload"))
        }
        _ => {
            say("source port", first("udp.srcport"));
            say("destination port", first("udp.dstport"));
            say("payload", first("udp.payload"))
        }
    };
    Ok(reading)
}

/// What the frame carries, of what the classifier reads: nothing of a tunnel, nor behind other tags than VLAN's.
fn protocol(protocols: &str) -> Option<&'static str> {
    let link = |name: &str| {
        name.starts_with("sll") || matches!(name, "eth" | "ethertype" | "ieee8021ad" | "vlan")
    };
    let mut names = protocols.split(':').skip_while(|name| link(name));
    match names.next()? {
        "arp" => return Some("arp"),
        "ip" | "ipv6" => {}
        _ => return None,
    }
    let extension = |name: &str| name.starts_with("ipv6.") || matches!(name, "ah" | "mipv6");
    let carried = names.find(|name| !extension(name))?;
    ["tcp", "udp", "icmp", "icmpv6"]
        .into_iter()
        .find(|known| *known == carried)
}

/// Whether `one` is among the names before `other`.
fn before(protocols: &str, one: &str, other: &str) -> bool {
    protocols
        .split(':')
        .find(|name| *name == one || *name == other)
        == Some(one)
}

fn mac([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

fn ip(octets: [u8; 16]) -> String {
    let address = Ipv6Addr::from(octets);
    match address.to_ipv4_mapped() {
        Some(v4) => Ipv4Addr::to_string(&v4),
        None => address.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
