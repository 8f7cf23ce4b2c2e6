//! A table of the configuration, read key by key.
//!
//! Which keys there are is known from which were asked for; what is left over at the end is unknown. So the code that
//! reads a table is all there is to say about it.

use std::{
    borrow::Cow, collections::BTreeMap, net::IpAddr, ops::RangeInclusive, path::PathBuf,
    time::Duration,
};

use jiff::SignedDuration;
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{
    error::{Key, Problem},
    quota::{NoQuota, Quota},
};
use crate::{
    output::{Mac, Prefix},
    rules::Problem as RuleProblem,
    text::nearest,
};

/// What is wrong with a configuration, and at which byte.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) problem: Problem,
}

/// A table of the configuration.
pub(super) struct Section<'t> {
    /// `None` at the top.
    name: Option<&'static str>,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

/// Reads a whole configuration.
pub(super) fn document<T>(
    text: &str,
    read: impl FnOnce(&mut Section<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let document = DeTable::parse(text).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        problem: Problem::Syntax(error.message().into()),
    })?;
    Section::new(None, document.get_ref()).read(read)
}

impl<'t> Section<'t> {
    fn new(name: Option<&'static str>, table: &'t DeTable<'t>) -> Self {
        Self {
            name,
            table,
            known: Vec::new(),
        }
    }

