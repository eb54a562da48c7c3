//! What units cost: rates as integers by class, and the rows that hold them.
//!
//! A rate is a whole number of pico-USD (1e-12 USD) per unit. USD per million tokens becomes that without rounding: one
//! USD per million is exactly 1,000,000 pico-USD per token.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Usd;
use crate::money::{parse_decimal, write_decimal};

/// What is counted and billed. The classes are disjoint: every unit belongs to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Prompt tokens, text, neither read from nor written to a cache.
    Input,
    /// Prompt tokens read from the vendor's cache.
    CacheRead,
    /// Prompt tokens written to the vendor's cache for a time that is not told.
    CacheWrite,
    /// Prompt tokens written to the vendor's cache for five minutes.
    CacheWrite5m,
    /// Prompt tokens written to the vendor's cache for an hour.
    CacheWrite1h,
    /// Audio tokens of the prompt.
    InputAudio,
    /// Audio tokens of the prompt, read from the vendor's cache.
    CacheReadAudio,
    /// Image tokens of the prompt.
    InputImage,
    /// Image tokens of the prompt, read from the vendor's cache.
    CacheReadImage,
    /// Tokens of the answer's text.
    Output,
    /// Tokens of the reasoning.
    Reasoning,
    /// Audio tokens of the answer.
    OutputAudio,
    /// Image tokens of the answer.
    OutputImage,
    /// Requests.
    Request,
    /// Searches of the web that the vendor made.
    WebSearch,
    /// Other tools that the vendor ran.
    ToolCall,
    /// The vendor's unit for searches over documents (reranking).
    SearchUnit,
    /// Audio, counted in milliseconds and priced per thousand seconds.
    Seconds,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 18] = [
        Class::Input,
        Class::CacheRead,
        Class::CacheWrite,
        Class::CacheWrite5m,
        Class::CacheWrite1h,
        Class::InputAudio,
        Class::CacheReadAudio,
        Class::InputImage,
        Class::CacheReadImage,
        Class::Output,
        Class::Reasoning,
        Class::OutputAudio,
        Class::OutputImage,
        Class::Request,
        Class::WebSearch,
        Class::ToolCall,
        Class::SearchUnit,
        Class::Seconds,
    ];

    /// Name in counts.
    pub fn name(self) -> &'static str {
        match self {
            Class::Input => "input",
            Class::CacheRead => "cache_read",
            Class::CacheWrite => "cache_write",
            Class::CacheWrite5m => "cache_write_5m",
            Class::CacheWrite1h => "cache_write_1h",
            Class::InputAudio => "input_audio",
            Class::CacheReadAudio => "cache_read_audio",
            Class::InputImage => "input_image",
            Class::CacheReadImage => "cache_read_image",
            Class::Output => "output",
            Class::Reasoning => "reasoning",
            Class::OutputAudio => "output_audio",
            Class::OutputImage => "output_image",
            Class::Request => "request",
            Class::WebSearch => "web_search",
            Class::ToolCall => "tool_call",
            Class::SearchUnit => "search_unit",
            Class::Seconds => "seconds",
        }
    }

    /// Name in price rows; that of a fee says its unit.
    pub fn rate_name(self) -> &'static str {
        match self {
            Class::WebSearch => "web_search_per_1000",
            Class::ToolCall => "tool_call_per_1000",
            Class::SearchUnit => "search_unit_per_1000",
            Class::Seconds => "seconds_per_1000",
            tokens => tokens.name(),
        }
    }

    fn by(name: &str, of: fn(Class) -> &'static str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| of(*class) == name)
    }

    /// The class of this name in counts.
    pub fn named(name: &str) -> Option<Class> {
        Class::by(name, Class::name)
    }

    /// The class of this name in price rows.
    pub fn of_rate(name: &str) -> Option<Class> {
        Class::by(name, Class::rate_name)
    }

    /// Whether its units are parts of the prompt: these decide whether a prompt is long.
    pub fn in_prompt(self) -> bool {
        self <= Class::CacheReadImage
    }

    /// Decimals that a price may have so that a unit costs whole pico-USD: six per million, nine per thousand, twelve each.
    fn decimals(self) -> u32 {
        match self {
            Class::Request => 12,
            Class::WebSearch | Class::ToolCall | Class::SearchUnit => 9,
            _ => 6,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Class::Request => "USD each",
            Class::WebSearch | Class::ToolCall | Class::SearchUnit => "USD per thousand",
            Class::Seconds => "USD per thousand seconds",
            _ => "USD per million tokens",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Price of one unit in pico-USD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// Parses USD per million tokens (`"0.15"`), at most six decimals.
    ///
    /// # Errors
    /// What is wrong with the text, for the caller to place.
    pub fn parse(usd_per_million: &str) -> Result<Rate, String> {
        Rate::parse_for(Class::Input, usd_per_million)
    }

    /// Parses the price of a class in its unit: USD per million tokens, per thousand of what has a fee, per thousand
    /// seconds.
    ///
    /// # Errors
    /// What is wrong with the text, for the caller to place: no plain decimal, or so small or large that it must be in
    /// another unit.
    pub fn parse_for(class: Class, text: &str) -> Result<Rate, String> {
        let wrong = |why: &str| format!("`{text}` is not a price in {}: {why}", class.unit());
        let pico = parse_decimal(text, class.decimals()).map_err(wrong)?;
        Rate(pico).plausible(class).map_err(|why| wrong(&why))
    }

    /// From pico-USD per unit.
    ///
    /// # Errors
    /// Where it is so small or large that it must have been in another unit.
    pub fn from_pico(class: Class, pico: u64) -> Result<Rate, String> {
        Rate(pico).plausible(class)
    }

    /// No token costs less than a ten-thousandth of a dollar per million or more than ten thousand; such a figure is per
    /// token, per thousand or in cents. Fees: from a thousandth of a dollar per thousand to a hundred dollars each.
    fn plausible(self, class: Class) -> Result<Rate, String> {
        let (bounds, low, high) = match class.decimals() {
            6 => (100..=10_000_000_000, "0.0001", "10000"),
            9 => (1_000_000..=100_000_000_000_000, "0.001", "100000"),
            _ => (1_000_000..=100_000_000_000_000, "0.000001", "100"),
        };
        if self.0 != 0 && !bounds.contains(&self.0) {
            return Err(format!("it must be 0 or between {low} and {high}; is it in another unit?"));
        }
        Ok(self)
    }

    /// Pico-USD per unit.
    pub fn pico(self) -> u64 {
        self.0
    }
}

/// USD per million tokens, decimal.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, 6)
    }
}

