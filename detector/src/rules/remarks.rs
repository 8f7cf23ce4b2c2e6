//! What a rule says that asks nothing of a packet: references, its class, metadata. It is not kept, but read again where it is told.

use super::{
    keyword::{self, Handling},
    option::options,
    statement::statements,
};
use crate::text::Shown;

/// The keywords of the rule at this line that say nothing of a packet, with their values, fit for a terminal; of a file that holds `bytes`.
#[must_use]
pub fn remarks(bytes: &[u8], line: usize) -> Vec<(&'static str, String)> {
    let statement = statements(bytes).find(|statement| statement.line == line);
    let text = statement.and_then(|statement| statement.text.ok());
    let text = text.unwrap_or_default();
    let from = text.find('(').map_or(text.len(), |at| at + 1);
    let options = options(&text, from).filter_map(Result::ok);
    options
        .filter_map(|option| {
            let (name, _) = keyword::all()
                .find(|(name, handling)| *name == option.name && *handling == Handling::Silent)?;
            let value = option.value.unwrap_or_default();
            Some((name, Shown::from(value).to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_nothing_of_a_packet_is_read_again_and_shown_escaped() {
        let file = "# one\nalert tcp any any -> any 80 (sid:1;)\nalert tcp any any -> any 80 \\\n \
                    (msg:\"x\"; reference:url,a.example/\u{1b}[2J; content:\"a\"; fast_pattern; metadata:created 2001;)\n";
        let read = remarks(file.as_bytes(), 3);
        let read: Vec<_> = read.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(
            read,
            [
                ("reference", "url,a.example/\\u{1b}[2J"),
                ("fast_pattern", ""),
                ("metadata", "created 2001"),
            ]
        );
        assert!(remarks(file.as_bytes(), 2).is_empty());
        assert!(remarks(file.as_bytes(), 9).is_empty());
    }
}
