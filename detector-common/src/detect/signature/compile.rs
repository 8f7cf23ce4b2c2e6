//! From the rows of [`super::worms`] to a [`SignatureTable`]. Runs on the host, once at start.
//!
//! A pattern becomes windows of eight bytes that all end inside it, so that no test reads behind a payload ([`image`]).
//! A group's signatures are told apart by one window more, whose bytes every one of them fixes; those that it cannot
//! tell apart are tested one after the other ([`chain`]).

mod chain;
mod image;

use bytemuck::Zeroable;

use super::{
    table::{
        FOUND, GROUPS_MAX, Group, NONE, ROWS_MAX, STEPS_MAX, SignatureTable, TESTS_MAX, group_slot,
        port_slot,
    },
    worms::{Signature, Traffic},
};
use chain::Steps;
use image::{Image, Program};

/// Why a table could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// There are more signatures than rows.
    TooManyRows,
    /// There are more kinds of traffic than groups.
    TooManyGroups,
    /// There are more tests than the table holds.
    TooManyTests,
    /// Too many signatures begin like this one: a packet would take too many steps.
    TooManySteps(&'static str),
    /// The pattern of this signature is too long, or malformed.
    Pattern(&'static str),
    /// So many kinds of traffic meet at this TCP port that a packet to it would take too many steps.
    PortShared(u16),
}

impl core::fmt::Display for CompileError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooManyRows => write!(out, "more than {ROWS_MAX} signatures"),
            Self::TooManyGroups => write!(out, "more than {GROUPS_MAX} kinds of traffic"),
            Self::TooManyTests => write!(out, "more than {TESTS_MAX} tests"),
            Self::TooManySteps(name) => write!(
                out,
                "more than {STEPS_MAX} tests for packets that begin like {name}"
            ),
            Self::Pattern(name) => write!(out, "the pattern of {name} cannot be compiled"),
            Self::PortShared(port) => {
                write!(out, "too many signatures look at TCP port {port} already")
            }
        }
    }
}

impl core::error::Error for CompileError {}

/// Fills `table` with `signatures`, those for HTTP on `http_ports`.
pub fn compile(
    table: &mut SignatureTable,
    signatures: &[Signature],
    http_ports: &[u16],
) -> Result<(), CompileError> {
    *table = SignatureTable::zeroed();
    if signatures.len() > ROWS_MAX {
        return Err(CompileError::TooManyRows);
    }
    let mut images = [Image::EMPTY; ROWS_MAX];
    let mut used = 0;
    for (((index, signature), row), image) in (FOUND..)
        .zip(signatures)
        .zip(&mut table.rows)
        .zip(&mut images)
    {
        let mut program = Program {
            tests: table.tests.get_mut(used..).unwrap_or_default(),
            first: used,
            len: 0,
        };
        *row = image.compile(signature, &mut program, index)?;
        used = used.saturating_add(program.len);
    }

    let mut groups = 0;
    for (index, signature) in signatures.iter().enumerate() {
        let earlier = signatures.get(..index).unwrap_or_default();
        if earlier
            .iter()
            .any(|other| other.traffic == signature.traffic)
        {
            continue;
        }
        if groups == GROUPS_MAX {
            return Err(CompileError::TooManyGroups);
        }
        let bit = 1 << groups;
        if let Some(group) = table.groups.get_mut(group_slot(bit)) {
            compile_group(group, groups, signatures, &mut images, signature.traffic);
        }
        watch(table, signature.traffic, http_ports, bit);
        if signature.traffic == Traffic::HttpQuery {
            table.at_query |= bit;
        }
        groups = groups.saturating_add(1);
    }

    for index in 0..signatures.len() {
        chain::link(&mut table.tests, &mut table.rows, &images, index);
    }
    for (row, image) in table.rows.iter().zip(&images).take(signatures.len()) {
        if row.payload_min == 0 && row.reach == 0 {
            table.without_payload |= 1 << image.group;
        }
    }
    let steps = Steps::count(&table.tests, &table.rows, &images);
    for (signature, image) in signatures.iter().zip(&images) {
        if steps.of_test(image.first_test) >= STEPS_MAX {
            return Err(CompileError::TooManySteps(signature.name));
        }
    }
    for port in 0..=u16::MAX {
        let groups = table.tcp_destination.get(port_slot(port));
        let groups = groups.copied().unwrap_or_default();
        let all = (0..GROUPS_MAX)
            .map(|group| groups & 1 << group)
            .filter(|bit| *bit != 0)
            .filter_map(|bit| table.groups.get(group_slot(bit)))
            .fold(0_usize, |all, group| {
                all.saturating_add(steps.of_group(group))
            });
        if all > STEPS_MAX {
            return Err(CompileError::PortShared(port));
        }
    }
    Ok(())
}

/// Makes the group of all signatures for `traffic`: the window that tells most of them apart, and its buckets.
fn compile_group(
    group: &mut Group,
    number: usize,
    signatures: &[Signature],
    images: &mut [Image; ROWS_MAX],
    traffic: Traffic,
) {
    group.buckets.fill(NONE);
    group.window_offset = -8;

    let members = || {
        signatures
            .iter()
            .zip(&*images)
            .filter(|(signature, _)| signature.traffic == traffic)
            .map(|(_, image)| image)
    };
    let mut best = (0, 0);
    for offset in -7..=8_i16 {
        let mask = members()
            .filter_map(|image| image.window(offset))
            .fold(u64::MAX, |all, (mask, _)| all & mask);
        let value = |image: &Image| image.window(offset).map_or(0, |(_, value)| value & mask);
        let distinct = members()
            .enumerate()
            .filter(|(index, image)| {
                !members()
                    .take(*index)
                    .any(|earlier| value(earlier) == value(image))
            })
            .count();
        if mask != 0 && (distinct, mask.count_ones()) > best {
            best = (distinct, mask.count_ones());
            group.window_mask = mask;
            group.window_offset = offset;
        }
    }

    for (signature, image) in signatures.iter().zip(images) {
        if signature.traffic != traffic {
            continue;
        }
        let (_, value) = image.window(group.window_offset).unwrap_or_default();
        image.group = number;
        image.bucket = group.bucket(value);
        if let Some(first @ &mut NONE) = group.buckets.get_mut(image.bucket) {
            *first = image.first_test as u16;
        }
    }
}

