//! What the commands for rules say while an agent runs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use detector::output::Time;
use detector_tests::{
    agent::running::{SOON, json, run, select, start, stats_after},
    lab::{ETH0, Pair},
    requirements::kernel_or_skip,
    worms,
};
use serde_json::{Value, json};

#[test]
fn the_list_of_rules_has_what_the_agent_counted_of_each() -> Result<()> {
    if !kernel_or_skip("the_list_of_rules_has_what_the_agent_counted_of_each") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let list = || json(&pair.server, &["rules", "list", "-ojson"]);
    assert!(list()?["rules"][0]["counted"].is_null(), "no agent runs");
    let _agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    let frame = worms::slammer(&Pair::route()).build();
    pair.client.sender(ETH0)?.send_all(vec![&frame; 5])?;
    let stats = stats_after(&pair.server, 5)?;
    let list = list()?;
    let counted = |msg: &str| {
        let found = select(&list["rules"], &[("msg", msg)]);
        found.first().map(|rule| rule["counted"].clone())
    };
    let slammer = counted("sql-slammer").context("not listed")?;
    assert_eq!(
        (&slammer["packets"], &slammer["bytes"], &slammer["dropped"]),
        (&json!(5), &json!(5 * frame.len()), &json!(5))
    );
    let other = json!({ "packets": 0, "bytes": 0, "dropped": 0, "last": null });
    assert_eq!(counted("code-red"), Some(other));
    let signature = &stats["signatures"][0];
    assert_eq!(
        (&signature["gid"], &signature["id"]),
        (&json!(1), &json!(40))
    );
    let age = time(&stats["time"])?.saturating_sub(time(&signature["last"])?);
    assert!(age < SOON, "{age:?}");
    let shown = json(&pair.server, &["rules", "show", "-ojson", "40"])?;
    assert_eq!(shown["counted"], slammer);
    let table = run(&pair.server, &["rules", "list"])?;
    let table = String::from_utf8(table.stdout)?;
    assert!(table.contains("dropped"), "{table}");
    Ok(())
}

fn time(text: &Value) -> Result<Duration> {
    let text = text.as_str().context("a time is a text")?;
    let time = Time::try_from(text.to_owned()).with_context(|| text.to_owned())?;
    Ok(Duration::from_nanos(time.0))
}
