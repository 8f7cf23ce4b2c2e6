//! The asking and telling end of the control socket.
//!
//! Whatever listens there may be slow, endless or hostile. So an answer has a time and a size, and no letter of it that
//! does something to a terminal gets further than this.

use std::{error::Error as _, io, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;
use tokio::{net::UnixStream, runtime, time::timeout};

use super::{ARP, BLOCKS, CONFIRM, PROTECTED, RELOAD, STATS, STATUS, Whom};
use crate::{
    agent::{
        arp::ArpTable,
        reload::Reloaded,
        response::{BlockList, BlockOrder, ProtectedList},
        stats::Stats,
        status::Status,
    },
    exit::Exit,
    output::{FileName, Prefix},
};

/// How long an answer may take: longer than the agent gives to a connection that keeps this one waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may be, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The agent gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no agent listens on {0}: start one with `detector run`, or say with --socket where it listens"
    )]
    NotRunning(FileName),
    /// It hangs up instead.
    #[error(
        "what listens on {0} hangs up without an answer: the agent has just ended, or it is none"
    )]
    HungUp(FileName),
    /// The process may not ask.
    #[error(
        "not permitted to ask the agent on {0}: run as root, or as a member of the socket's group"
    )]
    NotPermitted(FileName),
    /// It takes too long.
    #[error("the agent on {0} does not answer within {seconds} s: see whether it is stopped", seconds = ANSWER_WITHIN.as_secs())]
    Silent(FileName),
    /// It does not do what it is told to.
    #[error("{0}")]
    Refused(String),
    /// It says that it cannot.
    #[error("the agent on {0} cannot answer: {1}")]
    Failed(FileName, String),
    /// What it says is no answer to the question.
    #[error(
        "what listens on {0} does not answer as an agent of this version does ({1}): is it `detector run`?"
    )]
    NotUnderstood(FileName, String),
    /// Something else.
    #[error("cannot ask the agent on {0}: {1}")]
    Io(FileName, io::Error),
}

impl ClientError {
    /// The exit code that tells a script of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotRunning(_) | Self::HungUp(_) => Exit::AgentNotRunning,
            Self::NotPermitted(_) => Exit::NotPermitted,
            Self::Silent(_)
            | Self::Refused(_)
            | Self::Failed(..)
            | Self::NotUnderstood(..)
            | Self::Io(..) => Exit::Failed,
        }
    }
}

/// Asks the agent that listens on `socket` what it counted; by CPU too if `per_cpu`.
///
/// # Errors
///
/// It gives no answer.
pub fn stats(socket: &Path, per_cpu: bool) -> Result<Stats, ClientError> {
    ask(socket, &format!("{STATS}?per_cpu={per_cpu}"))
}

/// Asks the agent that listens on `socket` how it is.
///
/// # Errors
///
/// It gives no answer.
pub fn status(socket: &Path) -> Result<Status, ClientError> {
    ask(socket, STATUS)
}

/// Asks the agent that listens on `socket` who speaks ARP and who owns which address.
///
/// # Errors
///
/// It gives no answer.
pub fn arp(socket: &Path) -> Result<ArpTable, ClientError> {
    ask(socket, ARP)
}

/// Asks whom the agent that listens on `socket` blocks.
///
/// # Errors
///
/// It gives no answer.
pub fn blocks(socket: &Path) -> Result<BlockList, ClientError> {
    ask(socket, BLOCKS)
}

/// Tells it to block somebody.
///
/// # Errors
///
/// It refuses, or gives no answer.
pub fn block(socket: &Path, order: &BlockOrder) -> Result<(), ClientError> {
    tell(socket, &Method::POST, BLOCKS, order)
}

/// Tells it to end a block.
///
/// # Errors
///
/// As of [`block`].
pub fn unblock(socket: &Path, prefix: Prefix) -> Result<(), ClientError> {
    tell(socket, &Method::DELETE, BLOCKS, &Whom { prefix })
}

