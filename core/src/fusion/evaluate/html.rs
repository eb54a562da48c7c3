//! An evaluation as one HTML page: no script, no font, no network; light and dark, and rows that become cards where the page
//! is narrow.

use std::fmt::Write as _;

use crate::html::escape;
use crate::money::usd;
use crate::types::{Contender, Evaluation};

use super::text::{beside, cost_per_item, seconds};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2330;--soft:#566072;--line:#d9dee6;--paper:#f4f6f9;--card:#fff;--bar:#a9bfdd;--dot:#1f5fbf;--on:#fff;--good:#116b43;--bad:#a3301f}\
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ef;--soft:#a2acbb;--line:#333b48;--paper:#14181f;--card:#1c222c;--bar:#3d5678;--dot:#7fb0ff;--on:#10141b;--good:#5fcf9a;--bad:#ff9d8a}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\
main{max-width:1120px;margin:0 auto;padding:1.5rem 1rem 3rem}h1{font-size:1.35rem;margin:0}h2{font-size:1rem;margin:0 0 .75rem}\
.sub,.foot,.soft{color:var(--soft)}.sub{margin:.15rem 0 1rem}.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem;margin:0 0 1rem}\
.advice{border-left:5px solid var(--good);font-size:1.1rem}.advice p{margin:0}\
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.75rem 1.5rem;margin:0}.facts dt{color:var(--soft);font-size:.85rem}.facts dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}\
table{border-collapse:collapse;width:100%}th,td{padding:.5rem .6rem;border-bottom:1px solid var(--line);text-align:right;font-variant-numeric:tabular-nums;vertical-align:top}\
tbody tr:last-child td{border-bottom:0}th{color:var(--soft);font-weight:600;font-size:.82rem;white-space:nowrap}\
th:first-child,td:first-child,td:last-child,th:last-child{text-align:left}.n{white-space:nowrap}td:last-child{font-size:.88rem}\
.mark{display:inline-block;min-width:1.35rem;padding:0 .25rem;margin-right:.45rem;border-radius:.7rem;background:var(--dot);color:var(--on);font-size:.78rem;line-height:1.35rem;text-align:center;font-weight:600}\
.best .name{font-weight:700}.mode{color:var(--soft);font-size:.85rem}.good{color:var(--good)}.bad{color:var(--bad)}\
svg{display:block;width:100%;min-width:110px;height:16px;margin-top:.2rem}\
.field{position:relative;height:230px;margin:.5rem 1.6rem 0 3.2rem;border-bottom:1px solid var(--soft)}.field>*{position:absolute}\
.rule{left:0;right:0;border-top:1px solid var(--line)}.y{right:100%;margin-right:.5rem;transform:translateY(50%);color:var(--soft);font-size:.8rem;white-space:nowrap}\
.span{width:2px;margin-left:-1px;background:var(--bar)}.field .mark{margin:0;transform:translate(-50%,50%)}\
.x{display:flex;justify-content:space-between;margin:.35rem 1.6rem 0 3.2rem;color:var(--soft);font-size:.8rem}\
.foot{font-size:.85rem}ul{margin:0;padding-left:1.1rem}\
@media (max-width:760px){thead{display:none}table,tbody,tr,td{display:block}tr{padding:.6rem 0;border-bottom:1px solid var(--line)}tr:last-child{border-bottom:0}\
td,td:last-child{display:flex;gap:1rem;justify-content:space-between;border:0;padding:.15rem 0;text-align:right;font-size:.95rem}td::before{content:attr(data-of);color:var(--soft);text-align:left;flex:none;font-weight:400}\
td:first-child{display:block;text-align:left;padding-bottom:.3rem}td:first-child::before{content:none}td svg{max-width:45%}}";

