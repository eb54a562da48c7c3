//! Fusion: a prompt to a pool of models in parallel, combined by a judge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::shorthand::{self, Shorthand};
use super::{AssistantMessage, ChatRequest, FusionReport, Usage};

/// How the answers are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FusionMode {
    /// The first two members are asked; the others only where these disagree, and a judge only where the answers leave it
    /// open.
    #[default]
    Auto,
    /// The answer that most members give; nobody is waited for who cannot change it.
    Vote,
    /// All members but the last are asked; the last, which should be the strongest, decides alone unless they all agree.
    Cascade,
    /// The judge picks the best answer; it is returned word for word.
    #[serde(alias = "best-of")]
    BestOf,
    /// The judge compares the answers and writes one from them; under a JSON schema they are put together field by field.
    Merge,
    /// Members that disagree see each other's answers once more, then the judge picks.
    Debate,
}

impl FusionMode {
    /// The name in requests and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            FusionMode::Auto => "auto",
            FusionMode::Vote => "vote",
            FusionMode::Cascade => "cascade",
            FusionMode::BestOf => "best_of",
            FusionMode::Merge => "merge",
            FusionMode::Debate => "debate",
        }
    }
}

/// Several options under one name. What the request sets by itself outranks them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The defaults.
    #[default]
    Balanced,
    /// Everyone is asked and one answer is written: `merge`, with `guard` also where it is streamed.
    Quality,
    /// Two usable answers are enough, others have 250 ms more, and a merged answer is not compared: `quorum` 2,
    /// `grace_ms` 250, no `guard`.
    Fast,
    /// The last two members of the pool, which should be the cheapest, and its first one only where they differ:
    /// `cascade`. A pool of fewer than three stays as it is, and a merged answer is not compared.
    Cheap,
    /// The first member, asked three times, in place of the pool.
    #[serde(rename = "self")]
    Myself,
}

/// Options of a fusion. Unknown fields are refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FusionOptions {
    /// How the answers are combined; `auto` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FusionMode>,
    /// Several options under one name; `balanced` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// The members, or the name of a pool in the configuration. The first member is the anchor: the one that ties and
    /// failures fall back to, so list the best model first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// Who judges; the anchor by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
    /// Usable answers after which the rest is not waited for any longer than `grace_ms`: two thirds of the members by
    /// default, and then the anchor is waited for all the same, to the members' share of the deadline. A quorum that is
    /// given counts for everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// How long stragglers are waited for after the quorum, milliseconds; half the time the quorum took by default,
    /// within 250 and 15000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// Deadline of the whole fusion, milliseconds; 120000 by default. Members get 70 % of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// How a closed answer is read out of a text; by default what the question asks for: a letter of its options, a number,
    /// a JSON field `answer`, what is boxed or follows "the answer is", a literal, a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<Extract>,
    /// Whether a merged answer is compared with the best single one (two more calls), which is returned if it wins in both
    /// orders. By default it is, but for a `merge` that is streamed, whose text comes as it is written; `true` holds that
    /// text back until it is compared. Fields put together under a JSON schema are compared so only with `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<bool>,
    /// Most the whole fusion may cost, decimal USD as text ("0.05"). No call starts once the known cost has reached it,
    /// or when the estimate of its stage does not fit in what is left; what is left out stands in `degraded`. A call in
    /// flight is not cut, and calls whose price is unknown are not counted: a warning names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// What a request in another vendor's words says beyond these options. Not part of a request.
    #[serde(skip)]
    pub foreign: Option<Box<Foreign>>,
}

/// What a fusion in another vendor's words says that has no option here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Foreign {
    /// What every member gets that does not say otherwise: temperature, token limit, reasoning effort.
    pub member: Member,
    /// What was asked for and is not done, as paths in the request; told in `interfuse.dropped`.
    pub left_out: Vec<String>,
    /// Whether the answer carries OpenRouter's record of the deliberation.
    pub record: bool,
}

impl Foreign {
    /// Takes `reasoning` as OpenRouter and LiteLLM write it, of which only the effort can be passed to every vendor.
    pub fn reasoning(&mut self, at: &str, given: &super::Extra) {
        for (name, value) in given {
            match value.as_str().filter(|_| name == "effort") {
                Some(effort) => self.member.reasoning_effort = Some(effort.to_owned()),
                None => self.left_out.push(format!("{at}.reasoning.{name}")),
            }
        }
    }
}

/// Where a closed answer stands in a text: one of both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Extract {
    /// The last match of this regular expression; its first group, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// A JSON pointer into the JSON object in the text, such as `/answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

/// The members of a fusion.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Pool {
    /// A pool of the configuration.
    Name(String),
    /// The members themselves, 1 to 16.
    Members(Vec<Member>),
}

