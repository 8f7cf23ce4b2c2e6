//! Rules of which the kernel asks a part, and the agent, or a replay, all: what it decides the rest by.

use detector_common::detect::signature::{
    partial::Decider,
    table::{Operation, flag},
    workspace::{SLOTS, Workspace},
};

use super::pcre::Pcre;

/// Regular expressions, by the number that rules know them by.
#[derive(Debug, Default)]
pub struct Regexes(pub(super) Vec<Pcre>);

impl Regexes {
    /// Those of compiled rules.
    #[must_use]
    pub fn new(regexes: Vec<Pcre>) -> Self {
        Self(regexes)
    }

    /// Whether there is none, and so no rule that is partial.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Decider for Regexes {
    fn holds(&self, operation: &Operation, workspace: &mut Workspace) -> bool {
        let [number, ..] = operation.numbers;
        let buffer = workspace.buffer(operation.subject);
        let begin = if operation.flags & flag::RELATIVE != 0 {
            let ends = workspace.ends.get(operation.after as usize & (SLOTS - 1));
            ends.copied().unwrap_or_default()
        } else {
            buffer.begin
        };
        let text: &[u8] = bytemuck::cast_slice(&workspace.text);
        let text = text.get(begin as usize..buffer.end as usize);
        let (Some(pcre), Some(text)) = (self.0.get(number as usize), text) else {
            return false;
        };
        if workspace.budget == 0 {
            workspace.is_unsure = 1;
            return false;
        }
        workspace.budget = workspace.budget.saturating_sub(pcre.steps(text.len()));
        let matches = pcre.regex.is_match(text);
        // Of what goes on where no more is here, only what is found is known.
        let is_open = workspace.is_open(operation.subject) != 0
            || workspace.whole_end(operation.subject, buffer) > buffer.end;
        if is_open && (!matches || pcre.asks_behind) {
            workspace.is_unsure = 1;
        }
        matches != pcre.negated
    }
}
