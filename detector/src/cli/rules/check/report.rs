//! What `detector rules check` tells, as programs read it. The names of fields are stable.

use std::cmp::Reverse;

use serde::Serialize;

use crate::{
    output::{FileName, SCHEMA_VERSION},
    rules::{
        Number, Rule, RuleSet, SameFile,
        check::{GroupCost, Warning, Warnings, Why},
    },
};

#[derive(Serialize)]
pub(super) struct Report<'s> {
    schema_version: u32,
    pub(super) taken: usize,
    pub(super) partial: Vec<Named<'s>>,
    pub(super) refused: Vec<Refused<'s>>,
    pub(super) left_out: u64,
    pub(super) wrong: u64,
    pub(super) topics: Vec<Topic>,
    pub(super) same_files: Vec<Same<'s>>,
    pub(super) warnings: Vec<Warned<'s>>,
    pub(super) not_compared: usize,
    pub(super) costs: Vec<Cost<'s>>,
}

#[derive(Serialize)]
pub(super) struct Refused<'s> {
    pub(super) file: &'s FileName,
    pub(super) line: usize,
    pub(super) column: usize,
    #[serde(skip)]
    pub(super) number: Option<Number>,
    sid: Option<u32>,
    gid: Option<u32>,
    topic: &'static str,
    /// All that it is refused for, that first.
    topics: Vec<&'static str>,
    pub(super) wrong: bool,
    pub(super) why: String,
}

#[derive(Serialize)]
pub(super) struct Topic {
    pub(super) topic: &'static str,
    pub(super) rules: u64,
}

/// A file that was named twice.
#[derive(Serialize)]
pub(super) struct Same<'s> {
    file: &'s FileName,
    first: &'s FileName,
    #[serde(skip)]
    pub(super) told: &'s SameFile,
}

/// A rule that is taken.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Named<'s> {
    #[serde(flatten)]
    pub(super) number: Number,
    pub(super) file: &'s FileName,
    pub(super) line: usize,
}

#[derive(Serialize)]
pub(super) struct Warned<'s> {
    #[serde(flatten)]
    pub(super) rule: Named<'s>,
    kind: &'static str,
    pub(super) why: String,
    pub(super) by: Option<Named<'s>>,
}

/// What a group of ports costs.
#[derive(Serialize)]
pub(super) struct Cost<'s> {
    pub(super) traffic: &'static str,
    pub(super) ports: &'s str,
    pub(super) rules: usize,
    pub(super) stride: usize,
    pub(super) windows: u32,
    pub(super) dense: Vec<Dense<'s>>,
    pub(super) always: Vec<Named<'s>>,
}

#[derive(Serialize)]
pub(super) struct Dense<'s> {
    #[serde(flatten)]
    pub(super) rule: Named<'s>,
    pub(super) stride: usize,
}

impl<'s> Report<'s> {
    pub(super) fn of(set: &'s RuleSet, warnings: &Warnings, costs: &'s [GroupCost]) -> Self {
        let topics = set.topics.iter();
        let mut topics: Vec<_> = topics
            .map(|(topic, rules)| Topic {
                topic,
                rules: *rules,
            })
            .collect();
        topics.sort_by_key(|topic| Reverse(topic.rules));
        let refused = set.refusals.iter().filter_map(|refusal| {
            Some(Refused {
                file: set.files.get(refusal.origin.file)?,
                line: refusal.origin.line,
                column: refusal.column,
                number: refusal.number,
                sid: refusal.number.map(|number| number.sid),
                gid: refusal.number.map(|number| number.gid),
                topic: refusal.problem.topic(),
                topics: refusal.topics().collect(),
                wrong: refusal.problem.is_wrong(),
                why: refusal.why(),
            })
        });
        let warned = warnings.found.iter();
        let partial = (0..set.rules.len())
            .filter(|index| set.rules.get(*index).is_some_and(Rule::is_partial));
        Self {
            schema_version: SCHEMA_VERSION,
            taken: set.rules.len(),
            partial: partial.filter_map(|index| Named::of(set, index)).collect(),
            refused: refused.collect(),
            left_out: set.refusals_left_out,
            wrong: set.wrong,
            topics,
            same_files: set.same_files.iter().map(Same::of).collect(),
            warnings: warned
                .filter_map(|warning| Warned::of(set, warning))
                .collect(),
            not_compared: warnings.not_compared,
            costs: costs.iter().map(|cost| Cost::of(set, cost)).collect(),
        }
    }
}

impl<'s> Same<'s> {
    fn of(told: &'s SameFile) -> Self {
        let SameFile { file, first } = told;
        Self { file, first, told }
    }
}

impl<'s> Named<'s> {
    /// The rule of this index.
    fn of(set: &'s RuleSet, index: usize) -> Option<Self> {
        let rule = set.rules.get(index)?;
        Some(Self {
            number: rule.number(),
            file: set.files.get(rule.origin.file)?,
            line: rule.origin.line,
        })
    }
}

impl<'s> Warned<'s> {
    fn of(set: &'s RuleSet, Warning { rule, why }: &Warning) -> Option<Self> {
        Some(Self {
            rule: Named::of(set, *rule)?,
            kind: why.name(),
            why: why.to_string(),
            by: match why {
                Why::Never(_) | Why::HandedOver => None,
                Why::Shadowed(by) => Named::of(set, *by),
            },
        })
    }
}

impl<'s> Cost<'s> {
    fn of(set: &'s RuleSet, cost: &'s GroupCost) -> Self {
        let dense = cost.dense.iter().filter_map(|blamed| {
            Some(Dense {
                rule: Named::of(set, blamed.rule)?,
                stride: blamed.stride,
            })
        });
        let always = cost.always.iter();
        Self {
            traffic: cost.traffic,
            ports: &cost.ports,
            rules: cost.rules,
            stride: cost.stride,
            windows: cost.windows,
            dense: dense.collect(),
            always: always.filter_map(|index| Named::of(set, *index)).collect(),
        }
    }
}
