//! The inspection of what the prefilter left: rule by rule, which one does the packet match?
//!
//! What rules ask of a packet is [gathered](super::gather) first. A [rule](super::rule) is a small program over that, which [finds](super::find) patterns. Those
//! that ask something of HTTP are asked about one request after the other.

use super::{
    Records, Search,
    held::HELD_MAX,
    prefilter::Text,
    request::View,
    table::{Action, List, PATTERNS_MAX, Row, RuleTable},
    workspace::{CANDIDATES_MAX, REQUESTS_MAX},
};

/// The steps of the inspection, each of which the kernel takes in a function of its own.
pub trait Inspector: Records {
    /// The rules.
    fn rule_table(&self, search: Search) -> Option<&RuleTable>;
    /// Runs [`super::gather::headers`], [`super::gather::options`] and [`super::gather::payload`].
    fn gather(&mut self, search: Search);
    /// Runs [`ask_about`].
    fn ask_about(&mut self, search: Search, text: Text);
    /// Runs [`ask_all`].
    fn ask_all(&mut self, search: Search);
    /// Runs [`ask_candidate`].
    fn ask_candidate(&mut self, search: Search, index: u32);
    /// Runs [`super::rule::ask`] on each row of a list.
    fn ask_each(&mut self, search: Search, list: List);
    /// Runs [`super::held::run`].
    fn decide_held(&mut self, search: Search, from: u32) -> u32;
    /// Whether the rest of rules that are partial is decided here. What is let pass was decided before then, by who knew all of the connection.
    fn decides_rest(&self) -> bool {
        false
    }
}

/// The row of the first rule that the packet matches, if there is one. What was left undecided, the workspace says.
#[inline(always)]
pub fn run<I: Inspector>(search: Search, inspector: &mut I) -> Option<Row> {
    inspector.gather(search);
    inspector.ask_about(search, Text::Payload);
    inspector.ask_about(search, Text::Joined);
    let mut from = 0;
    for _ in 0..=HELD_MAX {
        from = inspector.decide_held(search, from);
        if from == 0 {
            break;
        }
    }
    let best = inspector.workspace()?.finding();
    if best == u32::MAX {
        return None;
    }
    let row = inspector.rule_table(search)?.row(best);
    if row.action == Action::Pass as u8 && !inspector.decides_rest() {
        // Nobody is told of what is let pass.
        inspector.workspace()?.partials_len = 0;
    }
    Some(row)
}

/// Asks the rules about the packet by itself and each of its requests, or about what came before it with its beginning.
#[inline(always)]
pub fn ask_about<I: Inspector>(search: Search, text: Text, inspector: &mut I) -> Option<()> {
    let workspace = inspector.workspace()?;
    let (first, behind) = if text == Text::Joined {
        (workspace.requests_of_payload, workspace.requests_len)
    } else {
        (0, workspace.requests_of_payload)
    };
    if !workspace.ask_about(text) {
        return None;
    }
    inspector.ask_all(search);
    for index in 0..REQUESTS_MAX as u32 {
        if index >= behind {
            break;
        }
        if index < first {
            continue;
        }
        for view in [View::Decoded, View::AsItIs] {
            let workspace = inspector.workspace()?;
            if workspace.enter_request(index, view) {
                inspector.ask_all(search);
            }
        }
    }
    Some(())
}

/// Asks the rules of all candidates, and those that no pattern speaks for.
#[inline(always)]
pub fn ask_all<I: Inspector>(search: Search, inspector: &mut I) -> Option<()> {
    let candidates = inspector.workspace()?.candidates_of_text();
    for index in 0..CANDIDATES_MAX as u32 {
        if index >= candidates {
            break;
        }
        let workspace = inspector.workspace()?;
        if workspace.budget == 0 {
            workspace.is_cut_short = 1;
            return None;
        }
        inspector.ask_candidate(search, index);
    }
    inspector.workspace()?.leave_candidates();
    let [to, from] = search.groups(inspector.filter_table(search)?);
    inspector.ask_each(search, to.always);
    inspector.ask_each(search, from.always);
    Some(())
}

/// Asks the rules of the candidate of this index.
#[inline(always)]
pub fn ask_candidate<I: Inspector>(search: Search, index: u32, inspector: &mut I) -> Option<()> {
    let pattern = usize::from(inspector.workspace()?.enter_candidate(index));
    let table = inspector.rule_table(search)?;
    let rows = table.patterns.get(pattern & (PATTERNS_MAX - 1));
    inspector.ask_each(search, rows.copied().unwrap_or_default());
    Some(())
}
