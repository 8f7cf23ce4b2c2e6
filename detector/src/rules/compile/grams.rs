//! Which bytes of a rule the filter looks for: of one of its patterns four, for each way it may stand in the payload.

use std::collections::BTreeMap;

use detector_common::detect::signature::{
    confirm::CHAIN_MAX,
    table::{
        FilterTable, GRAM_WORDS_MAX, GRAMS_MAX, Gram, LIST_LEN_MAX, PATTERNS_MAX, PatternWord,
        STRIDE, WINDOW, hash,
    },
    workspace::{PAYLOAD_MAX, TEXT_MAX},
};

use super::{
    super::{
        pattern::{Anchor, Buffer, Pattern},
        problem::Problem,
        rule::{Rule, Test},
    },
    program::{word, words},
};

/// The bytes of a word.
const WORD: usize = 8;

/// A pattern, as far as the filter is concerned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    bytes: Vec<u8>,
    nocase: bool,
    /// Where it may begin.
    first: u16,
    last: u16,
    /// At every how many bytes a window is looked at: 4, 2 or 1.
    stride: usize,
}

/// What the filter looks for of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    /// The number of the pattern.
    pub(super) pattern: u16,
    /// At every how many bytes a window is to be looked at: 4, 2 or 1.
    pub(super) stride: usize,
    /// How many bytes of a payload have to be looked through for it.
    pub(super) reach: u16,
    /// How long the pattern is, in bytes.
    pub(super) len: u8,
}

/// The number of the pattern that a rule is found by; `None` if it has none that could be looked for.
///
/// One that need not be looked for at every byte, and of those the longest, which is the rarest.
pub(in crate::rules) fn choose(rule: &Rule) -> Option<usize> {
    let keys = rule.patterns.iter().enumerate();
    let keys = keys.filter_map(|(index, pattern)| Some((index, Key::of(rule, pattern)?)));
    let best = keys.max_by_key(|(_, key)| (key.stride, key.bytes.len()));
    best.map(|(index, _)| index)
}

/// At every how many bytes a window is to be looked at for the pattern of this number: 4, 2 or 1; `None` if it could not be looked for.
pub(in crate::rules) fn stride(rule: &Rule, choice: usize) -> Option<usize> {
    let pattern = rule.patterns.get(choice)?;
    Key::of(rule, pattern).map(|key| key.stride)
}

/// Whether the pattern of this number holds wherever the filter finds it, so that nothing is left to ask of it.
pub(super) fn is_all_said(rule: &Rule, choice: usize) -> bool {
    let is_exact = rule.patterns.get(choice).is_some_and(|pattern| {
        if pattern.buffer != Buffer::Payload {
            return false;
        }
        let (_, last) = begins(rule, pattern);
        let is_absolute = matches!(pattern.anchor, Anchor::Absolute { .. });
        is_absolute && !pattern.ends && u16::try_from(last).is_ok()
    });
    let patterns = rule.patterns.iter().map(Pattern::after);
    let tests = rule.tests.iter().map(Test::after);
    let pcres = rule.pcres.iter().map(|pcre| pcre.after);
    let mut others = patterns.chain(tests).chain(pcres);
    is_exact && !others.any(|after| after == Some(choice))
}

/// The patterns of all rules that the filter looks for, with their grams.
pub(super) struct Grams {
    patterns: Vec<Known>,
    numbers: BTreeMap<Key, u16>,
    hashed: Vec<(u32, Gram)>,
    words: Vec<PatternWord>,
    /// How many grams each bucket has.
    buckets: BTreeMap<usize, usize>,
}

struct Known {
    /// The rules that it speaks for.
    rows: u32,
    /// The hashes of its windows.
    hashes: Vec<u32>,
    reach: u16,
}

/// What request lines end with, and a digit behind it.
pub(super) const VERSION_BYTES: &[u8] = b"HTTP/1.";

impl Default for Grams {
    /// With the one pattern that speaks for no rule: what request lines end with.
    fn default() -> Self {
        let mut grams = Self {
            patterns: Vec::new(),
            numbers: BTreeMap::new(),
            hashed: Vec::new(),
            words: Vec::new(),
            buckets: BTreeMap::new(),
        };
        // There is room for the first one, and its number is `VERSION`.
        let _ = grams.insert(Key::of_version());
        grams
    }
}