/// Has `table` look at the packets of `traffic` with the groups of `bits`.
fn watch(table: &mut SignatureTable, traffic: Traffic, http_ports: &[u16], bits: u8) {
    let set = |entries: &mut [u8; 1 << 16], port: u16| {
        if let Some(entry) = entries.get_mut(port_slot(port)) {
            *entry |= bits;
        }
    };
    match traffic {
        Traffic::Http | Traffic::HttpQuery => {
            for port in http_ports {
                set(&mut table.tcp_destination, *port);
            }
        }
        Traffic::TcpTo(ranges) => {
            for port in ranges.iter().cloned().flatten() {
                set(&mut table.tcp_destination, port);
            }
        }
        Traffic::UdpTo(port) => set(&mut table.udp_destination, port),
        Traffic::UdpFrom(port) => set(&mut table.udp_source, port),
        Traffic::IcmpEcho => table.icmp_echo |= bits,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{boxed::Box, vec::Vec};

    use super::*;
    use crate::detect::signature::{
        table::WINDOW,
        worms::{self, SIGNATURES},
    };

    fn compiled(
        signatures: &[Signature],
        http_ports: &[u16],
    ) -> Result<Box<SignatureTable>, CompileError> {
        let mut table = Box::new(SignatureTable::zeroed());
        compile(&mut table, signatures, http_ports)?;
        Ok(table)
    }

    const fn signature(
        name: &'static str,
        traffic: Traffic,
        tests: &'static [worms::Test],
    ) -> Signature {
        Signature {
            id: 1,
            name,
            title: "",
            severity: worms::Severity::Low,
            reference: "",
            traffic,
            tests,
        }
    }

    #[test]
    fn the_table_of_worms_compiles_and_every_signature_can_be_found() {
        let table = compiled(SIGNATURES, &[80, 8080]).expect("the table compiles");
        let mut exits: Vec<u16> = table
            .groups
            .iter()
            .flat_map(|group| group.buckets)
            .collect();
        let mut found = [false; ROWS_MAX];
        while let Some(exit) = exits.pop() {
            if let Some(test) = table.test(usize::from(exit)) {
                exits.extend([test.then, test.otherwise]);
            } else if let Some(row) = exit.checked_sub(FOUND) {
                found[usize::from(row)] = true;
                exits.push(table.rows[usize::from(row)].otherwise);
            }
        }
        for (signature, found) in SIGNATURES.iter().zip(found) {
            assert!(found, "{}", signature.name);
        }
    }

    #[test]
    fn no_test_reads_behind_the_pattern() {
        let table = compiled(SIGNATURES, &[80]).expect("the table compiles");
        let mut row = 0;
        for test in table.tests.iter().take_while(|test| test.then != 0) {
            let reach = i32::from(table.rows[row].reach);
            assert!(
                i32::from(test.offset) + i32::from(WINDOW) <= reach,
                "{}",
                SIGNATURES[row].name
            );
            row += usize::from(test.then & FOUND != 0);
        }
        assert_eq!(row, SIGNATURES.len());
    }

    #[test]
    fn a_port_where_a_packet_would_take_too_many_steps_is_refused_by_number() {
        const LONG: worms::Test = worms::Test::Bytes {
            at: 0,
            bytes: &[7; STEPS_MAX * 16 / 3],
        };
        const EVERYWHERE: [Signature; 3] = [
            signature("a", Traffic::Http, &[LONG]),
            signature("b", Traffic::HttpQuery, &[LONG]),
            signature("c", Traffic::TcpTo(&[79..=80]), &[LONG]),
        ];
        assert_eq!(
            compiled(&EVERYWHERE, &[80]).err(),
            Some(CompileError::PortShared(80))
        );
        assert!(compiled(&EVERYWHERE, &[81]).is_ok());
        assert!(compiled(&EVERYWHERE[..2], &[80]).is_ok());
    }

    #[test]
    fn a_pattern_that_does_not_fit_is_refused_by_name() {
        let long = signature(
            "long",
            Traffic::Http,
            &[worms::Test::Bytes {
                at: 0,
                bytes: &[1; 600],
            }],
        );
        let far = signature(
            "far",
            Traffic::Http,
            &[worms::Test::Bytes {
                at: 600,
                bytes: &[1],
            }],
        );
        let run = signature(
            "run",
            Traffic::Http,
            &[worms::Test::Run {
                at: 0,
                len: 7,
                period: 1,
            }],
        );
        for one in [long, far, run] {
            assert_eq!(
                compiled(&[one], &[80]).err(),
                Some(CompileError::Pattern(one.name))
            );
        }
    }

    #[test]
    fn too_many_signatures_that_nothing_tells_apart_are_refused() {
        let mut alike = Vec::new();
        for at in (0..).step_by(16).take(STEPS_MAX / 2) {
            let tests = Box::leak(Box::new([worms::Test::Bytes {
                at,
                bytes: b"1234567890123456",
            }]));
            alike.push(signature("alike", Traffic::Http, tests));
        }
        assert_eq!(
            compiled(&alike, &[80]).err(),
            Some(CompileError::TooManySteps("alike"))
        );
        assert!(compiled(&alike[1..], &[80]).is_ok());
    }
}
