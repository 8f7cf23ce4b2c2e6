//! Standard output, whose reader may go away at any time, as `head` does.

use std::io::{self, BufWriter, ErrorKind, Write};

use serde::Serialize;

/// Whether anybody reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// It was written.
    Listening,
    /// The other end of the pipe is closed. That is no failure: the reader has what it wanted. A command that would
    /// print on and on may end here.
    Gone,
}

/// Standard output cannot be written to: its disk is full, say.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(io::Error);

/// Prints what `write` writes, at once.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Reader, OutputError> {
    let mut out = BufWriter::new(io::stdout().lock());
    outcome(write(&mut out).and_then(|()| out.flush()))
}

/// Prints `value` as a JSON object that people can read too.
pub fn print_json(value: &impl Serialize) -> Result<Reader, OutputError> {
    print(|out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        writeln!(out)
    })
}

/// Prints `value` as a JSON object on a line of its own.
pub fn print_json_line(value: &impl Serialize) -> Result<Reader, OutputError> {
    print(|out| write_json_line(out, value))
}

/// Writes `value` as a JSON object on a line of its own.
pub fn write_json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

fn outcome(written: io::Result<()>) -> Result<Reader, OutputError> {
    match written {
        Ok(()) => Ok(Reader::Listening),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(OutputError(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_went_away_is_no_failure_but_a_full_disk_is_one() {
        let failed = |kind: ErrorKind| outcome(Err(kind.into()));
        assert!(matches!(failed(ErrorKind::BrokenPipe), Ok(Reader::Gone)));
        let full = failed(ErrorKind::StorageFull).map_err(|error| error.to_string());
        assert_eq!(
            full,
            Err("cannot write to standard output: no storage space".to_owned())
        );
    }
}