/// The page.
pub(super) fn page(found: &Evaluation) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Evaluation of models and fusions</title><style>{STYLE}</style></head><body><main>\
         <h1>Evaluation of models and fusions</h1>\n<p class=\"sub\">{} of {} items, {} contenders</p>\n\
         <section class=\"card advice\"><p>{}</p></section>\n",
        found.counted,
        found.planned,
        found.contenders.len(),
        escape(&found.recommendation)
    );
    facts(&mut out, found);
    table(&mut out, found);
    plot(&mut out, found);
    let notes: Vec<&String> = found.stopped.iter().chain(&found.warnings).collect();
    if !notes.is_empty() {
        out.push_str("<section class=\"card\"><h2>What to keep in mind</h2><ul>");
        for note in notes {
            let _ = write!(out, "<li>{}</li>", escape(note));
        }
        out.push_str("</ul></section>\n");
    }
    out.push_str(
        "<p class=\"foot\">Intervals of shares: Wilson 1927. Of differences on the same items: Agresti and Min 2005. p: McNemar's \
         test (1947), exact, two-sided; fusions are tested together (Holm 1979). Costs and times of a contender are those it would \
         have had alone; what several asked alike was asked once. The best single model is chosen by the same items, which \
         flatters it a little.</p></main></body></html>\n",
    );
    out
}

fn facts(out: &mut String, found: &Evaluation) {
    let unknown = match found.unknown_calls {
        0 => String::new(),
        calls => format!(" <span class=\"soft\">and {calls} calls of unknown cost</span>"),
    };
    let best = found.best_single.as_deref().map_or_else(|| "none".to_owned(), escape);
    let _ = writeln!(
        out,
        "<section class=\"card\"><dl class=\"facts\"><div><dt>best single model</dt><dd>{best}</dd></div>\
         <div><dt>at least one single model is right</dt><dd>{:.1} %</dd></div>\
         <div><dt>room above the best of them</dt><dd>{:.1} points</dd></div>\
         <div><dt>spent</dt><dd>{} USD{unknown}</dd></div></dl></section>",
        found.oracle,
        found.headroom,
        usd(found.spent_nanos)
    );
}

fn table(out: &mut String, found: &Evaluation) {
    out.push_str(
        "<section class=\"card\"><table><thead><tr><th>contender</th><th>right</th><th>95 % interval, 0 to 100</th><th>USD per item</th>\
         <th>p50</th><th>p95</th><th>calls</th><th>beside the best single model</th></tr></thead><tbody>\n",
    );
    for (i, c) in found.contenders.iter().enumerate() {
        let is_best = Some(&c.name) == found.best_single.as_ref();
        let mode = c.mode.map(|m| format!(" <span class=\"mode\">{}</span>", m.as_str())).unwrap_or_default();
        let against = match &c.against {
            Some(a) if a.low > 0.0 => format!("<span class=\"good\">{}</span>", escape(&beside(a))),
            Some(a) if a.high < 0.0 => format!("<span class=\"bad\">{}</span>", escape(&beside(a))),
            Some(a) => format!("<span>{}</span>", escape(&beside(a))),
            None if is_best => "<span>it is that one</span>".to_owned(),
            None => "<span></span>".to_owned(),
        };
        let _ = writeln!(
            out,
            "<tr{}><td><span class=\"mark\">{}</span><span class=\"name\">{}</span>{mode}</td><td class=\"n\" data-of=\"right\">{:.1} %</td>\
             <td data-of=\"95 % interval\"><span class=\"n\">{:.1} to {:.1}</span>{}</td><td class=\"n\" data-of=\"USD per item\">{}</td>\
             <td class=\"n\" data-of=\"p50\">{}</td><td class=\"n\" data-of=\"p95\">{}</td><td class=\"n\" data-of=\"calls\">{:.2}</td>\
             <td data-of=\"beside the best\">{against}</td></tr>",
            if is_best { " class=\"best\"" } else { "" },
            i + 1,
            escape(&c.name),
            c.accuracy,
            c.low,
            c.high,
            interval(c),
            cost_per_item(c, found.counted),
            seconds(c.p50_ms),
            seconds(c.p95_ms),
            c.calls,
        );
    }
    out.push_str("</tbody></table></section>\n");
}