/// Asks whom the agent that listens on `socket` protects.
///
/// # Errors
///
/// It gives no answer.
pub fn protected(socket: &Path) -> Result<ProtectedList, ClientError> {
    ask(socket, PROTECTED)
}

/// Tells it to protect somebody.
///
/// # Errors
///
/// As of [`block`].
pub fn protect(socket: &Path, prefix: Prefix) -> Result<(), ClientError> {
    tell(socket, &Method::POST, PROTECTED, &Whom { prefix })
}

/// Tells it to protect somebody no longer.
///
/// # Errors
///
/// As of [`block`].
pub fn unprotect(socket: &Path, prefix: Prefix) -> Result<(), ClientError> {
    tell(socket, &Method::DELETE, PROTECTED, &Whom { prefix })
}

/// Tells it that it may go on enforcing.
///
/// # Errors
///
/// As of [`block`].
pub fn confirm(socket: &Path) -> Result<(), ClientError> {
    tell(socket, &Method::POST, CONFIRM, &())
}

/// Tells it to read its rules anew.
///
/// # Errors
///
/// As of [`block`]; then those before stay in force.
pub fn reload(socket: &Path) -> Result<Reloaded, ClientError> {
    let Reloaded { rules, warnings } = send(socket, &Method::POST, RELOAD, Bytes::new())?;
    Ok(Reloaded {
        rules,
        warnings: warnings.iter().map(|text| printable(text)).collect(),
    })
}

fn ask<T: DeserializeOwned>(socket: &Path, question: &str) -> Result<T, ClientError> {
    send(socket, &Method::GET, question, Bytes::new())
}

fn tell(
    socket: &Path,
    method: &Method,
    path: &str,
    order: &impl Serialize,
) -> Result<(), ClientError> {
    let order = serde_json::to_vec(order);
    let order =
        order.map_err(|error| ClientError::Io(FileName::new(socket), io::Error::other(error)))?;
    send::<IgnoredAny>(socket, method, path, order.into()).map(|_| ())
}

fn send<T: DeserializeOwned>(
    socket: &Path,
    method: &Method,
    path: &str,
    body: Bytes,
) -> Result<T, ClientError> {
    let name = || FileName::new(socket);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Io(name(), error))?;
    runtime.block_on(async {
        timeout(ANSWER_WITHIN, exchange(socket, method, path, body))
            .await
            .map_err(|_| ClientError::Silent(name()))?
    })
}

async fn exchange<T: DeserializeOwned>(
    socket: &Path,
    method: &Method,
    path: &str,
    body: Bytes,
) -> Result<T, ClientError> {
    let name = || FileName::new(socket);
    let broken = |error: hyper::Error| {
        if is_hang_up(&error) {
            ClientError::HungUp(name())
        } else {
            ClientError::NotUnderstood(name(), error.to_string())
        }
    };
    let not_understood =
        |error: &dyn ToString| ClientError::NotUnderstood(name(), printable(&error.to_string()));

    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| not_connected(socket, error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "detector")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| not_understood(&error))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let body = body.collect().await;
    let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => broken(*error),
        Err(error) => not_understood(&error),
    })?;
    let body = body.to_bytes();
    if !status.is_success() {
        let why = printable(&String::from_utf8_lossy(&body));
        return Err(if status.is_server_error() {
            ClientError::Failed(name(), why)
        } else if status == StatusCode::CONFLICT {
            ClientError::Refused(why)
        } else {
            ClientError::NotUnderstood(name(), status.to_string())
        });
    }
    let mut answer: Value =
        serde_json::from_slice(&body).map_err(|error| not_understood(&error))?;
    make_printable(&mut answer);
    serde_json::from_value(answer).map_err(|error| not_understood(&error))
}

/// Whether the other end is gone.
fn is_hang_up(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref());
    let kind = source.map(io::Error::kind);
    error.is_incomplete_message()
        || error.is_canceled()
        || matches!(
            kind,
            Some(
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
            )
        )
}

