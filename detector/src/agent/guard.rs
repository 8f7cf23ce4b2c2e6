//! The agent from start to end: look, load, attach, watch, and leave nothing behind.
//!
//! What is cheap is looked at before anything is loaded. Whatever fails on the way, what was made before goes with it.

mod signals;

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use detector_common::{config::Mode as Switch, event::Event, net::MacAddress};
use tokio::{signal::unix::Signal, task::spawn_blocking, time::MissedTickBehavior};

use self::signals::StopSignals;
use super::{
    arp::Bindings,
    attach::{AttachError, Guarded, attach_all, refuse_foreign},
    control::{Control, ControlSocket, SocketError, serve},
    events::Events,
    evidence::{Evidence, Partial},
    finding::Finding,
    interface::{Hook, Interface, Mode},
    kernel::{Clock, Kernel, KernelError},
    netlink::{self, Netlink},
    printer::Printer,
    rates::{INTERVAL, Totals},
    reload::{Origin, Rules, follow_files},
    response::{Response, Terms},
    scans,
    status::Places,
    surroundings::{Surroundings, follow},
    view::{Decided, View},
    voice::{self, say},
    watch::watch,
};
use crate::{
    exit::Exit,
    output::{FileName, Mac, Prefix, StreamFormat},
    tables::Tables,
};

/// What the operator asks for.
#[derive(Debug)]
pub struct Options {
    /// What to guard; at least one.
    pub interfaces: Vec<Interface>,
    /// How to attach.
    pub mode: Mode,
    /// Where the maps are pinned.
    pub pin_dir: PathBuf,
    /// Where the agent is asked.
    pub socket: PathBuf,
    /// In which form findings are printed.
    pub format: StreamFormat,
    /// What the classifier reads.
    pub tables: Tables,
    /// Where its rules come from.
    pub origin: Origin,
    /// The gateways that the operator names.
    pub gateways: Vec<MacAddress>,
    /// The owners of addresses that the operator names.
    pub bindings: BTreeMap<IpAddr, Mac>,
    /// How long findings block.
    pub terms: Terms,
    /// Whom the operator protects.
    pub protected: Vec<Prefix>,
    /// In which time enforcing is to be confirmed, if it is.
    pub confirm_within: Option<Duration>,
}

/// The agent cannot start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody could ask it.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The program cannot be loaded.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// It cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Something that every Linux has is missing.
    #[error("cannot {0}: {1}")]
    Io(&'static str, io::Error),
}

impl AgentError {
    /// The exit code that tells a script of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Socket(error) => error.exit(),
            Self::Kernel(error) => error.exit(),
            Self::Attach(error) => error.exit(),
            Self::Io(..) => Exit::Failed,
        }
    }
}

/// Guards the interfaces until a signal says to stop.
///
/// # Errors
///
/// It cannot start; then nothing is attached and nothing stays pinned.
pub async fn guard(options: Options) -> Result<(), AgentError> {
    let ended = guard_until_told(options).await;
    voice::finish();
    ended
}

