//! The interfaces that are guarded: which way each faces, and that there is such an interface.

use std::fmt;

use clap::ValueEnum;
use detector_common::abi::INTERFACES_MAX;
use nix::net::if_::{if_nameindex, if_nametoindex};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// The most bytes of an interface's name.
const NAME_BYTES_MAX: usize = 15;
/// So many interfaces are listed at most where a name is wrong.
const LISTED_MAX: usize = 12;

/// Which way an interface faces. The program sees only what comes in, so the side says who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Towards the Internet: what comes in is somebody else's.
    Wan,
    /// Towards the local network: what comes in was sent by a host of ours.
    Lan,
}

/// How to attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// In the driver if it can, else in the kernel's stack
    #[default]
    Auto,
    /// In the driver or not at all
    Native,
    /// In the kernel's stack, which works with every driver and is slower
    Generic,
}

/// Where in the kernel a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// In the driver.
    Native,
    /// In the kernel's stack.
    Generic,
    /// On the card.
    Offloaded,
}

/// An interface to guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name: at most 15 bytes, none of which controls a terminal.
    pub name: String,
    /// Its number in the kernel.
    pub index: u32,
    /// Which way it faces.
    pub side: Side,
}

/// The interfaces cannot be guarded.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// More than the program has slots for.
    #[error(
        "{0} interfaces are more than the {INTERFACES_MAX} that one agent guards: start a second agent for the others"
    )]
    TooMany(usize),
    /// Named more than once.
    #[error("interface {0} is named twice: an interface faces either --wan or --lan")]
    Twice(String),
    /// Not there.
    #[error("there is no interface {name}; there are: {present}")]
    Absent {
        /// Its name.
        name: String,
        /// Those that there are.
        present: String,
    },
}

impl InterfaceError {
    /// The exit code that tells a script of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::TooMany(_) | Self::Twice(_) => Exit::Usage,
            Self::Absent { .. } => Exit::Failed,
        }
    }
}

impl Interface {
    /// The interfaces of these names, those towards the Internet first.
    ///
    /// # Errors
    ///
    /// They are too many, one is named twice or is not there.
    pub fn find(wan: &[String], lan: &[String]) -> Result<Vec<Self>, InterfaceError> {
        let count = wan.len() + lan.len();
        if count > INTERFACES_MAX as usize {
            return Err(InterfaceError::TooMany(count));
        }
        let wan = wan.iter().map(|name| (name, Side::Wan));
        let named: Vec<_> = wan
            .chain(lan.iter().map(|name| (name, Side::Lan)))
            .collect();
        for (position, (name, _)) in named.iter().enumerate() {
            if named
                .iter()
                .skip(position + 1)
                .any(|(other, _)| name == other)
            {
                return Err(InterfaceError::Twice((*name).clone()));
            }
        }
        let mut found: Vec<Self> = Vec::new();
        for (name, side) in named {
            let index = if_nametoindex(name.as_str()).map_err(|_| InterfaceError::Absent {
                name: name.clone(),
                present: present(),
            })?;
            // An interface may have alternative names.
            if found.iter().any(|other| other.index == index) {
                return Err(InterfaceError::Twice(name.clone()));
            }
            found.push(Self {
                name: name.clone(),
                index,
                side,
            });
        }
        Ok(found)
    }
}

/// Takes what can be the name of an interface.
///
/// # Errors
///
/// It cannot, and says why.
pub fn parse_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(format!(
            "an interface's name has 1 to {NAME_BYTES_MAX} bytes"
        ));
    }
    // Linux v6.12 net/core/dev.c dev_valid_name: neither of these. It would take a control character, we do not.
    let refused = |letter: char| {
        letter == '/' || letter == ':' || letter.is_whitespace() || !is_printable(letter)
    };
    if text == "." || text == ".." || text.contains(refused) {
        return Err("no interface has such a name".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether a terminal shows the letter and does nothing else with it.
fn is_printable(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '\\') || letter.escape_debug().len() == 1
}

fn present() -> String {
    let Ok(interfaces) = if_nameindex() else {
        return "(cannot be listed)".to_owned();
    };
    let mut names: Vec<String> = interfaces
        .iter()
        .map(|interface| {
            interface
                .name()
                .to_string_lossy()
                .escape_debug()
                .to_string()
        })
        .collect();
    let more = names.len().saturating_sub(LISTED_MAX);
    names.truncate(LISTED_MAX);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

impl Side {
    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wan => "wan",
            Self::Lan => "lan",
        }
    }
}

impl Hook {
    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_machine_has_a_loopback_and_it_has_a_side() {
        let found = Interface::find(&[], &names(&["lo"])).unwrap_or_default();
        assert!(matches!(
            &*found,
            [Interface { name, index: 1.., side: Side::Lan }] if name == "lo"
        ));
    }

    #[test]
    fn an_interface_named_twice_is_a_mistake_in_the_command() {
        for (wan, lan) in [(&["lo", "lo"][..], &[][..]), (&["nope"], &["lo", "nope"])] {
            let error = Interface::find(&names(wan), &names(lan)).err();
            assert_eq!(error.map(|error| error.exit()), Some(Exit::Usage));
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_with_those_that_are() {
        let error = Interface::find(&names(&["nope"]), &[]).err();
        let line = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(
            line.starts_with("there is no interface nope; there are: "),
            "{line}"
        );
        assert!(line.contains("lo"), "{line}");
    }

    #[test]
    fn only_what_the_kernel_takes_and_a_terminal_shows_is_a_name() {
        for name in ["eth0", "eth0.100", "wan-1", "enp0s31f6", "br'x", "übung"] {
            assert_eq!(parse_name(name).as_deref(), Ok(name));
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a:1",
            "a b",
            "a\u{1b}[2J",
            "a\u{9b}",
            "sixteen-letters!",
        ] {
            assert!(parse_name(name).is_err(), "{name:?}");
        }
    }
}
