//! From the rows of [`super::worms`] to a [`SignatureTable`]. Runs on the host, once at start.
//!
//! A pattern becomes windows of eight bytes that all end inside it, so that no test reads behind a payload. A group's
//! signatures are told apart by one window more, whose bytes every one of them fixes; those that it cannot tell apart
//! are tested one after the other.

use bytemuck::Zeroable;

use super::{
    Traits,
    table::{
        FOUND, GROUPS_MAX, GROUPS_PER_PACKET, Group, NONE, ROWS_MAX, Row, STEPS_MAX,
        SignatureTable, TESTS_MAX, Test,
    },
    worms::{self, Signature, Traffic},
};

/// How far before the anchor a pattern's image begins, in bytes: a window of a short pattern begins there.
const BEFORE: u16 = 8;
/// The length of a pattern's image, in bytes.
const IMAGE: usize = 512;

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
    /// More groups than a packet may have look at this TCP port.
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
        let Some(group) = table.groups.get_mut(groups) else {
            return Err(CompileError::TooManyGroups);
        };
        compile_group(
            group,
            &mut table.tests,
            &mut table.rows,
            signatures,
            &images,
            signature.traffic,
        )?;
        watch(table, signature.traffic, http_ports, 1 << groups);
        groups = groups.saturating_add(1);
    }
    for (port, groups) in (0..=u16::MAX).zip(&table.tcp_destination) {
        if groups.count_ones() as usize > GROUPS_PER_PACKET {
            return Err(CompileError::PortShared(port));
        }
    }
    Ok(())
}

/// The tests of one signature, in the order they are run.
struct Program<'a> {
    /// Where they go, with room for those of the signatures behind.
    tests: &'a mut [Test],
    /// The index of the first one in the table.
    first: usize,
    len: usize,
}

impl Program<'_> {
    /// Adds a test, which leads to the one behind it.
    fn push(&mut self, mut test: Test) -> Result<(), CompileError> {
        let place = self
            .tests
            .get_mut(self.len)
            .ok_or(CompileError::TooManyTests)?;
        self.len = self.len.saturating_add(1);
        let next = self.first.saturating_add(self.len);
        test.then = u16::try_from(next).map_err(|_| CompileError::TooManyTests)?;
        test.otherwise = NONE;
        *place = test;
        Ok(())
    }

    /// Has the last test lead to the finding.
    fn end(&mut self, found: u16) {
        if let Some(test) = self
            .len
            .checked_sub(1)
            .and_then(|last| self.tests.get_mut(last))
        {
            test.then = found;
        }
    }
}

/// What a pattern fixes, byte for byte, from [`BEFORE`] bytes before its anchor; and where its program is.
#[derive(Clone, Copy)]
struct Image {
    mask: [u8; IMAGE],
    value: [u8; IMAGE],
    first_test: usize,
    tests: usize,
}

impl Image {
    const EMPTY: Self = Self {
        mask: [0; IMAGE],
        value: [0; IMAGE],
        first_test: 0,
        tests: 0,
    };

    fn index(at: i16) -> Option<usize> {
        BEFORE.checked_add_signed(at).map(usize::from)
    }

    fn fix(&mut self, at: i16, mask: u8, value: u8) -> Option<()> {
        let index = Self::index(at)?;
        *self.mask.get_mut(index)? = mask;
        *self.value.get_mut(index)? = value & mask;
        Some(())
    }

    /// The window at `offset`: its mask and its value.
    fn window(&self, offset: i16) -> Option<(u64, u64)> {
        let index = Self::index(offset)?;
        let read = |bytes: &[u8; IMAGE]| {
            bytes
                .get(index..)?
                .first_chunk()
                .copied()
                .map(u64::from_le_bytes)
        };
        Some((read(&self.mask)?, read(&self.value)?))
    }

    /// Takes in a signature, writes its program, which leads to `found`, and gives its row.
    fn compile(
        &mut self,
        signature: &Signature,
        program: &mut Program<'_>,
        found: u16,
    ) -> Result<Row, CompileError> {
        let malformed = CompileError::Pattern(signature.name);
        let row = self.draw(signature).ok_or(malformed)?;
        let reach = i16::try_from(row.reach).map_err(|_| malformed)?;
        self.compare(reach, program, malformed)?;
        for test in signature.tests {
            if let worms::Test::Run { at, len, period } = *test {
                compare_run(at, len, period, program, malformed)?;
            }
        }
        if program.len == 0 {
            // Nothing but headers is asked for: a test that always holds.
            program.push(Test {
                offset: 0_i16.saturating_sub_unsigned(BEFORE),
                ..Test::zeroed()
            })?;
        }
        program.end(found);
        self.first_test = program.first;
        self.tests = program.len;
        Ok(row)
    }

