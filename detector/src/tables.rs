//! What the classifier only reads, made once at start for both runtimes: the maps of the kernel and `replay`.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use bytemuck::allocation::zeroed_box;
use detector_common::{
    config::{Config, Policy},
    detect::{
        Detector,
        signature::{
            compile::{CompileError, compile},
            table::SignatureTable,
            worms::SIGNATURES,
        },
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
    pub fn new(
        mut config: Config,
        seed: HashSeed,
        http_ports: &[u16],
    ) -> Result<Self, CompileError> {
        let mut signatures = zeroed_box();
        compile(&mut signatures, SIGNATURES, http_ports)?;
        config.hash_seed = seed.0;
        Ok(Self { config, signatures })
    }

    /// The same for an agent that guards so many interfaces. With one, no answer to what comes in by it is seen, so that
    /// everybody would seem to scan.
    #[must_use]
    pub fn fit_for(mut self, interfaces: usize) -> Self {
        if interfaces < 2 {
            for detector in [Detector::Scan, Detector::UdpSweep, Detector::IcmpSweep] {
                self.config = self.config.with_policy(detector, Policy::Off);
            }
        }
        self
    }
}

/// What the hash of the source table starts from. Each runtime has to say which one it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeed(u64);

impl HashSeed {
    /// The same every time, for `replay` and tests: the same capture gives the same result.
    pub const FIXED: Self = Self(0);

    /// Another one every time, for the kernel: whoever sends packets to a gateway must not be able to choose addresses
    /// that share a set, and so crowd a source out.
    #[must_use]
    pub fn secret() -> Self {
        // The standard library draws the keys of its hash from the operating system, and what SipHash makes of nothing
        // depends on all of them.
        Self(RandomState::new().build_hasher().finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_seed_is_never_the_one_before() {
        assert_ne!(HashSeed::secret(), HashSeed::secret());
    }
}
