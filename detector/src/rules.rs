//! Rules in the language that Snort and Suricata share: read whole or refused, and never approximated.
//!
//! A rule is refused for what a packet filter cannot honour, and for what is wrong with it, with its place and the option; the rest
//! is read all the same. `docs/rules.md` lists every keyword.

mod book;
mod byte_jump;
mod byte_test;
pub mod check;
mod compile;
mod draft;
mod explain;
mod flowbits;
mod header;
mod keyword;
mod option;
mod partial;
mod pattern;
mod pcre;
mod problem;
mod remarks;
mod rule;
mod said;
mod statement;
mod steps;
mod test;
mod threshold;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use serde::Serialize;

pub(crate) use self::statement::is_finished;
pub use self::{
    book::{Book, Entry, Severity},
    byte_jump::{ByteJump, JumpFrom},
    byte_test::{ByteTest, Operator},
    compile::{Compiled, Variables, compile},
    explain::{Explained, FoundBy, Group, Way, explain},
    flowbits::FlowBit,
    header::{Action, AddressRange, Endpoint, Header, PortRange, Protocol, Set},
    keyword::{Handling, Keyword, all as keywords},
    partial::Regexes,
    pattern::{Anchor, Buffer, ByteSet, Pattern, Runs},
    pcre::Pcre,
    problem::{Hint, Problem},
    remarks::remarks,
    rule::{Flow, Origin, PARTLY, Rule, Test},
    steps::{Step, steps},
    test::{Flags, FragmentBits, How, IpOption, Numbers},
    threshold::{Kind, Threshold},
};
use self::{option::Fault, statement::statements};
use crate::{
    output::FileName,
    text::{Place, Unreadable, read_bounded},
};

/// The rules that we ship.
pub const WORMS: &str = include_str!("../../rules/worms.rules");

/// The rules that we ship.
#[must_use]
pub fn worms() -> RuleSet {
    RuleSet::from_bytes(Path::new("worms.rules"), WORMS.as_bytes())
}

/// The longest file, in bytes: twice the largest rule set there is.
pub const FILE_MAX: usize = 64 << 20;
/// How many refusals are kept; of others there is but a number.
pub const REFUSALS_MAX: usize = 10_000;

/// The rules of one file or of several.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// The names of the files.
    pub files: Vec<FileName>,
    /// The rules that are whole, each with a number of its own.
    pub rules: Vec<Rule>,
    /// The others, at most [`REFUSALS_MAX`].
    pub refusals: Vec<Refusal>,
    /// How many others there are besides.
    pub refusals_left_out: u64,
    /// How many rules were refused for what, those that are not kept too; see [`Problem::topic`]. A rule that is refused for several things
    /// counts for each.
    pub topics: BTreeMap<&'static str, u64>,
    /// How many of those that are refused are wrong, see [`Problem::is_wrong`].
    pub wrong: u64,
    /// Files that were named already under another name, or under the same; each is read once.
    pub same_files: Vec<SameFile>,
    /// Whether rules that are [partial](Rule::is_partial) are taken.
    allow_partial: bool,
    /// The first of those that is for what is wrong, if none that is kept is.
    wrong_left_out: Option<Refusal>,
}

/// A file that was named twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameFile {
    /// As it was named then.
    pub file: FileName,
    /// As it was named first.
    pub first: FileName,
}

impl fmt::Display for SameFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, first } = self;
        if file == first {
            write!(out, "{file}: named twice, and read once")
        } else {
            write!(out, "{file}: the same file as {first}, and read once")
        }
    }
}

/// The number of a rule: with its generator, unless that is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Number {
    /// The number.
    pub sid: u32,
    /// The generator.
    pub gid: u32,
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.gid != 1 {
            write!(out, "{}:", self.gid)?;
        }
        write!(out, "{}", self.sid)
    }
}

/// A rule that is not taken.
#[derive(Debug)]
pub struct Refusal {
    /// Where the rule begins, or the line of it that is wrong.
    pub origin: Origin,
    /// The character of the line, from 1.
    pub column: usize,
    /// The number of the rule, if it has one that can be read.
    pub number: Option<Number>,
    /// Why.
    pub problem: Problem,
    /// What it would be refused for besides, see [`Problem::topic`].
    pub others: Vec<&'static str>,
}