    /// Draws what the signature fixes, and gives what it asks besides; `None` if it does not fit.
    fn draw(&mut self, signature: &Signature) -> Option<Row> {
        let mut row = Row {
            id: signature.id,
            payload_min: 0,
            payload_max: u16::MAX,
            reach: 0,
            traits: 0,
            otherwise: NONE,
        };
        // One behind the last byte that anything asks of the payload.
        let mut reach = 0_i16;
        for test in signature.tests {
            match *test {
                worms::Test::Bytes { at, bytes } => {
                    for (at, byte) in (at..).zip(bytes) {
                        self.fix(at, 0xff, *byte)?;
                        reach = reach.max(at.checked_add(1)?);
                    }
                }
                worms::Test::Text { at, text } => {
                    for (at, byte) in (at..).zip(text.bytes()) {
                        self.fix(at, case_mask(byte), byte)?;
                        reach = reach.max(at.checked_add(1)?);
                    }
                }
                worms::Test::Letter {
                    at,
                    letters: (one, other),
                } => {
                    let differ = one ^ other;
                    if !differ.is_power_of_two() {
                        return None;
                    }
                    self.fix(at, case_mask(one) & !differ, one)?;
                    reach = reach.max(at.checked_add(1)?);
                }
                worms::Test::Run { at, len, .. } => {
                    reach = reach.max(at.checked_add_unsigned(len)?);
                }
                worms::Test::PayloadLen { min, max } => {
                    (row.payload_min, row.payload_max) = (min, max);
                }
                worms::Test::Headers(traits) => row.traits = Traits::all(traits).0,
            }
        }
        row.reach = u16::try_from(reach).ok()?;
        Some(row)
    }

    /// Covers every byte that is fixed with a window that ends at or before `reach`.
    fn compare(
        &self,
        reach: i16,
        program: &mut Program<'_>,
        malformed: CompileError,
    ) -> Result<(), CompileError> {
        let last_window = reach.saturating_sub(8);
        let mut at = 0_i16.saturating_sub_unsigned(BEFORE);
        while at < reach {
            let fixed = Self::index(at).and_then(|index| self.mask.get(index));
            if *fixed.ok_or(malformed)? == 0 {
                at = at.saturating_add(1);
                continue;
            }
            let offset = at.min(last_window);
            let (mask, value) = self.window(offset).ok_or(malformed)?;
            program.push(Test {
                mask,
                value,
                offset,
                ..Test::zeroed()
            })?;
            at = offset.saturating_add(8);
        }
        Ok(())
    }
}

/// Covers a run with windows that overlap by a period, so that what holds in each holds across all.
fn compare_run(
    at: i16,
    len: u16,
    period: u16,
    program: &mut Program<'_>,
    malformed: CompileError,
) -> Result<(), CompileError> {
    if period == 0 || period > 2 {
        return Err(malformed);
    }
    // Moved down by its period, a run is what it was.
    let shift = period.saturating_mul(8);
    let kept = u64::MAX.wrapping_shr(u32::from(shift));
    let last_window = at.saturating_add_unsigned(len).saturating_sub(8);
    if last_window < at {
        return Err(malformed);
    }
    let mut offset = at;
    loop {
        program.push(Test {
            mask: kept,
            same: kept,
            offset,
            shift,
            ..Test::zeroed()
        })?;
        if offset == last_window {
            return Ok(());
        }
        offset = offset
            .saturating_add(8)
            .saturating_sub_unsigned(period)
            .min(last_window);
    }
}

/// A letter matches in either case when the bit that tells the cases apart does not count.
fn case_mask(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() {
        !0x20
    } else {
        0xff
    }
}