async fn guard_until_told(options: Options) -> Result<(), AgentError> {
    let mut signals = StopSignals::new().map_err(io_error("wait for signals"))?;
    let hangup = signals::hangup().map_err(io_error("wait for signals"))?;
    let netlink = Netlink::open().map_err(io_error("open a netlink socket"))?;
    let (_socket, listener) = ControlSocket::listen(&options.socket)?;
    for interface in &options.interfaces {
        refuse_foreign(interface, &netlink).await?;
    }

    let tables = options.tables.fit_for(options.interfaces.len());
    let slots = options.interfaces.len() as u32;
    let mut kernel = Kernel::load(&tables, slots, &options.pin_dir)?;
    #[cfg(feature = "debug-log")]
    super::debug_log::print(&mut kernel).map_err(io_error("print the kernel's log"))?;
    let ring = kernel.maps_mut().take_events();
    let ring = ring.ok_or(KernelError::Missing("EVENTS"))?;
    let mut events = Events::new(ring).map_err(io_error("wait for events"))?;
    let ring = kernel.maps_mut().take_evidence();
    let ring = ring.ok_or(KernelError::Missing("EVIDENCE"))?;
    let mut evidence = Evidence::new(ring).map_err(io_error("wait for evidence"))?;
    let config = kernel.maps_mut().take_config();
    let config = config.ok_or(KernelError::Missing("CONFIG"))?;
    let maps = kernel.maps_mut().take_response();
    let maps = maps.ok_or(KernelError::Missing("BLOCKS"))?;
    let seed = tables.config.hash_seed;
    let mut response = Response::new(maps, seed, options.terms, &options.protected)?;
    // Known before the first packet is dropped, and kept current from then on.
    let surroundings = Surroundings::now(&netlink).await;
    response.learn(&surroundings.map_err(io_error("see gateways and own addresses"))?)?;
    let bindings = kernel.maps_mut().take_bindings();
    let bindings = bindings.ok_or(KernelError::Missing("BINDINGS"))?;
    let mut bindings = Bindings::new(bindings, seed, options.bindings);
    bindings.insist()?;
    let attached = attach_all(&mut kernel, &options.interfaces, options.mode, &netlink).await?;
    let (interfaces, links): (Vec<_>, Vec<_>) = attached.into_iter().unzip();
    let rules = kernel.maps_mut().take_rules();
    let rules = rules.ok_or(KernelError::Missing("RULES"))?;
    let tables = Arc::new(tables);
    let has_partial = !tables.regexes.is_empty();
    let decided = Decided {
        config: tables.config,
        book: Arc::clone(&tables.book),
        partial: Partial::new(has_partial.then_some(tables)),
        rules: Rules::new(options.origin, rules),
        gateways: options.gateways,
        is_to_be_confirmed: options.confirm_within.is_some(),
    };
    let view = Arc::new(View::new(
        kernel, interfaces, decided, config, response, bindings,
    )?);

    let control = Control {
        view: Arc::clone(&view),
        places: Arc::new(Places {
            pin_dir: options.pin_dir,
            socket: options.socket.clone(),
        }),
        netlink,
    };
    let printer = Printer::start().map_err(io_error("start a thread"))?;
    tokio::spawn(sample(Arc::clone(&view)));
    tokio::spawn(watch(Arc::clone(&view), control.netlink.clone()));
    tokio::spawn(follow_files(Arc::clone(&view)));
    tokio::spawn(reload_when_told(Arc::clone(&view), hangup));
    let changes = netlink::changes().map_err(io_error("open a netlink socket"))?;
    tokio::spawn(follow(control.netlink.clone(), changes, {
        let view = Arc::clone(&view);
        move |surroundings| {
            view.set_surroundings(surroundings);
            // What the kernel does not take must not keep the rest from it.
            let learnt = view.response().learn(surroundings);
            learnt.and(view.release())
        }
    }));
    if let Some(within) = options.confirm_within {
        tokio::spawn(fall_back_unless_confirmed(Arc::clone(&view), within));
    }
    tokio::spawn(async move {
        let Err(error) = serve(listener, control).await;
        say(&format!(
            "the control socket is broken ({error}), filtering goes on"
        ));
    });
    announce(&view, &options.socket);

    let report = |record: &[u8]| report(record, &view, &printer, options.format);
    let told_later = |event: &Event| tell_later(event, &view, &printer, options.format);
    let stopped = tokio::select! {
        biased;
        signal = signals.next() => Ok(signal),
        Err(error) = events.forward(report) => Err(error),
        Err(error) = evidence.follow(&view, told_later) => Err(error),
        never = scans::follow(&view, |event| _ = tell(event, &view, &printer, options.format)) => match never {},
    };

    // Detached before the last events are taken, so that they are the last.
    drop(links);
    events.drain(report);
    evidence.drain(&view, told_later).await;
    printer.finish();
    let signal = stopped.map_err(io_error("wait for events"))?;
    say(&format!("{signal}: {}", summary(&view)?));
    Ok(())
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> AgentError {
    move |error| AgentError::Io(what, error)
}

fn announce(view: &View, socket: &Path) {
    for Guarded {
        interface,
        hook,
        not_native,
        ..
    } in &view.interfaces
    {
        let why = match (hook, not_native) {
            (Hook::Generic, Some(why)) => format!(", because {why}"),
            _ => String::new(),
        };
        say(&format!(
            "guarding {} ({}) in {hook} mode{why}",
            interface.name, interface.side
        ));
    }
    let meaning = match view.config().mode() {
        Switch::Enforce => "what policy says is dropped",
        Switch::Monitor => "nothing is dropped",
    };
    say(&format!(
        "ready; {}: {meaning}; ask on {}",
        view.config().mode().name(),
        FileName::new(socket)
    ));
    if view.interfaces.len() == 1 {
        say(
            "scans are not looked for: answers come in by another interface than the one that is guarded",
        );
    }
}

/// Reads the rules anew at each SIGHUP.
async fn reload_when_told(view: Arc<View>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let view = Arc::clone(&view);
        // It was said what became of it.
        let _ = spawn_blocking(move || view.reload()).await;
    }
}

