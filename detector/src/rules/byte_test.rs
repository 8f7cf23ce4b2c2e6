//! `byte_test`: a number that is read out of the payload, and what it must be.

use std::fmt;

use super::test::number;

/// What must hold of a number in the payload. All of its bytes must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteTest {
    /// How many bytes it has, 1 to 4.
    pub bytes: u8,
    /// Whether its lowest byte comes first.
    pub is_little: bool,
    /// Which of its bits count; they are read as a number of their own, from the lowest of them on. All if `None`.
    pub bitmask: Option<u32>,
    /// How it is compared.
    pub operator: Operator,
    /// Whether that must not hold.
    pub negated: bool,
    /// With what.
    pub value: u64,
    /// Where it begins, in bytes.
    pub offset: i32,
    /// Behind the end of the pattern of this number, from 0; from the start of the payload if `None`.
    pub after: Option<usize>,
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It is less.
    Less,
    /// It is greater.
    Greater,
    /// It is the same.
    Equal,
    /// It is less or the same.
    AtMost,
    /// It is greater or the same.
    AtLeast,
    /// They have a bit in common.
    And,
    /// They differ in a bit.
    Xor,
}

impl Operator {
    const ALL: [(&str, Self); 7] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        (">", Self::Greater),
        ("=", Self::Equal),
        ("&", Self::And),
        ("^", Self::Xor),
    ];
}

/// What a number must be under a mask: `first`, or up to `span` more, beyond the largest one from zero on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) mask: u32,
    pub(super) first: u32,
    pub(super) span: u32,
}

/// Why a value is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misread {
    /// It is none.
    Wrong,
    /// It is not honoured, with the reason.
    Refused(&'static str),
}

pub(super) const DIGITS: Misread = Misread::Refused("a number in digits is not read");
pub(super) const DCE: Misread = Misread::Refused("what a header of DCE/RPC says is not known");
const VARIABLE: Misread = Misread::Refused("no variables are read out of a payload");

fn is_name(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphabetic())
}

/// How many bytes a number has, 1 to 4.
pub(super) fn width(text: &str) -> Result<u8, Misread> {
    if is_name(text) {
        return Err(VARIABLE);
    }
    match number(text).ok_or(Misread::Wrong)? {
        bytes @ 1..=4 => Ok(bytes as u8),
        5..=8 => Err(Misread::Refused("numbers of four bytes at most are read")),
        _ => Err(Misread::Wrong),
    }
}

/// How far from its anchor something is.
pub(super) fn distance(text: &str) -> Result<i32, Misread> {
    if is_name(text) {
        return Err(VARIABLE);
    }
    let distance = text.parse::<i32>().ok();
    let distance = distance.filter(|distance| (-65_535..=65_535).contains(distance));
    distance.ok_or(Misread::Wrong)
}

impl ByteTest {
    pub(super) const EXPECTED: &'static str = "1 to 4 bytes, one of < > = <= >= & ^ perhaps behind a !, a number and an offset, and perhaps relative, big, little and a bitmask";

    /// The value of `byte_test`, and whether it is relative.
    pub(super) fn of(text: &str) -> Result<(Self, bool), Misread> {
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        let [bytes, operator, value, offset, modifiers @ ..] = &*parts else {
            return Err(Misread::Wrong);
        };
        let (mut is_relative, mut is_little, mut bitmask) = (false, false, None);
        for modifier in modifiers {
            match *modifier {
                "relative" => is_relative = true,
                "big" => is_little = false,
                "little" => is_little = true,
                "string" | "hex" | "dec" | "oct" => return Err(DIGITS),
                "dce" => return Err(DCE),
                other => {
                    let mask = other.strip_prefix("bitmask").map(str::trim);
                    let mask = mask.and_then(hex).filter(|mask| *mask != 0);
                    bitmask = Some(mask.ok_or(Misread::Wrong)?);
                }
            }
        }
        if is_name(value) {
            return Err(VARIABLE);
        }
        let (negated, operator) = match operator.strip_prefix('!') {
            Some("") => (true, Operator::Equal),
            Some(operator) => (true, operator_of(operator.trim())?),
            None => (false, operator_of(operator)?),
        };
        let asked = Self {
            bytes: width(bytes)?,
            is_little,
            bitmask,
            operator,
            negated,
            value: integer(value).ok_or(Misread::Wrong)?,
            offset: distance(offset)?,
            after: None,
        };
        if asked.mask() == 0 {
            return Err(Misread::Wrong);
        }
        Ok((asked, is_relative))
    }

    /// The bits that count.
    fn mask(&self) -> u32 {
        let all = u32::MAX >> (32 - 8 * u32::from(self.bytes.clamp(1, 4)));
        self.bitmask.unwrap_or(u32::MAX) & all
    }

