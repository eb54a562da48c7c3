//! From the counts an answer carries to disjoint classes, with the vendor's arithmetic checked.
//!
//! The wires give OpenAI's shape: cached and written tokens are parts of `prompt_tokens`, reasoning is a part of
//! `completion_tokens`; what a vendor tells beyond that stays under the vendor's names and is read here. Two sums decide
//! where reasoning belongs: `total = prompt + completion` (inside) or `total = prompt + completion + reasoning` (beside).
//! Where neither holds, the counts are ambiguous: they are kept, flagged, and cost nothing that could be known.

use serde_json::Value;

use crate::types::{Class, Extra, Usage, UsageVector};

/// More was read from the cache than the prompt holds: cut to the prompt.
pub const CACHED_ABOVE_PROMPT: &str = "cached_gt_prompt";
/// More reasoning than the answer holds: cut to the answer.
pub const REASONING_ABOVE_COMPLETION: &str = "reasoning_gt_completion";
/// The parts of prompt or answer are more than the whole: cut to it.
pub const PARTS_ABOVE_WHOLE: &str = "parts_gt_whole";
/// The vendor's sums do not hold.
pub const AMBIGUOUS: &str = "ambiguous";
/// Units of another model, whose price is not this one's.
pub const OTHER_MODEL: &str = "other_model";

/// Other names of the tokens read from a cache, among the counts themselves.
const CACHED_NAMES: [&str; 3] = ["cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens"];

/// Units of one answer, and what was odd about its counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The units.
    pub units: UsageVector,
    /// Anomalies, by the names above.
    pub flags: Vec<&'static str>,
}

impl Counted {
    /// The units of a usage. `wire` names the protocol the answer came in: two of them tell how long a cache keeps what is
    /// written when nothing is said.
    pub fn of(usage: &Usage, wire: &str) -> Counted {
        let mut counted = Counted::default();
        counted.units.report(Class::Request, 1);
        match usage.extra.get("billed_units").and_then(Value::as_object) {
            Some(billed) => counted.billed(billed, usage),
            None => {
                counted.prompt(usage, wire);
                counted.answer(usage);
            }
        }
        counted.fees(&usage.extra);
        counted.further_turns(&usage.extra);
        counted
    }

    /// Whether the counts say what is to be paid for.
    pub fn sound(&self) -> bool {
        !self.flags.iter().any(|flag| matches!(*flag, AMBIGUOUS | OTHER_MODEL))
    }

