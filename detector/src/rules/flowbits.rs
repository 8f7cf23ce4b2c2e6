//! What a rule asks and does with bits of a connection: `flowbits`.

use std::fmt;

use super::{keyword::Keyword, problem::Problem};

/// One thing that a rule asks or does with bits of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowBit {
    /// One of these is set.
    IsSet(Vec<String>),
    /// It is not set.
    IsNotSet(String),
    /// Sets it.
    Set(String),
    /// Takes it back.
    Unset(String),
    /// Sets it if it is not set, and takes it back if it is.
    Toggle(String),
}

impl FlowBit {
    /// The longest name, in bytes: Suricata's.
    const NAME_MAX: usize = 255;
    pub(super) const EXPECTED: &'static str =
        "set, isset, isnotset, unset or toggle with a name behind a comma, or noalert";

    /// The value of `flowbits`, without `noalert`; fails with the reason if it is one that is not honoured.
    pub(super) fn of(text: &str) -> Option<Result<Self, &'static str>> {
        let (command, names) = text.split_once(',').unwrap_or((text, ""));
        let (command, names) = (command.trim(), names.trim());
        if command == "reset" {
            return Some(Err("reset is Snort's alone"));
        }
        if names.contains('&') {
            return Some(Err("Snort and Suricata read & in a name differently"));
        }
        if names.contains(',') {
            return Some(Err("groups of bits are Snort's alone"));
        }
        if names.contains('|') && command != "isset" {
            return Some(Err(
                "Snort and Suricata read | differently where it is not behind isset",
            ));
        }
        let mut names = names.split('|').map(str::to_owned);
        let name = names.next()?;
        let bit = match command {
            "isset" => Self::IsSet([name].into_iter().chain(names).collect()),
            "isnotset" => Self::IsNotSet(name),
            "set" => Self::Set(name),
            "unset" => Self::Unset(name),
            "toggle" => Self::Toggle(name),
            _ => return None,
        };
        // So that a terminal shows them as they are.
        let is_name = |name: &String| {
            (1..=Self::NAME_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        bit.names().iter().all(is_name).then_some(Ok(bit))
    }

    /// The names of the bits.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::IsSet(names) => names,
            Self::IsNotSet(name) | Self::Set(name) | Self::Unset(name) | Self::Toggle(name) => {
                std::slice::from_ref(name)
            }
        }
    }

    /// Whether it asks, and does nothing.
    #[must_use]
    pub fn asks(&self) -> bool {
        matches!(self, Self::IsSet(_) | Self::IsNotSet(_))
    }

    /// Whether a bit of this name may be set by it.
    pub(super) fn may_set(&self, name: &str) -> bool {
        matches!(self, Self::Set(set) | Self::Toggle(set) if set == name)
    }
}

/// As a rule says it.
impl fmt::Display for FlowBit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = match self {
            Self::IsSet(_) => "isset",
            Self::IsNotSet(_) => "isnotset",
            Self::Set(_) => "set",
            Self::Unset(_) => "unset",
            Self::Toggle(_) => "toggle",
        };
        write!(out, "flowbits:{command},{}", self.names().join("|"))
    }
}

/// Fails if no packet can be as all of these ask, or a packet filter cannot ask it.
pub(super) fn check(bits: &[FlowBit]) -> Result<(), Problem> {
    let keyword = Keyword::FlowBits.name();
    let is_choice = |bit: &&FlowBit| bit.asks() && bit.names().len() > 1;
    let is_contradicted = |bit: &FlowBit| match bit {
        FlowBit::IsNotSet(name) => bits.contains(&FlowBit::IsSet(vec![name.clone()])),
        FlowBit::IsSet(_) | FlowBit::Set(_) | FlowBit::Unset(_) | FlowBit::Toggle(_) => false,
    };
    if bits.iter().any(is_contradicted) {
        return Err(Problem::Never(
            keyword,
            "a bit is to be set and not to be set",
        ));
    }
    if bits.iter().filter(is_choice).count() > 1 {
        let why = "a rule has one choice between bits";
        return Err(Problem::Refused { keyword, why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_said_as_it_was_written() {
        for text in [
            "set,a",
            "isset,smb.tree.connect",
            "isset,a|b|C-d/e@f",
            "isnotset,a",
            "unset,a",
            "toggle,a",
        ] {
            let bit = FlowBit::of(text).unwrap().unwrap();
            assert_eq!(bit.to_string(), format!("flowbits:{text}"));
        }
        assert_eq!(FlowBit::of(" set , a "), FlowBit::of("set,a"));
        assert_ne!(FlowBit::of("set,A"), FlowBit::of("set,a"));
    }

    #[test]
    fn what_is_none_is_wrong_and_what_is_somebodys_alone_is_refused() {
        for wrong in [
            "",
            "set",
            "set,",
            "SET,a",
            "isset,a|",
            "isset,|a",
            "isset,a | b",
            "set,a b",
            "be,a",
            "set,ä",
            "noalert,a",
        ] {
            assert_eq!(FlowBit::of(wrong), None, "{wrong}");
        }
        for refused in [
            "reset",
            "reset,a",
            "set,a&b",
            "isset,a&b",
            "set,a|b",
            "isnotset,a|b",
            "set,a,group",
        ] {
            assert!(FlowBit::of(refused).unwrap().is_err(), "{refused}");
        }
    }
}
