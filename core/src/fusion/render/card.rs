//! A fused answer as one card in HTML: the answer, who said what, how alike it is, why it was chosen, the course of the calls
//! as bars, the cost. No script, no font, no network; light and dark; everything of a model escaped and cut to size.
//!
//! All its rules hang on one class, so that it can stand inside another page (a notebook's) without changing it.

use std::fmt::Write as _;

use super::{Kind, all, decision, facts, said, served, span, status, timeline, total};
use crate::figures::{moment, percent, seconds, thousands, usd};
use crate::html::{self, document, palette};
use crate::types::{Agreement, Analysis, DebateTurn, Fused, FusionReport, MemberReport, MemberStatus, ToolCall};

/// Most bytes of HTML that a text becomes: the answer, all members' answers together, a sentence, a name.
const ANSWER: usize = 64 << 10;
const MEMBERS: usize = 96 << 10;
const SENTENCE: usize = 600;
const NAME: usize = 120;
/// Most entries of a list, and bars of a timeline.
const ENTRIES: usize = 24;
const BARS: usize = 48;

impl Fused {
    /// The whole story as one HTML page that needs no network and runs no script: for a browser, a mail, an archive. Text of
    /// models is escaped, and cut where it is very long; the whole page stays below half a megabyte.
    pub fn to_html(&self) -> String {
        let page = "body{margin:0;background:var(--page)}@media print{body{background:#fff}}";
        document("Fused answer", &[&palette(":root"), page], &self.to_html_part())
    }

    /// The same as a part of a page, with its own style, which changes nothing around it: for notebooks.
    pub fn to_html_part(&self) -> String {
        let mut out = String::with_capacity(32 << 10);
        let _ = write!(
            out,
            "<article class=\"interfuse-card\"><style>{}{}</style>",
            palette(".interfuse-card"),
            include_str!("card.css")
        );
        let report = &self.report;
        head(&mut out, report);
        answer(&mut out, self);
        chosen(&mut out, report);
        members(&mut out, report);
        out.push_str("<div class=\"if-pair\">");
        if let Some(agreement) = &report.agreement {
            matrix(&mut out, agreement);
        }
        course(&mut out, report);
        out.push_str("</div>");
        if let Some(analysis) = &report.analysis {
            compared(&mut out, analysis);
        }
        debated(&mut out, &report.debate);
        cost(&mut out, self);
        notes(&mut out, report);
        let _ = write!(
            out,
            "<footer>Run {}, seed {}, report {}. Costs are rounded for reading; the report has them exactly. Written by interfuse.</footer></article>",
            line(&report.run_id, NAME),
            line(&report.seed, NAME),
            report.schema
        );
        out
    }
}

/// Text on one line, with a mark where it is cut.
fn line(text: &str, most: usize) -> String {
    // What cannot be shown need not be read.
    let (start, rest) = text.char_indices().nth(2 * most).map_or((text, ""), |(end, _)| text.split_at(end));
    let start = start.split_whitespace().collect::<Vec<_>>().join(" ");
    let (told, whole) = html::text(&start, most);
    if whole && rest.is_empty() { told } else { format!("{}…", told.trim_end()) }
}

/// Text of several lines, with fenced code as code.
fn blocks(text: &str, most: usize) -> String {
    let (told, whole) = html::text(text.trim(), most);
    let mut out = String::with_capacity(told.len() + 64);
    // A fence may stand anywhere; what it opens ends with the next one, or with the text.
    for (at, part) in told.split("```").enumerate() {
        let code = at % 2 == 1;
        // What stands behind an opening fence is the language.
        let part = if code { part.split_once('\n').map_or(part, |(_, code)| code) } else { part };
        if part.trim().is_empty() {
            continue;
        }
        let _ = match code {
            true => write!(out, "<pre>{}</pre>", part.trim_end()),
            false => write!(out, "<div class=\"if-text\">{}</div>", part.trim_matches('\n')),
        };
    }
    if !whole {
        out.push_str("<p class=\"if-sub\">The rest is left out here; the report has all of it.</p>");
    }
    out
}

fn calls(out: &mut String, calls: Option<&[ToolCall]>) {
    for call in calls.unwrap_or_default().iter().take(ENTRIES).filter_map(|call| call.function.as_ref()) {
        let _ = write!(out, "<pre>{}({})</pre>", line(&call.name, NAME), line(&call.arguments, SENTENCE));
    }
}

fn section(out: &mut String, class: &str, title: &str) {
    let _ = write!(out, "<section class=\"if-frame {class}\"><h2>{title}</h2>");
}

