//! What a rule asks of header fields.

/// Numbers, both ends included, or all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The first.
    pub first: u32,
    /// The last; [`u32::MAX`] if there is none.
    pub last: u32,
    /// Whether it must be none of them.
    pub negated: bool,
}

impl Numbers {
    pub(super) const EXPECTED: &'static str = "a number that the field can have, <2, >2, 2<>9 (of which neither end counts), <=2, >=2, !=2 or !2";

    pub(super) fn of(text: &str) -> Option<Self> {
        let number = |text: &str| number(text.trim());
        let behind = |operator| text.strip_prefix(operator);
        let (mut first, mut last) = (0, u32::MAX);
        let mut negated = false;
        if let Some((low, high)) = text.split_once("<>") {
            first = number(low)?.checked_add(1)?;
            last = number(high)?.checked_sub(1)?;
        } else if let Some(high) = behind("<=") {
            last = number(high)?;
        } else if let Some(low) = behind(">=") {
            first = number(low)?;
        } else if let Some(high) = behind("<") {
            last = number(high)?.checked_sub(1)?;
        } else if let Some(low) = behind(">") {
            first = number(low)?.checked_add(1)?;
        } else {
            let other = behind("!=").or_else(|| behind("!"));
            negated = other.is_some();
            first = number(other.unwrap_or(text))?;
            last = first;
        }
        (first <= last).then_some(Self {
            first,
            last,
            negated,
        })
    }
}

/// Digits, and no sign.
pub(super) fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// How bits of a field must be those of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// These and no others.
    Exactly,
    /// These, and others as they like.
    All,
    /// One of these at least.
    Any,
    /// Not all of these.
    NotAll,
}

impl How {
    const MODIFIERS: [(char, Self); 3] = [('+', Self::All), ('*', Self::Any), ('!', Self::NotAll)];

    /// What the modifier says, before the letters or behind them, and the letters.
    fn split(text: &str) -> (Self, &str) {
        for (modifier, how) in Self::MODIFIERS {
            if let Some(letters) = text
                .strip_prefix(modifier)
                .or_else(|| text.strip_suffix(modifier))
            {
                return (how, letters);
            }
        }
        (Self::Exactly, text)
    }
}

/// Flags of a TCP segment, RFC 9293 §3.1: FIN is the lowest bit, CWR the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The flags.
    pub flags: u8,
    /// Those that are not looked at.
    pub ignored: u8,
    /// How the others must be.
    pub how: How,
}

impl Flags {
    pub(super) const EXPECTED: &'static str = "letters of FSRPAUEC or 0, perhaps with +, * or !, and perhaps a comma and letters to ignore";

    pub(super) fn of(text: &str) -> Option<Self> {
        let (flags, ignored) = match text.split_once(',') {
            Some((flags, ignored)) => (flags.trim(), letters(ignored.trim(), TCP)?),
            None => (text, 0),
        };
        let (how, flags) = match How::split(flags) {
            // None, and the opposite of none.
            (How::Exactly, "0") => (How::Exactly, 0),
            (How::NotAll, "0") => (How::Any, u8::MAX),
            (how, flags) => (how, letters(flags, TCP)?),
        };
        Some(Self {
            flags,
            ignored,
            how,
        })
    }
}

/// Of each bit from the lowest on the letters that name it. Snort's old numbers count the two highest from the other end.
const TCP: &[&str] = &["F", "S", "R", "P", "A", "U", "E2", "C1"];
const FRAGMENT: &[&str] = &["M", "D", "R"];

/// The bits that letters name; `None` if one names none.
fn letters(text: &str, names: &[&str]) -> Option<u8> {
    let bit = |letter: char| {
        let mut names = names.iter();
        let bit = names.position(|name| name.contains(letter.to_ascii_uppercase()))?;
        1_u8.checked_shl(bit as u32)
    };
    let bits = text
        .chars()
        .try_fold(0, |bits, letter| Some(bits | bit(letter)?))?;
    (bits != 0).then_some(bits)
}

/// Fragment bits of an IPv4 header, RFC 791 §3.1: more fragments (1), do not fragment (2), reserved (4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentBits {
    /// The bits.
    pub bits: u8,
    /// How they must be.
    pub how: How,
}

impl FragmentBits {
    pub(super) const EXPECTED: &'static str = "letters of MDR, perhaps with +, * or !";

    pub(super) fn of(text: &str) -> Option<Self> {
        let (how, bits) = How::split(text);
        Some(Self {
            bits: letters(bits, FRAGMENT)?,
            how,
        })
    }
}

/// An option of an IPv4 header, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpOption(pub Option<u8>);

impl IpOption {
    pub(super) const EXPECTED: &'static str =
        "one of rr, eol, nop, ts, sec, esec, lsrr, lsrre, ssrr, satid and any";

    /// The numbers of the registry of IP options; `any` is any at all.
    pub(super) const NAMES: [(&str, Option<u8>); 11] = [
        ("any", None),
        ("eol", Some(0)),
        ("nop", Some(1)),
        ("rr", Some(7)),
        ("ts", Some(68)),
        ("sec", Some(130)),
        ("lsrr", Some(131)),
        // Snort's: a number that nobody ever had, one above the one before.
        ("lsrre", Some(132)),
        ("esec", Some(133)),
        ("satid", Some(136)),
        ("ssrr", Some(137)),
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.into_iter();
        let (_, option) = names.find(|(known, _)| *known == name)?;
        Some(Self(option))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_form() {
        let read = |text| Numbers::of(text).map(|read| (read.first, read.last, read.negated));
        for (text, expected) in [
            ("8", Some((8, 8, false))),
            ("!8", Some((8, 8, true))),
            ("<8", Some((0, 7, false))),
            ("> 8", Some((9, u32::MAX, false))),
            ("300<>400", Some((301, 399, false))),
            (">=8", Some((8, u32::MAX, false))),
            ("<=8", Some((0, 8, false))),
            ("!=8", Some((8, 8, true))),
            ("3<>4", None),
            ("+8", None),
            ("<0", None),
            ("1-5", None),
            ("x", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn bits_are_named_by_letters() {
        let read = |text| Flags::of(text).map(|flags| (flags.flags, flags.ignored, flags.how));
        for (text, expected) in [
            ("S", Some((2, 0, How::Exactly))),
            ("S,12", Some((2, 0xc0, How::Exactly))),
            ("+ap", Some((0x18, 0, How::All))),
            ("*SF", Some((3, 0, How::Any))),
            ("!A", Some((0x10, 0, How::NotAll))),
            ("AP+", Some((0x18, 0, How::All))),
            ("0", Some((0, 0, How::Exactly))),
            ("!0", Some((0xff, 0, How::Any))),
            ("+0", None),
            ("+S+", None),
            ("", None),
            ("X", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(
            FragmentBits::of("+MD").map(|read| (read.bits, read.how)),
            Some((3, How::All))
        );
        assert_eq!(IpOption::of("lsrr"), Some(IpOption(Some(131))));
        assert_eq!(IpOption::of("none"), None);
    }
}
