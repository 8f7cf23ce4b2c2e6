//! New rules for a running agent, when it is told to, or when a file has changed.
//!
//! They are read and compiled aside, and put in force in one step. What is wrong with them leaves those before in force.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{
    kernel::{KernelError, RuleMaps},
    view::View,
    voice::say,
};
use crate::{
    rules::Book,
    settings::{RulesSettings, Settings, SettingsError},
    tables::HashSeed,
};

/// How often files are looked at. One that has changed is read when it is the same at two looks: then nobody is at writing it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the rules came from.
#[derive(Debug)]
pub struct Origin {
    /// The configuration, if there is one.
    pub config: Option<PathBuf>,
    /// Whether the command line asks to enforce.
    pub enforce: bool,
    /// What the agent was started with.
    pub settings: Settings,
}

/// The rules that are in force, and how they came there.
pub(super) struct Rules {
    origin: Origin,
    maps: RuleMaps,
    files: Files,
}

/// What became of rules that were read anew.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reloaded {
    /// How many are in force.
    pub(super) rules: usize,
    /// What the operator should know of the others.
    pub(super) warnings: Vec<String>,
}

/// Rules were not read anew.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReloaded {
    /// Something is wrong with the files.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The kernel does not take them.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl Rules {
    pub(super) fn new(origin: Origin, maps: RuleMaps) -> Self {
        let mut rules = Self {
            files: Files::default(),
            origin,
            maps,
        };
        rules.files = rules.files_of(&rules.origin.settings.rules);
        rules
    }

    /// Reads the files, and puts their rules in force; `announce` is given their book before a packet can meet one of them.
    pub(super) fn reload(
        &mut self,
        before: &Book,
        announce: impl FnOnce(Book),
    ) -> Result<Reloaded, NotReloaded> {
        // As they are before they are read: if one changes meanwhile, it is read again.
        self.files = self.files_of(&self.origin.settings.rules);
        let Origin {
            config, enforce, ..
        } = &self.origin;
        let settings = Settings::of_command_line(config.as_deref(), *enforce)?;
        self.files = self.files_of(&settings.rules);
        // Of the configuration only what is said of rules is taken over.
        let (tables, set) = settings.tables_after(before, HashSeed::FIXED)?;
        let mut warnings: Vec<_> = set.warnings().collect();
        if !settings.differs_in_rules_only(&self.origin.settings) {
            warnings.push("besides the rules the configuration has changed: that takes effect when the agent is started again".to_owned());
        }
        let reused = tables
            .book
            .new_slots(before)
            .filter(|slot| before.get(*slot).is_some());
        self.maps.clear_counters(reused)?;
        let rules = tables.book.len();
        announce(Book::clone(&tables.book));
        self.maps.switch(&tables)?;
        self.origin.settings.rules = settings.rules;
        self.origin.settings.http_ports = settings.http_ports;
        Ok(Reloaded { rules, warnings })
    }

    /// The files that `rules` come from, as they are now.
    fn files_of(&self, rules: &RulesSettings) -> Files {
        let config = self.origin.config.iter();
        Files::now(config.chain(&rules.files).map(PathBuf::as_path))
    }
}

/// Files, and by what it is seen that one has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// Device and number, length, and the times of the last change of contents and of anything.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Files {
    fn now<'p>(paths: impl Iterator<Item = &'p Path>) -> Self {
        Self(
            paths
                .map(|path| (path.to_owned(), stamp(path).ok()))
                .collect(),
        )
    }

    /// The same files, as they are now.
    fn again(&self) -> Self {
        Self::now(self.0.iter().map(|(path, _)| path.as_path()))
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let file = fs::metadata(path)?;
    Ok((
        file.dev(),
        file.ino(),
        file.size(),
        (file.mtime(), file.mtime_nsec()),
        (file.ctime(), file.ctime_nsec()),
    ))
}

impl View {
    /// Reads the rules anew, and says what became of that.
    pub(super) fn reload(&self) -> Result<Reloaded, NotReloaded> {
        let reloaded = self.read_rules();
        match &reloaded {
            Ok(Reloaded { rules, warnings }) => {
                for warning in warnings {
                    say(&format!("warning: {warning}"));
                }
                say(&format!("rules read anew, in force now: {rules}"));
            }
            Err(error) => say(&format!(
                "rules not read anew, those before stay in force: {error}"
            )),
        }
        reloaded
    }

    fn read_rules(&self) -> Result<Reloaded, NotReloaded> {
        let mut rules = self.rules();
        let before = self.book();
        let reloaded = rules.reload(&before, |book| self.set_book(Arc::new(book)));
        if reloaded.is_err() {
            self.set_book(before);
        }
        reloaded
    }

    /// The files that rules come from, as they were when they were read.
    fn rule_files(&self) -> Files {
        self.rules().files.clone()
    }
}

/// Reads the rules anew whenever a file of them has changed, without end.
pub(super) async fn follow_files(view: Arc<View>) {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = view.rule_files().again();
    loop {
        tick.tick().await;
        let view = Arc::clone(&view);
        let before = seen;
        let look = spawn_blocking(move || {
            let known = view.rule_files();
            let now = known.again();
            if now != known && now == before {
                // It was said what became of it.
                let _ = view.reload();
            }
            now
        });
        seen = look.await.unwrap_or_default();
    }
}
