//! What vote, auto and cascade make of closed answers, beside the best single model and what could be had at most.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use interfuse::fusion::{calibrate, recorded};
use interfuse::types::{Calibration, FusionMode, Labelled};
use serde_json::Value;

use super::{Item, Source};

/// One row of the table: items right and calls made.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was done.
    pub name: String,
    /// Items right.
    pub right: usize,
    /// Calls to members over all items.
    pub calls: usize,
    /// Per item, whether it was right.
    hits: Vec<bool>,
}

/// All rows for one pool.
#[derive(Debug)]
pub struct Replayed {
    /// Where the answers came from.
    pub source: Source,
    /// The pool, in the order asked.
    pub pool: Vec<String>,
    /// Number of items.
    pub items: usize,
    /// Items that at least one member has right.
    pub oracle: usize,
    /// Items on which all members say the same, and of these, those that are right.
    pub unanimous: (usize, usize),
    /// Per member.
    pub right: BTreeMap<String, usize>,
    /// The best single model, as found on other items, and as known afterwards.
    pub single: Row,
    /// As known afterwards.
    pub hindsight: usize,
    /// The rows of the table.
    pub rows: Vec<Row>,
    /// Escalations of each cascade.
    pub escalated: BTreeMap<String, usize>,
    /// What a calibration on all items recommends.
    pub advice: String,
}

const FOLDS: usize = 5;

/// Plays every mode over the items. `strong` is whom cascades escalate to, and of how many cheap ones each consists.
pub fn replay(items: &[Item], source: Source, pool: &[String], cascades: &[(usize, String)]) -> Replayed {
    let right: BTreeMap<String, usize> =
        pool.iter().map(|m| (m.clone(), items.iter().filter(|i| i.is_right(m)).count())).collect();
    let unanimous = |item: &&Item| {
        let answers = item.answers(pool);
        answers[0].is_some() && answers.iter().all(|a| *a == answers[0])
    };
    let alike: Vec<&Item> = items.iter().filter(unanimous).collect();
    let folds = Folds::new(items, pool);
    let played = |name: &str, mode: FusionMode, pool: &[String]| {
        let decide = |i: usize| play(mode, &items[i], pool, None);
        Row::new(name, items, decide)
    };
    let mut rows = vec![
        played("vote", FusionMode::Vote, pool),
        Row::new("vote, best first*", items, |i| play(FusionMode::Vote, &items[i], &folds.of(i).ranked, None)),
        played("auto (first two)", FusionMode::Auto, pool),
        Row::new("auto, best first*", items, |i| play(FusionMode::Auto, &items[i], &folds.of(i).ranked, None)),
        Row::new("auto, calibrated*", items, |i| {
            let fold = folds.of(i);
            play(FusionMode::Auto, &items[i], &fold.pool, fold.priors.as_deref())
        }),
    ];
    let mut escalated = BTreeMap::new();
    for (cheap, strong) in cascades {
        let mut members: Vec<String> = pool.iter().take(*cheap).cloned().collect();
        if members.len() < *cheap || members.contains(strong) {
            continue;
        }
        members.push(strong.clone());
        let row = played(&format!("cascade_{cheap}_to_{strong}"), FusionMode::Cascade, &members);
        escalated.insert(row.name.clone(), row.calls - cheap * items.len());
        rows.push(row);
    }
    Replayed {
        source,
        pool: pool.to_vec(),
        items: items.len(),
        oracle: items.iter().filter(|i| pool.iter().any(|m| i.is_right(m))).count(),
        unanimous: (alike.len(), alike.iter().filter(|i| i.is_right(&pool[0])).count()),
        hindsight: right.values().copied().max().unwrap_or(0),
        right,
        single: Row::new("best single*", items, |i| {
            let best = &folds.of(i).ranked[0];
            (items[i].keys.get(best).cloned().flatten(), 1)
        }),
        rows,
        escalated,
        advice: folds.all.advice.clone(),
    }
}

fn play(mode: FusionMode, item: &Item, pool: &[String], priors: Option<&[f64]>) -> (Option<String>, usize) {
    let answers = item.answers(pool);
    let played = recorded::play(mode, &answers, priors);
    (played.chosen.and_then(|i| answers[i]).map(str::to_owned), played.calls)
}

impl Row {
    fn new(name: &str, items: &[Item], decide: impl Fn(usize) -> (Option<String>, usize)) -> Row {
        let decided: Vec<(Option<String>, usize)> = (0..items.len()).map(decide).collect();
        let hits: Vec<bool> = decided.iter().zip(items).map(|(d, i)| d.0.as_ref() == Some(&i.gold)).collect();
        Row {
            name: name.to_owned(),
            right: hits.iter().filter(|h| **h).count(),
            calls: decided.iter().map(|d| d.1).sum(),
            hits,
        }
    }

    /// The gain over another row in points, and half the width of its 95 % interval.
    fn gain(&self, other: &Row) -> (f64, f64) {
        let n = self.hits.len() as f64;
        let differences: Vec<f64> =
            self.hits.iter().zip(&other.hits).map(|(a, b)| f64::from(i8::from(*a) - i8::from(*b))).collect();
        let mean = differences.iter().sum::<f64>() / n;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        (mean * 100.0, 196.0 * (variance / n).sqrt())
    }
}

