//! Recorded counts with what the library genai-prices made of them: for every extractor of its own that could read them,
//! the totals it found and, where it had a price, the price of prompt and answer.

use std::collections::BTreeMap;

use interfuse::catalog::{Catalog, Circumstances};
use interfuse::ledger::{Answer, Counted, Priced};
use interfuse::money::NanoUsd;
use interfuse::types::{Class, CostSource, Extra, Price, Quirks, Rates, Usage, UsageVector};
use interfuse::wire::usage::recognise;
use serde_json::Value;

use super::{Checked, Verdict};

/// Its providers by our names; the others have the same.
const PROVIDERS: [(&str, &str); 4] =
    [("aws", "bedrock"), ("google", "gemini"), ("x-ai", "xai"), ("fireworks", "fireworks-ai")];

/// The totals that its extractors name, in the order in which they are compared.
const TOTALS: [&str; 10] = [
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_reasoning_tokens",
    "input_audio_tokens",
    "output_image_tokens",
    "web_searches",
];

pub(super) fn check(case: &Value, catalog: &Catalog) -> Vec<Checked> {
    let body = &case["body"];
    let file = body["file"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let mut checked = Vec::new();
    for extracted in case["extracted"].as_array().into_iter().flatten() {
        for extractor in extracted["extractors"].as_array().into_iter().flatten() {
            let (provider, flavor) = (text(extractor, "provider_id"), text(extractor, "api_flavor"));
            let name = format!("{file} at {provider}/{flavor}");
            let verdict = one(body, &extracted["usage"], extractor, text(case, "model"), catalog);
            checked.push(Checked { name, verdict });
        }
    }
    checked
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

fn one(body: &Value, theirs: &Value, extractor: &Value, model: &str, catalog: &Catalog) -> Verdict {
    let counts = ["usage", "usageMetadata", "meta"].iter().map(|name| &body[*name]).find(|counts| counts.is_object());
    let (provider, flavor) = (text(extractor, "provider_id"), text(extractor, "api_flavor"));
    let ours = match (provider, flavor) {
        // Claude at Google is Vertex.
        ("google", "anthropic") => "vertex",
        _ => PROVIDERS.iter().find(|(theirs, _)| *theirs == provider).map_or(provider, |(_, ours)| *ours),
    };
    let row = catalog.provider(ours).ok();
    let quirks = row.map(|row| row.quirks.clone()).unwrap_or_default();
    let Some((wire, usage)) = counts.and_then(|counts| recognise(counts, &quirks)) else {
        return Verdict::Different("no counts are recognised".to_owned());
    };
    let counted = Counted::of(&usage, wire);
    let totals = totals(&counted);
    if !native(wire, provider, flavor) {
        return Verdict::Explained(format!("counts of the wire {wire}, read by an extractor that is not for it"));
    }
    let mut unread = Vec::new();
    for name in TOTALS {
        let (own, other) = (totals.get(name).copied().unwrap_or(0), theirs[name].as_u64());
        match other {
            Some(other) if own == other => {}
            None if own == 0 => {}
            // Their total of what is written names one lifetime where they know only that.
            None if name.starts_with("cache_write_") => {}
            None => unread.push(format!("{name} {own}")),
            Some(other) => match known_difference(name, &usage, own, other, (provider, flavor)) {
                Some(why) => return Verdict::Explained(why),
                None => return Verdict::Different(format!("{name}: ours {own}, theirs {other}")),
            },
        }
    }
    let priced = price(&usage, wire, &quirks, catalog.price(ours, model), extractor, (ours, model));
    match (priced, unread.is_empty()) {
        (Verdict::Equal, true) => Verdict::Equal,
        (Verdict::Equal, false) => Verdict::Explained(format!("their extractor does not read {}", unread.join(", "))),
        (Verdict::Different(what), false) => {
            Verdict::Explained(format!("{what}: their extractor does not read {}", unread.join(", ")))
        }
        (verdict, _) => verdict,
    }
}

/// Whether an extractor is meant for counts of a wire. The others find fields by accident.
fn native(wire: &str, provider: &str, flavor: &str) -> bool {
    match wire {
        "anthropic" => flavor == "anthropic" || (flavor == "default" && matches!(provider, "anthropic" | "minimax")),
        "gemini" => provider == "google" && flavor == "default",
        "bedrock-converse" => provider == "aws" && flavor == "default",
        "cohere" => provider == "cohere",
        "openai-responses" => flavor == "responses" || (provider == "x-ai" && flavor == "default"),
        _ => {
            flavor == "chat" || matches!(provider, "mistral" | "groq" | "perplexity" | "x-ai") || flavor == "embeddings"
        }
    }
}

/// Differences that are theirs by design.
fn known_difference(
    name: &str,
    usage: &Usage,
    own: u64,
    other: u64,
    (provider, flavor): (&str, &str),
) -> Option<String> {
    let turns = usage.extra.get("iterations").and_then(Value::as_array).into_iter().flatten();
    let compacted = turns.filter(|turn| turn["type"] == "compaction").count();
    if compacted > 0 {
        let why = "turns that compact the conversation stand beside Anthropic's totals and are billed: we add them";
        return Some(format!("{name}: ours {own}, theirs {other}; {why}"));
    }
    let inside = usage.total_tokens == usage.prompt_tokens + usage.completion_tokens;
    let reasoning = usage.reasoning_tokens().unwrap_or(0);
    if provider == "x-ai" && name == "output_tokens" && inside && other == usage.completion_tokens + reasoning {
        let why =
            "it adds the reasoning always; prompt and answer make the total here, so that it is in the answer already";
        return Some(format!("{name}: ours {own}, theirs {other}; {why}"));
    }
    if flavor == "tokens" && usage.extra.contains_key("billed_units") {
        let why = "this extractor takes what was processed; Cohere bills `billed_units`, which we take";
        return Some(format!("{name}: ours {own}, theirs {other}; {why}"));
    }
    None
}

/// Our classes as their totals, which overlap.
fn totals(counted: &Counted) -> BTreeMap<&'static str, u64> {
    let sum = |classes: &[Class]| classes.iter().map(|class| counted.units.number(*class)).sum();
    let audio = [Class::InputAudio, Class::CacheReadAudio];
    BTreeMap::from([
        ("input_tokens", counted.units.prompt()),
        ("output_tokens", sum(&[Class::Output, Class::Reasoning, Class::OutputAudio, Class::OutputImage])),
        ("cache_read_tokens", sum(&[Class::CacheRead, Class::CacheReadAudio, Class::CacheReadImage])),
        ("cache_write_tokens", sum(&[Class::CacheWrite, Class::CacheWrite5m, Class::CacheWrite1h])),
        ("cache_write_5m_tokens", sum(&[Class::CacheWrite5m])),
        ("cache_write_1h_tokens", sum(&[Class::CacheWrite1h])),
        ("output_reasoning_tokens", sum(&[Class::Reasoning])),
        ("input_audio_tokens", sum(&audio)),
        ("output_image_tokens", sum(&[Class::OutputImage])),
        ("web_searches", sum(&[Class::WebSearch])),
    ])
}

fn price(
    usage: &Usage,
    wire: &str,
    quirks: &Quirks,
    row: Option<&Price>,
    extractor: &Value,
    target: (&str, &str),
) -> Verdict {
    let amount = |name: &str| match &extractor[name] {
        Value::Null => Some(0),
        Value::String(text) => NanoUsd::pico_from_stated(text),
        other => NanoUsd::pico_from_stated(&other.to_string()),
    };
    if extractor.get("input_price").is_none() && extractor.get("output_price").is_none() {
        return Verdict::Equal;
    }
    let (Some(input), Some(output)) = (amount("input_price"), amount("output_price")) else {
        return Verdict::Different("their price is no number".to_owned());
    };
    let theirs = input + output;
    let told = Told { input, output };
    let (provider, model) = target;
    let Some(row) = row else {
        return Verdict::Explained(format!("totals are equal; {provider}/{model} has no price in this list"));
    };
    let extra = Extra::new();
    // They price the standard tier, whatever served.
    let answer = Answer {
        usage: Some(usage),
        extra: &extra,
        wire,
        stated: quirks.cost.as_ref(),
        target,
        circumstances: Circumstances { completed_ms: 1_795_824_000_000, ..Circumstances::default() },
    };
    let priced = Priced::of(&answer, Some((row, CostSource::Catalog)));
    match priced.exact.computed {
        Some(ours) if ours == theirs => Verdict::Equal,
        Some(ours) => {
            let row = priced.row.as_ref();
            let at = row.map(|r| format!("{} of {}", r.id, r.source.as_deref().unwrap_or("?"))).unwrap_or_default();
            let what = format!("cost: ours {ours} pico-USD at {at}, theirs {theirs}");
            match row.and_then(|row| told.why(ours, &priced.units, &row.rates)) {
                Some(why) => Verdict::Explained(format!("{what}; {why}")),
                None => Verdict::Different(what),
            }
        }
        None => Verdict::Explained(format!("totals are equal; no cost here: {}", priced.flags.join(", "))),
    }
}

/// Their amounts in pico-USD: of the prompt, and of the answer.
struct Told {
    input: u128,
    output: u128,
}

impl Told {
    /// Why they are others than ours, where it can be shown that the units are the same.
    fn why(&self, ours: u128, units: &UsageVector, rates: &Rates) -> Option<String> {
        let theirs = self.input + self.output;
        let searches = u128::from(units.number(Class::WebSearch));
        let fee = searches * u128::from(rates.get(Class::WebSearch).map_or(0, |rate| rate.pico()));
        if fee > 0 && ours - fee == theirs {
            return Some(format!("theirs leave out {searches} searches, which are neither prompt nor answer"));
        }
        if theirs * 10 == ours * 11 {
            return Some(
                "the units are the same: theirs is the price of a regional profile, 10 % above the global one"
                    .to_owned(),
            );
        }
        // At one rate each for prompt and answer, and the cache in the proportions of our row or at the prompt's rate, theirs
        // must come out whole.
        let tokens = |class: Class| u128::from(units.number(class));
        let answer = tokens(Class::Output) + tokens(Class::Reasoning);
        let own = |class: Class| rates.get(class).map(|rate| u128::from(rate.pico()));
        let base = own(Class::Input)?;
        let weight = |class: Class| tokens(class) * own(class).unwrap_or(base);
        let written = [Class::CacheWrite, Class::CacheWrite5m, Class::CacheWrite1h];
        let read = tokens(Class::Input) * base + weight(Class::CacheRead);
        let whole = |amount: u128, of: u128| match of {
            0 => (amount == 0).then_some(0),
            of => amount.is_multiple_of(of).then_some(amount / of),
        };
        let output = whole(self.output, answer)?;
        let (input, cache) = [
            (written.iter().map(|class| weight(*class)).sum::<u128>(), ""),
            (written.iter().map(|class| tokens(*class) * base).sum(), ", writing to the cache included"),
        ]
        .into_iter()
        .find_map(|(written, cache)| Some((whole(self.input * base, read + written)?, cache)))?;
        let usd = |pico: u128| format!("{}.{:06}", pico / 1_000_000, pico % 1_000_000);
        let (input, output) = (usd(input), usd(output));
        Some(format!(
            "the units are the same: theirs are at {input}{cache} and {output} USD per million, another list's"
        ))
    }
}