fn not_connected(socket: &Path, error: io::Error) -> ClientError {
    let name = FileName::new(socket);
    let kind = error.kind();
    if matches!(
        kind,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused
    ) {
        ClientError::NotRunning(name)
    } else if kind == io::ErrorKind::PermissionDenied {
        ClientError::NotPermitted(name)
    } else {
        ClientError::Io(name, error)
    }
}

/// Escapes, in every text of an answer, what a terminal would not show but do.
fn make_printable(answer: &mut Value) {
    match answer {
        Value::String(text) => *text = printable(text),
        Value::Array(values) => values.iter_mut().for_each(make_printable),
        Value::Object(fields) => fields.values_mut().for_each(make_printable),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text on one line and of bounded length, with what is no letter, digit or mark escaped.
fn printable(text: &str) -> String {
    const LETTERS_MAX: usize = 4096;
    let escape = |letter: char| match letter {
        '"' | '\'' | '\\' => letter.to_string(),
        _ => letter.escape_debug().to_string(),
    };
    text.chars().take(LETTERS_MAX).map(escape).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixListener,
        thread,
    };

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    /// What the client makes of somebody who answers with these bytes.
    fn answered_with(answer: impl Into<Vec<u8>>) -> Result<Option<ClientError>, io::Error> {
        let answer = answer.into();
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path)?;
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let _ = stream.read(&mut [0; 4096])?;
            stream.write_all(&answer)
        });
        let error = status(&path).err();
        // The client may hang up before it was all written.
        drop(server.join());
        Ok(error)
    }

    #[test]
    fn where_nobody_listens_no_agent_runs() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control.sock");
        let exit = |path: &Path| status(path).err().map(|error| error.exit());
        assert_eq!(exit(&path), Some(Exit::AgentNotRunning));
        drop(UnixListener::bind(&path)?);
        assert_eq!(exit(&path), Some(Exit::AgentNotRunning));
        Ok(())
    }

    #[test]
    fn an_answer_that_is_none_is_named_and_nothing_of_it_reaches_a_terminal() -> TestResult {
        for answer in [
            &b"SSH-2.0-OpenSSH\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n\x1b[2J{}{}{",
            b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"\x1b\x1b\x9b\": \"\x1b[2Jx\"}",
            b"HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"schema_version\": \"\\u001b\"}",
            b"HTTP/1.1 500 No\r\ncontent-length: 5\r\n\r\n\x1b[2J\n",
            b"HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull",
        ] {
            let error = answered_with(answer)?;
            let line = error.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(line.contains("control.sock"), "{line:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
            assert_eq!(error.map(|error| error.exit()), Some(Exit::Failed));
        }
        Ok(())
    }

    #[test]
    fn who_hangs_up_is_no_agent_any_more() -> TestResult {
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{",
        ] {
            let error = answered_with(answer)?;
            assert!(matches!(error, Some(ClientError::HungUp(_))), "{error:?}");
            assert_eq!(error.map(|error| error.exit()), Some(Exit::AgentNotRunning));
        }
        Ok(())
    }

    #[test]
    fn an_answer_without_end_is_not_read_to_its_end() -> TestResult {
        let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        answer.resize(ANSWER_BYTES_MAX + 4096, b' ');
        let error = answered_with(answer)?;
        let line = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(line.contains("length limit exceeded"), "{line}");
        Ok(())
    }

    #[test]
    fn what_a_terminal_would_do_is_escaped_in_every_text() {
        let mut answer =
            serde_json::json!([{ "name": "a\u{1b}[2J" }, ["\u{9b}x", "\"\u{202e}"], 7]);
        make_printable(&mut answer);
        let expected =
            serde_json::json!([{ "name": "a\\u{1b}[2J" }, ["\\u{9b}x", "\"\\u{202e}"], 7]);
        assert_eq!(answer, expected);
    }
}
