//! What the agent tells whoever watches it: lines on standard error, written by a thread of their own.
//!
//! A terminal that is held (Ctrl-S) or a reader that has stopped must not keep the agent from its work, nor from ending.

use std::{
    io::{self, Write as _},
    sync::{
        OnceLock,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

/// Lines that wait for a slow reader; what comes then is not said.
const WAITING_MAX: usize = 256;
/// How long the last lines may take when the agent ends.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

enum Word {
    Line(String),
    /// Answered when all lines before it are written.
    End(Sender<()>),
}

/// Tells somebody who watches the agent. Nothing depends on being heard.
pub(super) fn say(line: &str) {
    utter(Word::Line(format!("detector: {line}")));
}

/// Waits, but not for long, until everything is said.
pub(super) fn finish() {
    let (said, all_said) = channel();
    utter(Word::End(said));
    // An error is a reader that takes no more, or nobody who writes: there is nobody to tell.
    let _ = all_said.recv_timeout(LAST_LINES_WITHIN);
}

fn utter(word: Word) {
    static VOICE: OnceLock<Option<SyncSender<Word>>> = OnceLock::new();
    if let Some(voice) = VOICE.get_or_init(|| start().ok()) {
        // A full queue drops the line.
        let _ = voice.try_send(word);
    }
}

fn start() -> io::Result<SyncSender<Word>> {
    let (voice, words) = sync_channel(WAITING_MAX);
    thread::Builder::new()
        .name("voice".to_owned())
        .spawn(move || speak(&words))?;
    Ok(voice)
}

fn speak(words: &Receiver<Word>) {
    for word in words {
        // A closed standard error is no reason to stop.
        let _ = match word {
            Word::Line(line) => writeln!(io::stderr(), "{line}"),
            Word::End(said) => said.send(()).map_err(io::Error::other),
        };
    }
}
