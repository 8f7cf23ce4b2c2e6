//! The name of a file, fit for a terminal.

use std::{fmt, path::Path};

use serde::Serialize;

/// The name of a file, to be printed.
///
/// As it is if all of it can be printed; in quotes and escaped if not (a control character, a mark that turns the
/// writing direction, bytes that are not UTF-8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileName(String);

impl FileName {
    /// The name to print for `path`.
    #[must_use]
    #[expect(
        clippy::unnecessary_debug_formatting,
        reason = "it is the escaping that is wanted"
    )]
    pub fn new(path: &Path) -> Self {
        let plain = path.display().to_string();
        let escaped = format!("{path:?}");
        let unchanged = escaped
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            == Some(plain.as_str());
        Self(if unchanged { plain } else { escaped })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    fn shown(name: &[u8]) -> String {
        FileName::new(Path::new(OsStr::from_bytes(name))).to_string()
    }

    #[test]
    fn a_name_that_can_be_printed_is_printed_as_it_is() {
        assert_eq!(
            shown(b"captures/it's a worm.pcap"),
            "captures/it's a worm.pcap"
        );
        assert_eq!(shown("Gerät.pcap".as_bytes()), "Gerät.pcap");
    }

    #[test]
    fn a_name_that_would_write_to_the_terminal_is_escaped() {
        assert_eq!(shown(b"\x1b[2Jx.pcap"), r#""\u{1b}[2Jx.pcap""#);
        assert_eq!(shown(b"a\nb.pcap"), r#""a\nb.pcap""#);
        assert_eq!(
            shown("\u{9b}\u{202e}pacp.exe".as_bytes()),
            r#""\u{9b}\u{202e}pacp.exe""#
        );
        assert_eq!(shown(b"\xff\xfe.pcap"), r#""\xFF\xFE.pcap""#);
    }
}
