//! `byte_jump`: a number that is read out of the payload, and where it leads.

use std::fmt;

use detector_common::detect::signature::table::flag;

use super::{
    byte_test::{DCE, DIGITS, Misread, distance, width},
    pattern::Anchor,
    test::number,
};

/// Where a number in the payload leads. All of its bytes must be there, and the place not behind the end of the payload; before its start is
/// the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteJump {
    /// How many bytes it has, 1 to 4.
    pub bytes: u8,
    /// Whether its lowest byte comes first.
    pub is_little: bool,
    /// What it is multiplied with.
    pub multiplier: u16,
    /// Whether the next larger multiple of four counts then, if it is none.
    pub aligns: bool,
    /// What the place counts from.
    pub from: JumpFrom,
    /// How far behind that it is, in bytes.
    pub post_offset: i32,
}

/// What the place counts from where a number leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JumpFrom {
    /// The end of the number.
    Number,
    /// The start of the payload.
    Start,
    /// Its end.
    End,
}

impl ByteJump {
    pub(super) const EXPECTED: &'static str = "1 to 4 bytes and an offset, and perhaps relative, big, little, align, from_beginning or from_end, a multiplier and a post_offset";

    /// The value of `byte_jump`: where it leads, where the number begins, and whether that is relative.
    pub(super) fn of(text: &str) -> Result<(Self, i32, bool), Misread> {
        let text = text.to_ascii_lowercase();
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        let [bytes, offset, modifiers @ ..] = &*parts else {
            return Err(Misread::Wrong);
        };
        let mut jump = Self {
            bytes: width(bytes)?,
            is_little: false,
            multiplier: 1,
            aligns: false,
            from: JumpFrom::Number,
            post_offset: 0,
        };
        let mut is_relative = false;
        for modifier in modifiers {
            match *modifier {
                "relative" => is_relative = true,
                "big" => jump.is_little = false,
                "little" => jump.is_little = true,
                "align" => jump.aligns = true,
                "from_beginning" if jump.from != JumpFrom::End => jump.from = JumpFrom::Start,
                "from_end" if jump.from != JumpFrom::Start => jump.from = JumpFrom::End,
                "string" | "hex" | "dec" | "oct" => return Err(DIGITS),
                "dce" => return Err(DCE),
                other => jump.count(other)?,
            }
        }
        Ok((jump, distance(offset)?, is_relative))
    }

    /// Takes a modifier that has a number.
    fn count(&mut self, modifier: &str) -> Result<(), Misread> {
        let (name, value) = modifier.split_once(' ').ok_or(Misread::Wrong)?;
        let value = value.trim();
        match name {
            "multiplier" => {
                let multiplier = number(value).and_then(|value| value.try_into().ok());
                let multiplier = multiplier.filter(|multiplier| *multiplier != 0);
                self.multiplier = multiplier.ok_or(Misread::Wrong)?;
            }
            "post_offset" => self.post_offset = distance(value)?,
            "bitmask" => return Err(Misread::Refused("bits of a number lead nowhere")),
            _ => return Err(Misread::Wrong),
        }
        Ok(())
    }

    /// The bits of [`flag`] that say so.
    pub(super) fn flags(self) -> u8 {
        let from = match self.from {
            JumpFrom::Number => 0,
            JumpFrom::Start => flag::FROM_START,
            JumpFrom::End => flag::FROM_END,
        };
        let little = if self.is_little { flag::LITTLE } else { 0 };
        let align = if self.aligns { flag::ALIGN } else { 0 };
        from | little | align
    }

    /// Writes it as a rule could say it, of a number that begins so.
    pub(super) fn say(self, anchor: Anchor, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offset, relative) = match anchor {
            Anchor::Absolute { offset, .. } => (i64::from(offset), ""),
            Anchor::Relative { distance, .. } => (distance.into(), ",relative"),
        };
        write!(out, "byte_jump:{},{offset}{relative}", self.bytes)?;
        for (is_said, name) in [
            (self.is_little, ",little"),
            (self.aligns, ",align"),
            (self.from == JumpFrom::Start, ",from_beginning"),
            (self.from == JumpFrom::End, ",from_end"),
        ] {
            if is_said {
                out.write_str(name)?;
            }
        }
        if self.multiplier != 1 {
            write!(out, ",multiplier {}", self.multiplier)?;
        }
        if self.post_offset != 0 {
            write!(out, ",post_offset {}", self.post_offset)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::RuleSet, *};

    /// The only pattern of a rule that says so, in words.
    fn said(value: &str) -> String {
        let rule = format!("alert tcp any any -> any 80 (byte_jump:{value}; sid:1;)");
        let set = RuleSet::from_bytes(Path::new("x.rules"), rule.as_bytes());
        assert!(set.refusals.is_empty(), "{value}: {:?}", set.refusals);
        set.rules[0].patterns[0].to_string()
    }

    #[test]
    fn all_forms_are_read_and_said_again_as_the_same() {
        for (value, expected) in [
            ("1,0", "1,0"),
            ("2,0,little,relative", "2,0,relative,little"),
            (
                "2,-10,relative,from_beginning",
                "2,-10,relative,from_beginning",
            ),
            (
                " 4 , 86 , little , align , relative ",
                "4,86,relative,little,align",
            ),
            (
                "3,7,Big,From_End,multiplier 3,post_offset  -9",
                "3,7,from_end,multiplier 3,post_offset -9",
            ),
        ] {
            let expected = format!("byte_jump:{expected}");
            assert_eq!(said(value), expected);
            assert_eq!(said(&expected["byte_jump:".len()..]), expected);
        }
    }

    #[test]
    fn what_is_not_honoured_is_told_from_what_is_wrong() {
        for text in [
            "8,0",
            "len,0",
            "4,len",
            "4,0,string,dec",
            "4,0,dce",
            "4,0,bitmask 0xff",
            "4,0,post_offset len",
        ] {
            let read = ByteJump::of(text);
            assert!(matches!(read, Err(Misread::Refused(_))), "{text}");
        }
        for text in [
            "",
            "4",
            "0,0",
            "9,0",
            "4,70000",
            "4,0,sideways",
            "4,0,multiplier",
            "4,0,multiplier 0",
            "4,0,multiplier 65536",
            "4,0,post_offset 65536",
            "4,0,from_beginning,from_end",
        ] {
            assert_eq!(ByteJump::of(text), Err(Misread::Wrong), "{text}");
        }
    }
}
