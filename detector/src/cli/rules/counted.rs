//! What a running agent counted of rules; nothing where none runs, for rules can be told of without.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use crate::{
    agent::{
        control::client::{self, ClientError},
        stats::SignatureStats,
    },
    cli::SOCKET,
    exit::{Failure, OrExit as _},
    output::{Time, complain},
};

/// Which agent is asked.
#[derive(Debug, Args)]
pub(super) struct Agent {
    /// Where the agent listens whose counts are told; unless said, /run/detector/control.sock if one does
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// What an agent counted, by generator and number.
pub(super) struct Counts(HashMap<(u32, u32), SignatureStats>);

/// What was counted of one rule.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counted {
    /// Packets that it was the finding of.
    pub(super) packets: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Those that were dropped.
    pub(super) dropped: u64,
    /// When the last of them came.
    pub(super) last: Option<Time>,
}

impl Agent {
    /// What the agent counted; `None` if none runs and none was asked for by name.
    pub(super) fn counts(&self) -> Result<Option<Counts>, Failure> {
        if let Some(socket) = &self.socket {
            let stats = client::stats(socket, false).or_exit_as(ClientError::exit)?;
            return Ok(Some(Counts::of(stats.signatures)));
        }
        match client::stats(Path::new(SOCKET), false) {
            Ok(stats) => Ok(Some(Counts::of(stats.signatures))),
            Err(ClientError::NotRunning(_)) => Ok(None),
            Err(error) => {
                complain(format_args!("warning: without counts: {error}"));
                Ok(None)
            }
        }
    }
}

impl Counts {
    fn of(signatures: Vec<SignatureStats>) -> Self {
        let by_number = signatures.into_iter();
        Self(by_number.map(|one| ((one.gid, one.id), one)).collect())
    }

    /// What was counted of a rule.
    pub(super) fn get(&self, gid: u32, sid: u32) -> Counted {
        let counted = self.0.get(&(gid, sid)).map(|one| Counted {
            packets: one.packets,
            bytes: one.bytes,
            dropped: one.dropped,
            last: one.last,
        });
        counted.unwrap_or_default()
    }
}