impl Refusal {
    /// All that it is refused for, see [`Problem::topic`].
    pub fn topics(&self) -> impl Iterator<Item = &'static str> {
        let others = self.others.iter().copied();
        std::iter::once(self.problem.topic()).chain(others)
    }

    /// Why, in one line.
    #[must_use]
    pub fn why(&self) -> String {
        let Self {
            problem, others, ..
        } = self;
        if others.is_empty() {
            problem.to_string()
        } else {
            format!("{problem}; and for {}", others.join(", "))
        }
    }
}

/// A file of rules cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The system says why.
    #[error("{0}: cannot be read: {1}")]
    Read(FileName, io::Error),
    /// It is a folder, say.
    #[error("{0}: no regular file: name a file of rules")]
    NotAFile(FileName),
    /// It is longer than [`FILE_MAX`].
    #[error("{0}: longer than {FILE_MAX} bytes: these are no rules")]
    TooLong(FileName),
}

impl RuleSet {
    /// Reads the files at `paths`, in order.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, RulesError> {
        Self::load_with(false, paths)
    }

    fn read_files<P: AsRef<Path>>(&mut self, paths: &[P]) -> Result<(), RulesError> {
        let mut named: HashMap<(u64, u64), FileName> = HashMap::new();
        for path in paths {
            let name = FileName::new(path.as_ref());
            // By device and number, for a link is another name. Of one that is not there it is told below.
            if let Ok(file) = fs::metadata(path) {
                let id = (file.dev(), file.ino());
                if let Some(first) = named.get(&id).cloned() {
                    // It has a number all the same: files are counted as they were named.
                    self.files.push(name.clone());
                    self.same_files.push(SameFile { file: name, first });
                    continue;
                }
                named.insert(id, name.clone());
            }
            match read_bounded(path.as_ref(), FILE_MAX) {
                Ok(bytes) if bytes.len() > FILE_MAX => return Err(RulesError::TooLong(name)),
                Ok(bytes) => self.read(name, &bytes),
                Err(Unreadable::Error(error)) => return Err(RulesError::Read(name, error)),
                Err(Unreadable::NotAFile) => return Err(RulesError::NotAFile(name)),
            }
        }
        Ok(())
    }

    /// Our own rules first, if they are wanted, and then those of the files at `paths`.
    pub fn load_with<P: AsRef<Path>>(worms: bool, paths: &[P]) -> Result<Self, RulesError> {
        Self::load_as(false, worms, paths)
    }

    /// The same, with rules that are [partial](Rule::is_partial), if they may be.
    pub fn load_as<P: AsRef<Path>>(
        allow_partial: bool,
        worms: bool,
        paths: &[P],
    ) -> Result<Self, RulesError> {
        let mut set = Self {
            allow_partial,
            ..Self::default()
        };
        if worms {
            set.read(FileName::new(Path::new("worms.rules")), WORMS.as_bytes());
        }
        set.read_files(paths)?;
        set.refuse_duplicates();
        Ok(set)
    }

    /// Refuses the rules of these indices as well.
    pub fn refuse_compiled(&mut self, refused: &[(usize, Problem)]) {
        for (index, problem) in refused {
            if let Some(rule) = self.rules.get(*index) {
                let refusal = Refusal {
                    origin: rule.origin,
                    column: 1,
                    number: Some(rule.number()),
                    problem: problem.clone(),
                    others: Vec::new(),
                };
                self.refuse(refusal);
            }
        }
        let refused: BTreeSet<_> = refused.iter().map(|(index, _)| *index).collect();
        let rules = std::mem::take(&mut self.rules).into_iter().enumerate();
        self.rules = rules
            .filter(|(index, _)| !refused.contains(index))
            .map(|(_, rule)| rule)
            .collect();
        self.refusals
            .sort_by_key(|refusal| (refusal.origin, refusal.column));
    }

    /// A line for each file that was named twice and for each of the first refusals, and one for how many more there are.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        const TOLD: usize = 10;
        let told = self.refusals.iter().take(TOLD).filter_map(|refusal| {
            let file = self.files.get(refusal.origin.file)?;
            let Refusal { origin, column, .. } = refusal;
            Some(format!(
                "{file}:{}:{column}: {}; this rule is not in force",
                origin.line,
                refusal.why()
            ))
        });
        let more =
            (self.refusals.len() as u64 + self.refusals_left_out).saturating_sub(TOLD as u64);
        let more = (more > 0).then(|| {
            format!("{more} more rules are not in force: `detector rules check` says which and why")
        });
        let same_files = self.same_files.iter().map(ToString::to_string);
        same_files.chain(told).chain(more).chain(self.partly())
    }

    /// A line for each of the first rules that are partial, and one for how many more there are.
    fn partly(&self) -> impl Iterator<Item = String> {
        const TOLD: usize = 10;
        let partial = || self.rules.iter().filter(|rule| rule.is_partial());
        let told = partial().take(TOLD).filter_map(|rule| {
            let file = self.files.get(rule.origin.file)?;
            let (line, number) = (rule.origin.line, rule.number());
            Some(format!(
                "{file}:{line}: rule {number} is partial: {}",
                rule.partly()?
            ))
        });
        let more = partial().count().saturating_sub(TOLD);
        let more = (more > 0)
            .then(|| format!("{more} more rules are partial: `detector rules list` says which"));
        told.chain(more)
    }

    /// The first refusal that is not for what a packet filter cannot honour, but for what is wrong.
    #[must_use]
    pub fn first_wrong(&self) -> Option<&Refusal> {
        self.refusals
            .iter()
            .find(|refusal| refusal.problem.is_wrong())
            .or(self.wrong_left_out.as_ref())
    }

    /// The rules of a file that is called `path` and holds `bytes`.
    #[must_use]
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Self {
        Self::from_bytes_as(false, path, bytes)
    }

    /// The same, with rules that are [partial](Rule::is_partial), if they may be.
    #[must_use]
    pub fn from_bytes_as(allow_partial: bool, path: &Path, bytes: &[u8]) -> Self {
        let mut set = Self {
            allow_partial,
            ..Self::default()
        };
        set.read(FileName::new(path), bytes);
        set.refuse_duplicates();
        set
    }

    fn read(&mut self, name: FileName, bytes: &[u8]) {
        let file = self.files.len();
        self.files.push(name);
        for statement in statements(bytes) {
            let origin = Origin {
                file,
                line: statement.line,
            };
            let (read, number) = match &statement.text {
                Ok(text) => (
                    Rule::read(text, origin, self.allow_partial),
                    option::number_of(text),
                ),
                Err(fault) => (Err(fault.clone()), None),
            };
            match read {
                Ok(rule) => self.rules.push(rule),
                Err(Fault {
                    at,
                    problem,
                    others,
                }) => {
                    let Place { line, column } = statement.place(at);
                    self.refuse(Refusal {
                        origin: Origin { file, line },
                        column,
                        number,
                        problem,
                        others,
                    });
                }
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        for topic in refusal.topics() {
            *self.topics.entry(topic).or_default() += 1;
        }
        self.wrong += u64::from(refusal.problem.is_wrong());
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(refusal);
        } else {
            self.refusals_left_out += 1;
            if refusal.problem.is_wrong() {
                self.wrong_left_out.get_or_insert(refusal);
            }
        }
    }

    /// Of rules with the same number the one with the highest revision stays, of those the first.
    fn refuse_duplicates(&mut self) {
        let mut newest: BTreeMap<(u32, u32), (u32, Origin)> = BTreeMap::new();
        for rule in &self.rules {
            let newest = newest
                .entry((rule.gid, rule.sid))
                .or_insert((rule.rev, rule.origin));
            if rule.rev > newest.0 {
                *newest = (rule.rev, rule.origin);
            }
        }
        for rule in std::mem::take(&mut self.rules) {
            let kept = newest.get(&(rule.gid, rule.sid)).map(|(_, kept)| *kept);
            let kept = kept.unwrap_or(rule.origin);
            if kept == rule.origin {
                self.rules.push(rule);
            } else if let Some(file) = self.files.get(kept.file) {
                self.refuse(Refusal {
                    origin: rule.origin,
                    column: 1,
                    number: Some(rule.number()),
                    problem: Problem::Duplicate {
                        file: file.clone(),
                        line: kept.line,
                    },
                    others: Vec::new(),
                });
            }
        }
        self.refusals
            .sort_by_key(|refusal| (refusal.origin, refusal.column));
    }
}
