//! A fused answer for people: as text for terminals, and as a card in HTML. What both tell is worded here. Text of models
//! is shown without control characters and without what turns its direction, so that no answer can steer a reader's eyes.

mod card;
mod columns;
mod text;

use crate::figures::seconds;
use crate::types::{Again, CostReport, Evidence, FinalSource, FusionReport, MemberReport, MemberStatus};

/// The decision in one sentence, and in another whose answers these are where they were stored.
fn decision(report: &FusionReport) -> String {
    let decided = decided(report);
    let Some(earlier) = &report.earlier else { return decided };
    let of = &earlier.run_id;
    match (earlier.how, earlier.differs.len()) {
        (Again::Rejudged, _) => format!("{decided} The stored answers of the run {of}, judged anew."),
        (Again::Replayed, 0) => format!("{decided} The run {of} replayed: it is the same."),
        (Again::Replayed, 1) => format!("{decided} The run {of} replayed: it differs in one place."),
        (Again::Replayed, places) => format!("{decided} The run {of} replayed: it differs in {places} places."),
    }
}

fn decided(report: &FusionReport) -> String {
    let decision = &report.decision;
    let from = all(&decision.members);
    let order = match (decision.source, decision.swap_consistent) {
        (_, None) => "",
        (FinalSource::Merged, Some(true)) => ", and preferred to the best single answer in both orders",
        (FinalSource::Merged, Some(false)) => {
            "; beside the best single answer, the judge's choice changed with the order"
        }
        (_, Some(true)) => " (the same verdict in both orders)",
        (_, Some(false)) => " (the verdict changed with the order)",
    };
    let why = decision.why.trim().trim_end_matches('.');
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    match (decision.source, decision.method.as_str()) {
        (FinalSource::Merged, _) => {
            let judge = report.judges.last().map(|judge| format!(" by {}", judge.model)).unwrap_or_default();
            format!("Written{judge} from the answers of {from}{order}.")
        }
        (FinalSource::Fields, _) => format!("Put together field by field from the answers of {from}{because}{order}."),
        (_, "agreement") => format!("The answer that {from} agree on{because}."),
        _ => format!("The answer of {from}{because}{order}."),
    }
}

/// Names in a sentence.
fn all(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What speaks for an answer, in words: what it says, or who says it.
fn said(report: &FusionReport, evidence: &Evidence) -> String {
    let alike = |group: &&Vec<String>| evidence.members.first().is_some_and(|m| group.contains(m));
    match (&evidence.answer, report.agreement.as_ref().and_then(|a| a.groups.iter().find(alike))) {
        (Some(answer), _) => answer.clone(),
        (None, Some(group)) if group.len() > 1 => format!("the same of {}", all(group)),
        _ => format!("that of {}", all(&evidence.members)),
    }
}

/// One call in the course of a run.
struct Bar {
    name: String,
    start_ms: u64,
    ms: u64,
    kind: Kind,
}

/// Whose call it was, and whether it was of use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Member,
    Lost,
    Judge,
}

/// Every call of a run with a known beginning, in the order of their beginnings.
fn timeline(report: &FusionReport) -> Vec<Bar> {
    let members = report.members.iter().filter_map(|member| {
        let kind = if member.status == MemberStatus::Ok { Kind::Member } else { Kind::Lost };
        Some(Bar { name: member.id.clone(), start_ms: member.start_ms?, ms: member.latency_ms, kind })
    });
    let debate = report.debate.iter().filter_map(|turn| {
        let kind = if turn.error.is_none() { Kind::Member } else { Kind::Lost };
        let name = format!("{}, round {}", turn.member, turn.round + 1);
        Some(Bar { name, start_ms: turn.start_ms?, ms: turn.latency_ms, kind })
    });
    let judges = report.judges.iter().filter_map(|judge| {
        let kind = if judge.error.is_none() { Kind::Judge } else { Kind::Lost };
        Some(Bar { name: format!("judge: {}", judge.purpose), start_ms: judge.start_ms?, ms: judge.latency_ms, kind })
    });
    let mut bars: Vec<Bar> = members.chain(debate).chain(judges).collect();
    bars.sort_by_key(|bar| bar.start_ms);
    bars
}

/// What the bars of a timeline are drawn on, milliseconds; never 0.
fn span(report: &FusionReport, bars: &[Bar]) -> u64 {
    bars.iter().map(|bar| bar.start_ms + bar.ms).chain([report.latency.total_ms]).max().unwrap_or(0).max(1)
}

/// The whole cost, as far as it is known. `amount` writes an amount.
fn total(cost: &CostReport, amount: fn(u64) -> String) -> String {
    let unknown = || format!("{} of {} calls have no known cost", cost.unknown_calls, cost.calls);
    match cost.total_nanos {
        Some(nanos) => amount(nanos),
        None if cost.known_nanos == 0 => format!("unknown ({})", unknown()),
        None => format!("at least {} ({})", amount(cost.known_nanos), unknown()),
    }
}

/// The cost beside that of the first member alone, and what was saved.
fn beside(report: &FusionReport, amount: fn(u64) -> String) -> Vec<String> {
    let cost = &report.cost;
    let mut told = Vec::new();
    if let Some(anchor) = cost.anchor_nanos {
        let times = match cost.multiple {
            Some(times) if times != 1.0 => format!(", all together {times} times as much"),
            _ => String::new(),
        };
        told.push(format!("{} alone {}{times}", report.decision.anchor, amount(anchor)));
    }
    if let Some(saved) = cost.saved_nanos.filter(|saved| *saved > 0) {
        told.push(format!("about {} saved by not asking or not waiting for everyone", amount(saved)));
    }
    if let Some(cap) = cost.cap_nanos {
        told.push(format!("cap {}", amount(cap)));
    }
    told
}

/// Who served a member's call, where its name does not tell.
fn served(member: &MemberReport) -> Option<&str> {
    member.provider.as_deref().filter(|provider| !member.model.starts_with(&format!("{provider}/")))
}

/// What is worth knowing about a member's call beside its answer.
fn facts(member: &MemberReport, amount: fn(u64) -> String) -> Vec<String> {
    let mut facts = Vec::new();
    if member.status == MemberStatus::Skipped {
        return facts;
    }
    facts.push(seconds(member.latency_ms));
    if let Some(usage) = &member.usage {
        facts.push(format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens));
    }
    facts.push(member.cost_nanos.map_or_else(|| "cost unknown".to_owned(), amount));
    if member.attempts > 1 {
        facts.push(format!("{} attempts", member.attempts));
    }
    if member.hedged {
        facts.push("hedged".to_owned());
    }
    if member.cached {
        facts.push("kept answer".to_owned());
    }
    if let Some(s) = &member.scores {
        facts.push(format!("scores {:.1} {:.1} {:.1}", s.correctness, s.instruction, s.completeness));
    }
    facts
}

fn status(status: MemberStatus) -> &'static str {
    match status {
        MemberStatus::Ok => "ok",
        MemberStatus::Failed => "failed",
        MemberStatus::Unusable => "unusable",
        MemberStatus::Cancelled => "cancelled",
        MemberStatus::Timeout => "timeout",
        MemberStatus::Skipped => "skipped",
    }
}

/// An amount, exactly.
fn exact(nanos: u64) -> String {
    format!("${}", crate::money::usd(nanos))
}

/// Without control characters other than line breaks; tabs become spaces.
fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' => Some(c),
            '\t' => Some(' '),
            c if c.is_control() => None,
            // Direction overrides reorder what stands around them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
            c => Some(c),
        })
        .collect()
}
