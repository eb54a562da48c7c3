//! Calibration: from items with known answers to priors, trust in judges, and a pool. Which members are asked matters more
//! than how their votes are weighed: on recorded answers, weights repair half of a bad mix, choosing the panel all of it. So
//! priors are recommended only where they help beyond that.
//!
//! The panel starts from the best pair beside the best single model and grows by whoever helps most, as long as it helps.
//! How good that is, is told from items that the choice had not seen: it is made five times, each on four fifths of them.

use std::collections::BTreeMap;

use crate::types::{Calibration, HeldOut, Labelled, Measured, Member};

use super::evidence;
use super::extract::Reader;
use super::plan::MAX_MEMBERS;

const FOLDS: usize = 5;
/// Fewer items than this say little.
const FEW_ITEMS: usize = 100;
/// A further member must bring so much, as a share of the items: it costs calls, and the choice flatters itself.
const WORTH: f64 = 0.002;
/// Models that a first pair is sought among, the best ones.
const PAIRED: usize = 12;
/// A model that answered fewer items than this share is not compared.
const COVERAGE: f64 = 0.9;

/// Finds out how good models, judges and pools are on items with known answers. Empty without any.
pub fn calibrate(items: &[Labelled]) -> Calibration {
    let items: Vec<&Labelled> = items.iter().filter(|i| i.gold.is_some()).collect();
    let table = Table::new(&items);
    let all: Vec<usize> = (0..table.rows.len()).collect();
    let mut warnings = Vec::new();
    if items.len() < FEW_ITEMS {
        warnings.push(format!("{} items are few; from {FEW_ITEMS} on this says something", items.len()));
    }
    let (Panel { members: mut panel, weighed }, held_out) = (table.panel(&all), table.held_out());
    let ranked = table.ranked(&all);
    let record = |&m: &usize| {
        let right = table.right(m, &all);
        Measured { model: table.models[m].clone(), right, of: items.len() as u32, chance: chance(right, items.len()) }
    };
    let models: Vec<Measured> = ranked.iter().map(record).collect();
    if held_out.pool <= held_out.single {
        panel.truncate(1);
    }
    let member = |&m: &usize| Member {
        model: table.models[m].clone(),
        prior: weighed.then(|| chance(table.right(m, &all), items.len())),
        ..Default::default()
    };
    let pool: Vec<Member> = panel.iter().map(member).collect();
    let advice = match pool.as_slice() {
        [] => "there is nothing to recommend".to_owned(),
        [only] => format!(
            "do not fuse: use {}; the best panel had {:.1} % right on held-out items, it alone {:.1} %",
            only.model, held_out.pool, held_out.single
        ),
        many => format!(
            "ask these {} in mode auto: {:.1} % right on held-out items with {:.2} calls each, the best single model {:.1} %",
            many.len(),
            held_out.pool,
            held_out.calls,
            held_out.single
        ),
    };
    Calibration { counted: items.len() as u32, models, judges: judges(&items), pool, held_out, advice, warnings }
}

/// Shrunk towards a half by one item each way, so that it is never 0 or 1.
fn chance(right: u32, of: usize) -> f64 {
    let chance = (f64::from(right) + 1.0) / (of as f64 + 2.0);
    (chance * 1000.0).round() / 1000.0
}

fn judges(items: &[&Labelled]) -> Vec<Measured> {
    let mut all: BTreeMap<&str, (u32, usize)> = BTreeMap::new();
    for item in items {
        for (judge, verdicts) in &item.verdicts {
            let (Some(a), Some(b)) = (&verdicts.as_given, &verdicts.swapped) else { continue };
            let tally = all.entry(judge).or_default();
            if a == b {
                tally.0 += u32::from(Some(a) == item.gold.as_ref());
                tally.1 += 1;
            }
        }
    }
    let record = |(judge, (right, of)): (&str, (u32, usize))| Measured {
        model: judge.to_owned(),
        right,
        of: of as u32,
        chance: chance(right, of),
    };
    let mut judges: Vec<Measured> = all.into_iter().map(record).collect();
    judges.sort_by(|a, b| b.chance.total_cmp(&a.chance));
    judges
}

