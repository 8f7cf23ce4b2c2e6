//! `--allow-partial`, of all commands that read rules.

use clap::Args;

use crate::settings::Settings;

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Partial {
    /// Take rules with `pcre` too, which the agent decides on the beginning of a packet; they only alert
    #[arg(long)]
    pub(super) allow_partial: bool,
}

impl Partial {
    /// Allows it, if it is asked for, whatever the configuration says.
    pub(super) fn apply(self, settings: &mut Settings) {
        settings.rules.allow_partial |= self.allow_partial;
    }
}
