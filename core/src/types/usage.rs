//! Tokens as vendors report them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Extra;
use super::price::Class;

/// Token counts of one answer. `prompt_tokens` includes cached and cache-written tokens, `completion_tokens` includes
/// reasoning tokens (OpenAI's rule; other vendors' counts are converted to it).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Sum of both.
    #[serde(default)]
    pub total_tokens: u64,
    /// Parts of `prompt_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
    /// Parts of `completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Parts of the prompt's tokens; absent means not reported, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptTokensDetails {
    /// Read from the vendor's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Written to the vendor's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Audio in the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_tokens: Option<u64>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Parts of the answer's tokens; absent means not reported, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompletionTokensDetails {
    /// Hidden or shown reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Audio in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_tokens: Option<u64>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Usage {
    /// Cached tokens of the prompt, where reported.
    pub fn cached_tokens(&self) -> Option<u64> {
        self.prompt_tokens_details.as_ref()?.cached_tokens
    }

    /// Reasoning tokens, where reported.
    pub fn reasoning_tokens(&self) -> Option<u64> {
        self.completion_tokens_details.as_ref()?.reasoning_tokens
    }
}

/// How many units of a class were used, and how that is known. What is not known is no count at all: a zero here was
/// reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Count {
    /// The number.
    pub number: u64,
    /// `false`: the vendor reported it. `true`: it was estimated.
    pub estimated: bool,
}

/// Units of one answer by class, each in exactly one; a class that is absent is not known. In documents: numbers, and
/// `{"estimated": 5}` for what was not reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UsageVector(Vec<(Class, Count)>);

impl UsageVector {
    /// The count of a class, where it is known.
    pub fn get(&self, class: Class) -> Option<Count> {
        self.0.iter().find(|(c, _)| *c == class).map(|(_, count)| *count)
    }

    /// The number of a class; 0 where it is not known.
    pub fn number(&self, class: Class) -> u64 {
        self.get(class).map_or(0, |count| count.number)
    }

    /// Notes what a vendor reported.
    pub fn report(&mut self, class: Class, number: u64) {
        self.set(class, Count { number, estimated: false });
    }

    /// Notes what is an estimate.
    pub fn estimate(&mut self, class: Class, number: u64) {
        self.set(class, Count { number, estimated: true });
    }

    /// Adds to a class what a vendor reported.
    pub fn add(&mut self, class: Class, number: u64) {
        let before = self.get(class).unwrap_or(Count { number: 0, estimated: false });
        self.set(class, Count { number: before.number.saturating_add(number), ..before });
    }

    fn set(&mut self, class: Class, count: Count) {
        match self.0.binary_search_by_key(&class, |(c, _)| *c) {
            Ok(at) => self.0[at].1 = count,
            Err(at) => self.0.insert(at, (class, count)),
        }
    }

    /// Every class that is known, in the classes' order.
    pub fn iter(&self) -> impl Iterator<Item = (Class, Count)> + '_ {
        self.0.iter().copied()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any count is an estimate.
    pub fn estimated(&self) -> bool {
        self.0.iter().any(|(_, count)| count.estimated)
    }

    /// All tokens of the prompt.
    pub fn prompt(&self) -> u64 {
        self.0.iter().filter(|(c, _)| c.in_prompt()).fold(0, |sum, (_, count)| sum.saturating_add(count.number))
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.estimated {
            false => s.serialize_u64(self.number),
            true => s.collect_map([("estimated", self.number)]),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Reported(u64),
            Estimated { estimated: u64 },
        }
        Ok(match Form::deserialize(d)? {
            Form::Reported(number) => Count { number, estimated: false },
            Form::Estimated { estimated } => Count { number: estimated, estimated: true },
        })
    }
}

impl Serialize for UsageVector {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(class, count)| (class.name(), count)))
    }
}

impl<'de> Deserialize<'de> for UsageVector {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut vector = UsageVector::default();
        for (name, count) in std::collections::BTreeMap::<String, Count>::deserialize(d)? {
            let class = Class::named(&name);
            vector.set(class.ok_or_else(|| D::Error::custom(format!("unknown class `{name}`")))?, count);
        }
        Ok(vector)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for UsageVector {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UsageVector".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object", "additionalProperties": {"anyOf": [
            {"type": "integer"},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ]}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_zero_is_not_a_missing_number() {
        let mut vector = UsageVector::default();
        vector.report(Class::CacheRead, 0);
        vector.estimate(Class::Output, 7);
        assert_eq!(vector.get(Class::CacheRead).unwrap().number, 0);
        assert_eq!(vector.get(Class::CacheWrite), None);
        let text = serde_json::to_string(&vector).unwrap();
        assert_eq!(text, r#"{"cache_read":0,"output":{"estimated":7}}"#);
        assert_eq!(serde_json::from_str::<UsageVector>(&text).unwrap(), vector);
    }
}
