//! A fused answer as text for people: every member, what the judge found, the answer, the decision, cost and time.
//! Text of models is shown without control characters, so that no answer can steer a terminal.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::money::NanoUsd;
use crate::types::{Analysis, FinalSource, Fused, FusionReport, MemberReport, MemberStatus};

const MIN_WIDTH: usize = 40;
/// Lines of a member's answer that are shown; the report holds all of it.
const ANSWER_LINES: usize = 4;

impl Fused {
    /// The whole story for a terminal of `width` columns (at least 40), with ANSI colours if `color`. The answer itself
    /// is not wrapped, because it may hold code.
    pub fn to_text(&self, width: usize, color: bool) -> String {
        let mut page = Page { out: String::new(), width: width.max(MIN_WIDTH), color };
        page.members(&self.report);
        if let Some(analysis) = &self.report.analysis {
            page.analysis(analysis);
        }
        page.debate(&self.report);
        page.answer(self);
        page.decision(&self.report);
        page.totals(self);
        page.notes(&self.report);
        page.out
    }
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
}

struct Page {
    out: String,
    width: usize,
    color: bool,
}

impl Page {
    fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Warn => "33",
        };
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn heading(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let text = self.ink(Ink::Bold, text);
        self.line(&text);
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// Wrapped text; `first` stands before it, later lines are indented as far.
    fn wrapped(&mut self, first: &str, text: &str, ink: Option<Ink>) {
        let indent = " ".repeat(first.width());
        let lines = wrap(&clean(text), self.width.saturating_sub(indent.len()));
        for (i, line) in lines.iter().enumerate() {
            let line = ink.map_or_else(|| line.clone(), |ink| self.ink(ink, line));
            self.line(&format!("{}{line}", if i == 0 { first } else { &indent }));
        }
    }

    fn members(&mut self, report: &FusionReport) {
        self.heading("Members");
        let longest = |get: fn(&MemberReport) -> &str| {
            report.members.iter().map(|m| clean(get(m)).width()).max().unwrap_or(0).min(28)
        };
        let (id_width, model_width) = (longest(|m| &m.id), longest(|m| &m.model));
        let named_by_model = report.members.iter().all(|m| m.id.starts_with(&m.model));
        for member in &report.members {
            let mark = match member.status {
                MemberStatus::Ok => self.ink(Ink::Good, "✓"),
                MemberStatus::Cancelled | MemberStatus::Skipped => self.ink(Ink::Dim, "–"),
                _ => self.ink(Ink::Bad, "✗"),
            };
            let mut row = format!("  {mark} {}", pad(&clean(&member.id), id_width));
            if !named_by_model {
                let _ = write!(row, "  {}", self.ink(Ink::Dim, &pad(&clean(&member.model), model_width)));
            }
            let _ = write!(row, "  {}", self.facts(member));
            self.line(&row);
            if let Some(reason) = &member.reason {
                self.wrapped("      ", &format!("{}: {reason}", status(member.status)), Some(Ink::Bad));
            }
            if member.status == MemberStatus::Ok {
                self.excerpt(member);
            }
        }
    }

    fn facts(&self, member: &MemberReport) -> String {
        let mut facts = vec![seconds(member.latency_ms)];
        if let Some(usage) = &member.usage {
            facts.push(format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens));
        }
        if member.status != MemberStatus::Skipped {
            facts.push(money(member.cost_nanos));
        }
        if member.attempts > 1 {
            facts.push(format!("{} attempts", member.attempts));
        }
        if let Some(s) = &member.scores {
            facts.push(format!("scores {:.1} {:.1} {:.1}", s.correctness, s.instruction, s.completeness));
        }
        facts.extend(member.flags.iter().map(|f| self.ink(Ink::Warn, f)));
        facts.join("  ")
    }

    fn excerpt(&mut self, member: &MemberReport) {
        let text = clean(member.content.as_deref().unwrap_or_default());
        let lines = wrap(text.trim(), self.width - 6);
        for (i, line) in lines.iter().take(ANSWER_LINES).enumerate() {
            let more = if i + 1 == ANSWER_LINES && lines.len() > ANSWER_LINES { " …" } else { "" };
            self.line(&format!("      {line}{more}"));
        }
        for call in member.tool_calls.iter().flatten().filter_map(|c| c.function.as_ref()) {
            self.wrapped("      ", &format!("calls {}({})", call.name, call.arguments), None);
        }
    }

    fn analysis(&mut self, a: &Analysis) {
        self.heading("Comparison by the judge");
        self.list("consensus", a.consensus.clone());
        let stances = |c: &crate::types::Contradiction| {
            let all: Vec<String> = c.stances.iter().map(|s| format!("{}: {}", s.member, s.stance)).collect();
            if all.is_empty() { c.topic.clone() } else { format!("{} ({})", c.topic, all.join("; ")) }
        };
        self.list("contradictions", a.contradictions.iter().map(stances).collect());
        let covered =
            a.partial_coverage.iter().map(|p| format!("{} (only {})", p.point, p.members.join(", "))).collect();
        self.list("partial coverage", covered);
        let insights = a.unique_insights.iter().map(|u| format!("{} ({})", u.insight, u.member)).collect();
        self.list("unique insights", insights);
        self.list("blind spots", a.blind_spots.clone());
    }

    fn list(&mut self, name: &str, items: Vec<String>) {
        if items.is_empty() {
            let none = self.ink(Ink::Dim, "none");
            self.line(&format!("  {name}: {none}"));
            return;
        }
        self.line(&format!("  {name}:"));
        for item in items {
            self.wrapped("    - ", &item, None);
        }
    }

    fn debate(&mut self, report: &FusionReport) {
        if report.debate.is_empty() {
            return;
        }
        self.heading("Debate");
        for turn in &report.debate {
            let did = if turn.changed { "changed its answer" } else { "kept its answer" };
            let reason = turn.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
            let saw = turn.saw.join(" and ");
            self.wrapped("  ", &format!("{} saw {saw} and {did}{reason}", turn.member), None);
        }
    }

    fn answer(&mut self, fused: &Fused) {
        self.heading("Answer");
        let text = clean(&fused.text);
        if !text.trim().is_empty() {
            self.line(text.trim());
        }
        for call in fused.message.tool_calls.iter().flatten().filter_map(|c| c.function.as_ref()) {
            self.wrapped("", &format!("calls {}({})", call.name, call.arguments), None);
        }
        if let Some(reason) = fused.finish_reason.as_deref().filter(|r| !matches!(*r, "stop" | "tool_calls")) {
            let note = self.ink(Ink::Warn, &format!("(ended by: {})", clean(reason)));
            self.line(&note);
        }
    }

    fn decision(&mut self, report: &FusionReport) {
        self.heading("Decision");
        let d = &report.decision;
        let source = match d.source {
            FinalSource::Member => format!("{} of {}", d.method, d.members.join(", ")),
            FinalSource::Merged => format!("merged from {}", d.members.join(", ")),
            FinalSource::Fields => format!("fields of {}", d.members.join(", ")),
        };
        let order = match d.swap_consistent {
            Some(true) => "; the same in both orders",
            Some(false) => "; not the same in both orders",
            None => "",
        };
        self.wrapped("  ", &format!("{}: {source}{order}. {}", report.mode.as_str(), d.why), None);
    }

    fn totals(&mut self, fused: &Fused) {
        let report = &fused.report;
        let cost = &report.cost;
        let mut parts: Vec<String> = cost.by_stage.iter().map(|(s, n)| format!("{s} {}", money(Some(*n)))).collect();
        if let Some(anchor) = cost.anchor_nanos {
            parts.push(format!("the anchor alone {}", money(Some(anchor))));
        }
        if let Some(cap) = cost.cap_nanos {
            parts.push(format!("cap {}", money(Some(cap))));
        }
        let total = match cost.total_nanos {
            Some(nanos) => money(Some(nanos)),
            None if cost.known_nanos == 0 => {
                format!("unknown ({} of {} calls have no known cost)", cost.unknown_calls, cost.calls)
            }
            None => format!(
                "at least {} ({} of {} calls have no known cost)",
                money(Some(cost.known_nanos)),
                cost.unknown_calls,
                cost.calls
            ),
        };
        let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        let usage = &fused.usage;
        let tokens = format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens);
        self.wrapped("  ", &format!("cost {total} for {} calls, {tokens}{parts}", cost.calls), None);
        let t = &report.latency;
        let time =
            format!("time {}: members {}, judge {}", seconds(t.total_ms), seconds(t.members_ms), seconds(t.judge_ms));
        self.wrapped("  ", &time, None);
    }

    fn notes(&mut self, report: &FusionReport) {
        if !report.degraded.is_empty() {
            self.heading("Less was done than asked");
            for d in &report.degraded {
                self.wrapped("  ! ", &format!("{}: {}", d.step, d.cause), Some(Ink::Warn));
            }
        }
        if !report.warnings.is_empty() {
            self.heading("Worth knowing");
            for warning in &report.warnings {
                self.wrapped("  - ", warning, Some(Ink::Dim));
            }
        }
    }
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

