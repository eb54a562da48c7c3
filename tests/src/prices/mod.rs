//! Holds usage and prices to cases of others: `cases` carry raw counts, a price row and the exact amount; `recorded` ones
//! carry raw counts and what another library made of them.

mod cases;
mod recorded;

use std::fmt;

use interfuse::catalog::Catalog;
use serde_json::Value;

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ours is theirs, to the last digit.
    Equal,
    /// Ours is another, and why.
    Explained(String),
    /// Ours is another.
    Different(String),
}

/// One case and its verdict.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// How many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Cases.
    pub cases: usize,
    /// Equal.
    pub equal: usize,
    /// Explained.
    pub explained: usize,
    /// Different.
    pub different: usize,
}

impl Sums {
    /// Counts verdicts.
    pub fn of(checked: &[Checked]) -> Self {
        let mut sums = Sums { cases: checked.len(), ..Sums::default() };
        for case in checked {
            match case.verdict {
                Verdict::Equal => sums.equal += 1,
                Verdict::Explained(_) => sums.explained += 1,
                Verdict::Different(_) => sums.different += 1,
            }
        }
        sums
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sums { cases, equal, explained, different } = self;
        write!(f, "{cases} cases: {equal} equal, {explained} explained, {different} different")
    }
}

/// Checks a file of either form; which one is seen from its shape. `catalog` prices what carries no row of its own.
///
/// # Errors
/// What is wrong with the file.
pub fn check(text: &str, catalog: &Catalog) -> Result<Vec<Checked>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let list = value.as_array().ok_or("not a list of cases")?;
    let has = |name: &str| list.first().is_some_and(|case| case.get(name).is_some());
    if has("expected_usd") || has("price") {
        return list.iter().map(|case| cases::check(case, catalog)).collect();
    }
    if has("body") && has("extracted") {
        return Ok(list.iter().flat_map(|case| recorded::check(case, catalog)).collect());
    }
    Err("neither price cases (`usage`, `price`, `expected_usd`) nor recorded ones (`body`, `extracted`)".to_owned())
}
