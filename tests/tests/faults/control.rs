//! Hostile clients of the control socket.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
};

use anyhow::Result;
use detector_tests::{
    agent::running::{SOCKET, SOON, json, start, stats, stats_after},
    generate::Dice,
    lab::{ETH0, Pair},
    requirements::kernel_or_skip,
};

use super::{numbered::worm, taken};

/// Connections that say nothing, many times as many as are served at once.
const SILENT: usize = 600;
/// Questions at once, several times as many as are served.
const QUESTIONS: usize = 400;
/// Sources that make an answer longer than a socket takes if nobody reads.
const SOURCES: u32 = 2000;
/// Threads that the agent may start for them.
const THREADS: usize = 8;

/// Whoever connects and says nothing, in whatever number, keeps an operator waiting for a moment only.
#[test]
fn hundreds_who_connect_and_say_nothing_do_not_starve_who_asks() -> Result<()> {
    if !kernel_or_skip("hundreds_who_connect_and_say_nothing_do_not_starve_who_asks") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0])?;
    let descriptors = taken::descriptors(&pair.server)?;
    let silent = pair.server.run(|| {
        let connect = |_| UnixStream::connect(SOCKET);
        (0..SILENT).map(connect).collect::<Result<Vec<_>, _>>()
    })??;
    // The command gives up after ten seconds, and then fails.
    for command in ["status", "stats"] {
        json(&pair.server, &[command, "-o", "json"])?;
    }
    drop(silent);
    taken::wait_for_descriptors(&pair.server, descriptors)?;
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    Ok(())
}

/// Hundreds who ask at once what was counted, and do not even read the answer, occupy a few threads and keep an
/// operator waiting for a moment only, though each answer is long.
#[test]
fn hundreds_who_ask_and_do_not_read_do_not_starve_who_does() -> Result<()> {
    if !kernel_or_skip("hundreds_who_ask_and_do_not_read_do_not_starve_who_does") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0])?;
    pair.client.sender(ETH0)?.send_all((0..SOURCES).map(worm))?;
    stats_after(&pair.server, SOURCES.into())?;
    let descriptors = taken::descriptors(&pair.server)?;
    let threads = taken::threads(&pair.server)?;
    let asked = pair.server.run(|| {
        let ask = |_| {
            let mut client = UnixStream::connect(SOCKET)?;
            // It may have lost its place already.
            let _ = client.write_all(b"GET /v1/stats HTTP/1.1\r\nhost: detector\r\n\r\n");
            Ok(client)
        };
        (0..QUESTIONS).map(ask).collect::<io::Result<Vec<_>>>()
    })??;
    // The command gives up after ten seconds, and then fails.
    for command in ["status", "stats"] {
        json(&pair.server, &[command, "-o", "json"])?;
    }
    // A thread stays for a while when it has nothing to do, so this is how many there were.
    let now = taken::threads(&pair.server)?;
    assert!(now <= threads + THREADS, "{now} threads after {threads}");
    drop(asked);
    taken::wait_for_descriptors(&pair.server, descriptors)?;
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    Ok(())
}

/// An order to block somebody, with this note.
fn order(note: &[u8]) -> Vec<u8> {
    let body = [
        br#"{"prefix":"192.0.2.7","for_s":60,"force":false,"note":""#.as_slice(),
        note,
        b"\"}",
    ]
    .concat();
    let head = format!(
        "POST /v1/blocks HTTP/1.1\r\nhost: detector\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// Whatever is sent to the control socket, the agent goes on to answer, and keeps no descriptor of it.
#[test]
fn garbage_and_requests_without_end_cost_the_agent_nothing() -> Result<()> {
    if !kernel_or_skip("garbage_and_requests_without_end_cost_the_agent_nothing") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0])?;
    let descriptors = taken::descriptors(&pair.server)?;
    let long = vec![b'a'; 1 << 20];
    let get = b"GET /v1/status".as_slice();
    let questions = [
        Dice::new(3).bytes(1 << 16),
        vec![0; 1 << 16],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        [get, &long].concat(),
        [get, b" HTTP/1.1\r\nx: ", &long].concat(),
        [get, b" HTTP/1.1\r\n", &b"x: y\r\n".repeat(50_000)].concat(),
        [
            get,
            b" HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n",
            &long,
        ]
        .concat(),
        [
            get,
            b"?per_cpu=%00%1b%5b2J HTTP/1.1\r\nhost: \x1b[2J\r\n\r\n",
        ]
        .concat(),
        b"GET /v1/../../etc/passwd HTTP/1.1\r\n\r\n".to_vec(),
        b"DELETE /v1/stats HTTP/1.1\r\n\r\n".to_vec(),
        order(&long),
    ];
    for question in &questions {
        let mut client = pair.server.run(|| UnixStream::connect(SOCKET))??;
        client.set_write_timeout(Some(SOON))?;
        client.set_read_timeout(Some(SOON))?;
        // The agent may hang up before it was all sent; what matters is that it hangs up.
        let _ = client.write_all(question);
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert!(answer.len() < 1 << 16, "{} bytes of answer", answer.len());
        assert!(!answer.contains(&0x1b), "{}", answer.escape_ascii());
        assert!(stats(&pair.server).is_ok());
    }
    taken::wait_for_descriptors(&pair.server, descriptors)?;
    // What is longer than any order is not even read to its end.
    for (note, status) in [(&long[..100], 200), (&long[..300], 409), (&long[..], 400)] {
        let mut client = pair.server.run(|| UnixStream::connect(SOCKET))??;
        client.set_read_timeout(Some(SOON))?;
        let _ = client.write_all(&order(note));
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = answer.escape_ascii().to_string();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    assert!(!agent.stderr().join("\n").contains("panicked"));
    Ok(())
}
