//! The decoder of the kernel's reports, and how they are told.

use detector::agent::{
    finding::Finding,
    interface::{Interface, Side},
};
use detector::output::Identity;
use detector_common::{event::Event, reason::Reason};
use serde_json::Value;

use super::assert_one_printable_line;
use crate::rule_names::BOOK;

/// Slots that have an interface.
const SLOTS: u8 = 2;

/// Records, one after another: each is understood and told in one line, or refused.
///
/// # Panics
///
/// If a record is not given back as it was, or not told as it is.
pub fn event(input: &[u8]) {
    let (records, rest) = input.as_chunks::<{ Event::SIZE }>();
    for record in records {
        if let Some(event) = Event::from_bytes(record) {
            assert_eq!(bytemuck::bytes_of(&event), record);
            told(&event);
        }
        assert_eq!(Event::from_bytes(&record[1..]), None, "one byte less");
    }
    assert_eq!(Event::from_bytes(rest), None, "a part of a record");
}

fn told(event: &Event) {
    let interface = |slot| {
        (slot < SLOTS).then(|| Interface {
            name: format!("eth{slot}"),
            index: u32::from(slot) + 1,
            side: [Side::Wan, Side::Lan][usize::from(slot)],
        })
    };
    let finding = Finding::of(event, interface, |_| false, |at_ns| at_ns, &BOOK);
    assert_eq!(finding.is_some(), event.key.interface() < SLOTS);
    let Some(finding) = finding else {
        return;
    };
    assert_one_printable_line(&finding.to_string());
    let json = serde_json::to_string(&finding).expect("a finding is JSON");
    assert_one_printable_line(&json);
    let value: Value = serde_json::from_str(&json).expect("what is written is JSON");
    assert_eq!(value["count"], event.count);
    assert_eq!(value["verdict"], event.verdict().name());
    assert_eq!(value["reason"].as_str(), event.reason().map(Reason::name));
    let identity: Identity = serde_json::from_value(value).expect("an identity is read back");
    assert_eq!(identity, finding.identity);
}