/// Goes back to monitoring if nobody confirms in time.
async fn fall_back_unless_confirmed(view: Arc<View>, within: Duration) {
    say(&format!(
        "nothing is dropped any more in {} s, unless you say `detector confirm`",
        within.as_secs()
    ));
    if view.confirmation.wait(within).await {
        say("confirmed: what policy says is dropped");
        return;
    }
    match view.apply() {
        Ok(()) => say("not confirmed in time: monitor: nothing is dropped any more"),
        Err(error) => say(&format!("cannot stop enforcing ({error}): stop the agent")),
    }
}

/// Tells of a report of the kernel, and answers it.
fn report(record: &[u8], view: &View, printer: &Printer, format: StreamFormat) {
    let Some(event) = Event::from_bytes(record) else {
        view.reports.not_understood();
        return;
    };
    if tell(&event, view, printer, format) {
        respond(&event, view, view.clock());
    }
}

/// Prints a finding that was decided here.
fn tell_later(event: &Event, view: &View, printer: &Printer, format: StreamFormat) {
    if let Some(finding) = finding(event, view) {
        print(&finding.decided_in_agent(), view, printer, format);
    }
}

/// Prints a finding; `false` if it cannot be one of ours.
fn tell(event: &Event, view: &View, printer: &Printer, format: StreamFormat) -> bool {
    let finding = finding(event, view);
    if let Some(finding) = &finding {
        print(finding, view, printer, format);
    }
    finding.is_some()
}

/// What an event tells of; `None` if it cannot be one of ours.
fn finding(event: &Event, view: &View) -> Option<Finding> {
    let interface_in = |slot: u8| view.interface(slot.into());
    let clock = view.clock();
    let config = view.config();
    let is_gateway = |mac| config.is_gateway(mac);
    let to_unix_ns = |kernel_ns| clock.to_unix_ns(kernel_ns);
    let finding = Finding::of(event, interface_in, is_gateway, to_unix_ns, &view.book());
    if finding.is_none() {
        view.reports.not_understood();
    }
    finding
}

fn print(finding: &Finding, view: &View, printer: &Printer, format: StreamFormat) {
    let line = match format {
        StreamFormat::Human => Ok(finding.to_string()),
        StreamFormat::Jsonl => serde_json::to_string(finding),
    };
    if !line.is_ok_and(|line| printer.print(line)) {
        view.reports.not_printed();
    }
}

/// Blocks the source of a report, if policy says so.
fn respond(event: &Event, view: &View, clock: Clock) {
    let now = Clock {
        kernel_ns: event.at_ns,
        unix_ns: clock.to_unix_ns(event.at_ns),
    };
    let Some((prefix, time, times)) = view.response().answer(event, now, &view.book()) else {
        return;
    };
    let again = match times {
        1 => String::new(),
        times => format!(", as {times} times lately"),
    };
    let meaning = match view.mode() {
        Switch::Enforce => "",
        Switch::Monitor => ", which in monitor mode is only counted",
    };
    match view.apply() {
        Ok(()) => say(&format!(
            "{prefix} is blocked for {} s{again}{meaning}",
            time.as_secs()
        )),
        Err(error) => say(&format!("{prefix} cannot be blocked: {error}")),
    }
}

/// Looks at the counters and the clock again and again.
async fn sample(view: Arc<View>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let view = Arc::clone(&view);
        // A rate that cannot be read stays as it was; `detector stats` says why.
        let _ = spawn_blocking(move || view.sample()).await;
    }
}

/// What the agent saw in its life.
fn summary(view: &View) -> Result<String, KernelError> {
    let counters = view.kernel.maps().counters()?;
    let totals = (0..view.interfaces.len() as u32).map(|slot| Totals::of(slot, &counters));
    let (packets, dropped) = totals.fold((0_u64, 0_u64), |(packets, dropped), totals| {
        (
            packets.saturating_add(totals.all.packets),
            dropped.saturating_add(totals.dropped),
        )
    });
    let tallies = view.kernel.maps().tallies()?;
    let count = |name: &str| -> u64 {
        let mut tallies = tallies.iter();
        let counts = tallies.find(|(tally, _)| tally.name() == name);
        counts.map_or(0, |(_, counts)| counts.iter().sum())
    };
    Ok(format!(
        "detached after {} s; {packets} packets seen, {dropped} dropped; {} findings reported, {} lost",
        view.uptime().as_secs(),
        count("events_sent"),
        count("events_lost"),
    ))
}