fn head(out: &mut String, report: &FusionReport) {
    let usable = report.members.iter().filter(|m| m.status == MemberStatus::Ok).count();
    let asked = report.members.iter().filter(|m| m.status != MemberStatus::Skipped).count();
    let answers = if usable == 1 { "1 answer".to_owned() } else { format!("{usable} answers") };
    let mode = match report.mode_used {
        used if used == report.mode => used.as_str().to_owned(),
        used => format!("{}, in the end {}", report.mode.as_str(), used.as_str()),
    };
    let mut told = vec![mode.replace('_', " ")];
    if asked > usable {
        told.push(format!("{asked} members asked"));
    }
    told.push(seconds(report.latency.total_ms));
    told.push(total(&report.cost, usd));
    if report.started_ms > 0 {
        told.push(moment(report.started_ms));
    }
    told.extend(report.tags.iter().take(ENTRIES).map(|(name, value)| format!("{name}: {value}")));
    let told: String = told.iter().map(|text| format!("<span>{}</span>", line(text, SENTENCE))).collect();
    let _ = write!(out, "<header><h1>One answer from {answers}</h1><p class=\"if-told\">{told}</p></header>");
}

fn answer(out: &mut String, fused: &Fused) {
    section(out, "if-answer", "Answer");
    out.push_str(&blocks(&fused.text, ANSWER));
    calls(out, fused.message.tool_calls.as_deref());
    if let Some(reason) = fused.finish_reason.as_deref().filter(|r| !matches!(*r, "stop" | "tool_calls")) {
        let _ = write!(out, "<p class=\"if-sub if-warn\">It ended by: {}.</p>", line(reason, NAME));
    }
    out.push_str("</section>");
}

/// A share of a whole as a bar.
fn share(share: f64, class: &str) -> String {
    let width = (share.clamp(0.0, 1.0) * 1000.0).max(if share > 0.0 { 6.0 } else { 0.0 });
    format!(
        "<svg class=\"if-bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"if-track\" width=\"1000\" height=\"10\"/><rect class=\"{class}\" width=\"{width:.0}\" height=\"10\"/></svg>"
    )
}

fn chosen(out: &mut String, report: &FusionReport) {
    section(out, "", "Decision");
    let _ = write!(out, "<p class=\"if-why\">{}</p>", line(&decision(report), SENTENCE));
    let evidence = &report.decision.evidence;
    if evidence.len() > 1 {
        out.push_str(
            "<table><thead><tr><th>What was weighed<th class=\"if-n if-opt\">priors<th class=\"if-n if-opt\">judge\
             <th class=\"if-n\">confidence<th class=\"if-share\"></tr></thead><tbody>",
        );
        for (at, row) in evidence.iter().take(ENTRIES).enumerate() {
            let (said, names) = (line(&said(report, row), NAME), line(&all(&row.members), NAME));
            // What only one said goes by its name.
            let told = if row.answer.is_none() && row.members.len() == 1 {
                names
            } else {
                format!("{said}<small>{names}</small>")
            };
            let _ = write!(
                out,
                "<tr><td>{told}<td class=\"if-n if-opt\">{:+.2}<td class=\"if-n if-opt\">{:+.2}<td class=\"if-n\">{:.0} %\
                 <td class=\"if-share\">{}</tr>",
                row.prior,
                row.judge,
                row.confidence * 100.0,
                share(row.confidence, if at == 0 { "if-good" } else { "if-rest" }),
            );
        }
        out.push_str("</tbody></table>");
    }
    out.push_str("</section>");
}

fn members(out: &mut String, report: &FusionReport) {
    section(out, "", "Who said what");
    let each = MEMBERS / report.members.len().max(4);
    for (number, member) in report.members.iter().enumerate() {
        one_member(out, report, number + 1, member, each);
    }
    out.push_str("</section>");
}

