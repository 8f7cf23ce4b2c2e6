//! What the classifier only reads, made once at start for both runtimes: the maps of the kernel and `replay`.

use bytemuck::allocation::zeroed_box;
use detector_common::{
    config::Config,
    detect::signature::{
        compile::{CompileError, compile},
        table::SignatureTable,
        worms::SIGNATURES,
    },
};

/// A configuration and the signatures compiled for it.
#[derive(Debug)]
pub struct Tables {
    /// What the operator decided.
    pub config: Config,
    /// What the signature detector looks for.
    pub signatures: Box<SignatureTable>,
}

impl Tables {
    /// The tables of a configuration, with the HTTP signatures on `http_ports`.
    pub fn new(config: Config, http_ports: &[u16]) -> Result<Self, CompileError> {
        let mut signatures = zeroed_box();
        compile(&mut signatures, SIGNATURES, http_ports)?;
        Ok(Self { config, signatures })
    }
}
