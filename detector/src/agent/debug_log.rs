//! The lines that the kernel program logs in a debug build, on standard error.
//!
//! Only with the feature `debug-log`: a line for each packet costs more than the whole classifier.

use std::io::{self, Write as _};

use aya_log::{EbpfLogger, Error};
use log::{Log, Metadata, Record};
use tokio::io::{Interest, unix::AsyncFd};

use super::kernel::Kernel;

/// Prints what every copy of the program logs, as long as the runtime lives.
///
/// # Errors
///
/// A copy was built without its log, or its ring buffer cannot be waited for.
pub(super) fn print(kernel: &mut Kernel) -> io::Result<()> {
    for copy in kernel.copies_mut() {
        let logger = EbpfLogger::init_with_logger(copy, StandardError).map_err(no_log)?;
        // SAFETY: the map is open and stays so, and its descriptor the same, while the logger lives.
        let mut logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE)? };
        tokio::spawn(async move {
            while let Ok(mut ready) = logger.readable_mut().await {
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
        });
    }
    Ok(())
}

fn no_log(error: Error) -> io::Error {
    io::Error::other(error)
}

/// A line for each record.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A closed standard error is no reason to stop filtering.
        let _ = writeln!(io::stderr(), "kernel: {}", record.args());
    }

    fn flush(&self) {}
}