fn one_member(out: &mut String, report: &FusionReport, number: usize, member: &MemberReport, most: usize) {
    let won = report.decision.members.contains(&member.id) && member.status == MemberStatus::Ok;
    let (class, mark) = match member.status {
        MemberStatus::Ok if won => ("if-won", "✓"),
        MemberStatus::Ok => ("", "✓"),
        MemberStatus::Cancelled | MemberStatus::Skipped => ("if-lost", "–"),
        _ => ("if-failed", "✗"),
    };
    let mut told: Vec<String> = served(member).map(str::to_owned).into_iter().collect();
    if !member.id.starts_with(&member.model) {
        told.insert(0, member.model.clone());
    }
    told.extend(facts(member, usd));
    if member.status != MemberStatus::Ok {
        told.insert(0, status(member.status).to_owned());
    }
    let told: String = told.iter().map(|text| format!("<span>{}</span>", line(text, NAME))).collect();
    let flags: String =
        member.flags.iter().take(8).map(|flag| format!("<em>{}</em>", line(&flag.replace('_', " "), NAME))).collect();
    let name = format!(
        "<b><i>{mark}</i> {} <small>{number}</small></b>{flags}<span class=\"if-told\">{told}</span>",
        line(&member.id, NAME)
    );
    let text = member.content.as_deref().unwrap_or_default();
    let has_calls = member.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
    let reason = member.reason.as_deref().map(|why| format!("<p class=\"if-sub\">{}</p>", line(why, SENTENCE)));
    let reason = reason.unwrap_or_default();
    if text.trim().is_empty() && !has_calls {
        let _ = write!(out, "<div class=\"if-member {class}\">{name}{reason}</div>");
        return;
    }
    // What is short enough to be read at a glance needs no opening.
    let short = text.chars().count() <= 400 && !text.contains("```") && text.lines().count() <= 8;
    if short {
        let _ = write!(out, "<div class=\"if-member {class}\">{name}{reason}{}", blocks(text, most));
        calls(out, member.tool_calls.as_deref());
        out.push_str("</div>");
        return;
    }
    let more = if text.chars().nth(240).is_some() { "…" } else { "" };
    let excerpt = line(&text.replace("```", " ").chars().take(240).collect::<String>(), SENTENCE);
    let _ = write!(
        out,
        "<details class=\"if-member {class}\"><summary>{name}{reason}<span class=\"if-excerpt\">{excerpt}{more}</span></summary>{}",
        blocks(text, most)
    );
    calls(out, member.tool_calls.as_deref());
    out.push_str("</details>");
}

