//! What keeps an agent from starting: one line that says what and how to mend it, the right exit code, nothing left.

use std::{fs, os::unix::fs::chown};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{Xdp, XdpMode},
};
use detector::agent::kernel::{BENCH_OBJECT, has_frags};
use detector_tests::{
    agent::running::{
        SOCKET, SOON, attached, detector, ensure_nothing_is_left, exists, json, refusal,
        refusal_of, run, start,
    },
    lab::{ETH0, Host, Pair},
    requirements::kernel_or_skip,
};

const NOBODY: u32 = 65534;

/// Refuses with this code and these words, and leaves nothing.
fn refuses(host: &Host, arguments: &[&str], code: i32, words: &[&str]) -> Result<()> {
    let (exit, said) = refusal(host, arguments)?;
    assert_eq!(exit, Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} in {said}");
    }
    ensure_nothing_is_left(host, &[])
}

#[test]
fn a_mistake_in_the_command_is_exit_code_2() -> Result<()> {
    if !kernel_or_skip("a_mistake_in_the_command_is_exit_code_2") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let twice = ["run", "--wan", "lo", "--lan", "lo"];
    refuses(&host, &twice, 2, &["lo", "twice"])?;
    let mut many = vec!["run", "--wan"];
    many.extend([
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
    ]);
    refuses(&host, &many, 2, &["17", "16"])?;
    for arguments in [
        &["run"][..],
        &["run", "--wan", "a/b"],
        &["run", "--wan", "\u{1b}[2J"],
    ] {
        let output = run(&host, arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.contains(&0x1b), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn an_interface_that_is_not_there_is_named() -> Result<()> {
    if !kernel_or_skip("an_interface_that_is_not_there_is_named") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    refuses(
        &host,
        &["run", "--wan", "wan0"],
        1,
        &["no interface wan0", "there are: lo"],
    )
}

#[test]
fn without_an_agent_there_is_nobody_to_ask() -> Result<()> {
    if !kernel_or_skip("without_an_agent_there_is_nobody_to_ask") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    for command in ["stats", "status"] {
        refuses(&host, &[command], 7, &["no agent", SOCKET, "detector run"])?;
    }
    Ok(())
}

#[test]
fn a_second_agent_is_refused_and_the_first_goes_on() -> Result<()> {
    if !kernel_or_skip("a_second_agent_is_refused_and_the_first_goes_on") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut first = start(&pair.server, &["--wan", ETH0])?;
    let before = attached(&pair.server, ETH0)?;
    let other_socket = ["--socket", "/run/other.sock"];
    let other_pins = ["--pin-dir", "/sys/fs/bpf/other"];
    for (interface, others, words) in [
        (
            ETH0,
            &[][..],
            "listens on /run/detector/control.sock already",
        ),
        (
            "lo",
            &other_socket[..],
            "another agent uses /sys/fs/bpf/detector",
        ),
        (
            ETH0,
            &[other_socket, other_pins].concat(),
            "eth0 has XDP program",
        ),
    ] {
        let mut arguments = vec!["run", "--lan", interface];
        arguments.extend(others);
        let (code, said) = refusal(&pair.server, &arguments)?;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(attached(&pair.server, ETH0)?, before);
    assert!(run(&pair.server, &["status"])?.status.success());
    assert_eq!(first.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

#[test]
fn somebody_elses_program_is_named_and_left_alone() -> Result<()> {
    if !kernel_or_skip("somebody_elses_program_is_named_and_left_alone") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let foreign = pair.server.run(|| {
        let mut foreign = Ebpf::load(BENCH_OBJECT)?;
        let program = foreign.program_mut("floor_pass");
        let program: &mut Xdp = program.context("no such program")?.try_into()?;
        program.load()?;
        program.attach(ETH0, XdpMode::Skb)?;
        Ok::<_, anyhow::Error>(foreign)
    })??;
    let before = attached(&pair.server, ETH0)?;
    let id = before.map(|(id, _)| id.to_string()).unwrap_or_default();
    for mode in ["auto", "native", "generic"] {
        let arguments = ["run", "--wan", ETH0, "--mode", mode];
        let named = format!("eth0 has XDP program {id} (floor_pass) in generic mode");
        refuses(
            &pair.server,
            &arguments,
            1,
            &[&named, "stop what attached it"],
        )?;
        assert_eq!(attached(&pair.server, ETH0)?, before);
    }
    drop(foreign);
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

#[test]
fn a_driver_without_native_mode_falls_back_and_says_why() -> Result<()> {
    if !kernel_or_skip("a_driver_without_native_mode_falls_back_and_says_why") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--lan", "lo"])?;
    let said = agent.stderr().join("\n");
    assert!(
        said.contains("guarding eth0 (wan) in native mode\n"),
        "{said}"
    );
    let fallback = "guarding lo (lan) in generic mode, because its driver has no native XDP";
    assert!(said.contains(fallback), "{said}");
    assert!(matches!(
        attached(&pair.server, "lo")?,
        Some((_, "generic"))
    ));
    agent.stop(SOON)?;

    let mut agent = start(&pair.server, &["--wan", ETH0, "--mode", "generic"])?;
    assert!(matches!(
        attached(&pair.server, ETH0)?,
        Some((_, "generic"))
    ));
    agent.stop(SOON)?;
    ensure_nothing_is_left(&pair.server, &[ETH0, "lo"])
}

#[test]
fn frames_too_large_for_native_mode_are_a_reason_to_fall_back() -> Result<()> {
    if !kernel_or_skip("frames_too_large_for_native_mode_are_a_reason_to_fall_back") {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.client.ip(&format!("link set {ETH0} mtu 9000"))?;
    let agent = start(&pair.server, &["--wan", ETH0])?;
    let said = agent.stderr().join("\n");
    let expected = if has_frags() {
        "guarding eth0 (wan) in native mode\n"
    } else {
        "in generic mode, because its driver has no native XDP at this MTU"
    };
    assert!(said.contains(expected), "{said}");
    Ok(())
}

#[test]
fn the_configuration_decides_and_a_mistake_in_it_is_exit_code_2() -> Result<()> {
    if !kernel_or_skip("the_configuration_decides_and_a_mistake_in_it_is_exit_code_2") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    host.run(|| {
        fs::write("/run/good.toml", "mode = \"enforce\"\n")?;
        fs::write("/run/bad.toml", "\nmoode = \"enforce\"\n")
    })??;
    for (file, word) in [
        ("/run/bad.toml", ":2:"),
        ("/run/none.toml", "/run/none.toml"),
    ] {
        refuses(&host, &["run", "--lan", "lo", "--config", file], 2, &[word])?;
    }
    let mut agent = start(&host, &["--lan", "lo", "--config", "/run/good.toml"])?;
    assert_eq!(json(&host, &["status", "-o", "json"])?["mode"], "enforce");
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    Ok(())
}

#[test]
fn if_one_interface_fails_the_others_are_let_go() -> Result<()> {
    if !kernel_or_skip("if_one_interface_fails_the_others_are_let_go") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let arguments = ["run", "--wan", ETH0, "--lan", "lo", "--mode", "native"];
    refuses(
        &pair.server,
        &arguments,
        3,
        &["lo", "no native XDP", "--mode auto"],
    )?;
    ensure_nothing_is_left(&pair.server, &[ETH0, "lo"])
}

#[test]
fn without_a_bpf_filesystem_its_mount_command_is_named() -> Result<()> {
    if !kernel_or_skip("without_a_bpf_filesystem_its_mount_command_is_named") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    host.output("umount", &["/sys/fs/bpf"])?;
    let mend = ["not on a bpf filesystem", "mount -t bpf bpf /sys/fs/bpf"];
    refuses(&host, &["run", "--lan", "lo"], 1, &mend)
}

#[test]
fn of_the_way_to_the_pins_only_the_last_directory_is_made() -> Result<()> {
    if !kernel_or_skip("of_the_way_to_the_pins_only_the_last_directory_is_made") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let pins = ["run", "--lan", "lo", "--pin-dir", "/sys/fs/bpf/a/b"];
    refuses(
        &host,
        &pins,
        1,
        &["/sys/fs/bpf/a/b", "No such file or directory"],
    )
}

#[test]
fn a_directory_with_somebody_elses_pins_is_left_alone() -> Result<()> {
    if !kernel_or_skip("a_directory_with_somebody_elses_pins_is_left_alone") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    host.output("mkdir", &["-p", "/sys/fs/bpf/shared/theirs"])?;
    let pins = ["run", "--lan", "lo", "--pin-dir", "/sys/fs/bpf/shared"];
    refuses(&host, &pins, 1, &["theirs", "--pin-dir"])?;
    assert!(exists(&host, "/sys/fs/bpf/shared/theirs")?);
    Ok(())
}

#[test]
fn without_privilege_the_agent_says_which_it_needs() -> Result<()> {
    if !kernel_or_skip("without_privilege_the_agent_says_which_it_needs") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let (built, binary) = (detector()?, "/run/nobody/detector");
    host.run(|| {
        fs::create_dir("/run/nobody")?;
        chown("/run/nobody", Some(NOBODY), Some(NOBODY))
    })??;
    // Not by ourselves: a process that another test starts just then would have the file open for writing, and nobody could run it.
    host.output("install", &["-m755", &built.display().to_string(), binary])?;
    for (more, words) in [
        (&[][..], "control socket"),
        (&["--socket", "/run/nobody/control.sock"], "CAP_BPF"),
    ] {
        let output = host
            .command("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args([binary, "run", "--lan", "lo"])
            .args(more)
            .output()?;
        let (code, said) = refusal_of(&output)?;
        assert_eq!(code, Some(4), "{said}");
        assert!(
            said.contains("not permitted") && said.contains(words),
            "{said}"
        );
        assert!(said.contains("run as root"), "{said}");
    }
    ensure_nothing_is_left(&host, &["lo"])
}