/// What is known from the items of the other folds.
struct Fold {
    ranked: Vec<String>,
    pool: Vec<String>,
    priors: Option<Vec<f64>>,
}

struct Folds {
    folds: Vec<Fold>,
    all: Calibration,
}

impl Folds {
    fn new(items: &[Item], pool: &[String]) -> Folds {
        let labelled = |item: &Item| Labelled {
            gold: Some(item.gold.clone()),
            finals: pool.iter().map(|m| (m.clone(), item.keys.get(m).cloned().flatten())).collect(),
            ..Default::default()
        };
        let all: Vec<Labelled> = items.iter().map(labelled).collect();
        let fold = |fold: usize| {
            let others: Vec<Labelled> =
                all.iter().enumerate().filter(|(i, _)| i % FOLDS != fold).map(|(_, l)| l.clone()).collect();
            let found = calibrate(&others);
            Fold {
                ranked: found.models.iter().map(|m| m.model.clone()).collect(),
                pool: found.pool.iter().map(|m| m.model.clone()).collect(),
                priors: found.pool.iter().map(|m| m.prior).collect(),
            }
        };
        Folds { folds: (0..FOLDS).map(fold).collect(), all: calibrate(&all) }
    }

    fn of(&self, item: usize) -> &Fold {
        &self.folds[item % FOLDS]
    }
}

impl Replayed {
    /// A row by its name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|r| r.name == name)
    }

    /// The table as text.
    pub fn table(&self, title: &str) -> String {
        let n = self.items as f64;
        let share = |count: usize| count as f64 * 100.0 / n;
        let mut out = String::new();
        let _ = writeln!(out, "## {title}, {}, {} items", self.source.name(), self.items);
        for model in &self.pool {
            let right = self.right.get(model).copied().unwrap_or(0);
            let _ = writeln!(out, "   {model}: {right} right, {:.1} %", share(right));
        }
        let _ = writeln!(out, "| what | right | % | calls | gain over best single* | of the vote's gain |");
        let _ = writeln!(out, "| --- | --- | --- | --- | --- | --- |");
        let whole = self.row("vote, best first*").map_or(0.0, |r| r.gain(&self.single).0);
        for row in std::iter::once(&self.single).chain(&self.rows) {
            let (gain, half) = row.gain(&self.single);
            let part = if whole > 0.0 { format!("{:.0} %", gain * 100.0 / whole) } else { "-".to_owned() };
            let more = self.escalated.get(&row.name).map(|e| format!(" ({e} escalated)")).unwrap_or_default();
            let _ = writeln!(
                out,
                "| {}{more} | {} | {:.1} | {:.2} | {gain:+.1} [{:+.1}, {:+.1}] | {part} |",
                row.name,
                row.right,
                share(row.right),
                row.calls as f64 / n,
                gain - half,
                gain + half
            );
        }
        let _ = writeln!(
            out,
            "| best single, known afterwards | {} | {:.1} | 1.00 | | |",
            self.hindsight,
            share(self.hindsight)
        );
        let _ = writeln!(
            out,
            "| oracle | {} | {:.1} | {:.2} | | |",
            self.oracle,
            share(self.oracle),
            self.pool.len() as f64
        );
        let _ = writeln!(out, "unanimous {}, of these right {}", self.unanimous.0, self.unanimous.1);
        let _ = writeln!(out, "calibrated on all items: {}", self.advice);
        out
    }

    /// Every count that differs from the expected ones, in words; how many were compared.
    pub fn against(&self, golden: &Value) -> (usize, Vec<String>) {
        let mut found: Vec<(String, Option<u64>, usize)> = Vec::new();
        let mut expect = |what: &str, expected: &Value, is: usize| {
            found.push((what.to_owned(), expected.as_u64(), is));
        };
        for (model, right) in &self.right {
            expect(model, &golden["right"][model], *right);
        }
        expect("items", &golden["items"], self.items);
        expect("oracle", &golden["oracle"], self.oracle);
        expect("unanimous", &golden["unanimous"], self.unanimous.0);
        expect("unanimous_right", &golden["unanimous_right"], self.unanimous.1);
        if let (Some(vote), Some(auto)) = (self.row("vote"), self.row("auto (first two)")) {
            expect("majority", &golden["majority"], vote.right);
            expect("first_two_to_agree", &golden["first_two_to_agree"], auto.right);
            expect("first_two_calls", &golden["first_two_calls"], auto.calls);
        }
        for (name, escalated) in &self.escalated {
            if let (Some(row), Some(golden)) = (self.row(name), golden.get(name)) {
                expect(&format!("{name} right"), &golden["right"], row.right);
                expect(&format!("{name} escalated"), &golden["escalated"], *escalated);
            }
        }
        found.retain(|(_, expected, _)| expected.is_some());
        let wrong = found.iter().filter(|(_, expected, is)| *expected != Some(*is as u64));
        let wrong = wrong.map(|(what, expected, is)| format!("{what}: {is}, not {}", expected.unwrap_or(0))).collect();
        (found.len(), wrong)
    }
}