fn matrix(out: &mut String, agreement: &Agreement) {
    section(out, "", "How alike the answers are");
    out.push_str("<p class=\"if-sub\">of 100; 100 says the same</p><div class=\"if-scroll\"><table class=\"if-matrix\"><thead><tr><th>");
    for number in 1..=agreement.members.len() {
        let _ = write!(out, "<th>{number}");
    }
    out.push_str("</tr></thead><tbody>");
    for (at, (id, row)) in agreement.members.iter().zip(&agreement.matrix).enumerate() {
        let _ = write!(out, "<tr><th><span>{} {}</span>", at + 1, line(id, NAME));
        for (other, alike) in row.iter().enumerate() {
            let _ = match at == other {
                true => write!(out, "<td class=\"if-self\">·"),
                false => write!(
                    out,
                    "<td><i style=\"opacity:{:.2}\"></i><span>{:.0}</span>",
                    alike.clamp(0.0, 1.0) * 0.4,
                    alike * 100.0
                ),
            };
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></section>");
}

fn course(out: &mut String, report: &FusionReport) {
    let bars = timeline(report);
    if bars.is_empty() {
        return;
    }
    section(out, "", "Course");
    let span = span(report, &bars);
    let quorum = report.latency.quorum_ms.map(|ms| format!("; quorum after {}", seconds(ms))).unwrap_or_default();
    let _ = write!(
        out,
        "<p class=\"if-sub\">{}: answers until {}{quorum}</p><div class=\"if-course\">",
        seconds(report.latency.total_ms),
        seconds(report.latency.members_ms)
    );
    let place = |ms: u64| (ms as f64 / span as f64 * 1000.0).min(1000.0);
    for bar in bars.iter().take(BARS) {
        let class = match bar.kind {
            Kind::Member => "if-good",
            Kind::Judge => "if-judge",
            Kind::Lost => "if-rest",
        };
        let from = place(bar.start_ms).min(994.0);
        let _ = write!(
            out,
            "<span class=\"if-name\">{name}</span><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\">\
             <title>{name}: from {} to {}</title><rect class=\"if-track\" y=\"4.5\" width=\"1000\" height=\"1\"/>\
             <rect class=\"{class}\" x=\"{from:.1}\" width=\"{:.1}\" height=\"10\"/></svg><span class=\"if-n\">{}</span>",
            seconds(bar.start_ms),
            seconds(bar.start_ms + bar.ms),
            (place(bar.start_ms + bar.ms) - from).max(6.0),
            seconds(bar.ms),
            name = line(&bar.name, NAME),
        );
    }
    out.push_str("</div></section>");
}

fn list(out: &mut String, title: &str, entries: impl ExactSizeIterator<Item = String>) {
    if entries.len() == 0 {
        return;
    }
    let _ = write!(out, "<h3>{title}</h3><ul>");
    for entry in entries.take(ENTRIES) {
        let _ = write!(out, "<li>{}</li>", line(&entry, SENTENCE));
    }
    out.push_str("</ul>");
}

fn compared(out: &mut String, analysis: &Analysis) {
    if *analysis == Analysis::default() {
        return;
    }
    section(out, "if-compared", "Comparison by the judge");
    list(out, "Consensus", analysis.consensus.iter().cloned());
    let stances = |c: &crate::types::Contradiction| {
        let all: Vec<String> = c.stances.iter().take(16).map(|s| format!("{}: {}", s.member, s.stance)).collect();
        if all.is_empty() { c.topic.clone() } else { format!("{} ({})", c.topic, all.join("; ")) }
    };
    list(out, "Contradictions", analysis.contradictions.iter().map(stances));
    let covered = analysis.partial_coverage.iter().map(|p| format!("{} (only {})", p.point, all(&p.members)));
    list(out, "Only in some", covered);
    list(out, "Only in one", analysis.unique_insights.iter().map(|u| format!("{} ({})", u.insight, u.member)));
    list(out, "In none", analysis.blind_spots.iter().cloned());
    out.push_str("</section>");
}

fn debated(out: &mut String, turns: &[DebateTurn]) {
    if turns.is_empty() {
        return;
    }
    section(out, "", "Debate");
    let told = |turn: &DebateTurn| {
        let did = if turn.changed { "changed its answer" } else { "kept its answer" };
        let reason = turn.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        format!("{} saw {} and {did}{reason}", turn.member, all(&turn.saw))
    };
    out.push_str("<ul>");
    for turn in turns.iter().take(ENTRIES) {
        let _ = write!(out, "<li>{}</li>", line(&told(turn), SENTENCE));
    }
    out.push_str("</ul></section>");
}

fn cost(out: &mut String, fused: &Fused) {
    let report = &fused.report;
    let cost = &report.cost;
    section(out, "", "Cost");
    out.push_str("<div class=\"if-facts\">");
    let mut fact = |name: &str, value: String, told: String| {
        let _ =
            write!(out, "<div><h3>{name}</h3><p class=\"if-value\">{value}</p><p class=\"if-sub\">{told}</p></div>");
    };
    let calls = if cost.calls == 1 { "1 call".to_owned() } else { format!("{} calls", cost.calls) };
    let tokens = format!(
        "{calls}, {} + {} tokens",
        thousands(fused.usage.prompt_tokens),
        thousands(fused.usage.completion_tokens)
    );
    let whole = match cost.total_nanos {
        Some(nanos) => usd(nanos),
        None if cost.known_nanos == 0 => "unknown".to_owned(),
        None => format!("≥ {}", usd(cost.known_nanos)),
    };
    fact("All calls", whole, tokens);
    if let Some(anchor) = cost.anchor_nanos {
        let times = cost.multiple.map(|times| match times {
            1.0 => "; there was nothing beside it".to_owned(),
            times => format!("; all calls together {times} times as much"),
        });
        let told = format!("{} alone{}", line(&report.decision.anchor, NAME), times.unwrap_or_default());
        fact("The best member", usd(anchor), told);
    }
    if let Some(saved) = cost.saved_nanos.filter(|saved| *saved > 0) {
        fact("Saved", format!("≈ {}", usd(saved)), "by not asking or not waiting for everyone".to_owned());
    }
    if let Some(cap) = cost.cap_nanos {
        fact("Cap", usd(cap), format!("{} of it used", percent(cost.known_nanos, cap)));
    }
    out.push_str("</div>");
    if cost.by_stage.len() > 1 && cost.known_nanos > 0 {
        out.push_str("<table><tbody>");
        for (stage, nanos) in cost.by_stage.iter().take(ENTRIES) {
            let _ = write!(
                out,
                "<tr><td>{}<td class=\"if-n\">{}<td class=\"if-n if-opt\">{}<td class=\"if-share\">{}</tr>",
                line(stage, NAME),
                usd(*nanos),
                percent(*nanos, cost.known_nanos),
                share(*nanos as f64 / cost.known_nanos as f64, "if-judge"),
            );
        }
        out.push_str("</tbody></table>");
    }
    if cost.unknown_calls > 0 {
        let _ = write!(out, "<p class=\"if-sub if-warn\">{}.</p>", line(&total(cost, usd), SENTENCE));
    }
    out.push_str("</section>");
}

fn notes(out: &mut String, report: &FusionReport) {
    if report.degraded.is_empty() && report.warnings.is_empty() {
        return;
    }
    section(out, "if-notes", "Worth knowing");
    list(
        out,
        "Less was done than asked",
        report.degraded.iter().map(|d| format!("{}: {}", d.step.replace('_', " "), d.cause)),
    );
    let plain = |warning: &String| match warning.split_once(": ") {
        Some((code, text)) => format!("{}: {text}", code.replace('_', " ")),
        None => warning.clone(),
    };
    list(out, "Warnings", report.warnings.iter().map(plain));
    out.push_str("</section>");
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