    /// Reads it, and refuses keys that were not asked for.
    fn read<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let read = read(&mut self)?;
        let mut keys = self.table.keys();
        match keys.find(|key| !self.known.contains(&key.get_ref().as_ref())) {
            None => Ok(read),
            Some(key) => Err(Fault {
                at: key.span().start,
                problem: Problem::UnknownKey {
                    key: key.get_ref().as_ref().into(),
                    section: self.name,
                    nearest: nearest(key.get_ref(), &self.known),
                    known: self.known,
                },
            }),
        }
    }

    /// The table `key` in this one, empty if it is not there.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let empty = DeTable::new();
        let table = match self.value(key) {
            None => &empty,
            Some(value) => {
                let table = value.get_ref().as_table();
                table.ok_or_else(|| self.wrong_type(key, value, "a table"))?
            }
        };
        Section::new(Some(key), table).read(read)
    }

    /// One of `choices`, by name.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[T],
        name: fn(T) -> &'static str,
        default: T,
    ) -> Result<T, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(default);
        };
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a string"));
        };
        let chosen = choices.iter().find(|choice| name(**choice) == text);
        chosen.copied().ok_or_else(|| {
            let choices: Vec<_> = choices.iter().map(|choice| name(*choice)).collect();
            Fault {
                at: value.span().start,
                problem: Problem::UnknownChoice {
                    key: self.key(key),
                    value: text.as_ref().into(),
                    nearest: nearest(text, &choices),
                    choices,
                },
            }
        })
    }

    /// A whole number from 1 to `max`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        max: u32,
        default: u32,
    ) -> Result<u32, Fault> {
        match self.value(key) {
            None => Ok(default),
            Some(value) => self.in_range(key, value, 1..=max),
        }
    }

    /// So many in so long, `count_max` at most.
    pub(super) fn quota(
        &mut self,
        key: &'static str,
        count_max: u32,
        default: Quota,
    ) -> Result<Quota, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(default);
        };
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a string such as \"30/2s\""));
        };
        Quota::parse(text, count_max).map_err(|NoQuota| Fault {
            at: value.span().start,
            problem: Problem::NoQuota {
                key: self.key(key),
                value: text.as_ref().into(),
                count_max,
            },
        })
    }

    /// The same of what is sampled: so many a second are counted for certain, and no more may be asked for.
    pub(super) fn sampled_quota(
        &mut self,
        key: &'static str,
        count_max: u32,
        per_second: u32,
        default: Quota,
    ) -> Result<Quota, Fault> {
        let quota = self.quota(key, count_max, default)?;
        let seconds = quota.count().div_ceil(per_second);
        if quota.seconds() >= seconds {
            return Ok(quota);
        }
        Err(Fault {
            at: self.place_of(key).unwrap_or_default(),
            problem: Problem::NeverReached {
                key: self.key(key),
                quota,
                per_second,
                seconds,
            },
        })
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(default);
        };
        let DeValue::Boolean(flag) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "true or false"));
        };
        Ok(*flag)
    }

    /// A time of whole seconds, from one to `max`.
    pub(super) fn time(
        &mut self,
        key: &'static str,
        max: Duration,
        default: Duration,
    ) -> Result<Duration, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(default);
        };
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a string such as \"10m\""));
        };
        let time = text.parse::<SignedDuration>().ok();
        let time = time.and_then(|time| Duration::try_from(time).ok());
        time.filter(|time| {
            (Duration::from_secs(1)..=max).contains(time) && time.subsec_nanos() == 0
        })
        .ok_or_else(|| Fault {
            at: value.span().start,
            problem: Problem::NoTime {
                key: self.key(key),
                value: text.as_ref().into(),
                max,
            },
        })
    }

    /// An array of paths, `max` at most.
    pub(super) fn paths(&mut self, key: &'static str, max: usize) -> Result<Vec<PathBuf>, Fault> {
        self.texts(key, max, |_, _, text| Ok(PathBuf::from(text)))
    }

    /// A table of names, `max` at most, each with a set as rules have it, which `parse` reads.
    pub(super) fn sets<T>(
        &mut self,
        key: &'static str,
        max: usize,
        parse: impl Fn(&str) -> Result<T, RuleProblem>,
    ) -> Result<BTreeMap<String, T>, Fault> {
        let Some(table) = self.table(key, max, "a table of names, each with a set")? else {
            return Ok(BTreeMap::new());
        };
        let set = |(name, set): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            let DeValue::String(text) = set.get_ref() else {
                return Err(self.wrong_type(key, set, "a string"));
            };
            let set = parse(text).map_err(|why| Fault {
                at: set.span().start,
                problem: Problem::NoSet {
                    key: self.key(key),
                    value: text.as_ref().into(),
                    why,
                },
            })?;
            Ok((name.get_ref().to_string(), set))
        };
        table.iter().map(set).collect()
    }

    /// An array of addresses and prefixes, `max` at most.
    pub(super) fn prefixes(&mut self, key: &'static str, max: usize) -> Result<Vec<Prefix>, Fault> {
        self.texts(key, max, |section, at, text| {
            text.parse().map_err(|why| Fault {
                at,
                problem: Problem::NoPrefix {
                    key: section.key(key),
                    value: text.into(),
                    why,
                },
            })
        })
    }

    /// An array of MAC addresses, `max` at most.
    pub(super) fn macs(&mut self, key: &'static str, max: usize) -> Result<Vec<Mac>, Fault> {
        self.texts(key, max, |section, at, text| section.mac(key, at, text))
    }

    /// A table of addresses, `max` at most, each with its MAC.
    pub(super) fn bindings(
        &mut self,
        key: &'static str,
        max: usize,
    ) -> Result<BTreeMap<IpAddr, Mac>, Fault> {
        let Some(table) = self.table(key, max, "a table of addresses with their MACs")? else {
            return Ok(BTreeMap::new());
        };
        let binding = |(address, mac): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            let text: &str = address.get_ref();
            let at = address.span().start;
            let address = text.parse::<IpAddr>().map_err(|_| Fault {
                at,
                problem: Problem::NoAddress {
                    key: self.key(key),
                    value: text.into(),
                },
            })?;
            let address = address.to_canonical();
            if let IpAddr::V6(address) = address
                && address.is_unicast_link_local()
            {
                let key = self.key(key);
                let problem = Problem::LinkLocal { key, address };
                return Err(Fault { at, problem });
            }
            let DeValue::String(text) = mac.get_ref() else {
                return Err(self.wrong_type(key, mac, "a string"));
            };
            Ok((address, self.mac(key, mac.span().start, text)?))
        };
        table.iter().map(binding).collect()
    }

    /// The table `key` in this one, of `max` entries at most; it is to be `expected`.
    fn table(
        &mut self,
        key: &'static str,
        max: usize,
        expected: &'static str,
    ) -> Result<Option<&'t DeTable<'t>>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.wrong_type(key, value, expected));
        };
        if table.len() > max {
            return Err(Fault {
                at: value.span().start,
                problem: Problem::TooMany {
                    key: self.key(key),
                    count: table.len(),
                    max,
                },
            });
        }
        Ok(Some(table))
    }

    fn mac(&self, key: &'static str, at: usize, text: &str) -> Result<Mac, Fault> {
        Mac::try_from(text.to_owned()).map_err(|_| Fault {
            at,
            problem: Problem::NoMac {
                key: self.key(key),
                value: text.into(),
            },
        })
    }

    /// An array of strings, `max` at most, each of which `read` understands, given where it stands.
    fn texts<T>(
        &mut self,
        key: &'static str,
        max: usize,
        read: impl Fn(&Self, usize, &str) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Array(values) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "an array of strings"));
        };
        if values.len() > max {
            return Err(Fault {
                at: value.span().start,
                problem: Problem::TooMany {
                    key: self.key(key),
                    count: values.len(),
                    max,
                },
            });
        }
        let text = |value: &Spanned<DeValue<'_>>| {
            let DeValue::String(text) = value.get_ref() else {
                return Err(self.wrong_type(key, value, "a string"));
            };
            read(self, value.span().start, text)
        };
        values.iter().map(text).collect()
    }

    /// An array of ports.
    pub(super) fn ports(
        &mut self,
        key: &'static str,
        default: Vec<u16>,
    ) -> Result<Vec<u16>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(default);
        };
        let DeValue::Array(values) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "an array of numbers"));
        };
        values
            .iter()
            .map(|value| self.in_range(key, value, 1..=u16::MAX))
            .collect()
    }

    /// At which byte the value of `key` stands.
    pub(super) fn place_of(&self, key: &str) -> Option<usize> {
        self.table.get(key).map(|value| value.span().start)
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key)
    }

    fn in_range<T>(
        &self,
        key: &'static str,
        value: &Spanned<DeValue<'_>>,
        range: RangeInclusive<T>,
    ) -> Result<T, Fault>
    where
        T: Copy + PartialOrd + TryFrom<i64> + Into<u32>,
    {
        let DeValue::Integer(integer) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a whole number"));
        };
        let number = number_of(integer).and_then(|number| T::try_from(number).ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| Fault {
                at: value.span().start,
                problem: Problem::OutOfRange {
                    key: self.key(key),
                    value: integer.to_string().into(),
                    min: (*range.start()).into(),
                    max: (*range.end()).into(),
                },
            })
    }

    fn wrong_type(
        &self,
        key: &'static str,
        value: &Spanned<DeValue<'_>>,
        expected: &'static str,
    ) -> Fault {
        Fault {
            at: value.span().start,
            problem: Problem::WrongType {
                key: self.key(key),
                expected,
                found: type_of(value.get_ref()),
            },
        }
    }

    fn key(&self, key: &'static str) -> Key {
        Key {
            key,
            section: self.name,
        }
    }
}

/// `None` if it does not even fit into 64 bits.
fn number_of(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
