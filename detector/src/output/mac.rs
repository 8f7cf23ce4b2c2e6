//! An Ethernet address as text.

use std::fmt;

use detector_common::net::MacAddress;
use serde::{Deserialize, Serialize, de};

/// An Ethernet address that is written `00:07:0d:af:f4:54`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address.
    #[must_use]
    pub fn address(self) -> MacAddress {
        MacAddress::new(self.0)
    }
}

impl From<MacAddress> for Mac {
    fn from(address: MacAddress) -> Self {
        Self(address.octets())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl TryFrom<String> for Mac {
    type Error = de::value::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let malformed = || de::Error::custom("expected six bytes as in 00:07:0d:af:f4:54");
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|byte| {
                let digits = byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
                digits.then(|| u8::from_str_radix(byte, 16).ok()).flatten()
            })
            .collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_as_it_was_written() {
        let mac = Mac::from(MacAddress::new([0, 7, 0x0d, 0xaf, 0xf4, 0x54]));
        assert_eq!(mac.to_string(), "00:07:0d:af:f4:54");
        assert_eq!(Mac::try_from(mac.to_string()), Ok(mac));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "00:07:0d:af:f4",
            "00:07:0d:af:f4:54:00",
            "0:7:d:af:f4:54",
            "+0:07:0d:af:f4:54",
        ] {
            assert!(Mac::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
