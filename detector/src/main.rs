//! The command line of detector: a capture through the classifier.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use detector::replay::{
    capture::CaptureReader,
    runtime::{Replay, Tables},
};
use detector_common::{
    config::Config,
    detect::signature::worms::{SIGNATURES, by_id},
    packet::Frame,
};

#[derive(Parser)]
#[command(version, about = "Sees worm probes and ARP floods")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the classifier over a capture; exits with 10 if it finds something
    Replay {
        /// pcap or pcapng, plain or gzip; `-` is standard input
        file: PathBuf,
    },
    /// Lists the signatures
    Signatures,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("detector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Replay { file } => replay(file),
        Command::Signatures => {
            for signature in SIGNATURES {
                println!(
                    "{:>4}  {:<18} {:<7} {} ({})",
                    signature.id,
                    signature.name,
                    signature.severity.name(),
                    signature.title,
                    signature.reference
                );
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Replays one capture and prints a JSON object of what was found.
fn replay(file: &std::path::Path) -> Result<ExitCode> {
    let tables =
        Tables::new(Config::DEFAULT, &[80, 8080]).context("the signatures do not compile")?;
    let mut replay = Replay::new(&tables);
    let mut reader = CaptureReader::open(file)?;
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
    Ok(ExitCode::from(if found { 10 } else { 0 }))
}
