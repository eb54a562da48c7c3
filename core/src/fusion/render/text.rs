//! A fused answer as text for a terminal: every member, how alike their answers are, what the judge found, the answer, the
//! decision and what spoke for it, the course of the calls, cost and time.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::columns::{pad, wrap};
use super::{Kind, beside, clean, decision, exact, facts, said, served, span, status, timeline, total};
use crate::figures::seconds;
use crate::types::{Agreement, Analysis, Fused, FusionReport, MemberReport, MemberStatus};

const MIN_WIDTH: usize = 40;
/// Lines of a member's answer that are shown; the report holds all of it.
const ANSWER_LINES: usize = 4;

impl Fused {
    /// The whole story for a terminal of `width` columns (at least 40), with ANSI colours if `color`. The answer itself
    /// is not wrapped, because it may hold code.
    pub fn to_text(&self, width: usize, color: bool) -> String {
        let mut page = Page { out: String::new(), width: width.max(MIN_WIDTH), color };
        page.members(&self.report);
        if let Some(agreement) = &self.report.agreement {
            page.agreement(agreement);
        }
        if let Some(analysis) = &self.report.analysis {
            page.analysis(analysis);
        }
        page.debate(&self.report);
        page.answer(self);
        page.decision(&self.report);
        page.timeline(&self.report);
        page.totals(self);
        page.notes(&self.report);
        page.out
    }
}

#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
    Blue,
}

struct Page {
    out: String,
    width: usize,
    color: bool,
}

impl Page {
    fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Warn => "33",
            Ink::Blue => "34",
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
        let mut told: Vec<String> = served(member).map(clean).into_iter().collect();
        told.extend(facts(member, exact));
        told.extend(member.flags.iter().map(|f| self.ink(Ink::Warn, f)));
        told.join("  ")
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
        self.wrapped("  ", &decision(report), None);
        let evidence = &report.decision.evidence;
        let rows: Vec<(String, String)> = evidence
            .iter()
            .map(|e| {
                let weighed = format!("priors {:+.2}  judge {:+.2}", e.prior, e.judge);
                (clean(&said(report, e)).replace('\n', " "), format!("{weighed}  {:3.0} %", e.confidence * 100.0))
            })
            .collect();
        let most =
            rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0).min(self.width.saturating_sub(42).max(12));
        for (at, (name, weighed)) in rows.iter().enumerate() {
            let ink = if at == 0 { Ink::Bold } else { Ink::Dim };
            let name = self.ink(ink, &pad(name, most));
            self.line(&format!("    {name}  {weighed}"));
        }
    }

    /// How alike any two answers are, of 100; where the page is too narrow, who says the same.
    fn agreement(&mut self, agreement: &Agreement) {
        self.heading("Agreement");
        let ids: Vec<String> = agreement.members.iter().map(|id| clean(id)).collect();
        let room = self.width.saturating_sub(6 + 5 * ids.len());
        if room < 8 {
            for group in agreement.groups.iter() {
                self.wrapped("  = ", &group.join(", "), None);
            }
            return;
        }
        let most = ids.iter().map(|id| id.width()).max().unwrap_or(0).min(room).min(28);
        let mut head = format!("    {}", " ".repeat(most));
        (1..=ids.len()).for_each(|number| {
            let _ = write!(head, " {number:>4}");
        });
        let head = self.ink(Ink::Dim, &head);
        self.line(&head);
        for (at, (id, row)) in ids.iter().zip(&agreement.matrix).enumerate() {
            let mut line = format!(" {:>2} {}", at + 1, pad(id, most));
            for (other, alike) in row.iter().enumerate() {
                let told = if other == at { "·".to_owned() } else { format!("{:.0}", alike * 100.0) };
                let ink = match alike {
                    _ if other == at => Ink::Dim,
                    1.0 => Ink::Good,
                    _ => Ink::Plain,
                };
                let _ = write!(line, " {}", self.ink(ink, &format!("{told:>4}")));
            }
            self.line(&line);
        }
    }

    fn timeline(&mut self, report: &FusionReport) {
        let bars = timeline(report);
        if bars.is_empty() {
            return;
        }
        self.heading("Timeline");
        let most = bars.iter().map(|bar| clean(&bar.name).width()).max().unwrap_or(0).min(self.width / 3);
        // Beside name and time.
        let room = (self.width.saturating_sub(most + 13)).clamp(10, 60) as u64;
        let span = span(report, &bars);
        let place = |ms: u64| (ms * room / span).min(room) as usize;
        for bar in &bars {
            let (from, to) = (place(bar.start_ms), place(bar.start_ms + bar.ms));
            let from = from.min(room as usize - 1);
            let drawn = "━".repeat(to.saturating_sub(from).max(1));
            let (drawn, ink) = match bar.kind {
                Kind::Member => (drawn, Ink::Good),
                Kind::Judge => (drawn, Ink::Blue),
                Kind::Lost => (drawn.replace('━', "╌"), Ink::Dim),
            };
            let name = pad(&clean(&bar.name), most);
            let rest = " ".repeat((room as usize).saturating_sub(from + drawn.width()));
            let line = format!("  {name} {}{}{rest} {}", " ".repeat(from), self.ink(ink, &drawn), seconds(bar.ms));
            self.line(&line);
        }
    }

    fn totals(&mut self, fused: &Fused) {
        let report = &fused.report;
        self.heading("Cost and time");
        let cost = &report.cost;
        let stages: Vec<String> = cost.by_stage.iter().map(|(s, n)| format!("{s} {}", exact(*n))).collect();
        let stages = if stages.is_empty() { String::new() } else { format!(": {}", stages.join(", ")) };
        let usage = &fused.usage;
        let tokens = format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens);
        self.wrapped("  ", &format!("{} for {} calls, {tokens}{stages}", total(cost, exact), cost.calls), None);
        for told in beside(report, exact) {
            self.wrapped("  ", &told, None);
        }
        let t = &report.latency;
        let quorum = t.quorum_ms.map(|ms| format!(" (quorum after {})", seconds(ms))).unwrap_or_default();
        let time = format!(
            "{}: members {}{quorum}, judge {}",
            seconds(t.total_ms),
            seconds(t.members_ms),
            seconds(t.judge_ms)
        );
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

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
