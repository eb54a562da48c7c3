//! What pages have in common, whoever draws them: their frame, their colours, and text in them.

/// Colours by day.
const LIGHT: &str = "--page:#f5f6f8;--card:#fff;--edge:#e3e6ec;--ink:#171b26;--soft:#5d6678;--grid:#e8ebf0;--track:#eef0f4;\
--c0:#3b6ef5;--c1:#12a594;--c2:#f2994a;--c3:#9b5de5;--c4:#e5559b;--c5:#2fa8dd;--c6:#8a9a3b;--cx:#a9b1c1;\
--good:#0f8054;--bad:#cc3338;--warn:#a35f00;--shadow:0 1px 2px rgba(20,28,48,.05),0 4px 16px rgba(20,28,48,.04)";

/// And by night.
const DARK: &str = "--page:#0f1218;--card:#181c25;--edge:#272d3a;--ink:#eceff6;--soft:#98a2b6;--grid:#262c38;--track:#242a36;\
--c0:#6d96ff;--c1:#34c7b5;--c2:#ffb26b;--c3:#b98bff;--c4:#ff83bd;--c5:#5cc4f2;--c6:#b4c45e;--cx:#646e82;\
--good:#3ccb90;--bad:#ff6b6d;--warn:#f5b042;--shadow:none";

/// The colours as properties of what `selector` names, after the reader's preference.
pub(crate) fn palette(selector: &str) -> String {
    format!(
        "{selector}{{color-scheme:light dark;{LIGHT}}}\n@media (prefers-color-scheme:dark){{{selector}{{{DARK}}}}}\n"
    )
}

/// A whole document that loads nothing and runs nothing. `body` is HTML already.
pub(crate) fn document(title: &str, styles: &[&str], body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"referrer\" content=\"no-referrer\"><link rel=\"icon\" href=\"data:,\"><title>{}</title><style>{}</style></head>\
         <body>{body}</body></html>\n",
        escape(title),
        styles.concat()
    )
}

/// Text in HTML, and in an attribute's quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut out, c));
    out
}

/// The start of a text that takes at most `most` bytes of HTML, lines and all, and whether that is all of it. Characters
/// that turn the direction of what stands around them are left out.
pub(crate) fn text(text: &str, most: usize) -> (String, bool) {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let before = out.len();
        match c {
            '\n' | '\t' => out.push(c),
            '\r' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c => push(&mut out, c),
        }
        if out.len() > most {
            out.truncate(before);
            return (out, false);
        }
    }
    (out, true)
}

fn push(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c if c.is_control() => out.push('\u{fffd}'),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_its_lines_and_its_bound() {
        assert_eq!(text("a <b>\r\n\tc\u{202e}d\u{0}", 100), ("a &lt;b&gt;\n\tcd\u{fffd}".to_owned(), true));
        assert_eq!(text("a<b", 4), ("a".to_owned(), false), "nothing is cut in its middle");
        assert_eq!(text("äö", 3), ("ä".to_owned(), false));
        assert_eq!(escape("a\n\"'&"), "a\u{fffd}&quot;&#39;&amp;");
    }
}
