//! The statements of a file: a line each, or several of which all but the last end in a backslash.

use super::{option::Fault, problem::Problem};
use crate::text::Place;

/// A statement that is no comment.
pub(super) struct Statement {
    /// The line it begins on, from 1.
    pub(super) line: usize,
    /// Its text, or why it has none.
    pub(super) text: Result<String, Fault>,
    bytes: Vec<u8>,
}

impl Statement {
    /// The place in the file of the byte `at` of the statement.
    pub(super) fn place(&self, at: usize) -> Place {
        let Place { line, column } = Place::of(&self.bytes, at);
        Place {
            line: self.line + line - 1,
            column,
        }
    }
}

/// The statements of a file that holds `bytes`.
pub(super) fn statements(bytes: &[u8]) -> impl Iterator<Item = Statement> {
    // A byte order mark says nothing in UTF-8, and editors write it all the same.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = bytes.split(|byte| *byte == b'\n').zip(1..);
    std::iter::from_fn(move || {
        loop {
            let (first, line) = lines.next()?;
            let begins = first.trim_ascii_start();
            if begins.is_empty() || begins.starts_with(b"#") {
                continue;
            }
            let mut bytes = first.to_vec();
            // What joins two lines becomes as much white space, so that places stay.
            let mut text = first.to_vec();
            while let Some(end) = continued(&text) {
                text.truncate(end);
                text.resize(bytes.len() + 1, b' ');
                let Some((more, _)) = lines.next() else {
                    break;
                };
                bytes.push(b'\n');
                bytes.extend(more);
                text.extend(more);
            }
            let text = String::from_utf8(text)
                .map_err(|error| Fault::new(error.utf8_error().valid_up_to(), Problem::NotUtf8));
            return Some(Statement { line, text, bytes });
        }
    })
}

/// Whether a file that holds `bytes` ends where nobody is about to write more of it: behind a line, the last of its statement.
pub(crate) fn is_finished(bytes: &[u8]) -> bool {
    let last = bytes.strip_suffix(b"\n");
    last.is_some_and(|lines| {
        continued(lines.rsplit(|byte| *byte == b'\n').next().unwrap_or(lines)).is_none()
    })
}

/// Where the backslash stands, if the text ends in one.
fn continued(text: &[u8]) -> Option<usize> {
    let text = text.trim_ascii_end();
    text.ends_with(b"\\").then(|| text.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_finished_behind_a_whole_line() {
        for (file, finished) in [
            ("", false),
            ("\n", true),
            ("a", false),
            ("a\n", true),
            ("a\nb", false),
            ("a\\\nb\n", true),
            ("a\nb \\\n", false),
            ("a\nb\\\r\n", false),
        ] {
            assert_eq!(is_finished(file.as_bytes()), finished, "{file:?}");
        }
    }

    #[test]
    fn a_statement_may_go_over_lines_and_keeps_its_places() {
        let file = b"# no\n\n  alert \\\r\n  tcp\\\nx\n#\\\n drop\xff\ny\\";
        let all: Vec<_> = statements(file).collect();
        let lines: Vec<_> = all.iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [3, 7, 8]);
        let text = all[0].text.as_ref().unwrap();
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words, ["alert", "tcp", "x"]);
        let at = text.find("tcp").unwrap();
        assert_eq!(all[0].place(at), Place { line: 4, column: 3 });
        let at = text.find('x').unwrap();
        assert_eq!(all[0].place(at), Place { line: 5, column: 1 });
        let fault = all[1].text.as_ref().unwrap_err();
        assert_eq!(all[1].place(fault.at), Place { line: 7, column: 6 });
        assert_eq!(all[2].text.as_deref().ok().map(str::trim), Some("y"));
    }
}