impl Grams {
    /// Takes note that a rule of so many rows is found by its pattern of this number, see [`choose`].
    pub(super) fn add(
        &mut self,
        rule: &Rule,
        choice: usize,
        rows: u32,
    ) -> Result<Option<Sign>, Problem> {
        let pattern = rule.patterns.get(choice);
        let Some(key) = pattern.and_then(|pattern| Key::of(rule, pattern)) else {
            return Ok(None);
        };
        let stride = key.stride;
        let len = key.bytes.len() as u8;
        let known = self.numbers.get(&key).copied();
        let with_room = known.filter(|number| {
            let known = self.patterns.get(usize::from(*number));
            known.is_some_and(|known| known.rows + rows <= LIST_LEN_MAX)
        });
        let number = match with_room {
            Some(number) => number,
            None => self.insert(key)?,
        };
        let Some(known) = self.patterns.get_mut(usize::from(number)) else {
            return Ok(None);
        };
        known.rows += rows;
        Ok(Some(Sign {
            pattern: number,
            stride,
            reach: known.reach,
            len,
        }))
    }

    fn insert(&mut self, key: Key) -> Result<u16, Problem> {
        if self.patterns.len() == PATTERNS_MAX {
            return Err(Problem::NoRoom("patterns", PATTERNS_MAX));
        }
        let number = self.patterns.len() as u16;
        // The first one stands in the gram.
        let others = words(&key.bytes, key.nocase).into_iter().skip(1);
        self.words.extend(others);
        if self.words.len() >= GRAM_WORDS_MAX {
            return Err(Problem::NoRoom("words of patterns", GRAM_WORDS_MAX));
        }
        let last_word = if key.bytes.len() > WORD {
            self.words.len() as u16
        } else {
            0
        };
        let mut grams = Vec::new();
        for (residue, places) in key.residues().into_iter().enumerate() {
            if !places {
                continue;
            }
            let best = key.windows(residue).min_by_key(|at| self.score(&key, *at));
            let at = best.filter(|at| self.chain(hash(key.window(*at))) < CHAIN_MAX);
            let at = at.ok_or(Problem::NoRoom(
                "contents with the same four bytes",
                CHAIN_MAX,
            ))?;
            if self.hashed.len() + grams.len() + 1 == GRAMS_MAX {
                return Err(Problem::NoRoom("windows of patterns", GRAMS_MAX));
            }
            let hash = hash(key.window(at));
            *self.buckets.entry(FilterTable::bucket(hash)).or_default() += 1;
            let gram = key.gram(at, number);
            grams.push((hash, Gram { last_word, ..gram }));
        }
        // All of them or none: this number is the next pattern's if there is no room.
        let hashes = grams.iter().map(|(hash, _)| *hash).collect();
        self.hashed.extend(grams);
        let reach = usize::from(key.last).saturating_add(key.bytes.len());
        self.patterns.push(Known {
            rows: 0,
            hashes,
            reach: reach.min(usize::from(u16::MAX)) as u16,
        });
        self.numbers.insert(key, number);
        Ok(number)
    }

    /// How many grams share the bucket of a hash.
    fn chain(&self, hash: u32) -> usize {
        let chain = self.buckets.get(&FilterTable::bucket(hash));
        chain.copied().unwrap_or_default()
    }

    /// The less, the better to look for the window at `at`: how common its bytes are, and how many share its bucket.
    fn score(&self, key: &Key, at: usize) -> (usize, u32, usize) {
        let window = key.window(at).to_le_bytes();
        let common: u32 = window.into_iter().map(commonness).sum();
        let [a, b, c, d] = window;
        let repeats = if (a, b) == (c, d) || a == b && b == c || b == c && c == d {
            20
        } else {
            0
        };
        (self.chain(hash(key.window(at))), common + repeats, at)
    }

    /// Writes all of it; `class_of` says for each pattern in which classes of traffic it is looked for.
    pub(super) fn write(&self, table: &mut FilterTable, class_of: &[u8]) {
        for (place, word) in table.words.iter_mut().skip(1).zip(&self.words) {
            *place = *word;
        }
        for (known, classes) in self.patterns.iter().zip(class_of) {
            for hash in &known.hashes {
                let place = table.filter.get_mut(FilterTable::index(*hash));
                *place.unwrap_or(&mut 0) |= classes;
            }
        }
        for (index, (hash, gram)) in (1..).zip(&self.hashed) {
            let bucket = table.buckets.get_mut(FilterTable::bucket(*hash));
            if let (Some(first), Some(place)) = (bucket, table.grams.get_mut(usize::from(index))) {
                *place = Gram {
                    next: *first,
                    ..*gram
                };
                *first = index;
            }
        }
    }

    /// How many patterns there are.
    pub(super) fn len(&self) -> usize {
        self.patterns.len()
    }
}

/// How common a byte is in what goes over a network, roughly.
fn commonness(byte: u8) -> u32 {
    match byte {
        0 | b' ' => 12,
        b'a'..=b'z' | b'A'..=b'Z' => 8,
        b'0'..=b'9' | b'\r' | b'\n' | b'/' | b'.' | b'-' | b'=' | b':' => 6,
        0xff | 1..=4 | b'!'..=b'~' => 4,
        _ => 2,
    }
}