/// The interval and its middle on a line from 0 to 100.
fn interval(c: &Contender) -> String {
    format!(
        "<svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{low:.1} to {high:.1} percent\">\
         <rect x=\"0\" y=\"4.5\" width=\"100\" height=\"1\" fill=\"var(--line)\"/>\
         <rect x=\"{low:.2}\" y=\"2.5\" width=\"{:.2}\" height=\"5\" fill=\"var(--bar)\"/>\
         <rect x=\"{:.2}\" y=\"1\" width=\"1.4\" height=\"8\" fill=\"var(--dot)\"/></svg>",
        (c.high - c.low).max(0.5),
        (c.accuracy - 0.7).clamp(0.0, 98.6),
        low = c.low,
        high = c.high,
    )
}

/// What is right against what it costs, where costs are known and differ.
fn plot(out: &mut String, found: &Evaluation) {
    let known: Vec<(usize, &Contender)> =
        found.contenders.iter().enumerate().filter(|(_, c)| c.unknown_calls == 0 && found.counted > 0).collect();
    let dearest = known.iter().map(|(_, c)| c.cost_nanos).max().unwrap_or(0);
    if dearest == 0 || known.iter().all(|(_, c)| c.cost_nanos == dearest) {
        return;
    }
    // From a round tenth below the lowest interval to 100 %.
    let lowest = known.iter().map(|(_, c)| c.low).fold(100.0, f64::min);
    let floor = ((lowest / 10.0).floor() * 10.0).clamp(0.0, 90.0);
    let up = |percent: f64| ((percent - floor) / (100.0 - floor) * 100.0).clamp(0.0, 100.0);
    let across = |c: &Contender| c.cost_nanos as f64 / dearest as f64 * 100.0;
    out.push_str("<section class=\"card\"><h2>Percent right, against USD per item</h2><div class=\"field\">");
    let step = (100.0 - floor) / 2.0;
    for percent in [floor, floor + step, 100.0] {
        let at = up(percent);
        let _ = write!(
            out,
            "<i class=\"rule\" style=\"bottom:{at:.1}%\"></i><span class=\"y\" style=\"bottom:{at:.1}%\">{percent:.0} %</span>"
        );
    }
    for (_, c) in &known {
        let (low, high) = (up(c.low), up(c.high));
        let _ = write!(
            out,
            "<i class=\"span\" style=\"left:{:.1}%;bottom:{low:.1}%;height:{:.1}%\"></i>",
            across(c),
            high - low
        );
    }
    for (i, c) in known.iter().rev() {
        let _ = write!(
            out,
            "<b class=\"mark\" title=\"{}\" style=\"left:{:.1}%;bottom:{:.1}%\">{}</b>",
            escape(&c.name),
            across(c),
            up(c.accuracy),
            i + 1
        );
    }
    let mean = |share: f64| dearest as f64 / 1e9 / f64::from(found.counted) * share;
    let _ = writeln!(
        out,
        "</div><div class=\"x\"><span>0</span><span>{:.6}</span><span>{:.6}</span></div></section>",
        mean(0.5),
        mean(1.0)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_it_can_run_or_load() {
        let name = "<script src=\"https://x/y.js\">".to_owned();
        let row = Contender { name: name.clone(), accuracy: 100.0, high: 100.0, cost_nanos: 5, ..Default::default() };
        let cheap = Contender { cost_nanos: 1, ..row.clone() };
        let found = Evaluation {
            contenders: vec![row, cheap],
            counted: 3,
            best_single: Some(name.clone()),
            stopped: Some(name.clone()),
            recommendation: name,
            ..Default::default()
        };
        let page = page(&found);
        assert!(page.contains("&lt;script src=&quot;https://x/y.js&quot;&gt;") && page.contains("class=\"field\""));
        let loading = ["<script", "src=\"", "href=", "@import", "url("];
        assert!(loading.iter().all(|l| !page.contains(l)), "{page}");
    }
}