/// The least gain that is worth a change.
fn worth(items: usize) -> f64 {
    (WORTH * items as f64).max(1.0)
}

/// Whom to ask.
struct Panel {
    members: Vec<usize>,
    /// Their votes count by what they were measured at.
    weighed: bool,
}

/// A number per different answer to an item; 0 is none, 1 is the right one.
type Code = u16;
const NONE: Code = 0;
const RIGHT: Code = 1;

/// Who answered what, by number.
struct Table {
    models: Vec<String>,
    /// Per item, per model.
    rows: Vec<Vec<Code>>,
}

impl Table {
    fn new(items: &[&Labelled]) -> Table {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for item in items {
            let mut named: Vec<&str> = item.answers.keys().chain(item.finals.keys()).map(String::as_str).collect();
            named.sort_unstable();
            named.dedup();
            named.into_iter().for_each(|model| *seen.entry(model).or_default() += 1);
        }
        let enough = (items.len() as f64 * COVERAGE).ceil() as usize;
        let models: Vec<String> = seen.into_iter().filter(|(_, n)| *n >= enough).map(|(m, _)| m.to_owned()).collect();
        let rows = items.iter().map(|item| row(item, &models)).collect();
        Table { models, rows }
    }

    fn right(&self, model: usize, items: &[usize]) -> u32 {
        items.iter().filter(|i| self.rows[**i][model] == RIGHT).count() as u32
    }

    /// The models, the best first.
    fn ranked(&self, items: &[usize]) -> Vec<usize> {
        let mut ranked: Vec<(u32, usize)> = (0..self.models.len()).map(|m| (self.right(m, items), m)).collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, m)| m).collect()
    }

    /// Items right and members asked, when `panel` is asked in order until two agree.
    fn play(&self, panel: &[usize], weights: &[f64], items: &[usize]) -> (u32, u32) {
        let mut answers = Vec::with_capacity(panel.len());
        items.iter().fold((0, 0), |(right, calls), i| {
            answers.clear();
            answers.extend(panel.iter().map(|m| self.rows[*i][*m]));
            let (answer, asked) = until_two_agree(&answers, weights);
            (right + u32::from(answer == RIGHT), calls + asked)
        })
    }

    /// Who should be asked, by these items, and whether their votes should be weighed.
    fn panel(&self, items: &[usize]) -> Panel {
        let even = vec![evidence::weight(evidence::PRIOR); self.models.len()];
        let weight = |m: usize| evidence::weight(chance(self.right(m, items), items.len()));
        let measured: Vec<f64> = (0..self.models.len()).map(weight).collect();
        let (by_number, by_weight) = (self.grown(items, &even), self.grown(items, &measured));
        let weighed = f64::from(by_weight.0) >= f64::from(by_number.0) + worth(items.len());
        let members = if weighed { by_weight.1 } else { by_number.1 };
        Panel { weighed: weighed && members.len() > 1, members }
    }

    /// The best panel where each model's vote has this weight, and the items it has right.
    fn grown(&self, items: &[usize], weights: &[f64]) -> (u32, Vec<usize>) {
        let ranked = self.ranked(items);
        let Some(&best) = ranked.first() else { return (0, Vec::new()) };
        // Panels are asked in the order of their members' rank.
        let rank = |m: &usize| ranked.iter().position(|r| r == m);
        let score = |panel: &[usize]| {
            let own: Vec<f64> = panel.iter().map(|m| weights[*m]).collect();
            self.play(panel, &own, items).0
        };
        let worth = worth(items.len());
        let paired = &ranked[..ranked.len().min(PAIRED)];
        let pairs = paired.iter().enumerate().skip(1).flat_map(|(i, a)| paired[i + 1..].iter().map(move |b| [*a, *b]));
        let triples = pairs.map(|[a, b]| (score(&[best, a, b]), vec![best, a, b]));
        let first = triples.fold(None, |best: Option<(u32, Vec<usize>)>, this| match best {
            Some(best) if best.0 >= this.0 => Some(best),
            _ => Some(this),
        });
        let alone = self.right(best, items);
        let Some((mut reached, mut panel)) = first.filter(|f| f64::from(f.0) >= f64::from(alone) + worth) else {
            return (alone, vec![best]);
        };
        while panel.len() < MAX_MEMBERS {
            let more = ranked.iter().filter(|m| !panel.contains(m)).map(|m| {
                let mut grown = panel.clone();
                grown.push(*m);
                grown.sort_by_key(rank);
                (score(&grown), grown)
            });
            let best = more.fold(None, |best: Option<(u32, Vec<usize>)>, this| match best {
                Some(best) if best.0 >= this.0 => Some(best),
                _ => Some(this),
            });
            match best {
                Some((grown, next)) if f64::from(grown) >= f64::from(reached) + worth => {
                    (reached, panel) = (grown, next)
                }
                _ => break,
            }
        }
        (reached, panel)
    }

    /// Each fifth of the items decided by a panel, and by a best single model, chosen on the others.
    fn held_out(&self) -> HeldOut {
        let n = self.rows.len();
        if n == 0 || self.models.is_empty() {
            return HeldOut::default();
        }
        let (mut right, mut calls, mut single) = (0, 0, 0);
        for fold in 0..FOLDS.min(n) {
            let (test, train): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| i % FOLDS == fold);
            let panel = self.panel(&train);
            let prior = |m: &usize| match panel.weighed {
                true => chance(self.right(*m, &train), train.len()),
                false => evidence::PRIOR,
            };
            let weights: Vec<f64> = panel.members.iter().map(prior).map(evidence::weight).collect();
            let played = self.play(&panel.members, &weights, &test);
            (right, calls) = (right + played.0, calls + played.1);
            single += self.ranked(&train).first().map_or(0, |m| self.right(*m, &test));
        }
        let share = |count: u32| f64::from(count) * 100.0 / n as f64;
        HeldOut { pool: share(right), single: share(single), calls: f64::from(calls) / n as f64 }
    }
}

