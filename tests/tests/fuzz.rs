//! Each fuzz target over its committed corpus and over what was once found; `cargo xtask fuzz` goes on from there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use detector_tests::fuzz::TARGETS;

/// The most files of a corpus, which are read by every run of every test.
const FILES_MAX: usize = 64;
/// The most bytes of all of them.
const BYTES_MAX: u64 = 200 * 1024;

#[test]
fn what_each_target_asserts_holds_for_its_corpus_and_its_regressions() -> Result<()> {
    for (target, run) in TARGETS {
        for folder in ["corpus", "regressions"] {
            for file in files(folder, target)? {
                println!("{}", file.display());
                run(&fs::read(&file)?);
            }
        }
    }
    Ok(())
}

#[test]
fn each_target_has_a_program_and_a_small_corpus() -> Result<()> {
    let mut bytes = 0;
    for (target, _) in TARGETS {
        let program = package().join("fuzz_targets").join(target);
        ensure!(
            program.with_extension("rs").is_file(),
            "{target} has no program"
        );
        let corpus = files("corpus", target)?;
        ensure!(
            (1..=FILES_MAX).contains(&corpus.len()),
            "{target} has {} files of corpus, not 1 to {FILES_MAX}",
            corpus.len()
        );
        for file in corpus {
            bytes += file.metadata()?.len();
        }
    }
    ensure!(
        bytes <= BYTES_MAX,
        "the corpora have {bytes} bytes, more than {BYTES_MAX}"
    );
    let programs = fs::read_dir(package().join("fuzz_targets"))?.count();
    ensure!(
        programs == TARGETS.len(),
        "{programs} programs for {} targets",
        TARGETS.len()
    );
    Ok(())
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a target; none where it has no such folder.
fn files(folder: &str, target: &str) -> Result<Vec<PathBuf>> {
    let folder = package().join(folder).join(target);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<_> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}