/// A rate in the unit of its class.
struct InUnit(Class, Rate);

impl fmt::Display for InUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.1.0, self.0.decimals())
    }
}

/// A visitor of objects that hold rates by class beside fields of their own.
macro_rules! fields {
    ($visit:ident, $type:ident, $expecting:literal, {$($field:ident),*}) => {
        impl<'de> Visitor<'de> for $visit {
            type Value = $type;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$type, A::Error> {
                let mut found = $type::default();
                while let Some(name) = map.next_key::<String>()? {
                    if let Some(class) = Class::of_rate(&name) {
                        if let Some(rate) = map.next_value_seed(RateOf(class))? {
                            found.rates.set(class, rate);
                        }
                        continue;
                    }
                    match name.as_str() {
                        $(stringify!($field) => found.$field = map.next_value()?,)*
                        _ => {
                            let known = Class::ALL.iter().map(|class| class.rate_name());
                            let known: Vec<&str> = known.chain([$(stringify!($field)),*]).collect();
                            let why = format!("unknown field `{name}`; there are {}", known.join(", "));
                            return Err(A::Error::custom(why));
                        }
                    }
                }
                Ok(found)
            }
        }
    };
}

/// Reads objects of a type so.
macro_rules! rated {
    ($type:ident, $expecting:literal, {$($field:ident),*}) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Visit;
                fields!(Visit, $type, $expecting, {$($field),*});
                d.deserialize_map(Visit)
            }
        }
    };
}

/// Rates by class. A class without a rate is not known separately, never free. In documents: decimal texts, USD per
/// million tokens or, where the name ends so, per thousand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rates(Vec<(Class, Rate)>);

impl Rates {
    /// The rate of a class, where it has its own.
    pub fn get(&self, class: Class) -> Option<Rate> {
        self.0.iter().find(|(c, _)| *c == class).map(|(_, rate)| *rate)
    }

    /// Sets a rate.
    pub fn set(&mut self, class: Class, rate: Rate) {
        match self.0.binary_search_by_key(&class, |(c, _)| *c) {
            Ok(at) => self.0[at].1 = rate,
            Err(at) => self.0.insert(at, (class, rate)),
        }
    }

    /// Every class with a rate, in the classes' order.
    pub fn iter(&self) -> impl Iterator<Item = (Class, Rate)> + '_ {
        self.0.iter().copied()
    }

    /// Whether nothing has a rate.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.iter().map(|(class, rate)| (class.rate_name(), InUnit(class, rate).to_string())))
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Default)]
        struct Only {
            rates: Rates,
        }

        struct Visit;
        fields!(Visit, Only, "prices by class, as texts", {});
        Ok(d.deserialize_map(Visit)?.rates)
    }
}

