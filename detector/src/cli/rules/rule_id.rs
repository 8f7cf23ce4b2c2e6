//! The number of a rule on the command line, and the rule that has it.

use std::{fmt, str::FromStr};

use crate::{
    exit::Exit,
    output::FileName,
    rules::{Number, Problem, Rule, RuleSet},
};

/// `SID`, or `GID:SID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuleId {
    gid: Option<u32>,
    sid: u32,
}

/// It is no number of a rule.
#[derive(Debug, thiserror::Error)]
#[error("expected a number as in 40, or with its generator as in 1:40")]
pub(super) struct NotAnId;

impl FromStr for RuleId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().map_err(|_| NotAnId);
        let (gid, sid) = match text.split_once(':') {
            Some((gid, sid)) => (Some(number(gid)?), sid),
            None => (None, text),
        };
        Ok(Self {
            gid,
            sid: number(sid)?,
        })
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gid) = self.gid {
            write!(out, "{gid}:")?;
        }
        write!(out, "{}", self.sid)
    }
}

/// The rule of a number cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoRule {
    #[error("no rule has the number {0}: `detector rules list` says which there are")]
    Unknown(RuleId),
    #[error("{file}:{line}:{column}: rule {id} is refused: {problem}")]
    Refused {
        id: RuleId,
        file: FileName,
        line: usize,
        column: usize,
        problem: Problem,
    },
    #[error("rules of several generators have the number {sid}: say which, as in {gid}:{sid}")]
    Several { gid: u32, sid: u32 },
}

impl NoRule {
    /// With what a command ends that is only to tell of the rule.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Refused { .. } => Exit::Found,
            Self::Unknown(_) | Self::Several { .. } => Exit::Usage,
        }
    }
}

impl RuleId {
    /// The rule of this number.
    pub(super) fn find(self, set: &RuleSet) -> Result<&Rule, NoRule> {
        let is_meant = |rule: &&Rule| self.is_of(rule.gid, rule.sid);
        let mut found = set.rules.iter().filter(is_meant);
        match (found.next(), found.next()) {
            (Some(rule), None) => Ok(rule),
            (Some(Rule { gid, sid, .. }), Some(_)) => Err(NoRule::Several {
                gid: *gid,
                sid: *sid,
            }),
            (None, _) => Err(self.missing(set)),
        }
    }

    fn is_of(self, gid: u32, sid: u32) -> bool {
        sid == self.sid && self.gid.is_none_or(|asked| asked == gid)
    }

    fn missing(self, set: &RuleSet) -> NoRule {
        let mut refusals = set.refusals.iter();
        let refused = refusals.find(|refusal| {
            refusal
                .number
                .is_some_and(|Number { gid, sid }| self.is_of(gid, sid))
        });
        let refused = refused.and_then(|refusal| {
            Some(NoRule::Refused {
                id: self,
                file: set.files.get(refusal.origin.file)?.clone(),
                line: refusal.origin.line,
                column: refusal.column,
                problem: refusal.problem.clone(),
            })
        });
        refused.unwrap_or(NoRule::Unknown(self))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_number_that_several_have_is_said_with_its_generator() {
        let rule =
            |gid: u32, sid: u32| format!("alert udp any any -> any 9 (gid:{gid}; sid:{sid};)\n");
        let text = [rule(1, 7), rule(2, 7), rule(1, 8)].concat()
            + "alert udp any any -> any 9 (pcre:\"/a/\"; sid:9;)";
        let set = RuleSet::from_bytes(Path::new("x.rules"), text.as_bytes());
        let find = |text: &str| {
            let found = text.parse::<RuleId>().unwrap().find(&set);
            found
                .map(|rule| (rule.gid, rule.sid))
                .map_err(|error| error.to_string())
        };
        assert_eq!(find("8"), Ok((1, 8)));
        assert_eq!(find("2:7"), Ok((2, 7)));
        assert!(find("7").is_err_and(|error| error.ends_with("as in 1:7")));
        assert!(find("2:8").is_err_and(|error| error.starts_with("no rule")));
        assert_eq!(
            find("9"),
            Err(
                "x.rules:1:1: rule 9 is refused: pcre: such expressions are not matched in the kernel; with allow-partial the agent decides them, and the rule only alerts"
                    .replace(":1:1", ":4:29")
            )
        );
        assert!(find("1:9").is_err_and(|error| error.contains("rule 1:9 is refused")));
        assert!(find("2:9").is_err_and(|error| error.starts_with("no rule")));
        for wrong in ["", "x", "1:", ":1", "-1", "1:2:3", "4294967296"] {
            assert!(wrong.parse::<RuleId>().is_err(), "{wrong}");
        }
    }
}