/// Makes the group of all signatures for `traffic`: the window that tells most of them apart, and its chains.
fn compile_group(
    group: &mut Group,
    tests: &mut [Test; TESTS_MAX],
    rows: &mut [Row; ROWS_MAX],
    signatures: &[Signature],
    images: &[Image; ROWS_MAX],
    traffic: Traffic,
) -> Result<(), CompileError> {
    let members = || {
        signatures
            .iter()
            .zip(images)
            .enumerate()
            .filter(|(_, (signature, _))| signature.traffic == traffic)
    };
    group.anchored_at_query = u8::from(traffic == Traffic::HttpQuery);
    group.buckets.fill(NONE);

    let mut best = (0, 0);
    group.window_offset = -8;
    for offset in -7..=8_i16 {
        let mask = members()
            .filter_map(|(_, (_, image))| image.window(offset))
            .fold(u64::MAX, |all, (mask, _)| all & mask);
        let value = |image: &Image| image.window(offset).map_or(0, |(_, value)| value & mask);
        let distinct = members()
            .filter(|(index, (_, image))| {
                !members()
                    .any(|(other, (_, earlier))| other < *index && value(earlier) == value(image))
            })
            .count();
        if mask != 0 && (distinct, mask.count_ones()) > best {
            best = (distinct, mask.count_ones());
            group.window_mask = mask;
            group.window_offset = offset;
        }
    }

    for (index, (signature, image)) in members() {
        let bucket_of = |image: &Image| {
            let (_, value) = image.window(group.window_offset).unwrap_or_default();
            group.bucket(value)
        };
        let bucket = bucket_of(image);
        let before = members()
            .filter(|(other, (_, earlier))| *other < index && bucket_of(earlier) == bucket);
        // A finding is a step as well.
        let steps = before
            .clone()
            .map(|(_, (_, earlier))| earlier.tests)
            .fold(image.tests, |all, tests| {
                all.saturating_add(tests).saturating_add(1)
            });
        if steps >= STEPS_MAX {
            return Err(CompileError::TooManySteps(signature.name));
        }
        let first_test = u16::try_from(image.first_test).map_err(|_| CompileError::TooManyTests)?;
        match before.max_by_key(|(other, _)| *other) {
            // Where the program of the signature before fails, this one's begins.
            Some((other, (_, earlier))) => {
                if let Some(row) = rows.get_mut(other) {
                    row.otherwise = first_test;
                }
                let end = earlier.first_test.saturating_add(earlier.tests);
                for test in tests.get_mut(earlier.first_test..end).unwrap_or_default() {
                    test.otherwise = first_test;
                }
            }
            None => {
                if let Some(first) = group.buckets.get_mut(bucket) {
                    *first = first_test;
                }
            }
        }
    }
    Ok(())
}

/// Has `table` look at the packets of `traffic` with the groups of `bits`.
fn watch(table: &mut SignatureTable, traffic: Traffic, http_ports: &[u16], bits: u8) {
    let set = |entries: &mut [u8; 1 << 16], port: u16| {
        if let Some(entry) = entries.get_mut(usize::from(port)) {
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
    use std::boxed::Box;

    use super::*;
    use worms::SIGNATURES;

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
    fn the_table_of_worms_compiles_and_every_program_can_be_reached() {
        let table = compiled(SIGNATURES, &[80, 8080]).expect("the table compiles");
        let mut first = 0;
        for (index, test) in (0_u16..).zip(&table.tests).take(TESTS_MAX) {
            if test.then & FOUND == 0 {
                continue;
            }
            let in_bucket = table
                .groups
                .iter()
                .any(|group| group.buckets.contains(&first));
            let in_chain = table.tests.iter().any(|test| test.otherwise == first);
            assert!(
                in_bucket || in_chain,
                "{}",
                SIGNATURES[usize::from(test.then & !FOUND)].name
            );
            first = index + 1;
        }
        assert!(usize::from(first) > SIGNATURES.len());
    }

    #[test]
    fn no_test_reads_behind_the_pattern() {
        let table = compiled(SIGNATURES, &[80]).expect("the table compiles");
        let mut row = 0;
        for test in table.tests.iter().take_while(|test| test.then != 0) {
            let reach = i32::from(table.rows[row].reach);
            assert!(
                i32::from(test.offset) + 8 <= reach,
                "{}",
                SIGNATURES[row].name
            );
            row += usize::from(test.then & FOUND != 0);
        }
        assert_eq!(row, SIGNATURES.len());
    }

    #[test]
    fn a_port_that_too_many_groups_watch_is_refused_by_number() {
        const EVERYWHERE: [Signature; 4] = [
            signature("a", Traffic::Http, &[]),
            signature("b", Traffic::HttpQuery, &[]),
            signature("c", Traffic::TcpTo(&[80..=80]), &[]),
            signature("d", Traffic::TcpTo(&[80..=81]), &[]),
        ];
        assert_eq!(
            compiled(&EVERYWHERE, &[80]).err(),
            Some(CompileError::PortShared(80))
        );
        assert!(compiled(&EVERYWHERE[..3], &[80]).is_ok());
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
    fn more_signatures_that_begin_alike_than_a_packet_may_take_steps_are_refused() {
        let same = [signature(
            "same",
            Traffic::Http,
            &[worms::Test::Bytes {
                at: 0,
                bytes: b"12345678",
            }],
        ); STEPS_MAX / 2 + 1];
        assert_eq!(
            compiled(&same, &[80]).err(),
            Some(CompileError::TooManySteps("same"))
        );
        assert!(compiled(&same[1..], &[80]).is_ok());
    }
}
