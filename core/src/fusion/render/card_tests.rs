//! The card as text; how it looks in a browser is tested where a browser is.

use super::*;
use crate::types::{
    AssistantMessage, Contradiction, CostReport, Decision, Degraded, Evidence, FinalSource, FusionMode, JudgeReport,
    Stance, UniqueInsight, Usage,
};

/// A run with something in every place, each text of it made by `say`.
fn fused(members: usize, say: impl Fn(&str) -> String) -> Fused {
    let ids: Vec<String> = (0..members).map(|i| format!("{i}{}", say("name"))).collect();
    let member = |i: usize| MemberReport {
        id: ids[i].clone(),
        model: say("model"),
        content: Some(say("said")),
        flags: vec![say("flag")],
        reason: Some(say("reason")),
        usage: Some(Usage::default()),
        cost_nanos: Some(1_000_000),
        start_ms: Some(0),
        latency_ms: 900 + i as u64,
        attempts: 1,
        ..Default::default()
    };
    let judge = |at: u64| JudgeReport {
        purpose: say("verdict"),
        model: say("judge"),
        start_ms: Some(at),
        latency_ms: 100,
        ..Default::default()
    };
    let turn = |id: &String| DebateTurn {
        member: id.clone(),
        round: 1,
        saw: ids.clone(),
        reason: Some(say("turned")),
        start_ms: Some(500),
        ..Default::default()
    };
    let evidence = |id: &String| Evidence {
        members: vec![id.clone()],
        answer: Some(say("weighed")),
        prior: 0.4,
        judge: 0.8,
        confidence: 0.5,
    };
    let many = |what: &str| vec![say(what); 100];
    Fused {
        id: say("id"),
        text: say("answer"),
        message: AssistantMessage::default(),
        finish_reason: Some(say("length")),
        usage: Usage::default(),
        report: FusionReport {
            schema: 1,
            run_id: say("run"),
            mode: FusionMode::Auto,
            mode_used: FusionMode::BestOf,
            started_ms: 1_790_000_000_000,
            tags: (0..100).map(|i| (format!("{i}{}", say("tag")), say("value"))).collect(),
            decision: Decision {
                source: FinalSource::Member,
                members: ids.clone(),
                method: say("judge"),
                anchor: ids[0].clone(),
                swap_consistent: Some(true),
                why: say("why"),
                evidence: ids.iter().map(evidence).collect(),
                ..Default::default()
            },
            agreement: Some(Agreement {
                members: ids.clone(),
                matrix: vec![vec![0.25; members]; members],
                groups: vec![ids.clone()],
            }),
            analysis: Some(Analysis {
                consensus: many("consensus"),
                contradictions: vec![
                    Contradiction {
                        topic: say("topic"),
                        stances: vec![Stance { member: ids[0].clone(), stance: say("stance") }; 20],
                    };
                    100
                ],
                unique_insights: vec![UniqueInsight { member: ids[0].clone(), insight: say("insight") }; 100],
                blind_spots: many("blind"),
                ..Default::default()
            }),
            judges: (0..100).map(judge).collect(),
            debate: ids.iter().map(turn).collect(),
            cost: CostReport {
                known_nanos: 4_000_000,
                by_stage: [(say("stage"), 3_000_000), ("judge".to_owned(), 1_000_000)].into(),
                calls: 5,
                unknown_calls: 1,
                anchor_nanos: Some(1_000_000),
                multiple: Some(4.0),
                saved_nanos: Some(500_000),
                cap_nanos: Some(50_000_000),
                ..Default::default()
            },
            degraded: vec![Degraded { step: say("step"), cause: say("cause"), error: None }; 100],
            warnings: many("warning"),
            members: (0..members).map(member).collect(),
            ..Default::default()
        },
    }
}

#[test]
fn the_card_tells_everything_and_runs_nothing() {
    let page = fused(3, |what| format!("{what} <script src=\"https://x/y.js\" onload='z'>&\u{202e}\u{7}")).to_html();
    for what in [
        "name",
        "model",
        "said",
        "flag",
        "reason",
        "verdict",
        "turned",
        "weighed",
        "answer",
        "length",
        "run",
        "tag",
        "value",
        "why",
        "consensus",
        "topic",
        "stance",
        "insight",
        "blind",
        "stage",
        "step",
        "cause",
        "warning",
    ] {
        assert!(page.contains(&format!("{what} &lt;script src=&quot;https:")), "{what} is missing");
    }
    let told = ["auto, in the end best of", "4 times", "$0.0010", "8.0 %", "prefers-color-scheme", "the same verdict"];
    for part in told {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    for part in ["<script", "src=\"", "onload='", "url(", "@import", "\u{202e}", "\u{7}"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn code_in_an_answer_stands_as_code() {
    assert_eq!(
        blocks("Do:\n```rust\nlet a = 1 < 2;\n```\nDone.", 1000),
        "<div class=\"if-text\">Do:</div><pre>let a = 1 &lt; 2;</pre><div class=\"if-text\">Done.</div>"
    );
    assert_eq!(blocks("```\nopen", 1000), "<pre>open</pre>");
    assert_eq!(blocks("", 1000), "");
}

#[test]
fn a_card_stays_small_whatever_was_said() {
    let mut most = fused(16, |what| format!("{what}{}", "\"<&".repeat(2000)));
    most.text = "\"<&".repeat(50_000);
    let page = most.to_html();
    assert!(page.len() < 512 << 10, "{} bytes", page.len());
    assert!(page.contains("The rest is left out here"));
    assert!(Fused::default().to_html().contains("One answer from 0 answers"), "an empty one has a card, too");
}

#[test]
fn a_part_of_a_page_styles_nothing_but_itself() {
    let part = Fused::default().to_html_part();
    let style = part.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).map(|(style, _)| style);
    let style = style.unwrap();
    let flat = style.replace('\n', "");
    for rule in flat.split('}').filter(|rule| rule.contains('{')) {
        let selector = rule.rsplit_once('{').map(|(selector, _)| selector).unwrap_or_default();
        let selector = selector.rsplit_once('{').map_or(selector, |(_, inner)| inner);
        for one in selector.split(',') {
            assert!(one.trim().starts_with(".interfuse-card"), "{one} in {rule}");
        }
    }
}
