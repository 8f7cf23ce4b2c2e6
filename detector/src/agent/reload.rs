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
    output::FileName,
    rules::{Book, FILE_MAX, is_finished},
    settings::{Settings, SettingsError},
    tables::{HashSeed, Tables},
    text::read_bounded,
};

/// How often files are looked at. One that has changed is read when it is the same at two looks: then nobody is at writing it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the rules come from.
#[derive(Debug)]
pub struct Origin {
    /// The configuration, if there is one.
    config: Option<PathBuf>,
    /// Whether the command line asks to enforce.
    enforce: bool,
    /// Whether it takes rules that are partial.
    allow_partial: bool,
    /// What the agent was started with, but for the rules, which are those that were read last.
    pub settings: Settings,
    /// What was read for that, as it was before.
    files: Files,
}

/// The rules that are in force, and how they came there.
pub(super) struct Rules {
    origin: Origin,
    maps: RuleMaps,
}

/// What became of rules that were read anew.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reloaded {
    /// How many are in force.
    pub rules: usize,
    /// What the operator should know of the others.
    pub warnings: Vec<String>,
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

impl Origin {
    /// Reads the configuration, if there is one, as the command line asks for it.
    ///
    /// # Errors
    ///
    /// It cannot be read, or something in it is wrong.
    pub fn read(
        config: Option<PathBuf>,
        enforce: bool,
        allow_partial: bool,
    ) -> Result<Self, SettingsError> {
        // Looked at before they are read: one that changes meanwhile is read again.
        let mut files = Files::now(config.as_deref());
        let mut settings = Settings::of_command_line(config.as_deref(), enforce)?;
        settings.rules.allow_partial |= allow_partial;
        files.add(&settings.rules.files);
        Ok(Self {
            config,
            enforce,
            allow_partial,
            settings,
            files,
        })
    }

    /// The same as it is now. If it cannot be read, this one is not tried again before a file has changed once more.
    fn again(&mut self) -> Result<Self, SettingsError> {
        self.files = self.files.again();
        let next = Self::read(self.config.clone(), self.enforce, self.allow_partial)?;
        self.files = next.files.clone();
        Ok(next)
    }
}

impl Rules {
    pub(super) fn new(origin: Origin, maps: RuleMaps) -> Self {
        Self { origin, maps }
    }

    /// Reads the files, and puts their rules in force; `announce` is given their tables before a packet can meet one of them.
    pub(super) fn reload(
        &mut self,
        before: &Book,
        announce: impl FnOnce(&Arc<Tables>),
    ) -> Result<Reloaded, NotReloaded> {
        let settings = self.origin.again()?.settings;
        // Of the configuration only what is said of rules is taken over.
        let (tables, set) = settings.tables_after(before, HashSeed::FIXED)?;
        let mut warnings: Vec<_> = set.warnings().collect();
        if !settings.differs_in_rules_only(&self.origin.settings) {
            warnings.push("besides the rules the configuration has changed: that takes effect when the agent is started again".to_owned());
        }
        let tables = Arc::new(tables);
        announce(&tables);
        self.maps.switch(&tables)?;
        // Not before: the rules that are given up were counted there.
        let reused = tables
            .book
            .new_slots(before)
            .filter(|slot| before.get(*slot).is_some());
        if let Err(error) = self.maps.clear_counters(reused) {
            // The new rules are in force all the same.
            warnings.push(format!(
                "a new rule may count on where another ended: {error}"
            ));
        }
        self.origin.settings.rules = settings.rules;
        self.origin.settings.http_ports = settings.http_ports;
        Ok(Reloaded {
            rules: set.rules.len(),
            warnings,
        })
    }
}

/// Files, and by what it is seen that one has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// Device and number, length, and the times of the last change of contents and of anything.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Files {
    /// These, as they are now.
    fn now<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut files = Self::default();
        files.add(paths);
        files
    }

    /// Adds these, as they are now.
    fn add<P: AsRef<Path>>(&mut self, paths: impl IntoIterator<Item = P>) {
        let paths = paths.into_iter();
        self.0.extend(paths.map(|path| {
            let path = path.as_ref();
            (path.to_owned(), stamp(path).ok())
        }));
    }

    /// The same files, as they are now.
    fn again(&self) -> Self {
        Self::now(self.0.iter().map(|(path, _)| path))
    }

    /// One of those that were written in place since they were `known`, and that end where somebody may be about to write more. One that
    /// took another's place was written before that.
    fn unfinished_since(&self, known: &Self) -> Option<&Path> {
        let mut files = self.0.iter().zip(&known.0);
        let unfinished = files.find(|((path, now), (_, known))| {
            let (Some(now), Some(known)) = (now, known) else {
                return false;
            };
            let is_in_place = now != known && (now.0, now.1) == (known.0, known.1);
            // Of one that cannot be read it is told when it is to be.
            is_in_place && read_bounded(path, FILE_MAX).is_ok_and(|bytes| !is_finished(&bytes))
        });
        unfinished.map(|((path, _), _)| path.as_path())
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
        let decided_before = self.partial().tables();
        let reloaded = rules.reload(&before, |tables| {
            self.set_book(Arc::clone(&tables.book));
            self.partial().decide_by(tables, &before);
        });
        if reloaded.is_err() {
            self.set_book(before);
            self.partial().decide_again_by(decided_before);
        }
        reloaded
    }

    /// The files that rules come from, as they were when they were read.
    fn rule_files(&self) -> Files {
        self.rules().origin.files.clone()
    }
}

/// Reads the rules anew whenever a file of them has changed, without end. One that is perhaps not written to its end is left to whoever
/// says `rules reload`, and that is told.
pub(super) async fn follow_files(view: Arc<View>) {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = view.rule_files().again();
    let mut told = Files::default();
    loop {
        tick.tick().await;
        let view = Arc::clone(&view);
        let (before, told_before) = (seen, told);
        let look = spawn_blocking(move || {
            let known = view.rule_files();
            let now = known.again();
            if now == known || now != before || now == told_before {
                return (now, told_before);
            }
            let Some(path) = now.unfinished_since(&known) else {
                // It is said what became of it.
                let _ = view.reload();
                return (now, told_before);
            };
            say(&format!(
                "{}: not read anew, for it does not end with a whole line: if it is written to its end, say `detector rules reload`",
                FileName::new(path)
            ));
            (now.clone(), now)
        });
        (seen, told) = look.await.unwrap_or_default();
    }
}
