//! What all parts of a running agent look at: the kernel program, the interfaces it guards, and the agent's own counts.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use detector_common::{
    config::{Config, Mode},
    event::Event,
    net::MacAddress,
    sources::Source,
};

use tokio::sync::Semaphore;

use super::{
    arp::Bindings,
    attach::Guarded,
    confirm::Confirmation,
    evidence::Partial,
    interface::Interface,
    kernel::{Clock, ConfigMap, Kernel, KernelError},
    netlink::Netlink,
    rates::{Rates, Sampler},
    reload::Rules,
    response::Response,
    scans::Scans,
    stats::EventStats,
    surroundings::Surroundings,
    voice::say,
};
use crate::{output::Mac, rules::Book};

/// How far the clock may seem to have moved before it is set anew.
///
/// Two readings of one moment differ by up to a tick, which is 10 ms at most. Times that change with every look at them
/// would be worse than times that are this much off.
const CLOCK_TOLERANCE_NS: u64 = 50_000_000;

/// A running agent.
pub(super) struct View {
    /// The kernel program.
    pub(super) kernel: Kernel,
    /// What it guards, by slot.
    pub(super) interfaces: Vec<Guarded>,
    /// What became of reports.
    pub(super) reports: Reports,
    /// How many instructions the verifier went through for one copy of the program.
    pub(super) verified_instructions: Option<u32>,
    /// What the interfaces are called now, by slot.
    names: Mutex<Vec<String>>,
    /// Whether the operator has confirmed that the machine may enforce.
    pub(super) confirmation: Confirmation,
    /// What the operator decided.
    decided: Config,
    book: Mutex<Arc<Book>>,
    partial: Mutex<Partial>,
    rules: Mutex<Rules>,
    /// One order to read the rules anew at a time: each takes a thread and some seconds.
    pub(super) reloads: Arc<Semaphore>,
    /// What the program was told.
    config: Mutex<ConfigMap>,
    response: Mutex<Response>,
    bindings: Mutex<Bindings>,
    /// The gateways that the operator named.
    named: Vec<MacAddress>,
    surroundings: Mutex<Arc<Surroundings>>,
    started: Instant,
    clock: Mutex<Clock>,
    sampler: Mutex<Sampler>,
    scans: Mutex<Scans>,
}

/// What the operator decided.
pub(super) struct Decided {
    /// What the classifier reads.
    pub(super) config: Config,
    /// What the rules are called.
    pub(super) book: Arc<Book>,
    /// What is decided here of them.
    pub(super) partial: Partial,
    /// Where the rules came from, and where they go.
    pub(super) rules: Rules,
    /// The gateways that are named.
    pub(super) gateways: Vec<MacAddress>,
    /// Whether enforcing is to be confirmed.
    pub(super) is_to_be_confirmed: bool,
}

impl View {
    pub(super) fn new(
        mut kernel: Kernel,
        interfaces: Vec<Guarded>,
        decided: Decided,
        config: ConfigMap,
        response: Response,
        bindings: Bindings,
    ) -> Result<Self, KernelError> {
        let Decided {
            config: decided,
            book,
            partial,
            rules,
            gateways: named,
            is_to_be_confirmed,
        } = decided;
        Ok(Self {
            confirmation: Confirmation::new(is_to_be_confirmed),
            decided,
            book: Mutex::new(book),
            partial: Mutex::new(partial),
            rules: Mutex::new(rules),
            reloads: Arc::new(Semaphore::new(1)),
            config: Mutex::new(config),
            response: Mutex::new(response),
            bindings: Mutex::new(bindings),
            verified_instructions: kernel.verified_instructions()?,
            clock: Mutex::new(kernel.clock()?),
            sampler: Mutex::new(Sampler::new(interfaces.len())),
            scans: Mutex::default(),
            names: Mutex::new(interfaces.iter().map(name_of).collect()),
            kernel,
            interfaces,
            named,
            surroundings: Mutex::default(),
            reports: Reports::default(),
            started: Instant::now(),
        })
    }

    /// What the classifier reads: what the operator decided, with the gateways there are and whether anybody is blocked.
    pub(super) fn config(&self) -> Config {
        let named = self.named.iter().copied();
        let learnt = self.surroundings().gateway_macs();
        let learnt = learnt.into_iter().map(Mac::address);
        let config = self.decided.with_gateways(named.chain(learnt));
        self.response().configure(&config.with_mode(self.mode()))
    }

    /// Whether what policy says is dropped now.
    pub(super) fn mode(&self) -> Mode {
        if self.confirmation.is_too_late() {
            Mode::Monitor
        } else {
            self.decided.mode()
        }
    }

    /// Tells the program what the classifier is to read, as it is now.
    pub(super) fn apply(&self) -> Result<(), KernelError> {
        // Held while it is made, so that of two the later is the one that stays.
        let mut told = lock(&self.config);
        told.set(self.config())
    }

    /// Ends the blocks of who is protected, and applies that.
    ///
    /// # Errors
    ///
    /// The kernel does not take it.
    pub(super) fn release(&self) -> Result<(), KernelError> {
        let released = self.response().release();
        for prefix in released.iter().flatten() {
            say(&format!(
                "{prefix} is not blocked any more: it is protected now"
            ));
        }
        self.apply()?;
        released.map(drop)
    }

