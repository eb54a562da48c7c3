//! The text as it stands on a terminal.

use super::*;
use crate::types::{AssistantMessage, Contradiction, CostReport, Decision, Degraded, Scores, Stance, Usage};

fn member(id: &str, content: Option<&str>, status: MemberStatus) -> MemberReport {
    MemberReport {
        id: id.to_owned(),
        model: "up/m".to_owned(),
        status,
        content: content.map(str::to_owned),
        latency_ms: 1234,
        attempts: 1,
        ..Default::default()
    }
}

fn fused() -> Fused {
    let mut good = member("plain", Some(&"Bern is the federal city. ".repeat(30)), MemberStatus::Ok);
    good.usage = Some(Usage { prompt_tokens: 7, completion_tokens: 5, ..Default::default() });
    good.cost_nanos = Some(1_500);
    good.scores = Some(Scores { correctness: 9.0, instruction: 8.5, completeness: 7.0 });
    let mut bad = member("首都専門家", None, MemberStatus::Failed);
    bad.reason = Some("the vendor \x1b[31mBROKE".to_owned());
    Fused {
        text: "Bern.\n\n    let city = \"Bern\";".to_owned(),
        message: AssistantMessage::default(),
        finish_reason: Some("length".to_owned()),
        report: FusionReport {
            members: vec![good, bad],
            analysis: Some(Analysis {
                consensus: vec!["a city".to_owned()],
                contradictions: vec![Contradiction {
                    topic: "which".to_owned(),
                    stances: vec![Stance { member: "plain".to_owned(), stance: "Bern".to_owned() }],
                }],
                ..Default::default()
            }),
            decision: Decision {
                members: vec!["plain".to_owned()],
                why: "it is right".to_owned(),
                ..Default::default()
            },
            cost: CostReport { known_nanos: 1_500, calls: 3, unknown_calls: 1, ..Default::default() },
            degraded: vec![Degraded {
                step: "member".to_owned(), cause: "首都専門家 failed".to_owned(), error: None
            }],
            warnings: vec!["self_judge: x".to_owned()],
            ..Default::default()
        },
        ..Default::default()
    }
}

#[test]
fn everything_is_shown_within_the_width() {
    let text = fused().to_text(60, false);
    for part in [
        "✓ plain",
        "✗ 首都専門家",
        "1.2 s",
        "7 + 5 tokens",
        "$0.0000015",
        "scores 9.0 8.5 7.0",
        "failed: the vendor",
        "consensus:",
        "which (plain: Bern)",
        "blind spots: none",
        "let city = \"Bern\";",
        "(ended by: length)",
        "it is right",
        "at least $0.0000015",
        "1 of 3",
        "! member",
        "self_judge",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains('\x1b'), "a model cannot steer the terminal");
    for line in text.lines().filter(|l| !l.contains("scores")) {
        assert!(line.width() <= 60, "{line}");
    }
}

#[test]
fn colours_only_when_asked() {
    let text = fused().to_text(80, true);
    assert!(text.contains("\x1b[1mMembers\x1b[0m") && text.contains("\x1b[32m✓\x1b[0m"));
    assert!(!text.contains("\x1b[31mBROKE"), "those of the model are taken out");
}

#[test]
fn who_agrees_with_whom_what_was_weighed_and_when() {
    let mut fused = fused();
    let ids = ["plain", "首都専門家", "third"].map(str::to_owned);
    fused.report.agreement = Some(Agreement {
        members: ids.to_vec(),
        matrix: vec![vec![1.0, 1.0, 0.125], vec![1.0, 1.0, 0.125], vec![0.125, 0.125, 1.0]],
        groups: vec![ids[..2].to_vec(), ids[2..].to_vec()],
    });
    let weighed = |member: &str, prior, confidence| crate::types::Evidence {
        members: vec![member.to_owned()],
        prior,
        confidence,
        ..Default::default()
    };
    fused.report.decision.evidence = vec![weighed("plain", 0.81, 0.6), weighed("third", 0.41, 0.4)];
    fused.report.members[0].start_ms = Some(0);
    fused.report.judges = vec![crate::types::JudgeReport {
        purpose: "verdict".to_owned(),
        start_ms: Some(1234),
        latency_ms: 1234,
        ..Default::default()
    }];
    (fused.report.latency.total_ms, fused.report.cost.saved_nanos) = (2468, Some(2_000));
    let text = fused.to_text(90, false);
    let line =
        |part: &str| text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in\n{text}"));
    assert!(line(" 1 plain").ends_with("·  100   12"), "{text}");
    assert!(line(" 3 third").contains("12   12    ·"), "{text}");
    assert!(line("the same of plain and 首都専門家").ends_with("60 %"), "{text}");
    assert!(line("that of third").contains("+0.41"), "{text}");
    let drawn = |part: &str| text.lines().find(|line| line.contains(part) && line.contains('━')).unwrap();
    let (member, judge) = (drawn("plain"), drawn("judge: verdict"));
    let bar = |line: &str| line.chars().filter(|c| *c == '━').count();
    assert_eq!(bar(member), bar(judge), "as long as each other");
    let at = |line: &str| line.chars().position(|c| c == '━').unwrap();
    assert_eq!(at(judge), at(member) + bar(member), "and one after the other\n{text}");
    assert!(text.contains("about $0.000002 saved"));
}

#[test]
fn stored_answers_are_told_to_be_so() {
    let mut fused = fused();
    let earlier = crate::types::Earlier { run_id: "run-1".to_owned(), ..Default::default() };
    fused.report.earlier = Some(earlier.clone());
    assert!(fused.to_text(2000, false).contains("The stored answers of the run run-1, judged anew."));
    fused.report.earlier = Some(crate::types::Earlier { how: crate::types::Again::Replayed, ..earlier });
    assert!(fused.to_text(2000, false).contains("The run run-1 replayed: it is the same."));
    assert!(fused.to_html().contains("it is the same"));
}
