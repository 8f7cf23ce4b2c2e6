//! Rule sets that are made up: the tables that they are compiled to say of every packet what the rules themselves do, and the kernel
//! says what the host does.
//!
//! Another seed than the usual one is given by `DETECTOR_TEST_SEED`; `cargo xtask fuzz --target compiler` makes up more.

use anyhow::{Context as _, Error, Result, ensure};
use detector_tests::{
    generate::{Dice, seed_or},
    oracle::Lockstep,
    requirements::kernel_or_skip,
    rule_sets::{Case, bounds},
};

const SEED: u64 = 0xde7e_c705_0000_0005;
/// Bytes of which a case is made: enough for all the rules and packets that there may be.
const BYTES: usize = 8192;

/// Cases of this many seeds, each with its own.
fn cases(count: usize) -> Result<impl Iterator<Item = (u64, Case)>> {
    let seeds = (seed_or(SEED)?..).take(count);
    Ok(seeds.map(|seed| (seed, Case::of(&Dice::new(seed).bytes(BYTES)))))
}

/// What makes a case again.
fn again(seed: u64) -> String {
    format!("DETECTOR_TEST_SEED={seed}")
}

#[test]
fn the_tables_say_what_the_rules_do_and_refer_to_nothing_outside() -> Result<()> {
    let (mut rules, mut packets, mut found, mut followed) = (0, 0, 0, 0);
    for (seed, case) in cases(400)? {
        bounds::check(&case.tables);
        rules += case.rules.len();
        for packet in &case.packets {
            let sid = case.agree(packet).map_err(Error::msg);
            let sid = sid.with_context(|| again(seed))?;
            packets += 1;
            found += usize::from(sid.is_some());
            let rule = case.rules.iter().find(|rule| Some(rule.sid) == sid);
            followed += usize::from(rule.is_some_and(|rule| {
                let mut patterns = rule.patterns.iter();
                patterns.any(|pattern| pattern.jump.is_some())
            }));
        }
    }
    println!(
        "{rules} rules, {packets} packets, a rule found in {found}, one that follows a number in {followed}"
    );
    // Else there would be little to agree on.
    ensure!(rules > 4000, "only {rules} rules were taken");
    ensure!(
        (packets / 6..packets / 2).contains(&found),
        "a rule found in {found} of {packets} packets"
    );
    ensure!(followed > 30, "a number was followed in only {followed}");
    Ok(())
}

#[test]
fn the_kernel_finds_with_any_rules_what_the_host_does() -> Result<()> {
    if !kernel_or_skip("the_kernel_finds_with_any_rules_what_the_host_does") {
        return Ok(());
    }
    let cases: Vec<_> = cases(48)?.collect();
    let Some((_, first)) = cases.first() else {
        return Ok(());
    };
    let mut both = Lockstep::new(&first.tables, 1)?;
    let mut found = 0;
    for (seed, case) in &cases {
        let mut run = || {
            both.set_tables(&case.tables)?;
            for packet in &case.packets {
                both.push(0, &packet.build())?;
                let sid = case.agree(packet).map_err(Error::msg)?;
                found += u64::from(sid.is_some());
            }
            both.settle()
        };
        run().with_context(|| format!("{} makes these rules:\n{}", again(*seed), case.text))?;
    }
    let hits = both.state().rule_hits.iter();
    let hits: u64 = hits.map(|hits| hits.packets).sum();
    assert_eq!(hits, found, "packets in which a rule was found");
    Ok(())
}
