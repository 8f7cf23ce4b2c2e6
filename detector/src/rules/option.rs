//! The options of a rule, taken apart: a name each, and a value.

use super::{Number, keyword::Keyword, problem::Problem, test::number};

/// What is wrong with a rule, and at which byte of it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) problem: Problem,
    /// What the rule would be refused for besides, see [`Problem::topic`].
    pub(super) others: Vec<&'static str>,
}

impl Fault {
    pub(super) fn new(at: usize, problem: Problem) -> Self {
        Self {
            at,
            problem,
            others: Vec::new(),
        }
    }

    /// Tells that the rule would be refused for this too.
    pub(super) fn add(&mut self, problem: &Problem) {
        let topic = problem.topic();
        if topic != self.problem.topic() && !self.others.contains(&topic) {
            self.others.push(topic);
        }
    }
}

/// An option as it stands in the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawOption<'t> {
    pub(super) at: usize,
    pub(super) name: &'t str,
    pub(super) value: Option<&'t str>,
}

/// The options that stand in `text` from the byte `from` on, behind the parenthesis that opens them. Each ends in a semicolon, quoted
/// or not, before which there is no backslash.
pub(super) fn options(
    text: &str,
    from: usize,
) -> impl Iterator<Item = Result<RawOption<'_>, Fault>> {
    let (mut at, text) = (from, text.trim_end());
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let begin = at + (rest.len() - rest.trim_start().len());
        let rest = rest.trim_start();
        if rest == ")" {
            at = text.len() + 1;
            return None;
        }
        let Some(end) = end_of_option(rest) else {
            at = text.len() + 1;
            let expected = if rest.is_empty() {
                "\")\" behind the options"
            } else {
                "\";\" behind the option"
            };
            return Some(Err(Fault::new(begin, Problem::Expected(expected.into()))));
        };
        at = begin + end + 1;
        let option = &rest[..end];
        let (name, value) = match option.split_once(':') {
            Some((name, value)) => (name, Some(value.trim())),
            None => (option, None),
        };
        Some(Ok(RawOption {
            at: begin,
            name: name.trim(),
            value,
        }))
    })
}

fn end_of_option(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b';' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

/// The number of a rule of which perhaps nothing else can be read.
pub(super) fn number_of(text: &str) -> Option<Number> {
    let from = text.find('(')? + 1;
    let (mut gid, mut sid) = (None, None);
    for option in options(text, from).filter_map(Result::ok) {
        let value = match option.name {
            name if name == Keyword::Gid.name() => &mut gid,
            name if name == Keyword::Sid.name() => &mut sid,
            _ => continue,
        };
        if value.is_none() {
            *value = option.value.and_then(number);
        }
    }
    Some(Number {
        gid: gid.unwrap_or(1),
        sid: sid?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_in_semicolons_that_are_not_escaped() {
        let text = "alert (msg:\"a\\;b: c\"; nocase ;sid : 7;)  ";
        let all: Vec<_> = options(text, 7).map(Result::unwrap).collect();
        let named = |at, name, value| RawOption { at, name, value };
        assert_eq!(
            all,
            [
                named(7, "msg", Some("\"a\\;b: c\"")),
                named(22, "nocase", None),
                named(30, "sid", Some("7")),
            ]
        );
        assert_eq!(number_of(text), Some(Number { gid: 1, sid: 7 }));
        let of_another = "alert (pcre:\"/a/\"; sid:7; gid:3; x";
        assert_eq!(number_of(of_another), Some(Number { gid: 3, sid: 7 }));
        assert_eq!(number_of("alert (gid:3;)"), None);
    }

    #[test]
    fn what_ends_too_early_is_refused_where_it_begins() {
        for (text, at) in [
            ("(sid:7)", 1),
            ("(sid:7; ", 7),
            ("(sid:7; x", 8),
            ("(sid:7;) x", 7),
        ] {
            let fault = options(text, 1).find_map(Result::err).unwrap();
            assert_eq!(fault.at, at, "{text}: {}", fault.problem);
        }
    }
}
