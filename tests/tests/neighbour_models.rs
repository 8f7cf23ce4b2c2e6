//! The guard of ARP and of neighbour discovery against naive models that remember every message for ever, on random traffic.
//!
//! What a detector keeps is small and of fixed size. Where it decides exactly, the model must say the same of every message; where it
//! counts in windows or by a sketch, what the model is sure of.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv6Addr,
};

use detector::{
    replay::runtime::Replay,
    tables::{HashSeed, Tables},
};
use detector_common::{config::Config, packet::Frame, reason::Reason};
use detector_tests::{
    builder::{Arp, Mac, OVERRIDE, PacketBuilder, SOLICITED},
    fixtures::HTTP_PORTS,
    generate::Dice,
};

const SECOND: u64 = 1_000_000_000;

/// A classifier with every default.
fn tables() -> Tables {
    Tables::of_worms(Config::DEFAULT, HashSeed::FIXED, &HTTP_PORTS)
}

/// What both families have. Hosts and addresses are numbers.
struct Protocol {
    flood: Reason,
    reply_flood: Reason,
    sweep: Reason,
    spoof: Reason,
    /// A host that says it has the first address asks all for the second.
    ask: fn(u64, u64, u64) -> PacketBuilder,
    /// A host answers another that asked for its address.
    answer: fn(u64, u64) -> PacketBuilder,
}

const PROTOCOLS: [Protocol; 2] = [
    Protocol {
        flood: Reason::ArpFlood,
        reply_flood: Reason::ArpReplyFlood,
        sweep: Reason::ArpSweep,
        spoof: Reason::ArpSpoof,
        ask: |host, own, target| {
            let request = Arp::request(mac(host), ipv4(own), ipv4(target));
            PacketBuilder::new().arp(request).pad_to(60)
        },
        answer: |host, asker| {
            let reply = Arp::reply(mac(host), ipv4(host), mac(asker), ipv4(asker));
            PacketBuilder::new().arp(reply).pad_to(60)
        },
    },
    Protocol {
        flood: Reason::NdFlood,
        reply_flood: Reason::NdAdvertisementFlood,
        sweep: Reason::NdSweep,
        spoof: Reason::NdSpoof,
        ask: |host, own, target| {
            PacketBuilder::new().solicitation(mac(host), ipv6(own), ipv6(target))
        },
        answer: |host, asker| {
            let to = (mac(asker), ipv6(asker));
            PacketBuilder::new().advertisement(mac(host), ipv6(host), to, SOLICITED | OVERRIDE)
        },
    },
];

/// The reason that a message is counted under.
fn reason(replay: &mut Replay<'_>, message: &PacketBuilder, at: u64) -> Reason {
    let frame = message.build();
    replay
        .classify(&Frame::whole(&frame), 0, SECOND + at)
        .reason
}

fn mac(number: u64) -> Mac {
    let [.., high, low] = number.to_be_bytes();
    [2, 0, 0, 7, high, low]
}

fn ipv4(number: u64) -> [u8; 4] {
    let [.., high, low] = number.to_be_bytes();
    [10, 1, high, low]
}

fn ipv6(number: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number))
}

/// When messages of one sender were accepted.
#[derive(Default)]
struct Accepted {
    at: Vec<u64>,
}

impl Accepted {
    /// Whether one more may come: from no earlier one on were there more than `burst`, and as many in every two seconds besides.
    fn take(&mut self, now: u64, burst: u64) -> bool {
        let interval = 2 * SECOND / burst;
        let since = self.at.iter().rev().zip(1_u64..);
        let mut too_many =
            since.map(|(at, messages)| messages * interval > (burst - 1) * interval + now - at);
        let conforms = !too_many.any(|too_many| too_many);
        if conforms {
            self.at.push(now);
        }
        conforms
    }
}

#[test]
fn every_message_is_within_its_limit_or_a_flood_as_a_model_with_all_of_them_says() {
    for protocol in &PROTOCOLS {
        let ask = |sender| (protocol.ask)(sender, sender, 999);
        floods(ask, protocol.flood, 30);
        let answer = |sender| (protocol.answer)(sender, 999);
        floods(answer, protocol.reply_flood, 200);
    }
}

/// Messages of several senders, of whom each may send `burst` in two seconds.
fn floods(message: impl Fn(u64) -> PacketBuilder, flood: Reason, burst: u64) {
    let tables = tables();
    let mut dice = Dice::new(21);
    let (mut floods, mut messages) = (0, 0);
    for round in 0..600 / burst {
        let mut replay = Replay::new(&tables);
        let mut accepted: BTreeMap<u64, Accepted> = BTreeMap::new();
        let mut now = 0;
        for _ in 0..50 * burst {
            // In all less than what a segment may send. Now and then a pause, in which buckets fill.
            now += dice.roll() % (SECOND * 3 / 5 / burst);
            if dice.roll().is_multiple_of(7 * burst) {
                now += dice.roll() % (5 * SECOND);
            }
            // The first of them send most.
            let sender = dice.roll() % (dice.roll() % 8 + 1);
            let found = reason(&mut replay, &message(sender), now);
            let conforms = accepted.entry(sender).or_default().take(now, burst);
            assert_eq!(found == flood, !conforms, "round {round}: {found:?}");
            floods += u32::from(!conforms);
            messages += 1;
        }
    }
    assert!(
        floods > 500 && floods < messages / 2,
        "{floods} of {messages}"
    );
}

