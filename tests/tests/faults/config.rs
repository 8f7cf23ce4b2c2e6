//! A configuration that cannot be used.

use std::fs;

use anyhow::Result;
use detector_tests::{
    agent::running::{ensure_nothing_is_left, refusal},
    lab::Host,
    requirements::kernel_or_skip,
};

/// With a configuration that is cut off, damaged, too long, no regular file (a FIFO would be waited for without end),
/// unreadable or not there, no agent starts: one line says where and why, the exit code is 2, and nothing is left.
#[test]
fn no_agent_starts_with_a_configuration_that_it_cannot_read_whole() -> Result<()> {
    if !kernel_or_skip("no_agent_starts_with_a_configuration_that_it_cannot_read_whole") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let good = "mode = \"enforce\"\n\n[arp_flood]\npolicy = \"limit\"\nsender = \"15/s\"\n";
    let cut = &good[..good.len() - 5];
    let files: [(&str, &[u8], &str); 6] = [
        ("cut", cut.as_bytes(), ":5:"),
        (
            "damaged",
            &good.replace("limit", "l\u{0}mit").into_bytes(),
            ":4:",
        ),
        ("binary", b"\x7fELF\x02\x01\x01\xff\xfe", ":1:"),
        ("terminal", b"\x1b[2J = 1", ":1:2:"),
        ("long", &[b'#'; 300_000], "longer than 262144 bytes"),
        (
            "deep",
            &[b"a = ".as_slice(), &[b'['; 100_000]].concat(),
            ":1:",
        ),
    ];
    for (name, text, words) in files {
        let path = format!("/run/{name}.toml");
        host.run(|| fs::write(&path, text))??;
        refuses(&host, &path, words)?;
    }
    host.output("mkfifo", &["/run/fifo"])?;
    for path in ["/run", "/run/fifo", "/dev/null"] {
        refuses(&host, path, "no regular file")?;
    }
    // Not even root reads what is mapped at address 0.
    refuses(&host, "/proc/self/mem", "Input/output error")?;
    refuses(&host, "/run/none.toml", "No such file")
}

fn refuses(host: &Host, config: &str, words: &str) -> Result<()> {
    let (code, said) = refusal(host, &["run", "--lan", "lo", "--config", config])?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with(&format!("detector: {config}:")), "{said}");
    assert!(said.contains(words), "{words:?} in {said}");
    assert!(
        !said.contains(['\u{1b}', '\0']) && said.len() < 400,
        "{said}"
    );
    ensure_nothing_is_left(host, &["lo"])
}