/// The price of a class in its unit; what is wrong with it is told where it stands.
struct RateOf(Class);

impl<'de> DeserializeSeed<'de> for RateOf {
    type Value = Option<Rate>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<Rate>, D::Error> {
        let text = Option::<String>::deserialize(d)
            .map_err(|e| D::Error::custom(format!("{e}; write a price as text, like \"0.15\"")))?;
        text.map(|text| Rate::parse_for(self.0, &text).map_err(D::Error::custom)).transpose()
    }
}

/// What one provider asks for one model. A rate that is not known separately is absent, never zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Price {
    /// The standard on-demand tier, in the dear hours where hours differ.
    #[serde(flatten)]
    pub rates: Rates,
    /// Rows that replace the base for the whole request once its prompt is long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long_context: Vec<LongContext>,
    /// Batch lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Lane>,
    /// Other service tiers by the provider's word for them (`flex`, `priority`, `fast`); the tier that served counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_tiers: BTreeMap<String, Lane>,
    /// Rates of Bedrock's geographic profiles, by prefix (`us`, `eu`), where they differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub geo: BTreeMap<String, Lane>,
    /// Cheaper hours; the base is the dear ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_peak: Option<OffPeak>,
    /// First moment the row holds, `2026-10-20` or `2026-10-20T16:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Moment>,
    /// First moment the row holds no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Moment>,
    /// Rows that held, or will hold, at other times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Price>,
    /// USD per image of a prompt, where images are not counted as tokens. Only compared with `max_price.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub image: Option<Usd>,
    /// Where the row comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Date of the source, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// Rates that replace the base's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lane {
    /// Its rates.
    #[serde(flatten)]
    pub rates: Rates,
    /// Its rows for long prompts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long_context: Vec<LongContext>,
}

/// Rates for a long prompt; they hold for the whole request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LongContext {
    /// Threshold: uncached, cached and written prompt tokens together.
    pub above_input_tokens: u64,
    /// `true`: the row holds at the threshold already.
    #[serde(default)]
    pub inclusive: bool,
    /// Its rates.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Rates of the cheaper hours. Either their hours are stated (`hours_utc`) or the dear ones (`peak_hours_utc`). The moment
/// at which the answer was complete decides; the end of a window is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OffPeak {
    /// Its rates.
    #[serde(flatten)]
    pub rates: Rates,
    /// Its rows for long prompts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long_context: Vec<LongContext>,
    /// Cheaper hours, `["14:00", "00:00"]` in UTC; a window may pass midnight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Vec<String>>"))]
    pub hours_utc: Vec<(TimeOfDay, TimeOfDay)>,
    /// Dear hours, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Vec<String>>"))]
    pub peak_hours_utc: Vec<(TimeOfDay, TimeOfDay)>,
    /// Whether Saturdays and Sundays (UTC) have no dear hours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weekends_off_peak: bool,
    /// Further days (UTC) without dear hours: public holidays, as far as they were announced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<String>,
    /// Since when; before, the base holds at all hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
}

rated!(Price, "a price row", {
    long_context, batch, service_tiers, geo, off_peak, valid_from, valid_until, history, image, source, as_of
});
rated!(Lane, "the rates of a lane", { long_context });
rated!(OffPeak, "the rates of cheaper hours", {
    long_context, hours_utc, peak_hours_utc, weekends_off_peak, holidays, since
});

impl<'de> Deserialize<'de> for LongContext {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visit;
        fields!(Visit, LongContext, "rates for long prompts", { above_input_tokens, inclusive });
        let row = d.deserialize_map(Visit)?;
        // Without a threshold every prompt would be long.
        if row.above_input_tokens == 0 { Err(D::Error::missing_field("above_input_tokens")) } else { Ok(row) }
    }
}

/// A moment in UTC, written as a date (its first instant) or with a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    text: String,
    unix_ms: i64,
}

impl Moment {
    /// Parses `2026-10-20`, `2026-10-20T16:00Z` or `2026-10-20T16:00:00Z`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Moment, String> {
        let wrong = || format!("`{text}` is neither a date like 2026-10-20 nor a moment like 2026-10-20T16:00:00Z");
        let at = match text.split_once('T') {
            None => text.parse::<jiff::civil::Date>().map_err(|_| wrong())?.at(0, 0, 0, 0),
            Some((date, time)) => {
                let date = date.parse::<jiff::civil::Date>().map_err(|_| wrong())?;
                let time = time.strip_suffix('Z').ok_or_else(wrong)?;
                date.to_datetime(time.parse::<jiff::civil::Time>().map_err(|_| wrong())?)
            }
        };
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        Ok(Moment { text: text.to_owned(), unix_ms: at.timestamp().as_millisecond() })
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn unix_ms(&self) -> i64 {
        self.unix_ms
    }
}