    fn flag(&mut self, flag: &'static str) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    /// As many of `asked` as are left; more are cut.
    fn take(&mut self, left: &mut u64, asked: u64, flag: &'static str) -> u64 {
        let taken = asked.min(*left);
        if taken < asked {
            self.flag(flag);
        }
        *left -= taken;
        taken
    }

    fn prompt(&mut self, usage: &Usage, wire: &str) {
        let details = usage.prompt_tokens_details.as_ref();
        let beside = details.map(|d| &d.extra);
        let extra = &usage.extra;
        let cached =
            details.and_then(|d| d.cached_tokens).or_else(|| CACHED_NAMES.iter().find_map(|name| number(extra, name)));
        let written = details.and_then(|d| d.cache_write_tokens);
        let audio = details.and_then(|d| d.audio_tokens);
        let image = beside.and_then(|b| number(b, "image_tokens"));

        // Text is what is neither audio nor image; only text is written to caches.
        let mut text = usage.prompt_tokens;
        let mut fresh_audio = self.take(&mut text, audio.unwrap_or(0), PARTS_ABOVE_WHOLE);
        let mut fresh_image = self.take(&mut text, image.unwrap_or(0), PARTS_ABOVE_WHOLE);
        let read = cached.unwrap_or(0).min(usage.prompt_tokens);
        if cached.is_some_and(|cached| cached > read) {
            self.flag(CACHED_ABOVE_PROMPT);
        }
        // Cached tokens of which the kind is not told are text first; what is more than all text was audio or image.
        let (cached_audio, cached_image) = (cached_part(usage, "audio"), cached_part(usage, "image"));
        let told = cached_audio.is_some() || cached_image.is_some();
        let mut left = read;
        let mut of_kind = |fresh: &mut u64, most: u64| {
            let read = most.min(left).min(*fresh);
            left -= read;
            *fresh -= read;
            read
        };
        let (read_text, read_audio, read_image) = if told {
            let read_audio = of_kind(&mut fresh_audio, cached_audio.unwrap_or(0));
            let read_image = of_kind(&mut fresh_image, cached_image.unwrap_or(0));
            (of_kind(&mut text, u64::MAX), read_audio, read_image)
        } else {
            let read_text = of_kind(&mut text, u64::MAX);
            (read_text, of_kind(&mut fresh_audio, u64::MAX), of_kind(&mut fresh_image, u64::MAX))
        };
        let written_now = self.take(&mut text, written.unwrap_or(0), PARTS_ABOVE_WHOLE);

        self.units.report(Class::Input, text);
        if cached.is_some() {
            self.units.report(Class::CacheRead, read_text);
        }
        for (class, known, units) in [
            (Class::InputAudio, audio.is_some(), fresh_audio),
            (Class::InputImage, image.is_some(), fresh_image),
            (Class::CacheReadAudio, cached_audio.is_some() || read_audio > 0, read_audio),
            (Class::CacheReadImage, cached_image.is_some() || read_image > 0, read_image),
        ] {
            if known {
                self.units.report(class, units);
            }
        }
        self.written(written, written_now, usage, wire);
    }

    /// Written tokens by how long they are kept.
    fn written(&mut self, told: Option<u64>, written: u64, usage: &Usage, wire: &str) {
        let details = usage.prompt_tokens_details.as_ref().map(|d| &d.extra);
        let of_anthropic = |name| details.and_then(|d| number(d, name));
        let mut split = [of_anthropic("ephemeral_5m_input_tokens"), of_anthropic("ephemeral_1h_input_tokens")];
        for kept in usage.extra.get("cacheDetails").and_then(Value::as_array).into_iter().flatten() {
            let place = match kept.get("ttl").and_then(Value::as_str) {
                Some("1h") => 1,
                _ => 0,
            };
            let tokens = kept.get("inputTokens").and_then(Value::as_u64).unwrap_or(0);
            split[place] = Some(split[place].unwrap_or(0) + tokens);
        }
        match split {
            [None, None] => {
                if told.is_some() {
                    let five_minutes = matches!(wire, "anthropic" | "bedrock-converse");
                    let class = if five_minutes { Class::CacheWrite5m } else { Class::CacheWrite };
                    self.units.report(class, written);
                }
            }
            [short, long] => {
                if short.unwrap_or(0) + long.unwrap_or(0) != told.unwrap_or(0) {
                    self.flag(AMBIGUOUS);
                }
                self.units.report(Class::CacheWrite5m, short.unwrap_or(0));
                self.units.report(Class::CacheWrite1h, long.unwrap_or(0));
            }
        }
    }

    fn answer(&mut self, usage: &Usage) {
        let details = usage.completion_tokens_details.as_ref();
        let reasoning = usage.reasoning_tokens();
        let audio = details.and_then(|d| d.audio_tokens);
        let image = details.and_then(|d| number(&d.extra, "image_tokens"));
        let mut left = usage.completion_tokens;
        let sum = usage.prompt_tokens.saturating_add(left);
        if usage.total_tokens != sum {
            match reasoning.filter(|r| usage.total_tokens == sum.saturating_add(*r)) {
                // Beside the answer.
                Some(reasoning) => left += reasoning,
                None => self.flag(AMBIGUOUS),
            }
        }
        if ["totalTokenCount", "totalTokens"].iter().any(|name| !holds(usage, name)) {
            self.flag(AMBIGUOUS);
        }
        let reasoned = self.take(&mut left, reasoning.unwrap_or(0), REASONING_ABOVE_COMPLETION);
        let spoken = self.take(&mut left, audio.unwrap_or(0), PARTS_ABOVE_WHOLE);
        let drawn = self.take(&mut left, image.unwrap_or(0), PARTS_ABOVE_WHOLE);
        self.units.report(Class::Output, left);
        for (class, told, units) in [
            (Class::Reasoning, reasoning, reasoned),
            (Class::OutputAudio, audio, spoken),
            (Class::OutputImage, image, drawn),
        ] {
            if told.is_some() {
                self.units.report(class, units);
            }
        }
    }

    /// Cohere bills fewer units than were processed.
    fn billed(&mut self, billed: &Extra, usage: &Usage) {
        let cached = usage.cached_tokens();
        if let Some(mut input) = number(billed, "input_tokens") {
            let read = self.take(&mut input, cached.unwrap_or(0), CACHED_ABOVE_PROMPT);
            self.units.report(Class::Input, input);
            if cached.is_some() {
                self.units.report(Class::CacheRead, read);
            }
        }
        if let Some(mut output) = number(billed, "output_tokens") {
            let reasoning = usage.reasoning_tokens();
            let reasoned = self.take(&mut output, reasoning.unwrap_or(0), REASONING_ABOVE_COMPLETION);
            self.units.report(Class::Output, output);
            if reasoning.is_some() {
                self.units.report(Class::Reasoning, reasoned);
            }
        }
        for (name, class) in [("image_tokens", Class::InputImage), ("search_units", Class::SearchUnit)] {
            if let Some(units) = number(billed, name) {
                self.units.report(class, units);
            }
        }
    }

    /// What is billed beside tokens.
    fn fees(&mut self, extra: &Extra) {
        let within = |object: &str, names: &[&str]| {
            let object = extra.get(object)?.as_object()?;
            names.iter().find_map(|name| number(object, name))
        };
        let searches = within("server_tool_use", &["web_search_requests"])
            .or_else(|| within("server_tool_use_details", &["web_search_requests"]))
            .or_else(|| within("server_side_tool_usage_details", &["web_search_calls"]))
            .or_else(|| number(extra, "web_search_queries"))
            .or_else(|| number(extra, "num_search_queries"));
        if let Some(searches) = searches {
            self.units.report(Class::WebSearch, searches);
        }
        // xAI counts its tools together, then apart.
        if let Some(tools) = number(extra, "num_server_side_tools_used") {
            self.units.report(Class::ToolCall, tools.saturating_sub(searches.unwrap_or(0)));
        }
        let heard = number(extra, "seconds").map(|s| s.saturating_mul(1000));
        let heard = heard.or_else(|| number(extra, "prompt_audio_seconds").map(|s| s.saturating_mul(1000)));
        if let Some(milliseconds) = heard {
            self.units.report(Class::Seconds, milliseconds);
        }
    }

    /// Anthropic's totals leave out turns of its own: those that compact a conversation, and those of an adviser, which is
    /// another model at another price.
    fn further_turns(&mut self, extra: &Extra) {
        for turn in extra.get("iterations").and_then(Value::as_array).into_iter().flatten() {
            let Some(turn) = turn.as_object() else { continue };
            match turn.get("type").and_then(Value::as_str) {
                Some("message") => continue,
                _ if turn.get("model").is_some_and(Value::is_string) => {
                    self.flag(OTHER_MODEL);
                    continue;
                }
                _ => {}
            }
            let mut add = |class: Class, tokens: Option<u64>| self.units.add(class, tokens.unwrap_or(0));
            add(Class::Input, number(turn, "input_tokens"));
            add(Class::CacheRead, number(turn, "cache_read_input_tokens"));
            match turn.get("cache_creation").and_then(Value::as_object) {
                Some(kept) => {
                    add(Class::CacheWrite5m, number(kept, "ephemeral_5m_input_tokens"));
                    add(Class::CacheWrite1h, number(kept, "ephemeral_1h_input_tokens"));
                }
                None => add(Class::CacheWrite5m, number(turn, "cache_creation_input_tokens")),
            }
            add(Class::Output, number(turn, "output_tokens"));
        }
    }
}

/// Whether a total of the vendor's own, kept where it is not the sum, is one of the sums that its documentation names:
/// Google leaves the prompts of its own tools out of some totals.
fn holds(usage: &Usage, name: &str) -> bool {
    let Some(total) = number(&usage.extra, name) else { return true };
    let of_tools = number(&usage.extra, "toolUsePromptTokenCount").unwrap_or(0);
    let sum = usage.prompt_tokens.saturating_add(usage.completion_tokens);
    total == sum || total == sum.saturating_sub(of_tools)
}

fn number(of: &Extra, name: &str) -> Option<u64> {
    of.get(name)?.as_u64()
}

/// Tokens of one kind among those read from the cache, in OpenAI's or Google's words.
fn cached_part(usage: &Usage, kind: &str) -> Option<u64> {
    let openai = || {
        let split = usage.prompt_tokens_details.as_ref()?.extra.get("cached_tokens_details")?;
        split.get(format!("{kind}_tokens"))?.as_u64()
    };
    let google = || {
        let split = usage.extra.get("cacheTokensDetails")?.as_array()?;
        let of_kind = |m: &&Value| m["modality"].as_str().is_some_and(|m| m.eq_ignore_ascii_case(kind));
        split.iter().find(of_kind)?["tokenCount"].as_u64()
    };
    openai().or_else(google)
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
