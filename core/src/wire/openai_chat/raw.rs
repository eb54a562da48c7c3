//! Response bodies as servers really send them: lenient where vendors differ, nothing lost.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::{
    AssistantMessage, ChunkChoice, CompletionTokensDetails, Delta, FunctionCall, FunctionCallDelta, Logprobs,
    PromptTokensDetails, Quirks, ToolCall, ToolCallDelta, Usage,
};
use crate::wire::open::open;

open! {
    /// A completion or a chunk. `object` is known from the call; `obfuscation` is random padding.
    Body {
        id "id": String,
        created "created": Number,
        model "model": String,
        choices "choices": Few<Choice>,
        usage "usage": Told,
        service_tier "service_tier": String,
        system_fingerprint "system_fingerprint": String,
        error "error": Value,
    }
    skips "object" "obfuscation"
}

/// A list that mostly has one element: a `Vec` would make room for four, which for choices are kilobytes per chunk.
pub(super) struct Few<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = Few<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
                let Some(first) = seq.next_element()? else { return Ok(Few(Vec::new())) };
                let mut all = vec![first];
                while let Some(next) = seq.next_element()? {
                    all.push(next);
                }
                Ok(Few(all))
            }
        }
        d.deserialize_seq(V(PhantomData))
    }
}

open! {
    /// One choice of either.
    Choice {
        index "index": u32,
        message "message": Parts,
        delta "delta": Parts,
        finish_reason "finish_reason": String,
        logprobs "logprobs": Value,
    }
}

open! {
    /// A message or what is new in one.
    Parts {
        role "role": String,
        content "content": Content,
        refusal "refusal": String,
        tool_calls "tool_calls": Vec<Call>,
    }
}

open! {
    /// A tool call or what is new in one.
    Call {
        index "index": u32,
        id "id": String,
        r#type "type": String,
        function "function": Function,
    }
}

#[derive(Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub arguments: Option<Arguments>,
}

/// Text, or a list of blocks (Mistral's thinking blocks).
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Value>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of blocks")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut blocks = Vec::new();
                while let Some(b) = seq.next_element()? {
                    blocks.push(b);
                }
                Ok(Content::Blocks(blocks))
            }
        }
        d.deserialize_any(V)
    }
}

/// Arguments as text, as the wire says, or as an object, as some servers send them.
pub(super) struct Arguments(String);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Arguments(match Value::deserialize(d)? {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        }))
    }
}

/// Visitor methods that take these shapes for nothing told.
macro_rules! tells_nothing {
    ($($visit:ident($type:ty))*) => {
        $(fn $visit<E: de::Error>(self, _: $type) -> Result<Self::Value, E> { Ok(Self::Value::default()) })*
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            de::IgnoredAny.visit_seq(seq).map(|_| Self::Value::default())
        }
    };
}

/// A whole number, also where it is written as a float; anything else tells none.
#[derive(Default)]
pub(super) struct Number(pub Option<u64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(Some(number)))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
                Ok(Number((number >= 0.0).then_some(number as u64)))
            }
            tells_nothing! { visit_i64(i64) visit_bool(bool) visit_str(&str) }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
                de::IgnoredAny.visit_map(map).map(|_| Number(None))
            }
        }
        d.deserialize_any(V)
    }
}

open! {
    /// Token counts.
    Counts {
        prompt_tokens "prompt_tokens": Number,
        completion_tokens "completion_tokens": Number,
        total_tokens "total_tokens": Number,
        prompt_tokens_details "prompt_tokens_details": Value,
        completion_tokens_details "completion_tokens_details": Value,
    }
}

/// What stands where token counts should: anything but an object tells none.
#[derive(Default)]
pub(super) struct Told(Option<Counts>);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Told;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("token counts")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Told, A::Error> {
                Counts::deserialize(de::value::MapAccessDeserializer::new(map)).map(|counts| Told(Some(counts)))
            }
            tells_nothing! { visit_u64(u64) visit_i64(i64) visit_f64(f64) visit_bool(bool) visit_str(&str) }
        }
        d.deserialize_any(V)
    }
}

/// Names of reasoning text at vendors that are not in the catalogue.
const REASONING: &[&str] = &["reasoning_content", "reasoning"];

