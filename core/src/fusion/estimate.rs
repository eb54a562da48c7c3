//! What a fusion may cost before anything is sent, stage by stage. The requests are those that a run would make, over answers
//! that are not there yet: only their lengths are guessed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::{Added, Engine, Spread};
use crate::error::Result;
use crate::types::{
    AssistantMessage, ChatRequest, CostEstimate, FuseRequest, FusionMode, ProviderPreferences, StageEstimate,
};

use super::auto::LONG;
use super::candidate::Candidate;
use super::plan::{self, Plan};
use super::run::Run;
use super::{best_of, debate, merge};

/// How often members are taken to differ in modes that ask on only then. Of recorded closed questions, the first two of a
/// pool differ in a fifth to a half.
const DIFFER: f64 = 0.4;
/// Bytes of a judge's reply that could not be read, and of what it is told about that.
const REPEATED: u64 = 12_000;
/// Tokens that a comparison is likely to have.
const COMPARISON: u64 = 600;

/// What a fusion may cost.
///
/// # Errors
/// What is wrong with the request, and members or a judge that lead nowhere.
pub fn estimate(engine: &Engine, request: FuseRequest) -> Result<CostEstimate> {
    of_plan(engine, plan::from_fuse(request, engine.config())?)
}

/// The same of a chat that is a fusion.
///
/// # Errors
/// As [`estimate`].
pub fn estimate_chat(engine: &Engine, request: ChatRequest) -> Result<CostEstimate> {
    of_plan(engine, plan::from_chat(request, engine.config())?)
}

/// A stage that is being added up.
struct Stage<'a> {
    engine: &'a Engine,
    within: Option<&'a ProviderPreferences>,
    row: StageEstimate,
    unknown: BTreeSet<String>,
}

impl<'a> Stage<'a> {
    fn new(stage: &str, engine: &'a Engine, within: Option<&'a ProviderPreferences>) -> Self {
        let nothing = Some(0);
        let row = StageEstimate {
            stage: stage.to_owned(),
            low_nanos: nothing,
            expected_nanos: nothing,
            high_nanos: nothing,
            ..Default::default()
        };
        Stage { engine, within, row, unknown: BTreeSet::new() }
    }

    /// Adds calls alike: how many at least, how many are likely, how many at most.
    fn add(&mut self, request: &ChatRequest, added: Added, (least, likely, most): (u32, f64, u32)) -> Result<Spread> {
        let spread = self.engine.spread(request, self.within, added)?;
        let row = &mut self.row;
        row.calls += most;
        let sum = |sum: Option<u64>, more: Option<u64>| sum.zip(more).map(|(a, b)| a.saturating_add(b));
        row.low_nanos = sum(row.low_nanos, if least == 0 { Some(0) } else { times(spread.low, f64::from(least)) });
        row.expected_nanos = sum(row.expected_nanos, times(spread.expected, likely));
        row.high_nanos = sum(row.high_nanos, spread.high.map(|nanos| nanos.saturating_mul(u64::from(most))));
        if spread.high.is_none() || spread.expected.is_none() {
            self.unknown.insert(request.model.clone());
        }
        Ok(spread)
    }

    /// Adds a judge's call that may be asked again with its own reply, and without a limit where hidden reasoning has used
    /// that up.
    fn add_judged(&mut self, request: &ChatRequest, added: Added, (likely, most): (f64, u32)) -> Result<()> {
        self.add(request, added, (0, likely, most))?;
        let again = ChatRequest { max_tokens: None, ..request.clone() };
        self.add(&again, Added { most: added.most.saturating_add(REPEATED), ..added }, (0, 0.0, most))?;
        Ok(())
    }

    fn done(self) -> StageEstimate {
        StageEstimate { unknown: self.unknown.into_iter().collect(), ..self.row }
    }
}

fn times(nanos: Option<u64>, share: f64) -> Option<u64> {
    nanos.map(|nanos| (nanos as f64 * share).round() as u64)
}

fn of_plan(engine: &Engine, plan: Plan) -> Result<CostEstimate> {
    let (mode, seats) = (plan.mode, plan.members.len());
    let within = plan.within.clone();
    let within = within.as_deref();
    let guard = plan.guard.unwrap_or(true);
    let json = plan.form.binds_json();
    let mut run = Run::new(plan, Arc::new(engine.clone()), Arc::default(), false);

    let mut members = Stage::new("members", engine, within);
    let mut answers: Vec<(u64, u64)> = Vec::with_capacity(seats);
    for seat in 0..seats {
        let request = run.plan.member_request(seat);
        let (least, likely) = share_of_seat(mode, seat, seats);
        let spread = members.add(&request, Added::default(), (least, likely, 1))?;
        answers.push((spread.likely_tokens, spread.most_tokens));
    }
    let mut stages = vec![members.done()];
    if seats > 1 && !matches!(mode, FusionMode::Vote | FusionMode::Cascade) {
        judged(&mut run, &mut stages, engine, within, &answers, (guard, json))?;
    }

    let total = |of: fn(&StageEstimate) -> Option<u64>| {
        stages.iter().map(of).try_fold(0u64, |sum, nanos| nanos.map(|nanos| sum.saturating_add(nanos)))
    };
    Ok(CostEstimate {
        low_nanos: total(|stage| stage.low_nanos),
        expected_nanos: total(|stage| stage.expected_nanos),
        high_nanos: total(|stage| stage.high_nanos),
        stages,
        ..Default::default()
    })
}

