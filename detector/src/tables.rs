//! What the classifier only reads, made for both runtimes: the maps of the kernel and `replay`.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
};

use bytemuck::allocation::zeroed_box;
use detector_common::{
    config::{Config, Policy},
    detect::{
        Detector,
        signature::{
            Found, Local, Search,
            carry::{Carry, Segment},
            table::{FilterTable, RuleTable},
            threshold::{Meter, Words},
            watch::WatchLists,
            workspace::Workspace,
        },
    },
    packet::PacketBytes,
    pipeline::headers::Headers,
};

use crate::rules::{Book, Problem, Rule, Variables, compile};

/// A configuration and the rules compiled for it.
#[derive(Debug)]
pub struct Tables {
    /// What the operator decided.
    pub config: Config,
    /// What the filter looks for, of generation 0.
    pub filter: Box<FilterTable>,
    /// The rules, of the same.
    pub rules: Box<RuleTable>,
    /// Which ports they watch.
    pub watch: Box<WatchLists>,
    /// What they are called.
    pub book: Arc<Book>,
    /// Those that could not be compiled, by index, and why.
    pub refused: Vec<(usize, Problem)>,
}

impl Tables {
    /// The tables of a configuration and of rules.
    #[must_use]
    pub fn new(config: Config, seed: HashSeed, rules: &[Rule], variables: &Variables) -> Self {
        Self::after(&Book::default(), config, seed, rules, variables)
    }

    /// The same, in which rules keep the slots that they had `before`.
    #[must_use]
    pub fn after(
        before: &Book,
        mut config: Config,
        seed: HashSeed,
        rules: &[Rule],
        variables: &Variables,
    ) -> Self {
        config.hash_seed = seed.0;
        let book = Book::of(rules, before);
        let slots: Vec<_> = rules.iter().map(|rule| book.slot(rule)).collect();
        let compiled = compile(rules, &slots, variables);
        let mut watch: Box<WatchLists> = zeroed_box();
        let [list, _] = &mut watch.lists;
        *list = *compiled.watch;
        let [icmp, ..] = &mut watch.icmp;
        *icmp = compiled.icmp;
        Self {
            config,
            filter: compiled.filter,
            rules: compiled.rules,
            watch,
            book: Arc::new(book),
            refused: compiled.refused,
        }
    }

    /// The tables of a configuration and of the rules that we ship, with HTTP on `http_ports`.
    #[must_use]
    pub fn of_worms(config: Config, seed: HashSeed, http_ports: &[u16]) -> Self {
        Self::new(
            config,
            seed,
            &crate::rules::worms().rules,
            &Variables::with_http(http_ports),
        )
    }

    /// What a packet with these headers matches, given what is kept of its connection; it is counted in `words`, and bits of its connection
    /// are in `flow_words`. What was left undecided, the workspace says.
    pub fn search<P: PacketBytes, W: Words + ?Sized>(
        &self,
        packet: &P,
        headers: &Headers,
        search: Search,
        carried: Option<(Segment, &Carry)>,
        workspace: &mut Workspace,
        [words, flow_words]: [&mut W; 2],
    ) -> Option<Found> {
        let mut local = Local {
            packet,
            ip: headers.ip(),
            filter: &self.filter,
            rules: &self.rules,
            carried,
            workspace,
            meter: Meter {
                now_ns: headers.now_ns,
                seed: self.config.hash_seed,
                words,
            },
            flow_words,
        };
        local.search(search)
    }

    /// These for an agent that guards so many interfaces. With one, no answer to what comes in by it is seen, so that
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
