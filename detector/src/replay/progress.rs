//! How far a replay is, on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::capture::CaptureReader;

/// The bar of one capture; it is gone from the terminal when dropped.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// The bar of the capture that `reader` reads.
    pub(super) fn of(reader: &CaptureReader) -> Self {
        let total = reader.progress().total;
        // It draws nothing where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}",
            None => "{msg} {binary_bytes} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(reader.file().to_string());
        Self(bar)
    }

    /// Shows how far `reader` is.
    pub(super) fn show(&self, reader: &CaptureReader) {
        self.0.set_position(reader.progress().read);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
