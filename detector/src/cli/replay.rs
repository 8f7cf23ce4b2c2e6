//! `detector replay`: captures through the classifier.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use detector_common::{config::Config, detect::signature::worms::by_id, packet::Frame};

use crate::{
    exit::{Exit, Failure},
    replay::{capture::CaptureReader, runtime::Replay},
    tables::Tables,
};

/// Runs the classifier over a capture; exits with 10 if it finds something
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// pcap or pcapng, plain or gzip; `-` is standard input
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let tables = Tables::new(Config::DEFAULT, crate::tables::HashSeed::FIXED, &[80, 8080])
        .context("the signatures do not compile")?;
    let mut replay = Replay::new(&tables);
    let mut reader = CaptureReader::open(&arguments.file)?;
    let mut broken = None;
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                let _ = replay.classify(
                    &Frame::captured(frame.bytes, frame.wire_len),
                    frame.interface,
                    frame.timestamp_ns,
                );
            }
            Ok(None) => break,
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    let reasons: serde_json::Map<_, _> = replay
        .packets
        .iter()
        .map(|((reason, _), packets)| (reason.name().to_owned(), (*packets).into()))
        .collect();
    let findings: Vec<_> = replay
        .findings
        .iter()
        .map(|(key, finding)| {
            serde_json::json!({
                "detector": key.detector().map(detector_common::detect::Detector::name),
                "signature": by_id(key.signature()).map(|signature| signature.name),
                "source": {
                    "mac": key.mac().unwrap_or(finding.companion.to_mac()).octets().map(|byte| format!("{byte:02x}")).join(":"),
                    "ip": std::net::Ipv6Addr::from(key.ip().unwrap_or(finding.companion.to_ip()).octets()).to_canonical(),
                    "vlan": key.vlan().outer,
                },
                "count": finding.count,
            })
        })
        .collect();
    let found = !findings.is_empty();
    println!(
        "{}",
        serde_json::json!({ "packets": reader.packets(), "reasons": reasons, "findings": findings })
    );
    if let Some(error) = broken {
        return Err(error.into());
    }
    Ok(if found { Exit::Found } else { Exit::Fine })
}
