//! The rules that we ship, by name: where each is counted.

use std::sync::LazyLock;

use detector::rules::{Book, Entry, worms};

/// What the rules that we ship are called.
pub static BOOK: LazyLock<Book> = LazyLock::new(|| Book::of(&worms().rules, &Book::default()));

/// Where the rule of this name is counted, and what else is known of it.
#[must_use]
pub fn by_name(name: &str) -> Option<(u16, &'static Entry)> {
    BOOK.iter().find(|(_, entry)| entry.name == name)
}

/// The name of the rule that is counted in a slot.
#[must_use]
pub fn name_of(slot: u16) -> Option<&'static str> {
    BOOK.get(slot).map(|entry| &*entry.name)
}