    /// Who is blocked and who is protected. Whoever changes that applies it afterwards, see [`Self::apply`].
    pub(super) fn response(&self) -> MutexGuard<'_, Response> {
        lock(&self.response)
    }

    /// What the rules are called.
    pub(super) fn book(&self) -> Arc<Book> {
        Arc::clone(&lock(&self.book))
    }

    /// They are called so from now on.
    pub(super) fn set_book(&self, book: Arc<Book>) {
        *lock(&self.book) = book;
    }

    /// What is decided here of rules that are partial.
    pub(super) fn partial(&self) -> MutexGuard<'_, Partial> {
        lock(&self.partial)
    }

    /// The rules. Held while they are read anew, which takes a while.
    pub(super) fn rules(&self) -> MutexGuard<'_, Rules> {
        lock(&self.rules)
    }

    /// What the machine is part of, as far as the agent has looked.
    pub(super) fn surroundings(&self) -> Arc<Surroundings> {
        Arc::clone(&lock(&self.surroundings))
    }

    /// It is part of this from now on.
    pub(super) fn set_surroundings(&self, surroundings: &Surroundings) {
        *lock(&self.surroundings) = Arc::new(surroundings.clone());
    }

    /// Who owns which address.
    pub(super) fn bindings(&self) -> MutexGuard<'_, Bindings> {
        lock(&self.bindings)
    }

    /// The interface in `slot`, under its present name.
    pub(super) fn interface(&self, slot: u32) -> Option<Interface> {
        let guarded = self.interfaces.get(slot as usize)?;
        Some(Interface {
            name: lock(&self.names).get(slot as usize)?.clone(),
            ..guarded.interface
        })
    }

    /// Whether the interface in `slot` still is guarded. If it has been renamed, it is called by its new name from now on.
    pub(super) async fn is_guarded(&self, slot: usize, netlink: &Netlink) -> io::Result<bool> {
        let Some(guarded) = self.interfaces.get(slot) else {
            return Ok(false);
        };
        let Some(link) = guarded.attached(netlink).await? else {
            return Ok(false);
        };
        if let Some(name) = lock(&self.names).get_mut(slot)
            && *name != link.name
        {
            say(&format!("{name} is called {} now", link.name));
            *name = link.name;
        }
        Ok(true)
    }

    /// How long the agent runs.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// What the program's times mean, by a moment that may be long ago: an event need not ask the kernel.
    pub(super) fn clock(&self) -> Clock {
        *lock(&self.clock)
    }

    /// What time it is, in the program and outside. Two answers relate the two alike unless a clock was set.
    pub(super) fn now(&self) -> Result<Clock, KernelError> {
        let now = self.kernel.clock()?;
        let mut kept = lock(&self.clock);
        let steady_ns = kept.to_unix_ns(now.kernel_ns);
        if steady_ns.abs_diff(now.unix_ns) > CLOCK_TOLERANCE_NS {
            *kept = now;
            return Ok(now);
        }
        Ok(Clock {
            kernel_ns: now.kernel_ns,
            unix_ns: steady_ns,
        })
    }

    /// Looks at the counters, for the rates, at the clock, and at which blocks are over; insists on the owners
    /// that the operator named.
    pub(super) fn sample(&self) -> Result<(), KernelError> {
        let now = self.now()?;
        let counters = self.kernel.maps().counters()?;
        lock(&self.sampler).sample(Instant::now(), &counters);
        self.bindings().insist()?;
        if self.response().expire(now)? {
            self.apply()?;
        }
        Ok(())
    }

    /// Scans that only all CPUs together show, and that were not told of yet.
    pub(super) fn scans_in_all(&self) -> Result<Vec<Event>, KernelError> {
        let (now_ns, config) = (self.now()?.kernel_ns, self.config());
        let mut events = Vec::new();
        let mut scans = lock(&self.scans);
        self.kernel.maps().scanners(|key, parts| {
            events.extend(scans.look(key, parts, now_ns, &config));
        })?;
        Ok(scans.tell(events, now_ns, &config))
    }

    /// Every source and segment that is known, with what all CPUs saw of it, and what that shows.
    pub(super) fn sources(&self) -> Result<Vec<Source>, KernelError> {
        let mut sources = self.kernel.maps().sources()?;
        lock(&self.scans).object(&mut sources);
        Ok(sources)
    }

    /// The rates of the interface in `slot`.
    pub(super) fn rates(&self, slot: usize) -> Rates {
        lock(&self.sampler).rates(slot)
    }
}

fn name_of(guarded: &Guarded) -> String {
    guarded.interface.name.clone()
}

/// What became of the kernel's reports in the agent.
#[derive(Debug, Default)]
pub(super) struct Reports {
    not_understood: AtomicU64,
    not_printed: AtomicU64,
}

impl Reports {
    /// A record is of another version.
    pub(super) fn not_understood(&self) {
        self.not_understood.fetch_add(1, Ordering::Relaxed);
    }

    /// There was no room for a line.
    pub(super) fn not_printed(&self) {
        self.not_printed.fetch_add(1, Ordering::Relaxed);
    }

    /// The agent's part of the counts.
    pub(super) fn counts(&self) -> EventStats {
        EventStats {
            not_understood: self.not_understood.load(Ordering::Relaxed),
            not_printed: self.not_printed.load(Ordering::Relaxed),
            ..EventStats::default()
        }
    }
}

/// What the lock guards is whole after each assignment, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
