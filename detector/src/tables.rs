//! What the classifier only reads, made for both runtimes: the maps of the kernel and `replay`.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
};

use bytemuck::{Zeroable as _, allocation::zeroed_box};
use detector_common::{
    abi::RuleCounter,
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
    event::Event,
    packet::{Frame, PacketBytes},
    pipeline::{
        headers::Headers,
        parsed::{Kind, Parsed},
        signature::told_later,
    },
    verdict::Decision,
};

use crate::rules::{Book, Problem, Regexes, Rule, Variables, compile};

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
    /// What the kernel does not decide of them.
    pub regexes: Regexes,
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
            regexes: Regexes::new(compiled.regexes),
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
            decider: None,
        };
        local.search(search)
    }

    /// Asks all of the rules that are partial and hold for a packet as far as the kernel asks them: these `slots` count them. `frame` is the beginning
    /// of it.
    pub fn decide(
        &self,
        frame: &Frame<'_>,
        at_ns: u64,
        slots: &[u16],
        workspace: &mut Workspace,
    ) -> Decided {
        let mut parsed = Parsed::zeroed();
        parsed.read(frame, at_ns);
        let headers = *parsed.headers();
        let mut decided = Decided {
            headers,
            slots: Vec::new(),
            is_undecided: false,
        };
        let is_ip = parsed.kind() == Kind::IP || parsed.kind() == Kind::DISCOVERY;
        let Some(search) = Search::of(&headers.ip(), &self.watch).filter(|_| is_ip) else {
            return decided;
        };
        let mut local = Local {
            packet: frame,
            ip: headers.ip(),
            filter: &self.filter,
            rules: &self.rules,
            carried: None,
            workspace,
            // What is counted was counted before.
            meter: Meter {
                now_ns: at_ns,
                seed: self.config.hash_seed,
                words: &mut [] as &mut [u64],
            },
            // What rules do with bits, they did before, too.
            flow_words: &mut [],
            decider: Some(&self.regexes),
        };
        // What else it matches was found, too.
        let _ = local.search(search);
        let hold = workspace.partials();
        let asked = slots.iter().filter(|slot| hold.contains(slot));
        decided.slots.extend(asked);
        decided.is_undecided = workspace.is_cut_short != 0 && decided.slots.len() < slots.len();
        decided
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

/// What became of rules that were partial.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The packet's headers.
    pub headers: Headers,
    /// Those that hold: where they are counted.
    pub slots: Vec<u16>,
    /// Whether another may hold: what it asks is not all there, or the work for one packet was done before.
    pub is_undecided: bool,
}

impl Decided {
    /// What is told of it, for the packet came in by `interface`, and this became of it.
    pub fn events(&self, interface: u8, decision: Decision) -> impl Iterator<Item = Event> {
        let slots = self.slots.iter();
        slots.map(move |slot| told_later(&self.headers, *slot, interface, decision))
    }
}

/// Counts a packet for a rule that is partial. It drops none.
pub fn count_told_later(counter: &mut RuleCounter, event: &Event) {
    counter.packets += 1;
    counter.bytes += u64::from(event.head.wire_len);
    counter.last_ns = event.at_ns;
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
