//! From outcomes to figures and a recommendation that claims only what they show.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::types::{Against, Contender, EVALUATION_SCHEMA, Evaluation, FusionMode, ItemOutcome};

use super::shared::Spent;
use super::statistics::{holm, mcnemar, paired_difference, percentile, wilson};

/// Fewer items than this say little.
const FEW_ITEMS: u32 = 100;

/// The figures of all items that are done. `names`: every contender, with the mode of a fusion.
pub(super) fn summarise(
    names: &[(&str, Option<FusionMode>)],
    planned: usize,
    done: Vec<BTreeMap<String, ItemOutcome>>,
    spent: &Spent,
) -> Evaluation {
    let finished = done.len();
    let judged = |item: &BTreeMap<String, ItemOutcome>| {
        names.iter().all(|(name, _)| item.get(*name).is_some_and(|o| o.right.is_some()))
    };
    let items: Vec<BTreeMap<String, ItemOutcome>> = done.into_iter().filter(judged).collect();
    let n = items.len() as u32;
    let marks: BTreeMap<&str, Vec<bool>> =
        names.iter().map(|(name, _)| (*name, items.iter().map(|i| i[*name].right == Some(true)).collect())).collect();
    let mut contenders: Vec<Contender> = names.iter().map(|(name, mode)| contender(name, *mode, &items)).collect();
    // The given order breaks ties of everything else.
    contenders.sort_by_key(|c| (Reverse(c.right), c.cost_nanos));
    let best = contenders.iter().find(|c| c.mode.is_none()).map(|c| c.name.clone()).filter(|_| n > 0);
    if let Some(best) = &best {
        for contender in contenders.iter_mut().filter(|c| c.name != *best) {
            contender.against = Some(against(&marks[contender.name.as_str()], &marks[best.as_str()]));
        }
    }
    let singles: Vec<&Vec<bool>> = names.iter().filter(|n| n.1.is_none()).map(|n| &marks[n.0]).collect();
    let oracle = percent((0..items.len()).filter(|i| singles.iter().any(|m| m[*i])).count() as u32, n);
    let best_accuracy = contenders.iter().find(|c| Some(&c.name) == best.as_ref()).map_or(0.0, |c| c.accuracy);
    let mut found = Evaluation {
        schema: EVALUATION_SCHEMA,
        planned: planned as u32,
        counted: n,
        unjudged: (finished - items.len()) as u32,
        best_single: best,
        oracle,
        headroom: oracle - best_accuracy,
        spent_nanos: spent.nanos,
        unknown_calls: spent.unknown_calls,
        stopped: spent.refused.clone().filter(|_| finished < planned),
        contenders,
        ..Default::default()
    };
    found.recommendation = recommend(&found);
    found.warnings = warnings(&found, spent);
    found
}

fn percent(count: u32, of: u32) -> f64 {
    if of == 0 { 0.0 } else { f64::from(count) * 100.0 / f64::from(of) }
}

fn contender(name: &str, mode: Option<FusionMode>, items: &[BTreeMap<String, ItemOutcome>]) -> Contender {
    let n = items.len() as u32;
    let all = || items.iter().map(|item| &item[name]);
    let right = all().filter(|o| o.right == Some(true)).count() as u32;
    let (low, high) = wilson(right, n);
    let mut latencies: Vec<u64> = all().filter(|o| o.error.is_none()).map(|o| o.latency_ms).collect();
    Contender {
        name: name.to_owned(),
        mode,
        right,
        accuracy: percent(right, n),
        low: low * 100.0,
        high: high * 100.0,
        cost_nanos: all().map(|o| o.cost_nanos).sum(),
        unknown_calls: all().map(|o| o.unknown_calls).sum(),
        calls: all().map(|o| f64::from(o.calls)).sum::<f64>() / f64::from(n.max(1)),
        p50_ms: percentile(&mut latencies, 0.5),
        p95_ms: percentile(&mut latencies, 0.95),
        failed: all().filter(|o| o.error.is_some()).count() as u32,
        against: None,
    }
}

fn against(own: &[bool], other: &[bool]) -> Against {
    let count = |a: bool, b: bool| own.iter().zip(other).filter(|(x, y)| **x == a && **y == b).count() as u32;
    let (wins, losses, n) = (count(true, false), count(false, true), own.len() as u32);
    let (low, high) = paired_difference(wins, losses, n);
    Against {
        wins,
        losses,
        ties: n - wins - losses,
        difference: percent(wins, n) - percent(losses, n),
        low: low * 100.0,
        high: high * 100.0,
        p: mcnemar(wins, losses),
    }
}

