//! README's promises are tied to tests: each one names, in a comment that readers do not see, the tests that hold it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

const SECTION: &str = "## What it promises\n";

/// Every line of "What it promises" in README names at least one test that there is.
#[test]
fn every_promise_is_held_by_a_test() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    read_all(&package.join("tests"), &mut tests)?;
    let readme = fs::read_to_string(package.join("../README.md"))?;
    let (_, section) = readme
        .split_once(SECTION)
        .context("README promises nothing")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let promises: Vec<_> = section.split("\n- ").skip(1).collect();
    ensure!(!promises.is_empty(), "no promise under {SECTION:?}");
    for promise in promises {
        let names: Vec<_> = promise
            .split("<!-- ")
            .skip(1)
            .filter_map(|comment| comment.split(" -->").next())
            .flat_map(str::split_whitespace)
            .collect();
        ensure!(!names.is_empty(), "no test is named for: {promise}");
        for name in names {
            let test = format!("#[test]\nfn {name}() ");
            ensure!(
                tests.contains(&test),
                "there is no test {name}, which is to hold: {promise}"
            );
        }
    }
    Ok(())
}

/// Appends every Rust file under `folder`.
fn read_all(folder: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