impl Parts {
    /// Takes the reasoning text out, under whichever name it came.
    fn reasoning(&mut self, quirks: &Quirks) -> Option<String> {
        let mut found = None;
        for name in quirks.reasoning_fields.iter().map(String::as_str).chain(REASONING.iter().copied()) {
            if found.is_none()
                && let Some(Value::String(text)) = self.extra.get(name)
            {
                found = Some(text.clone());
            }
        }
        // OpenAI's name for it goes; a vendor's own name stays readable in `extra` for code written against it.
        if found.is_some() || matches!(self.extra.get("reasoning_content"), Some(Value::Null)) {
            self.extra.remove("reasoning_content");
        }
        found
    }

    /// Splits content blocks into text and thinking; anything else is kept under `content_blocks`.
    fn text(&mut self) -> (Option<String>, Option<String>) {
        let blocks = match self.content.take() {
            None => return (None, None),
            Some(Content::Text(text)) => return (Some(text), None),
            Some(Content::Blocks(blocks)) => blocks,
        };
        let (mut text, mut thinking, mut rest) = (None::<String>, None::<String>, Vec::new());
        for block in blocks {
            match block.get("type").and_then(Value::as_str) {
                Some("text") => text.get_or_insert_default().push_str(str_of(&block, "text")),
                Some("thinking") => {
                    let out = thinking.get_or_insert_default();
                    match &block["thinking"] {
                        Value::String(t) => out.push_str(t),
                        Value::Array(inner) => inner.iter().for_each(|b| out.push_str(str_of(b, "text"))),
                        _ => {}
                    }
                }
                _ => rest.push(block),
            }
        }
        if !rest.is_empty() {
            self.extra.insert("content_blocks".into(), Value::Array(rest));
        }
        (text, thinking)
    }

    pub fn into_message(mut self, quirks: &Quirks) -> AssistantMessage {
        let (mut content, thinking) = self.text();
        let mut reasoning = self.reasoning(quirks).or(thinking);
        if let (Some(tag), Some(text), None) = (&quirks.reasoning_tag, &content, &reasoning)
            && let Some((before, inside, after)) = split_tag(text, tag)
        {
            reasoning = Some(inside.trim().to_owned());
            content = Some(format!("{before}{}", after.trim_start()));
        }
        let calls = self.tool_calls.filter(|c| !c.is_empty());
        AssistantMessage {
            role: self.role.unwrap_or_else(|| "assistant".to_owned()),
            content,
            refusal: self.refusal,
            reasoning_content: reasoning,
            tool_calls: calls.map(|calls| calls.into_iter().enumerate().map(|(i, c)| c.into_call(i)).collect()),
            extra: self.extra,
        }
    }

    pub fn into_delta(mut self, quirks: &Quirks) -> Delta {
        let (content, thinking) = self.text();
        let reasoning = self.reasoning(quirks).or(thinking);
        Delta {
            role: self.role,
            content,
            refusal: self.refusal,
            reasoning_content: reasoning,
            tool_calls: self
                .tool_calls
                .filter(|c| !c.is_empty())
                .map(|calls| calls.into_iter().enumerate().map(|(i, c)| c.into_delta(i as u32)).collect()),
            extra: self.extra,
        }
    }
}

fn str_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Text before, inside and after the first `<tag>...</tag>`.
fn split_tag<'a>(text: &'a str, tag: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = text.split_once(&format!("<{tag}>"))?;
    let (inside, after) = rest.split_once(&format!("</{tag}>"))?;
    Some((before, inside, after))
}

impl Call {
    fn into_call(self, place: usize) -> ToolCall {
        ToolCall {
            id: self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{place}")),
            r#type: self.r#type.unwrap_or_else(|| "function".to_owned()),
            function: self.function.map(|f| FunctionCall {
                name: f.name.unwrap_or_default(),
                arguments: f.arguments.map(|a| a.0).unwrap_or_default(),
            }),
            extra: self.extra,
        }
    }

    fn into_delta(self, place: u32) -> ToolCallDelta {
        ToolCallDelta {
            index: self.index.unwrap_or(place),
            id: self.id.filter(|id| !id.is_empty()),
            r#type: self.r#type,
            function: self.function.map(|f| FunctionCallDelta { name: f.name, arguments: f.arguments.map(|a| a.0) }),
            extra: self.extra,
        }
    }
}