/// Whether a seat is asked at least, and how likely it is.
fn share_of_seat(mode: FusionMode, seat: usize, seats: usize) -> (u32, f64) {
    match mode {
        FusionMode::Auto if seat >= 2 => (0, DIFFER),
        FusionMode::Cascade if seat + 1 == seats => (0, DIFFER),
        // Those that a majority needs; the others are cancelled.
        FusionMode::Vote => (u32::from(seat <= seats / 2), 1.0),
        _ => (1, 1.0),
    }
}

/// The stages after the first answers, in modes that have a judge.
fn judged(
    run: &mut Run,
    stages: &mut Vec<StageEstimate>,
    engine: &Engine,
    within: Option<&ProviderPreferences>,
    answers: &[(u64, u64)],
    (guard, json): (bool, bool),
) -> Result<()> {
    let mode = run.plan.mode;
    let likely: u64 = answers.iter().map(|(likely, _)| likely).sum();
    let most = answers.iter().fold(0u64, |sum, (_, most)| sum.saturating_add(*most));
    let all = Added::answers(likely, most);
    let blank: Vec<Candidate> = (0..answers.len()).map(empty).collect();
    let share = if mode == FusionMode::Auto { DIFFER } else { 1.0 };
    // `auto` writes one answer from long ones, and chooses among short ones.
    let long = answers.iter().map(|(likely, _)| *likely).max().unwrap_or(0) >= LONG as u64;
    let merges = mode == FusionMode::Merge || mode == FusionMode::Auto && !json;
    let likely_merges = mode == FusionMode::Merge || merges && long;

    if mode == FusionMode::Debate {
        let mut looks = Stage::new("debate", engine, within);
        // A member's own answer, and those of two others.
        let longest = answers.iter().map(|(_, most)| *most).max().unwrap_or(0);
        let seen = 1 + debate::PEERS as u64;
        let seen = Added::answers(likely.div_ceil(answers.len() as u64) * seen, longest.saturating_mul(seen));
        for request in debate::requests(run, &blank) {
            looks.add(&request, seen, (0, 1.0, 1))?;
        }
        stages.push(looks.done());
    }
    let mut judge = Stage::new("judge", engine, within);
    let codes: Vec<String> = (0..answers.len()).map(|i| format!("X{i:02}")).collect();
    let labels: Vec<&str> = codes.iter().map(String::as_str).collect();
    let order: Vec<usize> = (0..answers.len()).collect();
    let verdict = best_of::verdict_request(run, &blank, &labels, &order);
    // Who changed its answer in a debate stands there twice.
    let shown = if mode == FusionMode::Debate { Added { most: all.most.saturating_mul(2), ..all } } else { all };
    if mode != FusionMode::Merge {
        judge.add_judged(&verdict, shown, (if likely_merges { 0.0 } else { 2.0 * share }, 2))?;
    }
    if merges {
        let (analysis, writing) = merge::requests(run, &blank);
        let taken = if likely_merges { share } else { 0.0 };
        judge.add_judged(&analysis, all, (taken, 1))?;
        let mut synthesis = Stage::new("synthesis", engine, within);
        let comparison = Added::answers(COMPARISON, merge::ANALYSIS_TOKENS);
        let added = Added { likely: all.likely + comparison.likely, most: all.most.saturating_add(comparison.most) };
        let written = synthesis.add(&writing, added, (0, taken, 1))?;
        if guard {
            let (likely, most) = answers.iter().max().copied().unwrap_or_default();
            let pair = Added::answers(written.likely_tokens + likely, written.most_tokens.saturating_add(most));
            let verdict = best_of::verdict_request(run, &blank[..2], &labels[..2], &order[..2]);
            judge.add_judged(&verdict, pair, (2.0 * taken, 2))?;
        }
        stages.push(judge.done());
        stages.push(synthesis.done());
    } else {
        stages.push(judge.done());
    }
    Ok(())
}

fn empty(member: usize) -> Candidate {
    let message = AssistantMessage { content: Some(String::new()), ..Default::default() };
    Candidate::new(member, message, Some("stop".to_owned()))
}
