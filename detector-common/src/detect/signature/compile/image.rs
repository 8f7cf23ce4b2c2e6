//! What a signature's bytes are, drawn out, and the tests that cover them.

use bytemuck::Zeroable;

use super::{
    super::{
        Traits,
        table::{NONE, Row, TESTS_MAX, Test, WINDOW},
        worms::{self, Signature},
    },
    CompileError,
};

/// How far before the anchor a pattern's image begins, in bytes: a window of a short pattern begins there.
const BEFORE: u16 = WINDOW;
/// The length of a pattern's image, in bytes.
const IMAGE: usize = 512;

/// The tests of one signature, in the order they are run.
pub(super) struct Program<'a> {
    /// Where they go, with room for those of the signatures behind.
    pub(super) tests: &'a mut [Test],
    /// The index of the first one in the table.
    pub(super) first: usize,
    pub(super) len: usize,
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
pub(super) struct Image {
    /// The group it is in, and the bucket of its window there.
    pub(super) group: usize,
    pub(super) bucket: usize,
    mask: [u8; IMAGE],
    value: [u8; IMAGE],
    pub(super) first_test: usize,
    pub(super) tests: usize,
}

impl Image {
    pub(super) const EMPTY: Self = Self {
        group: 0,
        bucket: 0,
        mask: [0; IMAGE],
        value: [0; IMAGE],
        first_test: 0,
        tests: 0,
    };

    /// Its tests, in order.
    pub(super) fn program<'a>(&self, tests: &'a [Test; TESTS_MAX]) -> &'a [Test] {
        let end = self.first_test.saturating_add(self.tests);
        tests.get(self.first_test..end).unwrap_or_default()
    }

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
    pub(super) fn window(&self, offset: i16) -> Option<(u64, u64)> {
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
    pub(super) fn compile(
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
            lead: 0,
            traits: 0,
            otherwise: NONE,
            reserved: 0,
        };
        // The first byte that anything asks of the payload, and one behind the last.
        let (mut lead, mut reach) = (0_i16, 0_i16);
        for test in signature.tests {
            if let worms::Test::Bytes { at, .. }
            | worms::Test::Text { at, .. }
            | worms::Test::Letter { at, .. }
            | worms::Test::Run { at, .. } = *test
            {
                lead = lead.min(at);
            }
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
        row.lead = lead.unsigned_abs();
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
        let last_window = reach.saturating_sub_unsigned(WINDOW);
        let mut at = 0_i16.saturating_sub_unsigned(BEFORE);
        while at < reach {
            let fixed = Self::index(at).and_then(|index| self.mask.get(index));
            if *fixed.ok_or(malformed)? == 0 {
                at = at.saturating_add(1);
                continue;
            }
            let offset = at.min(last_window);
            let (mask, value) = self.window(offset).ok_or(malformed)?;
            let (second_mask, second_value) =
                self.window(offset.saturating_add(8)).ok_or(malformed)?;
            program.push(Test {
                mask: [mask, second_mask],
                value: [value, second_value],
                offset,
                ..Test::zeroed()
            })?;
            at = offset.saturating_add_unsigned(WINDOW);
        }
        Ok(())
    }
}

/// Covers a run with windows that overlap by a period, so that what holds in each holds across all.
///
/// Turned by its period, a word of a run is what it was. The words of a window of sixteen bytes are the same besides; where
/// there is no room for sixteen, the first word does not count.
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
    let end = at.saturating_add_unsigned(len);
    if len < 8 {
        return Err(malformed);
    }
    // Where one window does not hold the run, each takes a period with it of what the one before has shown.
    let mut shown = at;
    while shown < end {
        let first = shown.saturating_sub_unsigned(if shown == at { 0 } else { period });
        let whole = first.saturating_add_unsigned(WINDOW) <= end;
        let offset = if whole {
            first
        } else {
            end.min(first.saturating_add(8))
                .saturating_sub_unsigned(WINDOW)
        };
        program.push(Test {
            mask: [if whole { u64::MAX } else { 0 }, u64::MAX],
            same: [if whole { u64::MAX } else { 0 }, u64::MAX],
            offset,
            turn: period.saturating_mul(8),
            ..Test::zeroed()
        })?;
        shown = offset.saturating_add_unsigned(WINDOW);
    }
    Ok(())
}

/// A letter matches in either case when the bit that tells the cases apart does not count.
fn case_mask(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() {
        !0x20
    } else {
        0xff
    }
}
