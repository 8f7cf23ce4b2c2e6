//! A rule in steps: from what its header asks to all of it, so that whoever wonders why it does not match sees what keeps packets out.
//!
//! Each step is a rule of its own, which asks all that the one before asks and one thing more: what does not get past one gets past
//! none behind it.

use super::{
    header::{Action, Set},
    rule::{Flow, Rule, Test},
};

/// A part of a rule.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it asks that the step before does not, in letters that a terminal shows as they are.
    pub asks: String,
    /// The rule that asks so much.
    pub rule: Rule,
}

/// The steps of a rule, of which the last is all of it. Their action is to alert, and is told: one that passes would not be.
#[must_use]
pub fn steps(rule: &Rule) -> Vec<Step> {
    let header = &rule.header;
    let mut so_far = Rule {
        patterns: Vec::new(),
        pcres: Vec::new(),
        tests: Vec::new(),
        flow: Flow::default(),
        threshold: None,
        flow_bits: Vec::new(),
        is_silent: false,
        ..rule.clone()
    };
    so_far.header.action = Action::Alert;
    so_far.header.source.0 = Set::Any;
    so_far.header.destination.0 = Set::Any;
    let has_ports = header.source.1 != Set::Any || header.destination.1 != Set::Any;
    let protocol = header.protocol.name();
    let asks = if has_ports {
        format!("{protocol}, from and to its ports")
    } else {
        protocol.to_owned()
    };
    let mut steps = vec![Step {
        asks,
        rule: so_far.clone(),
    }];
    let mut push = |asks: &str, rule: &Rule| {
        steps.push(Step {
            asks: asks.to_owned(),
            rule: rule.clone(),
        });
    };
    if header.source.0 != Set::Any || header.destination.0 != Set::Any {
        so_far.header.source.0 = header.source.0.clone();
        so_far.header.destination.0 = header.destination.0.clone();
        push("from and to its addresses", &so_far);
    }
    if rule.flow != Flow::default() {
        so_far.flow = rule.flow;
        push(&rule.flow.to_string(), &so_far);
    }
    // These may count from a pattern, which has to be there first.
    let is_late = |test: &Test| matches!(test, Test::DataAt { .. } | Test::ByteTest(_));
    for test in rule.tests.iter().filter(|test| !is_late(test)) {
        so_far.tests.push(*test);
        push(&test.to_string(), &so_far);
    }
    for pattern in &rule.patterns {
        so_far.patterns.push(pattern.clone());
        push(&pattern.to_string(), &so_far);
    }
    for test in rule.tests.iter().filter(|test| is_late(test)) {
        so_far.tests.push(*test);
        push(&test.to_string(), &so_far);
    }
    for pcre in &rule.pcres {
        so_far.pcres.push(pcre.clone());
        push(&pcre.to_string(), &so_far);
    }
    so_far.flow_bits.clone_from(&rule.flow_bits);
    let asked = rule.flow_bits.iter().filter(|bit| bit.asks());
    let asked: Vec<_> = asked.map(ToString::to_string).collect();
    if !asked.is_empty() {
        push(&asked.join("; "), &so_far);
    }
    if let Some(threshold) = rule.threshold {
        so_far.threshold = rule.threshold;
        push(&threshold.to_string(), &so_far);
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::RuleSet, *};

    #[test]
    fn a_rule_is_taken_apart_into_steps_of_which_the_last_is_all_of_it() {
        let text = "pass tcp 192.0.2.1 any -> any 80 (content:\"ab\"; isdataat:4,relative; flow:established; dsize:>4; \
                    content:\"c\"; distance:0; sid:1;)";
        let set = RuleSet::from_bytes(Path::new("x.rules"), text.as_bytes());
        let rule = &set.rules[0];
        let steps = steps(rule);
        let asks: Vec<_> = steps.iter().map(|step| &*step.asks).collect();
        assert_eq!(
            asks,
            [
                "tcp, from and to its ports",
                "from and to its addresses",
                "flow:established",
                "dsize:>4",
                "content:\"ab\"",
                "content:\"c\"; distance:0",
                "isdataat:4,relative",
            ]
        );
        let mut whole = steps.last().unwrap().rule.clone();
        assert_eq!(whole.header.action, Action::Alert);
        whole.header.action = rule.header.action;
        whole.tests.clone_from(&rule.tests);
        assert_eq!(&whole, rule);
    }
}