/// The addresses that one sender asked for, each with the times, and those that answered.
#[derive(Default)]
struct Asked {
    times: Vec<(u64, u64)>,
    answered: BTreeSet<u64>,
}

impl Asked {
    /// How many different ones that did not answer were asked for in the last `window`.
    fn silent(&self, now: u64, window: u64) -> usize {
        let recent = self.times.iter().filter(|(at, _)| now - at < window);
        let targets: BTreeSet<_> = recent.map(|(_, target)| target).collect();
        targets.difference(&self.answered.iter().collect()).count()
    }
}

#[test]
fn a_sweep_is_what_a_model_with_all_addresses_is_sure_of() {
    PROTOCOLS.iter().for_each(sweeps);
}

fn sweeps(protocol: &Protocol) {
    let tables = tables();
    let mut dice = Dice::new(22);
    let (mut sweeps, mut innocents) = (0, 0);
    for round in 0..100 {
        let mut replay = Replay::new(&tables);
        let mut asked = Asked::default();
        let (mut now, mut found) = (0, false);
        let every = SECOND / 14 + dice.roll() % (3 * SECOND);
        let (different, answers_of_ten) = (dice.roll() % 300 + 1, dice.roll() % 11);
        let (mut most_short, mut most_long) = (0, 0);
        for _ in 0..150 {
            now += every;
            let target = dice.roll() % different;
            let request = (protocol.ask)(500, 500, target);
            found |= reason(&mut replay, &request, now) == protocol.sweep;
            asked.times.push((now, target));
            if target % 10 < answers_of_ten {
                asked.answered.insert(target);
                let _ = reason(&mut replay, &(protocol.answer)(target, 500), now + 1);
            }
            most_short = most_short.max(asked.silent(now, 10 * SECOND));
            most_long = most_long.max(asked.silent(now, 600 * SECOND));
            // Windows do not overlap: twice the threshold in half of one is in one of them, and a sketch tells less than there are.
            let is_sure = asked.silent(now, 5 * SECOND) >= 2 * 20 + 5
                || asked.silent(now, 300 * SECOND) >= 2 * 60 + 15;
            assert!(
                found || !is_sure,
                "round {round}: every {every} ns, {most_short} and {most_long} silent"
            );
        }
        sweeps += u32::from(found);
        if most_short < 17 && most_long < 50 {
            innocents += 1;
            assert!(!found, "round {round}: {most_short} and {most_long} silent");
        }
    }
    assert!(sweeps > 10 && innocents > 10, "{sweeps} {innocents}");
}

/// Whose each address is, and every claim of what is another's: who made it, of what, and when.
#[derive(Default)]
struct Claims {
    owners: BTreeMap<u64, u64>,
    foreign: Vec<(u64, u64, u64)>,
}

/// What the model is sure of.
#[derive(PartialEq)]
enum Sure {
    Spoof,
    NoSpoof,
    Neither,
}

impl Claims {
    fn claim(&mut self, sender: u64, address: u64, now: u64) -> Sure {
        match self.owners.get(&address) {
            None => {
                self.owners.insert(address, sender);
                return Sure::NoSpoof;
            }
            Some(owner) if *owner == sender => return Sure::NoSpoof,
            Some(_) => {}
        }
        let own = self.foreign.iter().filter(|(who, ..)| *who == sender);
        let own: Vec<_> = own.copied().collect();
        self.foreign.push((sender, address, now));
        let Some(before) = own.iter().rposition(|(_, what, _)| *what == address) else {
            return Sure::NoSpoof;
        };
        let (_, _, at) = own[before];
        let between: BTreeSet<_> = own[before + 1..].iter().map(|(_, what, _)| what).collect();
        // Time is kept in quarters of a second.
        if now - at > 12 * SECOND {
            Sure::NoSpoof
        } else if now - at < 10 * SECOND && between.len() <= 1 {
            Sure::Spoof
        } else {
            Sure::Neither
        }
    }
}

#[test]
fn a_claim_is_a_spoof_where_a_model_with_all_claims_is_sure_of_it_and_none_where_it_is_sure_of_that()
 {
    PROTOCOLS.iter().for_each(spoofs);
}

fn spoofs(protocol: &Protocol) {
    let tables = tables();
    let mut dice = Dice::new(23);
    let (mut spoofs, mut others) = (0, 0);
    for round in 0..50 {
        let mut replay = Replay::new(&tables);
        let mut claims = Claims::default();
        let mut now = 0;
        for _ in 0..200 {
            now += dice.roll() % (4 * SECOND);
            // Most speak for themselves; one takes what is another's.
            let sender = dice.roll() % 6;
            let what = if sender == 0 || dice.below(10) == 0 {
                dice.roll() % 6
            } else {
                sender
            };
            let message = (protocol.ask)(sender, what, 999);
            let found = reason(&mut replay, &message, now);
            let is_spoof = found == protocol.spoof;
            match claims.claim(sender, what, now) {
                Sure::Spoof => assert!(is_spoof, "round {round}: {found:?}"),
                Sure::NoSpoof => assert!(!is_spoof, "round {round}: {found:?}"),
                Sure::Neither => {}
            }
            if is_spoof {
                // It is the claimant's from now on.
                claims.owners.insert(what, sender);
                spoofs += 1;
            } else {
                others += 1;
            }
        }
    }
    assert!(spoofs > 100 && others > 500, "{spoofs} {others}");
}
