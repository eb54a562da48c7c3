//! An evaluation as one HTML page: no script, no font, no network; light and dark.

use std::fmt::Write as _;

use crate::html::escape;
use crate::types::Evaluation;

use super::text::{beside, cost_per_item};
use crate::money::usd;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5d6675;--line:#d9dee6;--paper:#fff;--band:#f4f6f9;--bar:#9db4d3;--dot:#1f5fbf;--good:#17714a}\
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ef;--soft:#9aa4b3;--line:#333b48;--paper:#14181f;--band:#1c222c;--bar:#3d5678;--dot:#7fb0ff;--good:#5fcf9a}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\
main{max-width:1080px;margin:0 auto;padding:2rem 1.25rem}h1{font-size:1.4rem;margin:0 0 .75rem}\
.advice{background:var(--band);border-left:4px solid var(--good);padding:.75rem 1rem;margin:0 0 1.5rem;font-size:1.05rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{padding:.45rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}\
th{color:var(--soft);font-weight:600;font-size:.85rem}th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}\
td{font-variant-numeric:tabular-nums}td:last-child{color:var(--soft);font-size:.85rem}tr.best td:first-child{font-weight:700}\
.mode{color:var(--soft);font-size:.85rem}svg{display:block;width:180px;height:16px}.soft,li{color:var(--soft);font-size:.9rem}";

/// The page.
pub(super) fn page(found: &Evaluation) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Evaluation of models and fusions</title><style>{STYLE}</style></head><body><main>\
         <h1>Evaluation of models and fusions</h1>\n<p class=\"advice\">{}</p>\n<div class=\"scroll\"><table><thead><tr>\
         <th>contender</th><th>right</th><th>95 % interval</th><th>0 to 100 %</th><th>USD per item</th><th>p50</th><th>p95</th>\
         <th>calls</th><th>beside the best single model</th></tr></thead><tbody>\n",
        escape(&found.recommendation)
    );
    for c in &found.contenders {
        let best = if Some(&c.name) == found.best_single.as_ref() { " class=\"best\"" } else { "" };
        let mode = c.mode.map(|m| format!(" <span class=\"mode\">{}</span>", m.as_str())).unwrap_or_default();
        let _ = writeln!(
            out,
            "<tr{best}><td>{}{mode}</td><td>{:.1} %</td><td>{:.1} to {:.1}</td><td>{}</td><td>{}</td><td>{:.2} s</td><td>{:.2} s</td>\
             <td>{:.2}</td><td>{}</td></tr>",
            escape(&c.name),
            c.accuracy,
            c.low,
            c.high,
            interval(c.low, c.accuracy, c.high),
            cost_per_item(c, found.items),
            c.p50_ms as f64 / 1000.0,
            c.p95_ms as f64 / 1000.0,
            c.calls,
            escape(&beside(c, found))
        );
    }
    let _ = write!(
        out,
        "</tbody></table></div>\n<p>{} of {} items. At least one single model has {:.1} % right: no choice among their answers can \
         have more. That is {:.1} points above the best of them. Spent: {} USD.</p>\n",
        found.items,
        found.planned,
        found.oracle,
        found.headroom,
        usd(found.spent_nanos)
    );
    let notes: Vec<&String> = found.stopped.iter().chain(&found.warnings).collect();
    if !notes.is_empty() {
        out.push_str("<ul>");
        for note in notes {
            let _ = write!(out, "<li>{}</li>", escape(note));
        }
        out.push_str("</ul>\n");
    }
    out.push_str(
        "<p class=\"soft\">Intervals of shares: Wilson 1927. Of differences on the same items: Agresti and Min 2005. p: McNemar's \
         test (1947), exact, two-sided; fusions are tested together (Holm 1979). Costs and times of a contender are those it would \
         have had alone; what several asked alike was asked once. The best single model is chosen by the same items.</p>\
         </main></body></html>\n",
    );
    out
}

/// The interval and its middle on a line from 0 to 100.
fn interval(low: f64, at: f64, high: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{low:.1} to {high:.1} percent\">\
         <rect x=\"0\" y=\"4.5\" width=\"100\" height=\"1\" fill=\"var(--line)\"/>\
         <rect x=\"{low:.2}\" y=\"2.5\" width=\"{:.2}\" height=\"5\" fill=\"var(--bar)\"/>\
         <rect x=\"{:.2}\" y=\"1\" width=\"1\" height=\"8\" fill=\"var(--dot)\"/></svg>",
        (high - low).max(0.5),
        (at - 0.5).clamp(0.0, 99.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Contender;

    #[test]
    fn nothing_in_it_can_run_or_load() {
        let name = "<script src=\"https://x/y.js\">".to_owned();
        let row = Contender { name: name.clone(), accuracy: 100.0, high: 100.0, ..Default::default() };
        let found = Evaluation { contenders: vec![row], recommendation: name, ..Default::default() };
        let page = page(&found);
        assert!(page.contains("&lt;script src=&quot;https://x/y.js&quot;&gt;"));
        let loading = ["<script", "src=\"", "href=", "@import", "url("];
        assert!(loading.iter().all(|l| !page.contains(l)), "{page}");
    }
}
