//! The compiler of rules.

use crate::rule_sets::{Case, bounds};

/// Rules and packets for them, see [`Case`]: the tables refer to nothing outside, and say of each packet what the rules do.
///
/// # Panics
///
/// If that is not so.
pub fn compiler(input: &[u8]) {
    let case = Case::of(input);
    bounds::check(&case.tables);
    for packet in &case.packets {
        if let Err(difference) = case.agree(packet) {
            panic!("{difference}");
        }
    }
}
