//! What was found, and at whom: the part that findings, events and sources have in common.

use std::borrow::Cow;

use detector_common::{
    detect::Detector,
    sources::{Companion, SourceKey},
};
use serde::{Deserialize, Serialize};

use super::Source;
use crate::rules::Book;

/// One detector, or one signature of it, and one source.
///
/// Meant to be flattened into a larger object. Names are those of the classifier, so they are as stable as its numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Which detector.
    pub detector: Cow<'static, str>,
    /// The `msg` of the rule; `null` for another detector.
    pub signature: Option<Cow<'static, str>>,
    /// Its number, `sid`.
    pub id: Option<u32>,
    /// What a match of it means.
    pub severity: Option<Cow<'static, str>>,
    /// At whom.
    pub source: Source,
}

impl Identity {
    /// The identity of a key, with the address of the other layer that came with its source last.
    ///
    /// `None` if the key is of another version.
    #[must_use]
    pub fn of(key: &SourceKey, companion: Companion, book: &Book) -> Option<Self> {
        let detector = key.detector()?;
        let rule = (detector == Detector::Signature)
            .then(|| book.get(key.signature()))
            .flatten();
        Some(Self {
            detector: detector.name().into(),
            signature: rule.map(|rule| rule.name.clone().into()),
            id: rule.map(|rule| rule.sid),
            severity: rule.map(|rule| rule.severity.name().into()),
            source: Source::of(key, companion)?,
        })
    }

    /// What was found, for people: the name of the signature, else of the detector.
    #[must_use]
    pub fn name(&self) -> &str {
        self.signature.as_deref().unwrap_or(&self.detector)
    }
}

#[cfg(test)]
mod tests {
    use detector_common::net::{IpAddress, MacAddress, Vlan};
    use serde_json::json;

    use super::*;

    const MAC: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 9]);

    fn book() -> Book {
        Book::of(&crate::rules::worms().rules, &Book::default())
    }

    #[test]
    fn a_signature_is_told_by_name_number_and_severity() {
        let address = IpAddress::v4([192, 0, 2, 1]);
        let key = SourceKey::of_host(40, 0, Vlan::default(), address);
        let identity = Identity::of(&key, Companion::mac(MAC), &book());
        let expected = json!({
            "detector": "signature", "signature": "sql-slammer", "id": 40, "severity": "high",
            "source": { "mac": "02:00:00:00:00:09", "ip": "192.0.2.1", "vlan": [] },
        });
        assert_eq!(serde_json::to_value(&identity).ok(), Some(expected.clone()));
        assert_eq!(serde_json::from_value(expected).ok(), identity);
    }

    #[test]
    fn a_flood_has_no_signature() {
        let key = SourceKey::of_sender(0, Vlan::default(), MAC);
        let identity = Identity::of(&key, Companion::ip(IpAddress::v4([192, 0, 2, 1])), &book());
        let written = serde_json::to_value(&identity).unwrap_or_default();
        assert_eq!(written["detector"], "arp_flood");
        for field in ["signature", "id", "severity"] {
            assert!(written[field].is_null(), "{field}");
        }
        assert_eq!(identity.as_ref().map(Identity::name), Some("arp_flood"));
    }
}
