//! What the fuzz targets assert: one function for each, over any bytes.
//!
//! `tests/fuzz` has a program for each that libFuzzer drives; `tests/tests/fuzz.rs` runs each over its corpus and over
//! what was once found. So what is asserted stands here once, and a find stays a test without a fuzzer.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "to fail where something does not hold is what these functions are for"
)]

mod capture;
mod classifier;
mod compiler;
mod event;
mod parser;
mod rules;
mod settings;

pub use self::{
    capture::capture, classifier::classifier, compiler::compiler, event::event, parser::parser,
    rules::rules, settings::settings,
};

/// A target: its name, and what it asserts. It panics where that does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its program.
pub const TARGETS: [Target; 7] = [
    ("capture", capture),
    ("classifier", classifier),
    ("compiler", compiler),
    ("event", event),
    ("parser", parser),
    ("rules", rules),
    ("settings", settings),
];

/// Fails unless `text` is one line that no terminal obeys and nothing hides in.
#[track_caller]
fn assert_one_printable_line(text: &str) {
    // What Rust escapes beside quotes and backslashes is what cannot be seen.
    let hidden = text
        .chars()
        .find(|char| !matches!(char, '\'' | '"' | '\\') && char.escape_debug().len() != 1);
    assert_eq!(hidden, None, "{text:?} is not one printable line");
}