    /// What the number must be; `None` if no number is so.
    pub(super) fn range(&self) -> Option<Range> {
        const MAX: u32 = u32::MAX;
        let mask = self.mask();
        let shift = self.bitmask.map_or(0, u32::trailing_zeros);
        let most = u64::from(mask >> shift);
        let value = self.value;
        // Of bits that do not count nothing is known.
        let bits = ((value & most) as u32) << shift;
        let (first, last) = match (self.operator, self.negated) {
            (Operator::And, false) => {
                return (bits & mask != 0).then_some(Range {
                    mask: bits & mask,
                    first: 1,
                    span: MAX - 1,
                });
            }
            (Operator::And, true) => {
                return Some(Range {
                    mask: bits & mask,
                    first: 0,
                    span: 0,
                });
            }
            (Operator::Xor, false) | (Operator::Equal, true) if value <= most => {
                return Some(Range {
                    mask,
                    first: bits.wrapping_add(1),
                    span: MAX - 1,
                });
            }
            (Operator::Xor, false) | (Operator::Equal, true) => (0, most),
            (Operator::Equal, false) | (Operator::Xor, true) => (value, value),
            (Operator::Less, false) | (Operator::AtLeast, true) => (0, value.checked_sub(1)?),
            (Operator::AtMost, false) | (Operator::Greater, true) => (0, value),
            (Operator::Greater, false) | (Operator::AtMost, true) => (value.checked_add(1)?, most),
            (Operator::AtLeast, false) | (Operator::Less, true) => (value, most),
        };
        let last = last.min(most);
        (first <= last).then(|| {
            let (first, last) = ((first as u32) << shift, (last as u32) << shift);
            Range {
                mask,
                first,
                span: last - first,
            }
        })
    }
}

fn operator_of(text: &str) -> Result<Operator, Misread> {
    let mut all = Operator::ALL.into_iter();
    let found = all.find(|(name, _)| *name == text);
    found.map(|(_, operator)| operator).ok_or(Misread::Wrong)
}

/// A number as C has it: decimal, octal behind a zero, hex behind `0x`.
fn integer(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&*text, 8),
        None => (&*text, 10),
    };
    let is_number = digits.starts_with(|char: char| char.is_ascii_hexdigit());
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| is_number)
}

/// A number in hex.
fn hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// The value, as a rule could say it.
impl fmt::Display for ByteTest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            value,
            offset,
            ..
        } = self;
        let not = if self.negated { "!" } else { "" };
        let mut all = Operator::ALL.into_iter();
        let name = all.find(|(_, operator)| *operator == self.operator);
        let name = name.map_or("=", |(name, _)| name);
        write!(out, "{bytes},{not}{name},{value},{offset}")?;
        if self.after.is_some() {
            out.write_str(",relative")?;
        }
        if self.is_little {
            out.write_str(",little")?;
        }
        self.bitmask
            .map_or(Ok(()), |mask| write!(out, ",bitmask 0x{mask:x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ByteTest, Misread> {
        ByteTest::of(text).map(|(test, _)| test)
    }

    /// Whether a number is as the range says.
    fn holds(range: Option<Range>, number: u32) -> bool {
        range.is_some_and(|range| (number & range.mask).wrapping_sub(range.first) <= range.span)
    }

    #[test]
    fn a_range_says_what_the_operator_does() {
        let numbers = [0, 1, 2, 5, 6, 7, 0x10, 0x7f, 0x80, 0xfe, 0xff];
        for mask in ["", ",bitmask 0xf0", ",bitmask 0x14", ",bitmask 1"] {
            for value in [0_u64, 1, 5, 0x0f, 0x80, 0xff, 0x100, 1 << 40, u64::MAX] {
                for (name, operator) in Operator::ALL {
                    for not in ["", "!"] {
                        let text = format!("1,{not}{name},{value},0{mask}");
                        let asked = read(&text).unwrap();
                        for number in numbers {
                            let masked = number & asked.bitmask.unwrap_or(0xff);
                            let shift = asked.bitmask.map_or(0, u32::trailing_zeros);
                            let number_of_it = u64::from(masked >> shift);
                            let is_so = match operator {
                                Operator::Less => number_of_it < value,
                                Operator::Greater => number_of_it > value,
                                Operator::Equal => number_of_it == value,
                                Operator::AtMost => number_of_it <= value,
                                Operator::AtLeast => number_of_it >= value,
                                Operator::And => number_of_it & value != 0,
                                Operator::Xor => number_of_it ^ value != 0,
                            };
                            let expected = is_so == not.is_empty();
                            assert_eq!(
                                holds(asked.range(), number),
                                expected,
                                "{text} of {number}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn all_forms_are_read_and_others_told_apart() {
        for (text, shown) in [
            ("1,&,128,6", "1,&,128,6"),
            (" 4, !>= ,0x10 , -7,little", "4,!>=,16,-7,little"),
            ("2,!,010,8,big", "2,!=,8,8"),
            ("2,=,1,0,bitmask 0x0ff0", "2,=,1,0,bitmask 0xff0"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), shown, "{text}");
        }
        assert!(ByteTest::of("1,>,2,0,relative").unwrap().1);
        for text in [
            "8,>,1,0",
            "4,>,1,0,string,dec",
            "4,>,1,0,relative,dce",
            "4,>,len,0",
            "4,>,1,len",
        ] {
            assert!(matches!(read(text), Err(Misread::Refused(_))), "{text}");
        }
        for text in [
            "",
            "1,>,1",
            "9,>,1,0",
            "0,>,1,0",
            "1,~,1,0",
            "1,>,-1,0",
            "1,>,1,70000",
            "1,>,1,0,sideways",
            "1,>,1,0,bitmask 0",
            "1,>,1,0,bitmask 0x100",
        ] {
            assert_eq!(read(text), Err(Misread::Wrong), "{text}");
        }
    }
}
