//! What `best_of` makes of recorded verdicts: of pairs judged in two orders, and of scores that two judges gave the same
//! answers (one chooses, the other tells how good the choice was).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use interfuse::fusion::recorded;
use serde_json::Value;

const FOLDS: usize = 5;

/// A table over rows with `judges: {name: {"as_given": .., "swapped": ..}}` and `gold` among the names of `answers`; `None`
/// when there are none.
pub fn pairs(rows: &[Value]) -> Option<String> {
    #[derive(Default)]
    struct Tally {
        items: usize,
        first_order: usize,
        consistent: usize,
        consistent_right: usize,
        best_of: usize,
        first_listed: usize,
    }
    let mut all: BTreeMap<String, Tally> = BTreeMap::new();
    for row in rows {
        let (Some(gold), Some(judges), Some(answers)) =
            (row["gold"].as_str(), row["judges"].as_object(), row["answers"].as_object())
        else {
            continue;
        };
        let names: Vec<&str> = answers.keys().map(String::as_str).collect();
        let place = |verdict: &Value| verdict.as_str().and_then(|v| names.iter().position(|n| *n == v));
        for (judge, verdicts) in judges {
            if verdicts.get("as_given").is_none() {
                continue;
            }
            let (a, b) = (place(&verdicts["as_given"]), place(&verdicts["swapped"]));
            let tally = all.entry(judge.clone()).or_default();
            tally.items += 1;
            tally.first_order += usize::from(a.is_some_and(|a| names[a] == gold));
            let consistent = a.is_some() && a == b;
            tally.consistent += usize::from(consistent);
            tally.consistent_right += usize::from(consistent && a.is_some_and(|a| names[a] == gold));
            let chosen = recorded::best_of(names.len(), &[a, b], None, None);
            tally.best_of += usize::from(names[chosen] == gold);
            tally.first_listed += usize::from(names[0] == gold);
        }
    }
    if all.is_empty() {
        return None;
    }
    let mut out = String::from(
        "| judge | pairs | one order right % | both orders agree % | of these right % (trust) | best_of right % | always the first % |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (judge, t) in all {
        let of = |part: usize, whole: usize| part as f64 * 100.0 / whole.max(1) as f64;
        let _ = writeln!(
            out,
            "| {judge} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            t.items,
            of(t.first_order, t.items),
            of(t.consistent, t.items),
            of(t.consistent_right, t.consistent),
            of(t.best_of, t.items),
            of(t.first_listed, t.items)
        );
    }
    Some(out)
}

/// A judge's score of every model's answer.
type Scores = BTreeMap<String, f64>;

/// A table over rows with `judges: {name: {model: score}}` (or `{model: {"score": ..}}`), each judge choosing once and
/// another scoring; `None` when there are no two judges.
pub fn scores(rows: &[Value], pool: Option<&[String]>) -> Option<String> {
    let judges: BTreeSet<&String> =
        rows.iter().filter_map(|r| r["judges"].as_object()).flat_map(|j| j.keys()).collect();
    let mut out = String::new();
    for selector in &judges {
        // The same model again is no other judge: it would score its own taste.
        let model = |judge: &str| judge.split('/').next().map(str::to_owned);
        for scorer in judges.iter().filter(|s| model(s) != model(selector)) {
            let both: Vec<(Scores, Scores)> = rows
                .iter()
                .map(|row| (read(row, selector), read(row, scorer)))
                .filter(|(a, b)| !a.is_empty() && !b.is_empty())
                .collect();
            out.push_str(&selected(selector, scorer, &both, pool).unwrap_or_default());
        }
    }
    (!out.is_empty()).then_some(out)
}

fn read(row: &Value, judge: &str) -> Scores {
    let Some(scores) = row["judges"][judge].as_object() else { return Scores::new() };
    let score = |v: &Value| v.as_f64().or_else(|| v["score"].as_f64());
    scores.iter().filter_map(|(model, v)| Some((model.clone(), score(v)?))).collect()
}

fn selected(selector: &str, scorer: &str, rows: &[(Scores, Scores)], pool: Option<&[String]>) -> Option<String> {
    let has = |m: &String| rows.iter().filter(|(a, b)| a.contains_key(m) && b.contains_key(m)).count();
    let mut models: Vec<String> = match pool {
        Some(pool) => pool.to_vec(),
        None => {
            let all: BTreeSet<&String> = rows.iter().flat_map(|(a, _)| a.keys()).collect();
            all.into_iter().filter(|m| has(m) * 10 >= rows.len() * 9).cloned().collect()
        }
    };
    let rows: Vec<&(Scores, Scores)> =
        rows.iter().filter(|(a, b)| models.iter().all(|m| a.contains_key(m) && b.contains_key(m))).collect();
    let n = rows.len();
    if models.len() < 2 || n < FOLDS {
        return None;
    }
    let mean = |rows: &[&(Scores, Scores)], m: &String| rows.iter().map(|r| r.0[m]).sum::<f64>() / rows.len() as f64;
    let (mut best, mut listed, mut history, mut oracle, mut gains) = (0.0, 0.0, 0.0, 0.0, Vec::new());
    models.sort();
    for (i, row) in rows.iter().enumerate() {
        let others: Vec<&(Scores, Scores)> =
            rows.iter().enumerate().filter(|(j, _)| j % FOLDS != i % FOLDS).map(|(_, r)| *r).collect();
        let means: Vec<f64> = models.iter().map(|m| mean(&others, m)).collect();
        let favourite = (0..models.len()).fold(0, |b, m| if means[m] > means[b] { m } else { b });
        let single = row.1[&models[favourite]];
        let chosen = |priors: Option<&[f64]>| row.1[&models[choose(&row.0, &models, priors)]];
        // Means from 1 to 10 as chances between a half and one: only their order matters.
        let priors: Vec<f64> = means.iter().map(|m| 0.5 + m / 25.0).collect();
        let by_history = chosen(Some(&priors));
        (best, listed, history) = (best + single, listed + chosen(None), history + by_history);
        oracle += models.iter().map(|m| row.1[m]).fold(f64::NEG_INFINITY, f64::max);
        gains.push(by_history - single);
    }
    let n = n as f64;
    let gain = gains.iter().sum::<f64>() / n;
    let half = 1.96 * (gains.iter().map(|g| (g - gain).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
    Some(format!(
        "{selector} selects, {scorer} scores, {n} prompts, {} models ({}):\n| best single* | best_of, ties to the first listed | best_of, ties to the favourite on other items* | gain | oracle |\n| --- | --- | --- | --- | --- |\n| {:.3} | {:.3} | {:.3} | {gain:+.3} [{:+.3}, {:+.3}] | {:.3} |\n",
        models.len(),
        models.join(", "),
        best / n,
        listed / n,
        history / n,
        gain - half,
        gain + half,
        oracle / n
    ))
}

/// The engine's choice, given scores: the highest is the verdict of both orders (a score by itself knows no order); among
/// several highest there is no verdict, and the priors decide.
fn choose(scores: &Scores, models: &[String], priors: Option<&[f64]>) -> usize {
    let top = models.iter().map(|m| scores[m]).fold(f64::NEG_INFINITY, f64::max);
    let tied: Vec<usize> = (0..models.len()).filter(|i| scores[&models[*i]] == top).collect();
    let own: Option<Vec<f64>> = priors.map(|p| tied.iter().map(|i| p[*i]).collect());
    let verdicts: &[Option<usize>] = if tied.len() == 1 { &[Some(0), Some(0)] } else { &[] };
    tied[recorded::best_of(tied.len(), verdicts, own.as_deref(), None)]
}
