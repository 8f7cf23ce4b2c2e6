//! What was found, and at whom: the part that findings, events and sources have in common.

use std::borrow::Cow;

use detector_common::{
    detect::signature::worms,
    sources::{Companion, SourceKey},
};
use serde::{Deserialize, Serialize};

use super::Source;

/// One detector, or one signature of it, and one source.
///
/// Meant to be flattened into a larger object. Names are those of the classifier, so they are as stable as its numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Which detector.
    pub detector: Cow<'static, str>,
    /// The name of the signature; `null` for another detector.
    pub signature: Option<Cow<'static, str>>,
    /// Its number.
    pub id: Option<u16>,
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
    pub fn of(key: &SourceKey, companion: Companion) -> Option<Self> {
        let signature = worms::by_id(key.signature());
        Some(Self {
            detector: key.detector()?.name().into(),
            signature: signature.map(|signature| signature.name.into()),
            id: signature.map(|signature| signature.id),
            severity: signature.map(|signature| signature.severity.name().into()),
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

    #[test]
    fn a_signature_is_told_by_name_number_and_severity() {
        let address = IpAddress::v4([192, 0, 2, 1]);
        let key = SourceKey::of_host(40, 0, Vlan::default(), address);
        let identity = Identity::of(&key, Companion::mac(MAC));
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
        let identity = Identity::of(&key, Companion::ip(IpAddress::v4([192, 0, 2, 1])));
        let written = serde_json::to_value(&identity).unwrap_or_default();
        assert_eq!(written["detector"], "arp_flood");
        for field in ["signature", "id", "severity"] {
            assert!(written[field].is_null(), "{field}");
        }
        assert_eq!(identity.as_ref().map(Identity::name), Some("arp_flood"));
    }
}
