//! The most that a request can cost at a price row: the dearest of the rates that may hold for it, whatever tier, cache,
//! hour or length of prompt decides in the end.

use super::prices::{Unpriced, passes};
use crate::types::{Class, LongContext, Price, Rate, Rates};

/// Upper bounds of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Most<'a> {
    /// Tokens of the prompt, images and audio apart.
    pub prompt: u64,
    /// Tokens of its images.
    pub images: u64,
    /// Tokens of its audio.
    pub audio: u64,
    /// The answer has tokens.
    pub answers: bool,
    /// They may be audio or images.
    pub speaks: bool,
    /// Searches that the vendor makes.
    pub searches: u64,
    /// Runs of its other tools.
    pub tool_runs: u64,
    /// Tier that is asked for, in the vendor's words.
    pub tier: Option<&'a str>,
    /// Prefix of the geographic profile asked (Bedrock).
    pub geo: Option<&'a str>,
    /// When the answer may be complete, milliseconds since 1970-01-01 UTC: first and last moment.
    pub completed_ms: (u64, u64),
}

/// The most that a request can cost, as far as it does not depend on how long its answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// Prompt and fees, pico-USD.
    pub fixed: u128,
    /// A token of the answer, pico-USD.
    pub per_output: u64,
}

impl Ceiling {
    /// Nano-USD with an answer of so many tokens, rounded up.
    pub fn nanos(&self, output: u64) -> u64 {
        let pico = u128::from(self.per_output) * u128::from(output);
        u64::try_from(self.fixed.saturating_add(pico).div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

const TEXT_IN: &[Class] =
    &[Class::Input, Class::CacheRead, Class::CacheWrite, Class::CacheWrite5m, Class::CacheWrite1h];
const IMAGE_IN: &[Class] = &[Class::InputImage, Class::CacheReadImage];
const AUDIO_IN: &[Class] = &[Class::InputAudio, Class::CacheReadAudio];
const TEXT_OUT: &[Class] = &[Class::Output, Class::Reasoning];
const OTHER_OUT: &[Class] = &[Class::OutputAudio, Class::OutputImage];

impl Price {
    /// The most that a request can cost.
    ///
    /// # Errors
    /// Where no row holds at that time, or a class that the request has is not priced.
    pub fn most(&self, of: &Most<'_>) -> Result<Ceiling, Unpriced> {
        let longest = of.prompt.saturating_add(of.images).saturating_add(of.audio);
        let mut sets: Vec<&Rates> = Vec::new();
        for at in [of.completed_ms.0, of.completed_ms.1] {
            let row = self.at(at).ok_or(Unpriced::Price)?;
            for (rates, long) in lanes(row, of) {
                sets.push(rates);
                // A threshold that the bound passes, the prompt may pass or not.
                sets.extend(long.iter().filter(|long| passes(long, longest)).map(|long| &long.rates));
            }
        }
        let dearest = |classes: &[Class]| {
            sets.iter().flat_map(|set| classes.iter().filter_map(|class| set.get(*class))).max().map(Rate::pico)
        };
        let text = dearest(TEXT_IN).ok_or(Unpriced::Rate(Class::Input))?;
        let output = match dearest(TEXT_OUT) {
            None if of.answers => return Err(Unpriced::Rate(Class::Output)),
            output => output,
        };
        // An image without a rate of its own costs what text does.
        let image = dearest(IMAGE_IN).map_or(text, |image| image.max(text));
        let audio = match of.audio {
            0 => 0,
            _ => dearest(AUDIO_IN).ok_or(Unpriced::Rate(Class::InputAudio))?.max(text),
        };
        let spoken = if of.speaks { dearest(OTHER_OUT) } else { None };
        let fee = |class: Class| dearest(&[class]).unwrap_or(0);
        let lines = [
            (of.prompt, text),
            (of.images, image),
            (of.audio, audio),
            (1, fee(Class::Request)),
            (of.searches, fee(Class::WebSearch)),
            (of.tool_runs, fee(Class::ToolCall)),
        ];
        let fixed = lines.iter().map(|(count, rate)| u128::from(*count) * u128::from(*rate)).sum();
        Ok(Ceiling { fixed, per_output: output.max(spoken).unwrap_or(0) })
    }
}

/// The rates that may hold for a request, each with its rows for long prompts. Cheaper hours and the batch lane never cost
/// more.
fn lanes<'a>(row: &'a Price, of: &Most<'_>) -> Vec<(&'a Rates, &'a [LongContext])> {
    let mut lanes = vec![(&row.rates, row.long_context.as_slice())];
    lanes.extend(of.geo.and_then(|geo| row.geo.get(geo)).map(|lane| (&lane.rates, lane.long_context.as_slice())));
    if let Some(tier) = of.tier {
        let named = row.service_tiers.get(tier);
        // A word that the row does not know may mean any of its tiers.
        let any = row.service_tiers.values().filter(|_| named.is_none());
        lanes.extend(named.into_iter().chain(any).map(|lane| (&lane.rates, lane.long_context.as_slice())));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn price(row: Value) -> Price {
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn the_dearest_rate_that_may_hold_is_taken() {
        let row = price(json!({
            "input": "3", "output": "15", "cache_read": "0.3", "cache_write_1h": "6",
            "long_context": [{"above_input_tokens": 1000, "input": "7", "output": "22.5"}],
            "service_tiers": {"priority": {"input": "9", "output": "30"}},
            "off_peak": {"input": "1", "output": "1", "hours_utc": [["00:00", "23:59"]]}
        }));
        let of = Most { prompt: 1000, ..Most::default() };
        assert_eq!(row.most(&of).unwrap(), Ceiling { fixed: 1000 * 6_000_000, per_output: 15_000_000 });
        let long = Most { prompt: 1001, ..of };
        assert_eq!(row.most(&long).unwrap(), Ceiling { fixed: 1001 * 7_000_000, per_output: 22_500_000 });
        for tier in ["priority", "unheard-of"] {
            let tiered = Most { tier: Some(tier), ..of };
            assert_eq!(row.most(&tiered).unwrap(), Ceiling { fixed: 1000 * 9_000_000, per_output: 30_000_000 });
        }
    }

    #[test]
    fn images_audio_and_fees_count_beside_the_text() {
        let row =
            price(json!({"input": "1", "output": "2", "input_audio": "40", "output_audio": "80", "input_image": "5",
            "request": "0.005", "web_search_per_1000": "10"}));
        let of = Most { prompt: 10, images: 100, audio: 1000, searches: 3, speaks: true, ..Most::default() };
        let fixed = 10_000_000 + 500_000_000 + 40_000_000_000 + 5_000_000_000 + 30_000_000_000;
        assert_eq!(row.most(&of).unwrap(), Ceiling { fixed, per_output: 80_000_000 });
    }

    #[test]
    fn amounts_are_rounded_up_and_what_has_no_price_has_no_bound() {
        let row = price(json!({"input": "0.0001", "output": "0.0001"}));
        assert_eq!(row.most(&Most { prompt: 1, ..Most::default() }).unwrap().nanos(1), 1);
        let of = Most { audio: 1, ..Most::default() };
        assert_eq!(row.most(&of), Err(Unpriced::Rate(Class::InputAudio)));
        let of = Most { answers: true, ..Most::default() };
        assert_eq!(price(json!({"input": "1"})).most(&of), Err(Unpriced::Rate(Class::Output)));
        assert_eq!(price(json!({"output": "1"})).most(&Most::default()), Err(Unpriced::Rate(Class::Input)));
        let later = price(json!({"input": "1", "valid_from": "2030-01-01"}));
        assert_eq!(later.most(&Most::default()), Err(Unpriced::Price));
    }

    #[test]
    fn a_price_that_changes_while_a_call_runs_is_the_dearer_one() {
        let row = price(json!({"input": "1", "output": "1", "valid_until": "1970-01-02",
            "history": [{"input": "4", "output": "5", "valid_from": "1970-01-02"}]}));
        let of = Most { prompt: 1, completed_ms: (86_399_000, 86_401_000), ..Most::default() };
        assert_eq!(row.most(&of).unwrap(), Ceiling { fixed: 4_000_000, per_output: 5_000_000 });
    }
}
