//! Calibration: items with known answers in; how good each model is, and whom to ask, out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::shorthand::{self, Shorthand};
use super::{Member, Never};

/// One item with a known answer and what models answered to it. Other fields are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Labelled {
    /// The question, from which it follows how answers are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The right answer; an item without one is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold: Option<String>,
    /// Each model's text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, String>,
    /// Each model's answer as it was read already, which counts in place of its text; null when it gave none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub finals: BTreeMap<String, Option<String>>,
    /// Each judge's verdicts in two orders, in the words of `gold`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verdicts: BTreeMap<String, Verdicts>,
}

/// A judge's choices between the same answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdicts {
    /// In the order given; null when there was none.
    #[serde(default)]
    pub as_given: Option<String>,
    /// In the opposite order.
    #[serde(default)]
    pub swapped: Option<String>,
}

/// Labelled items.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum LabelledItems {
    /// Path of a file with one labelled item a line, as JSON.
    File(String),
    /// The items themselves.
    List(Vec<Labelled>),
}

impl Default for LabelledItems {
    fn default() -> Self {
        LabelledItems::List(Vec::new())
    }
}

impl From<Vec<Labelled>> for LabelledItems {
    fn from(items: Vec<Labelled>) -> Self {
        LabelledItems::List(items)
    }
}

impl<'de> Shorthand<'de> for LabelledItems {
    type Full = Never;
    const EXPECTS: &'static str = "a list of items or the path of a file";
    fn from_text(text: &str) -> Self {
        LabelledItems::File(text.to_owned())
    }
    fn from_full(full: Self::Full) -> Self {
        match full {}
    }
    fn from_list<A: serde::de::SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        shorthand::list(list).map(LabelledItems::List)
    }
}

impl<'de> Deserialize<'de> for LabelledItems {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        shorthand::deserialize(d)
    }
}

/// What a calibration found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Calibration {
    /// Items with a known answer.
    pub counted: u32,
    /// Every model that answered nearly all items, the best first.
    pub models: Vec<Measured>,
    /// Every judge with verdicts in both orders, the best first.
    pub judges: Vec<Measured>,
    /// Whom to ask in mode `auto`, in this order; with their priors where weighing their votes was found to help. One
    /// member alone: do not fuse, use it.
    pub pool: Vec<Member>,
    /// What choosing like this came to on items that the choice had not seen.
    pub held_out: HeldOut,
    /// The recommendation in one sentence.
    pub advice: String,
    /// What speaks against relying on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How often one model or judge was right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Measured {
    /// The model or judge.
    pub model: String,
    /// Right answers; of a judge, right verdicts that both orders gave.
    pub right: u32,
    /// Of so many; of a judge, verdicts that both orders gave.
    pub of: u32,
    /// The chance that it is right: its `prior` as a member, its `trust` as a judge.
    pub chance: f64,
}

/// Percent of items right, each decided by a choice made on other items.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeldOut {
    /// The recommended pool in mode `auto`.
    pub pool: f64,
    /// The best single model.
    pub single: f64,
    /// Calls to members per item with the pool.
    pub calls: f64,
}