fn row(item: &Labelled, models: &[String]) -> Vec<Code> {
    let reader = Reader::of_question(item.prompt.as_deref().unwrap_or_default());
    let gold = item.gold.as_deref().unwrap_or_default();
    let mut codes: Vec<String> = Vec::new();
    let code = |model: &String| {
        let (answer, gold) = match item.finals.get(model) {
            Some(read) => (read.clone(), gold.to_owned()),
            None => (item.answers.get(model).and_then(|text| reader.read(text)), reader.gold(gold)),
        };
        let Some(answer) = answer else { return NONE };
        if answer == gold {
            return RIGHT;
        }
        let at = codes.iter().position(|c| *c == answer).unwrap_or_else(|| {
            codes.push(answer);
            codes.len() - 1
        });
        Code::try_from(at + 2).unwrap_or(Code::MAX)
    };
    models.iter().map(code).collect()
}

/// The rule of `auto` for closed answers, by numbers: calibration plays it some million times.
fn until_two_agree(answers: &[Code], weights: &[f64]) -> (Code, u32) {
    let mut found: Vec<(Code, f64, u32)> = Vec::with_capacity(answers.len());
    for (i, answer) in answers.iter().enumerate() {
        if *answer != NONE {
            match found.iter_mut().find(|f| f.0 == *answer) {
                Some(same) => (same.1, same.2) = (same.1 + weights[i], same.2 + 1),
                None => found.push((*answer, weights[i], 1)),
            }
        }
        let Some(leader) = leading(&found) else { continue };
        let second = found.iter().filter(|f| f.0 != leader.0).map(|f| f.1).fold(0.0, f64::max);
        if leader.2 >= 2 && evidence::more(leader.1, second) {
            return (leader.0, i as u32 + 1);
        }
    }
    (leading(&found).map_or(NONE, |f| f.0), answers.len() as u32)
}

