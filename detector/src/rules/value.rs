//! The value of a keyword, read as what the keyword wants.

use super::{
    keyword::Keyword,
    problem::Problem,
    test::{Numbers, number},
};

/// The value of a keyword, as it stands there.
pub(super) struct Value<'t> {
    pub(super) keyword: Keyword,
    text: Option<&'t str>,
}

impl<'t> Value<'t> {
    pub(super) fn new(keyword: Keyword, text: Option<&'t str>) -> Self {
        Self { keyword, text }
    }

    pub(super) fn wrong(&self, expected: &'static str) -> Problem {
        Problem::Value {
            keyword: self.keyword.name(),
            value: self.text.unwrap_or_default().into(),
            expected,
        }
    }

    /// It is one of the keyword, and a packet filter cannot honour it.
    pub(super) fn refused(&self, why: &'static str) -> Problem {
        Problem::Refused {
            keyword: self.keyword.name(),
            why,
        }
    }

    pub(super) fn some<T>(&self, value: Option<T>, expected: &'static str) -> Result<T, Problem> {
        value.ok_or_else(|| self.wrong(expected))
    }

    pub(super) fn text(&self) -> Result<&'t str, Problem> {
        self.some(self.text, "a value behind a colon")
    }

    /// Fails if there is one.
    pub(super) fn none(&self) -> Result<(), Problem> {
        match self.text {
            None => Ok(()),
            Some(_) => Err(self.wrong("no value")),
        }
    }

    /// Whether it stands behind a `!`, and what stands there.
    pub(super) fn negatable(&self) -> Result<(bool, &'t str), Problem> {
        let text = self.text()?;
        Ok(match text.strip_prefix('!') {
            Some(text) => (true, text.trim_start()),
            None => (false, text),
        })
    }

    pub(super) fn number(&self, max: u32) -> Result<u32, Problem> {
        let number = number(self.text()?).filter(|number| *number <= max);
        self.some(number, "a whole number, and not too large a one")
    }

    pub(super) fn signed(&self, max: i32) -> Result<i32, Problem> {
        let number = self.text()?.parse::<i32>().ok();
        let number = number.filter(|number| (-max..=max).contains(number));
        self.some(number, "a whole number, and not too large a one")
    }

    pub(super) fn numbers(&self, max: u32) -> Result<Numbers, Problem> {
        let numbers = Numbers::of(self.text()?).filter(|numbers| {
            numbers.first <= max && (numbers.last <= max || numbers.last == u32::MAX)
        });
        self.some(numbers, Numbers::EXPECTED)
    }

    /// Without its quotes and escapes.
    pub(super) fn quoted(&self) -> Result<String, Problem> {
        let text = self.text()?;
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let inner = self.some(inner, "a text in quotes")?;
        let mut quoted = String::new();
        let mut chars = inner.chars();
        while let Some(char) = chars.next() {
            quoted.extend(if char == '\\' {
                chars.next()
            } else {
                Some(char)
            });
        }
        Ok(quoted)
    }
}