impl Choice {
    /// OpenAI's word for why the choice ended; the vendor's own word is kept beside it.
    pub fn finish_reason(&mut self, quirks: &Quirks) -> Option<String> {
        let said = self.finish_reason.take().filter(|r| !r.is_empty())?;
        let word = match quirks.finish_reasons.get(&said) {
            Some(word) => word.clone(),
            None => match said.as_str() {
                "eos" | "eos_token" | "end_turn" | "stop_sequence" => "stop".to_owned(),
                "max_tokens" | "max_output_tokens" => "length".to_owned(),
                _ => return Some(said),
            },
        };
        self.extra.entry("native_finish_reason").or_insert(Value::String(said));
        Some(word)
    }

    /// Log probabilities; of a shape of the vendor's own they stay in `extra`.
    pub fn logprobs(&mut self) -> Option<Logprobs> {
        let raw = self.logprobs.take()?;
        match Logprobs::deserialize(&raw) {
            Ok(l) => Some(l),
            Err(_) => {
                self.extra.insert("logprobs".into(), raw);
                None
            }
        }
    }

    pub fn into_chunk(mut self, place: u32, quirks: &Quirks) -> ChunkChoice {
        let finish_reason = self.finish_reason(quirks);
        let logprobs = self.logprobs();
        ChunkChoice {
            index: self.index.unwrap_or(place),
            delta: self.delta.unwrap_or_default().into_delta(quirks),
            finish_reason,
            logprobs,
            extra: self.extra,
        }
    }

    pub fn into_choice(mut self, place: u32, quirks: &Quirks) -> crate::types::Choice {
        let finish_reason = self.finish_reason(quirks);
        let logprobs = self.logprobs();
        crate::types::Choice {
            index: self.index.unwrap_or(place),
            message: self.message.or(self.delta).unwrap_or_default().into_message(quirks),
            finish_reason,
            logprobs,
            extra: self.extra,
        }
    }
}

/// Usage wherever vendors put it: at the top, under `x_groq`, or in a choice.
pub(super) fn usage(body: &mut Body, quirks: &Quirks) -> Option<Usage> {
    let told = body.usage.take().or_else(|| {
        let in_groq = body.extra.get("x_groq").and_then(|x| x.get("usage"));
        let in_choice = || body.choices.iter().flat_map(|c| &c.0).find_map(|c| c.extra.get("usage"));
        Told::deserialize(in_groq.or_else(in_choice)?).ok()
    })?;
    read_usage(told.0?, quirks)
}

/// Counts on their own.
pub(in crate::wire) fn counts(told: &Value, quirks: &Quirks) -> Option<Usage> {
    read_usage(Told::deserialize(told).ok()?.0?, quirks)
}

/// Reads counts; a number that is missing, null or not a whole number is not reported.
fn read_usage(counts: Counts, quirks: &Quirks) -> Option<Usage> {
    let number = |told: Option<Number>| told.and_then(|n| n.0);
    let prompt = number(counts.prompt_tokens);
    let completion = number(counts.completion_tokens);
    let total = number(counts.total_tokens);
    if prompt.is_none() && completion.is_none() && total.is_none() {
        return None;
    }
    let mut usage = Usage {
        prompt_tokens: prompt.unwrap_or(0),
        completion_tokens: completion.unwrap_or(0),
        total_tokens: total.unwrap_or(prompt.unwrap_or(0) + completion.unwrap_or(0)),
        prompt_tokens_details: counts.prompt_tokens_details.and_then(details::<PromptTokensDetails>),
        completion_tokens_details: counts.completion_tokens_details.and_then(details::<CompletionTokensDetails>),
        extra: counts.extra,
    };
    // Reasoning that is not among the answer's tokens, where the sum says so or the number is not told at all. Of sums
    // that do not hold nothing is made: the ledger flags them.
    let beside = usage.total_tokens.saturating_sub(usage.prompt_tokens.saturating_add(usage.completion_tokens));
    if quirks.reasoning_outside && beside > 0 && usage.reasoning_tokens().is_none_or(|told| told == beside) {
        usage.completion_tokens += beside;
    }
    Some(usage)
}

fn details<T: serde::de::DeserializeOwned + Serialize>(raw: Value) -> Option<T> {
    if raw.is_null() { None } else { serde_json::from_value(raw).ok() }
}