/// The strongest answer; of equals the one found first.
fn leading(found: &[(Code, f64, u32)]) -> Option<(Code, f64, u32)> {
    found.iter().copied().reduce(|best, this| if evidence::more(this.1, best.1) { this } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fusion::recorded;
    use crate::types::{FusionMode, Verdicts};

    /// Items on which each model is right by its own chance, and wrong answers rarely coincide.
    fn items(models: &[(&str, f64)], n: usize) -> Vec<Labelled> {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut item = || {
            let mut finals = BTreeMap::new();
            for (model, chance) in models {
                let answer = if rng.f64() < *chance { "right".to_owned() } else { rng.u8(0..4).to_string() };
                finals.insert((*model).to_owned(), Some(answer));
            }
            Labelled { gold: Some("right".to_owned()), finals, ..Default::default() }
        };
        (0..n).map(|_| item()).collect()
    }

    #[test]
    fn the_rule_by_numbers_is_the_rule_of_auto() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..5000 {
            let n = rng.usize(1..7);
            let codes: Vec<Code> = (0..n).map(|_| rng.u16(0..4)).collect();
            let priors: Vec<f64> = (0..n).map(|_| [0.6, 0.6, 0.75, 0.9][rng.usize(0..4)]).collect();
            let texts: Vec<Option<String>> = codes.iter().map(|c| Some(c.to_string()).filter(|_| *c != NONE)).collect();
            let keys: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            let played = recorded::play(FusionMode::Auto, &keys, Some(&priors));
            let weights: Vec<f64> = priors.iter().map(|p| evidence::weight(*p)).collect();
            let (answer, calls) = until_two_agree(&codes, &weights);
            assert_eq!(played.chosen.map_or(NONE, |i| codes[i]), answer, "{codes:?} {priors:?}");
            // Two that give none are not known to be silent before they were asked, in either.
            assert_eq!(played.calls as u32, calls, "{codes:?} {priors:?}");
        }
    }

    #[test]
    fn equals_are_pooled_and_a_leader_is_left_alone() {
        let found = calibrate(&items(&[("a", 0.6), ("b", 0.6), ("c", 0.6), ("d", 0.2)], 600));
        assert!(found.pool.len() >= 3, "{found:?}");
        assert!(found.held_out.pool > found.held_out.single + 3.0, "{:?}", found.held_out);
        assert!((found.models[0].chance - 0.6).abs() < 0.08);
        let found = calibrate(&items(&[("a", 0.95), ("b", 0.3), ("c", 0.3)], 600));
        assert_eq!(found.pool.len(), 1, "{:?}", found.held_out);
        assert!(found.advice.contains("do not fuse: use a"), "{}", found.advice);
    }

    #[test]
    fn texts_are_read_and_judges_are_measured_on_verdicts_that_both_orders_gave() {
        let item = |text: &str, given: &str, swapped: &str| Labelled {
            prompt: Some("How many?".to_owned()),
            gold: Some("4".to_owned()),
            answers: [("m".to_owned(), text.to_owned())].into(),
            verdicts: [(
                "j".to_owned(),
                Verdicts { as_given: Some(given.to_owned()), swapped: Some(swapped.to_owned()) },
            )]
            .into(),
            ..Default::default()
        };
        let found =
            calibrate(&[item("The answer is 4.0.", "4", "4"), item("#### 5", "5", "4"), item("four?", "5", "5")]);
        assert_eq!((found.models[0].right, found.models[0].of), (1, 3));
        assert_eq!((found.judges[0].right, found.judges[0].of), (1, 2));
        assert_eq!(found.warnings.len(), 1);
        assert_eq!(
            calibrate(&[]),
            Calibration { advice: calibrate(&[]).advice, warnings: calibrate(&[]).warnings, ..Default::default() }
        );
    }
}
