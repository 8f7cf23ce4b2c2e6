//! Tables for people.

use comfy_table::{Table, presets};

/// A table with these columns and no lines but the one under them.
pub(super) fn with_header(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(columns.to_vec());
    table
}