impl<'de> Shorthand<'de> for Pool {
    type Full = Never;
    const EXPECTS: &'static str = "a list of members or a pool's name";
    fn from_text(text: &str) -> Self {
        Pool::Name(text.to_owned())
    }
    fn from_full(full: Self::Full) -> Self {
        match full {}
    }
    fn from_list<A: serde::de::SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        shorthand::list(list).map(Pool::Members)
    }
}

impl<'de> Deserialize<'de> for Pool {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        shorthand::deserialize(d)
    }
}

/// One member of a pool: a model, and what it gets that the others do not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Member {
    /// The model, as in a chat request.
    pub model: String,
    /// Backend, as in a chat request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<super::ProviderChoice>,
    /// Name in the report; the model by default (numbered when repeated).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Instructions put before the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Temperature in place of the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens in place of the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Reasoning effort in place of the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Deadline of this member, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The chance that it is right, above 0 and below 1; 0.6 by default, of the anchor of an open question in `auto` 0.8.
    /// `calibrate` measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<f64>,
}

/// Who judges, and by what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Judge {
    /// The model, as in a chat request.
    pub model: String,
    /// Backend, as in a chat request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<super::ProviderChoice>,
    /// What matters, in words; added to the built-in rubric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<String>,
    /// Temperature; 0 by default for verdicts and analyses, the request's for a merged answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens of a verdict (1024 by default) or an analysis (3072 by default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Deadline of one judge call, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The chance that a verdict it gives in both orders is right, from 0.5 (it is not asked) to below 1; 0.7 by default.
    /// `calibrate` measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<f64>,
}

macro_rules! model_or_object {
    ($($t:ident $expects:literal;)*) => {$(
        impl<'de> Shorthand<'de> for $t {
            type Full = Full<$t>;
            const EXPECTS: &'static str = $expects;
            fn from_text(text: &str) -> Self {
                $t { model: text.to_owned(), ..Default::default() }
            }
            fn from_full(full: Self::Full) -> Self {
                full.0
            }
        }

        impl<'de> Deserialize<'de> for Full<$t> {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $t::deserialize(d).map(Full)
            }
        }

        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                shorthand::deserialize(d)
            }
        }

        impl Serialize for $t {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                $t::serialize(self, s)
            }
        }

        impl From<&str> for $t {
            fn from(model: &str) -> Self {
                $t { model: model.to_owned(), ..Default::default() }
            }
        }
    )*};
}

/// The object form of a type that may also be written as a model's name.
pub(super) struct Full<T>(T);

model_or_object! {
    Member "a model's name or an object with `model`";
    Judge "a model's name or an object with `model`";
}

/// A fusion request: what is asked, to whom, and how the answers are combined.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FuseRequest {
    /// The question, short for `messages` with one user message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Options of the fusion.
    #[serde(flatten)]
    pub fusion: FusionOptions,
    /// The conversation and the parameters that every member gets. `model` is not used.
    #[serde(flatten)]
    pub chat: ChatRequest,
}

impl FuseRequest {
    /// A question; pool and judge are those of the configuration until they are named.
    pub fn new(prompt: impl Into<String>) -> Self {
        FuseRequest { prompt: Some(prompt.into()), ..Default::default() }
    }

    /// Names the members, the best one first.
    pub fn pool<M: Into<Member>>(mut self, members: impl IntoIterator<Item = M>) -> Self {
        self.fusion.pool = Some(Pool::Members(members.into_iter().map(Into::into).collect()));
        self
    }

    /// Names the judge.
    pub fn judge(mut self, judge: impl Into<Judge>) -> Self {
        self.fusion.judge = Some(judge.into());
        self
    }

    /// Sets how the answers are combined.
    pub fn mode(mut self, mode: FusionMode) -> Self {
        self.fusion.mode = Some(mode);
        self
    }
}

/// The fused answer and the evidence for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fused {
    /// Id of the run.
    pub id: String,
    /// The answer's text.
    pub text: String,
    /// The answer as a message (with tool calls, when the winner made any).
    pub message: AssistantMessage,
    /// `stop`, `length`, `tool_calls`, ...
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Sum over all calls of the run that reported usage.
    pub usage: Usage,
    /// Who said what, how it was decided, what it cost.
    pub report: FusionReport,
}

/// What became of a fusion, as the caller found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// Whether the answer was right.
    #[cfg_attr(feature = "schema", schemars(title = "FeedbackRight"))]
    Right(bool),
    /// The right answer.
    #[cfg_attr(feature = "schema", schemars(title = "FeedbackAnswer"))]
    Answer(String),
    /// Id of the member whose answer was best.
    #[cfg_attr(feature = "schema", schemars(title = "FeedbackMember"))]
    Member(String),
}

/// Labels of a call.
pub type Tags = BTreeMap<String, String>;

/// No object form.
#[derive(Deserialize)]
pub(super) enum Never {}
