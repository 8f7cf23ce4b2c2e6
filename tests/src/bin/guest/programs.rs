//! Every program of every object loads, and what that costs the verifier.

use anyhow::{Context as _, Result};
use aya::EbpfLoader;
use detector::agent::kernel::{BENCH_OBJECT, has_frags, object};
use detector_tests::kernel::verifier::cost;

pub(crate) fn check() -> Result<Vec<String>> {
    let detector = object(has_frags());
    // By the names of the files they are built as.
    for (object, bytes) in [("detector", &*detector), ("bench", BENCH_OBJECT)] {
        let loaded = EbpfLoader::new().load(bytes);
        let loaded = loaded.with_context(|| format!("cannot make the maps of {object}"))?;
        let mut names: Vec<_> = loaded.programs().map(|(name, _)| name.to_owned()).collect();
        names.sort();
        for name in names {
            let cost = cost(bytes, &name).with_context(|| format!("{object}/{name}"))?;
            println!(
                "guest: program {object}/{name} {} {}",
                cost.instructions, cost.stack
            );
        }
    }
    Ok(Vec::new())
}
