//! What the demo sends: worms both ways, an ARP storm from outside, a host inside that looks for victims, and ordinary traffic
//! beside them.

use std::{fmt, net::Ipv4Addr, time::Duration};

use detector_tests::{
    builder::{Arp, PacketBuilder, Route},
    lab::{INFECTED, Lab},
    worms::{self, benign},
};

/// So much faster than in 2004 the storm goes, so that nobody waits for half a minute.
const STORM_SPEED: u32 = 8;
/// How often each kind of ordinary packet is sent each way.
const ORDINARY_ROUNDS: usize = 20;

/// Neighbours that the infected host asks for, and how often. Each CPU counts for itself, and the scheduler may move the
/// sender from one to the other at any moment: so it is twice of what it takes, and as long.
const SWEPT: u8 = 100;
const SWEEP_EVERY: Duration = Duration::from_millis(90);
/// Hosts outside that it tries, and how often.
const SCANNED: u8 = 90;
const SCAN_EVERY: Duration = Duration::from_millis(100);
const TELNET: u16 = 23;
/// Who sends worms from outside.
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
/// What is forged in the router's name, how often, and as which worm.
const FORGED: u32 = 200;
const FORGED_EVERY: Duration = Duration::from_millis(20);
pub(crate) const FORGED_WORM: &str = "sql-slammer";

/// What a frame is, and so what should become of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A worm's probe. The sixteen of Nimda are one kind.
    Worm(&'static str),
    /// A request of the ARP storm.
    Storm,
    /// An ARP request of the infected host, which looks for its neighbours.
    Sweep,
    /// A first packet of its, which tries one port on host after host outside.
    Scan,
    /// A worm's probe that somebody outside forged in the name of the gateway's own router, to have it cut off.
    Forged,
    /// An ordinary IP packet, which the gateway forwards.
    Ordinary,
    /// An ordinary ARP message, which ends at the gateway.
    OrdinaryArp,
    /// A frame of a capture, of which nothing is known.
    Captured,
}

impl Kind {
    /// The kind of a worm, by the name of its signature.
    fn worm(signature: &'static str) -> Self {
        Self::Worm(Self::group(signature))
    }

    /// A signature's name without its number among those of one worm: `nimda-01` is `nimda`.
    pub(crate) fn group(signature: &str) -> &str {
        match signature.rsplit_once('-') {
            Some((group, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => group,
            _ => signature,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Worm(name) => name,
            Self::Storm => "ARP storm",
            Self::Sweep => "ARP sweep",
            Self::Scan => "scan for telnet",
            Self::Forged => "forged in a router's name",
            Self::Ordinary => "ordinary IP",
            Self::OrdinaryArp => "ordinary ARP",
            Self::Captured => "capture",
        })
    }
}

/// A frame with the moment it is sent at, counted from the first.
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
    pub(crate) frame: Vec<u8>,
}

/// Everything that is sent, in order of time.
pub(crate) struct Traffic {
    /// From the outside, to the gateway's interface `wan`.
    pub(crate) inbound: Vec<Planned>,
    /// From the infected host, to the gateway's interface `lan`.
    pub(crate) outbound: Vec<Planned>,
}

impl Traffic {
    /// The demo's own.
    pub(crate) fn of_worms() -> Self {
        // Not the router that everything outside is behind: nothing is ever done against that.
        let mut inbound = mixed(&Route {
            src_ip: STRANGER,
            ..Lab::inbound()
        });
        inbound.extend(forged());
        inbound.extend(worms::arp_storm().map(|timed| Planned {
            at: timed.at / STORM_SPEED,
            kind: Kind::Storm,
            frame: timed.frame,
        }));
        inbound.sort_by_key(|planned| planned.at);
        let mut outbound = mixed(&Lab::outbound());
        outbound.extend(hunt());
        outbound.sort_by_key(|planned| planned.at);
        Self { inbound, outbound }
    }
}

/// Somebody outside forges worms in the name of the router.
fn forged() -> impl Iterator<Item = Planned> {
    (0..FORGED).map(|number| Planned {
        at: FORGED_EVERY * number,
        kind: Kind::Forged,
        frame: worms::slammer(&Lab::inbound()).build(),
    })
}

/// The infected host looks for victims: eleven neighbours a second, none of whom is there, and ten hosts outside.
fn hunt() -> impl Iterator<Item = Planned> {
    let [a, b, c, _] = INFECTED.ipv4.octets();
    let sweep = (0..SWEPT).map(move |number| {
        let target = Ipv4Addr::new(a, b, c, 100 + number);
        let request = Arp::request(INFECTED.mac, INFECTED.ipv4, target);
        Planned {
            at: SWEEP_EVERY * number.into(),
            kind: Kind::Sweep,
            frame: PacketBuilder::new().arp(request).pad_to(60).build(),
        }
    });
    let scan = (0..SCANNED).map(|number| {
        let route = Route {
            dst_ip: Ipv4Addr::new(198, 18, number, 7),
            ..Lab::outbound()
        };
        Planned {
            at: SCAN_EVERY * number.into(),
            kind: Kind::Scan,
            frame: benign::syn(&route, TELNET).build(),
        }
    });
    sweep.chain(scan)
}

/// Worms, look-alikes and ordinary packets along a route, spread over two seconds.
fn mixed(route: &Route) -> Vec<Planned> {
    let at = |index: usize| Duration::from_millis(7) * u32::try_from(index).unwrap_or_default();
    let worms = worms::all();
    let worms = worms.iter().enumerate().map(|(index, worm)| Planned {
        at: at(5 * index),
        kind: Kind::worm(worm.name),
        frame: worm.frame(route),
    });
    let ordinary = (0..ORDINARY_ROUNDS)
        .flat_map(|_| benign::all(route))
        .chain(benign::lookalikes(route))
        .enumerate()
        .map(|(index, benign)| {
            let is_arp = benign.name.starts_with("arp");
            Planned {
                at: at(index),
                kind: if is_arp {
                    Kind::OrdinaryArp
                } else {
                    Kind::Ordinary
                },
                frame: benign.packet.build(),
            }
        });
    let mut all: Vec<_> = worms.chain(ordinary).collect();
    all.sort_by_key(|planned| planned.at);
    all
}