fn seconds(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

fn money(nanos: Option<u64>) -> String {
    match nanos.and_then(NanoUsd::from_nanos) {
        Some(amount) => format!("${amount}"),
        None => "cost unknown".to_owned(),
    }
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

/// To `width` columns, cut with a mark.
fn pad(text: &str, width: usize) -> String {
    let text =
        if text.width() > width { format!("{}…", cut(text, width.saturating_sub(1)).0) } else { text.to_owned() };
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// The longest start of `text` that fits in `width` columns, and the rest.
fn cut(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        // One character at least, or nothing would ever fit.
        if used > width && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Lines of at most `width` columns, broken at spaces where there are any; empty lines are left out.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(10);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let mut word = word;
            if !line.is_empty() && line.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut line));
            }
            while word.width() > width {
                let (start, rest) = cut(word, width);
                lines.push(start.to_owned());
                word = rest;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
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
                    step: "member".to_owned(),
                    cause: "首都専門家 failed".to_owned(),
                    error: None,
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
    fn long_words_and_narrow_pages_end() {
        assert_eq!(wrap("aaaaaaaaaaaaaaaaaaaaaaaaa bb", 10), ["aaaaaaaaaa", "aaaaaaaaaa", "aaaaa bb"]);
        assert_eq!(wrap("漢字漢字漢字漢字", 10), ["漢字漢字漢", "字漢字"]);
        assert!(!Fused::default().to_text(0, false).is_empty());
    }
}
