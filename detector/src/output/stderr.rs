//! Standard error: a line for each thing that went wrong.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Says what went wrong, in one line that names the program.
pub fn complain(what: impl Display) {
    // Where it is closed, nobody wants to know, and the exit code still tells.
    let _ = writeln!(io::stderr(), "detector: {what}");
}