/// A fusion is recommended only if it beats the best single model beyond chance, with all fusions tested together, and the
/// interval of the difference leaves out nothing. Of several, the most accurate.
fn recommend(found: &Evaluation) -> String {
    let Some(best) = found.contenders.iter().find(|c| Some(&c.name) == found.best_single.as_ref()) else {
        return "there is nothing to compare: no item was finished".to_owned();
    };
    let fusions: Vec<(&Contender, &Against)> =
        found.contenders.iter().filter(|c| c.mode.is_some()).filter_map(|c| Some((c, c.against.as_ref()?))).collect();
    let beyond_chance = holm(&fusions.iter().map(|(_, a)| a.p).collect::<Vec<_>>());
    let better = |i: &usize| beyond_chance[*i] && fusions[*i].1.low > 0.0;
    if let Some((fusion, a)) = (0..fusions.len()).find(better).map(|i| fusions[i]) {
        let times = match best.cost_nanos {
            0 => String::new(),
            cost => format!(" at {:.1} times its cost", fusion.cost_nanos as f64 / cost as f64),
        };
        return format!(
            "use {}: {:.1} points more right than the best single model, {} (95 % interval {:.1} to {:.1}){times}",
            fusion.name, a.difference, best.name, a.low, a.high
        );
    }
    let singles = found.contenders.iter().filter(|c| c.mode.is_none() && c.name != best.name && c.unknown_calls == 0);
    let cheaper = singles.filter(|c| c.cost_nanos < best.cost_nanos && best.unknown_calls == 0).filter(|c| {
        let a = c.against.unwrap_or_default();
        a.p > 0.05 && a.low <= 0.0
    });
    let aside = cheaper.min_by_key(|c| c.cost_nanos).map_or_else(String::new, |c| {
        format!(". That it is better than the cheaper {} is not shown by these items either", c.name)
    });
    match fusions.first() {
        None => format!("use {}: no fusion was tried{aside}", best.name),
        Some((fusion, a)) if a.difference > 0.0 => format!(
            "do not fuse: use {}; {} is {:.1} points ahead, which these {} items cannot tell from chance (95 % interval {:.1} to {:.1}){aside}",
            best.name, fusion.name, a.difference, found.counted, a.low, a.high
        ),
        Some(_) => format!("do not fuse: use {}; no fusion had more right{aside}", best.name),
    }
}

fn warnings(found: &Evaluation, spent: &Spent) -> Vec<String> {
    let mut warnings = Vec::new();
    if found.counted < FEW_ITEMS {
        warnings.push(format!("{} items are few; from {FEW_ITEMS} on this says something", found.counted));
    }
    if found.unjudged > 0 {
        warnings.push(format!("{} items are left out because the judge gave no verdict on an answer", found.unjudged));
    }
    if !spent.unpriced.is_empty() {
        warnings.push(format!(
            "no price is known of {}: costs are too low, and a cap does not hold",
            spent.unpriced.join(", ")
        ));
    }
    for contender in found.contenders.iter().filter(|c| c.failed > 0) {
        warnings.push(format!("{} gave no answer to {} items, which count as wrong", contender.name, contender.failed));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of which `marks` says who has them right, as many times.
    fn items(marks: &[(&[&str], usize)]) -> Vec<BTreeMap<String, ItemOutcome>> {
        let item = |right: &[&str]| -> BTreeMap<String, ItemOutcome> {
            let outcome = |name: &str, cost| ItemOutcome {
                right: Some(right.contains(&name)),
                cost_nanos: cost,
                calls: 1,
                latency_ms: 10,
                ..Default::default()
            };
            [("strong", 30), ("cheap", 1), ("fusion", 60)]
                .iter()
                .map(|(n, c)| ((*n).to_owned(), outcome(n, *c)))
                .collect()
        };
        marks.iter().flat_map(|(right, times)| vec![item(right); *times]).collect()
    }

    fn summary(marks: &[(&[&str], usize)]) -> Evaluation {
        let names = [("strong", None), ("cheap", None), ("fusion", Some(FusionMode::Vote))];
        let done = items(marks);
        summarise(&names, done.len(), done, &Spent::default())
    }

    #[test]
    fn a_gain_beyond_chance_is_recommended() {
        let found =
            summary(&[(&["strong", "fusion"], 120), (&["cheap", "fusion"], 30), (&["strong"], 5), (&["cheap"], 45)]);
        assert_eq!(found.best_single.as_deref(), Some("strong"));
        assert!(found.recommendation.starts_with("use fusion: 12.5 points more"), "{}", found.recommendation);
        assert!(found.recommendation.ends_with("at 2.0 times its cost"), "{}", found.recommendation);
        let against = found.contenders[0].against.unwrap();
        assert_eq!((against.wins, against.losses, against.ties), (30, 5, 165));
        assert_eq!((found.oracle, found.headroom), (100.0, 37.5));
    }

    #[test]
    fn a_gain_that_chance_explains_is_not() {
        let found = summary(&[(&["strong", "fusion"], 80), (&["fusion"], 8), (&["strong"], 4), (&["cheap"], 28)]);
        assert_eq!(found.contenders[0].name, "fusion", "it has more right all the same");
        assert!(
            found.recommendation.starts_with("do not fuse: use strong; fusion is 3.3 points ahead"),
            "{}",
            found.recommendation
        );
    }

    #[test]
    fn a_cheaper_model_that_may_be_as_good_is_named() {
        let found = summary(&[(&["strong", "cheap"], 100), (&["strong"], 4), (&["cheap"], 3)]);
        let told = &found.recommendation;
        assert!(
            told.starts_with("do not fuse: use strong; no fusion had more right") && told.contains("cheaper cheap"),
            "{told}"
        );
    }

    #[test]
    fn what_the_judge_left_open_is_left_out() {
        let names = [("strong", None), ("cheap", None), ("fusion", Some(FusionMode::Vote))];
        let mut done = items(&[(&["strong"], 3)]);
        done[1].get_mut("cheap").unwrap().right = None;
        let found = summarise(&names, 5, done, &Spent::default());
        assert_eq!((found.planned, found.counted, found.unjudged), (5, 2, 1));
        let nothing = summarise(&names, 5, Vec::new(), &Spent::default());
        assert_eq!((nothing.counted, nothing.best_single), (0, None));
    }
}
