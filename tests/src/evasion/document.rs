//! The tables of `docs/evasion.md`, line by line.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Case, RULES, SURICATA_RULES};

/// The document, from the root of the workspace.
const PATH: &str = "docs/evasion.md";
/// What the first column is called, and with it which lines are headers.
const FIRST: &str = "the attacker …";
const CAUGHT: &str = "caught";
const NOT_CAUGHT: &str = "not caught";

/// Cells of a row that stand side by side.
pub type Cells = Vec<String>;

/// What a cell says of a request that was found, or was not.
#[must_use]
pub fn verdict(is_caught: bool) -> String {
    let said = if is_caught { CAUGHT } else { NOT_CAUGHT };
    said.to_owned()
}

/// Fails unless the document has a row for each case, in order, that says what `ours` does of it; names the lines to change.
pub fn check_ours(cases: &[Case], ours: &[Cells]) -> Result<()> {
    check(cases, ours, 1)
}

/// The same of what Suricata says.
pub fn check_suricata(cases: &[Case], theirs: &[Cells]) -> Result<()> {
    let [_, ours, ..] = columns();
    check(cases, theirs, 1 + ours.len())
}

/// Fails unless a reason stands where not all say the same, and nowhere else.
pub fn check_reasons() -> Result<()> {
    let mut wrong = Vec::new();
    for row in rows()? {
        let said: BTreeSet<_> = row
            .cells
            .iter()
            .filter(|cell| [CAUGHT, NOT_CAUGHT].contains(&cell.as_str()))
            .collect();
        let has_reason = row.cells.last().is_some_and(|reason| !reason.is_empty());
        if has_reason != (said.len() > 1) {
            let told = if has_reason {
                "all say the same"
            } else {
                "not all say the same, and why is missing"
            };
            wrong.push(format!("{PATH}:{}: {told}", row.line));
        }
    }
    told(&wrong)
}

/// A row of a table: what becomes of one case.
#[derive(Clone, Debug)]
struct Row {
    /// The number of its line, from 1.
    line: usize,
    cells: Cells,
}

/// The rows of the document.
fn rows() -> Result<Vec<Row>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PATH);
    let text = fs::read_to_string(&path).with_context(|| PATH.to_owned())?;
    let header = columns().concat();
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let Some(cells) = text
            .strip_prefix("| ")
            .and_then(|text| text.strip_suffix('|'))
        else {
            continue;
        };
        let cells: Cells = cells
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        if cells.first().is_some_and(|first| first == FIRST) {
            ensure!(
                cells == header,
                "{PATH}:{line}: the columns are\n{}",
                line_of(&header)
            );
        } else {
            ensure!(
                cells.len() == header.len(),
                "{PATH}:{line}: {} cells, not {}",
                cells.len(),
                header.len()
            );
            rows.push(Row { line, cells });
        }
    }
    Ok(rows)
}

/// The columns: the case, ours, Suricata's, and why not all say the same.
fn columns() -> [Cells; 4] {
    let mut ours: Cells = RULES
        .iter()
        .map(|(name, _)| format!("detector, {name}"))
        .collect();
    ours.push("counted as".to_owned());
    let theirs = SURICATA_RULES.map(|(name, _)| format!("Suricata, {name}"));
    let why = "why not all say the same";
    [
        vec![FIRST.to_owned()],
        ours,
        theirs.to_vec(),
        vec![why.to_owned()],
    ]
}

/// Fails unless the cells of each case's row from `from` on are what is `said` of it.
fn check(cases: &[Case], said: &[Cells], from: usize) -> Result<()> {
    let rows = rows()?;
    let mut wrong = Vec::new();
    for (case, said) in cases.iter().zip(said) {
        let row = rows.iter().find(|row| row.cells[0] == case.name);
        let mut cells = row.map_or_else(|| empty(case), |row| row.cells.clone());
        cells[from..from + said.len()].clone_from_slice(said);
        match row {
            None => wrong.push(format!("{PATH}: missing:\n{}", line_of(&cells))),
            Some(row) if row.cells != cells => {
                let (line, should) = (row.line, line_of(&cells));
                wrong.push(format!("{PATH}:{line}: it should say\n{should}"));
            }
            Some(_) => {}
        }
    }
    let names: Vec<_> = cases.iter().map(|case| case.name).collect();
    for row in &rows {
        if !names.contains(&row.cells[0].as_str()) {
            wrong.push(format!("{PATH}:{}: no case is called so", row.line));
        }
    }
    told(&wrong)?;
    let in_order = rows.iter().map(|row| row.cells[0].as_str()).eq(names);
    ensure!(
        in_order,
        "{PATH}: a row stands twice, or not where its case does"
    );
    Ok(())
}

/// The row of a case of which nothing is known.
fn empty(case: &Case) -> Cells {
    let mut cells = vec!["?".to_owned(); columns().concat().len()];
    case.name.clone_into(&mut cells[0]);
    cells
}

fn line_of(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

fn told(wrong: &[String]) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} lines are not true:\n{}", wrong.len(), wrong.join("\n"))
}
