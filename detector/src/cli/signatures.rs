//! `detector signatures`: the table of signatures.

use std::io::{self, Write as _};

use clap::Args;
use detector_common::detect::signature::worms::SIGNATURES;

use crate::exit::{Exit, Failure};

/// Lists the signatures
#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    for signature in SIGNATURES {
        writeln!(
            out,
            "{:>4}  {:<18} {:<7} {} ({})",
            signature.id,
            signature.name,
            signature.severity.name(),
            signature.title,
            signature.reference
        )?;
    }
    Ok(Exit::Fine)
}