impl Key {
    /// The key of a pattern; `None` of one that is too short, or that must not be there.
    fn of(rule: &Rule, pattern: &Pattern) -> Option<Self> {
        if pattern.negated || pattern.bytes.len() < WINDOW || pattern.bytes.len() > 255 {
            return None;
        }
        // Where a request is, only the packet says. A URI is looked for behind the payload too, where it is decoded, and nothing else is.
        let (begins, text) = match pattern.buffer {
            Buffer::Payload => (begins(rule, pattern), PAYLOAD_MAX),
            Buffer::HttpUri => ((0, u64::MAX), TEXT_MAX),
            Buffer::HttpUriRaw | Buffer::HttpMethod | Buffer::HttpHeader => {
                ((0, u64::MAX), PAYLOAD_MAX)
            }
        };
        let place = |place: u64| place.min(text as u64 - 1) as u16;
        let (first, last) = (place(begins.0), place(begins.1));
        // What it counts from may have come with a segment before.
        let is_behind = matches!(pattern.anchor, Anchor::Relative { after: Some(_), .. });
        let first = if is_behind { 0 } else { first };
        Some(Self::seen(&pattern.bytes, pattern.nocase, first, last))
    }

    /// The key of what request lines end with.
    fn of_version() -> Self {
        Self::seen(VERSION_BYTES, true, 0, PAYLOAD_MAX as u16 - 1)
    }

    /// The key of these bytes, with the largest stride at which they are always seen.
    fn seen(bytes: &[u8], nocase: bool, first: u16, last: u16) -> Self {
        let mut key = Self {
            bytes: bytes.to_vec(),
            nocase,
            first,
            last,
            stride: STRIDE,
        };
        while key.stride > 1 && !key.is_always_seen() {
            key.stride /= 2;
        }
        key
    }

    /// Whether a whole window is looked at, however the pattern stands.
    fn is_always_seen(&self) -> bool {
        let residues = self.residues().into_iter().enumerate();
        residues
            .filter(|(_, may_be)| *may_be)
            .all(|(residue, _)| self.windows(residue).next().is_some())
    }

    /// For each distance from the pattern's first byte to the next one where a window is looked at, whether that may be.
    fn residues(&self) -> [bool; STRIDE] {
        let mut residues = [false; STRIDE];
        for begin in self.first..=self.last.min(self.first.saturating_add(STRIDE as u16 - 1)) {
            let distance = (self.stride - usize::from(begin) % self.stride) % self.stride;
            if let Some(place) = residues.get_mut(distance) {
                *place = true;
            }
        }
        residues
    }

    /// The windows that are looked at if the first of them stands `residue` bytes behind the pattern's first.
    fn windows(&self, residue: usize) -> impl Iterator<Item = usize> {
        (residue..self.bytes.len().saturating_sub(WINDOW - 1)).step_by(self.stride)
    }

    /// The window at `at`.
    fn window(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + WINDOW).unwrap_or_default();
        u32::from_le_bytes(bytes.try_into().unwrap_or_default())
    }

    /// The gram of the window at `at`, but for where its words are.
    fn gram(&self, at: usize, pattern: u16) -> Gram {
        let signed = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
        let (len, window) = (signed(self.bytes.len()), signed(at));
        let first = self.bytes.get(..self.bytes.len().min(WORD));
        let word = word(first.unwrap_or_default(), self.nocase);
        let place = |begin: u16| u16::try_from(usize::from(begin) + at).unwrap_or(u16::MAX);
        Gram {
            mask: word.mask,
            value: word.value,
            delta: -window,
            last_delta: len - signed(WORD) - window,
            first: place(self.first),
            last: place(self.last),
            pattern,
            len: self.bytes.len() as u8,
            at: at as u8,
            ..Gram::default()
        }
    }
}

/// Where in the payload a pattern may begin.
fn begins(rule: &Rule, pattern: &Pattern) -> (u64, u64) {
    if pattern.jump.is_some() {
        // Where a number leads, only the packet says.
        return (0, u16::MAX.into());
    }
    let len = pattern.length() as u64;
    match pattern.anchor {
        Anchor::Absolute { offset, depth } => {
            let first = u64::from(offset);
            let last = depth.map_or(u64::from(u16::MAX), |depth| {
                (first + u64::from(depth)).saturating_sub(len)
            });
            (first, last)
        }
        Anchor::Relative {
            after,
            distance,
            within,
        } => {
            let end = after
                .and_then(|after| rule.patterns.get(after))
                .map_or((0, 0), |after| {
                    let (first, last) = begins(rule, after);
                    let len = after.length() as u64;
                    (first + len, last + len)
                });
            let distance = i64::from(distance);
            let first = end.0.saturating_add_signed(distance);
            let last = within.map_or(u64::from(u16::MAX), |within| {
                let behind = end.1.saturating_add_signed(distance) + u64::from(within);
                behind.saturating_sub(len)
            });
            (first, last)
        }
    }
}