/// Minutes since midnight, written `"16:30"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Parses `16:30`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<TimeOfDay, String> {
        let two = |s: &str| (s.len() == 2).then(|| s.parse::<u16>().ok()).flatten();
        let parts = text.split_once(':').and_then(|(h, m)| Some((two(h)?, two(m)?)));
        match parts {
            Some((hour, minute)) if hour < 24 && minute < 60 => Ok(TimeOfDay(hour * 60 + minute)),
            _ => Err(format!("`{text}` is not a time of day like 16:30")),
        }
    }

    /// Minutes since midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Texts in documents.
macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(d)?).map_err(D::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }
        }
    };
}

as_text!(Moment);
as_text!(TimeOfDay);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Rates {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rates".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let properties: serde_json::Map<String, serde_json::Value> = Class::ALL
            .iter()
            .map(|class| {
                let description = format!("{}, {}.", class.name().replace('_', " "), class.unit());
                let field = serde_json::json!({"type": ["string", "null"], "description": description});
                (class.rate_name().to_owned(), field)
            })
            .collect();
        schemars::json_schema!({"type": "object", "properties": properties})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_are_exact_integers() {
        for (text, pico) in [("0.15", 150_000), ("1", 1_000_000), ("0.0001", 100), ("0", 0), ("13.2", 13_200_000)] {
            assert_eq!(Rate::parse(text).unwrap().pico(), pico);
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse_for(Class::WebSearch, "14").unwrap().pico(), 14_000_000_000, "1.4 cents a search");
    }

    #[test]
    fn what_is_no_price_or_in_another_unit_is_refused() {
        for bad in ["", "-1", "1e-3", "0.0000001", "x", "NaN", "inf", "0.00000015", "0.000002", "2500000"] {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
        let why = Rate::parse("0.000002").unwrap_err();
        assert!(why.contains("another unit"), "{why}");
        let e = serde_json::from_value::<Price>(json!({"input": "1", "cache_read": "-0.1"})).unwrap_err();
        assert!(e.to_string().contains("-0.1"), "{e}");
        let row = r#"{"a": {"input": "1", "long_context": [{"above_input_tokens": 1, "cache_read": "-0.1"}]}}"#;
        let e = super::super::place::read::<BTreeMap<String, Price>>(row).err().unwrap();
        assert_eq!(e.path, "a.long_context[0].cache_read");
        let e = serde_json::from_value::<Price>(json!({"input": 0.1})).unwrap_err();
        assert!(e.to_string().contains("as text"), "{e}");
        let e = serde_json::from_value::<Price>(json!({"long_context": [{"input": "1"}]})).unwrap_err();
        assert!(e.to_string().contains("above_input_tokens"), "{e}");
        let e = serde_json::from_value::<Price>(json!({"inputs": "1"})).unwrap_err();
        assert!(e.to_string().contains("inputs"), "{e}");
    }

    #[test]
    fn a_row_is_written_as_it_was_read() {
        let row = json!({
            "input": "0.3", "output": "1.2", "cache_write_1h": "0.6", "request": "0.005", "seconds_per_1000": "0.1",
            "long_context": [{"above_input_tokens": 9, "inclusive": true, "input": "2"}],
            "batch": {"input": "0.15"}, "service_tiers": {"flex": {"input": "0.1"}},
            "off_peak": {"input": "0.15", "hours_utc": [["16:30", "00:30"]], "since": "2026-08-16T16:00Z"},
            "valid_from": "2026-01-01", "history": [{"input": "9"}], "source": "x"
        });
        let price: Price = serde_json::from_value(row.clone()).unwrap();
        assert_eq!(serde_json::to_value(price).unwrap(), row);
    }

    #[test]
    fn moments_and_times() {
        assert_eq!(Moment::parse("1970-01-02").unwrap().unix_ms(), 86_400_000);
        assert_eq!(Moment::parse("1970-01-01T00:01Z").unwrap().unix_ms(), 60_000);
        assert_eq!(Moment::parse("1970-01-01T00:00:01Z").unwrap().unix_ms(), 1_000);
        for bad in ["", "2026-13-01", "2026-01-01T00:00", "yesterday"] {
            assert!(Moment::parse(bad).is_err(), "{bad}");
        }
        for bad in ["24:00", "1:00", "12", "12:60"] {
            assert!(TimeOfDay::parse(bad).is_err(), "{bad}");
        }
    }
}
