//! What the models of the Claude line take, by family and version. Source: the vendor's documentation and recorded
//! refusals, state of September 2026.

use Effort::{High, Low, Max, Medium, Xhigh};

/// What one model takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::wire) struct Model {
    family: &'static str,
    /// First version this row holds for.
    since: (u32, u32),
    /// Most tokens of an answer.
    pub max_output: u64,
    /// How it is told to think.
    pub thinking: Thinking,
    /// Whether it holds a JSON schema by itself (`output_config.format`, strict tools).
    pub schemas: bool,
    /// Which of `temperature` and `top_p` it takes.
    pub sampling: Sampling,
    /// Whether the conversation may end with the beginning of the answer.
    pub prefill: bool,
    /// Whether instructions may stand in the middle of the conversation.
    pub instructions: bool,
}

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Thinking {
    /// It does not.
    None,
    /// With a budget in tokens.
    Budget,
    /// It decides itself; an effort among these guides it.
    Adaptive(&'static [Effort]),
}

/// Efforts, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::wire) enum Effort {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// Which sampling fields a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Sampling {
    /// `temperature` and `top_p`.
    Both,
    /// One of them.
    One,
    /// None.
    None,
}

impl Effort {
    /// Names in requests, least effort first; several may mean the same here. The budget in tokens is for models that
    /// take no effort.
    const NAMES: &'static [(&'static str, Effort, u64)] = &[
        ("minimal", Low, 1024),
        ("low", Low, 1024),
        ("medium", Medium, 2048),
        ("high", High, 4096),
        ("xhigh", Xhigh, 8192),
        ("max", Max, 16_384),
    ];

    /// The effort of this name.
    pub fn named(name: &str) -> Option<Effort> {
        Self::NAMES.iter().find(|(known, ..)| *known == name).map(|(_, effort, _)| *effort)
    }

    /// The vendor's name for it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().rfind(|(_, effort, _)| *effort == self).map_or("high", |(name, ..)| name)
    }

    /// Thinking tokens that stand for it.
    pub fn budget(self) -> u64 {
        Self::NAMES.iter().rfind(|(_, effort, _)| *effort == self).map_or(MIN_BUDGET, |(.., budget)| *budget)
    }
}

/// Least thinking budget the vendor takes.
pub(in crate::wire) const MIN_BUDGET: u64 = 1024;

/// Most tokens asked for by default of an answer that comes whole. The vendor's own clients refuse to wait for more
/// without streaming (3600 s x tokens / 128000 > 600 s).
pub(in crate::wire) const MAX_UNSTREAMED: u64 = 21_333;

const fn model(family: &'static str, since: (u32, u32), max_output: u64) -> Model {
    Model {
        family,
        since,
        max_output,
        thinking: Thinking::None,
        schemas: false,
        sampling: Sampling::Both,
        prefill: true,
        instructions: false,
    }
}

const fn thinks(model: Model) -> Model {
    Model { thinking: Thinking::Budget, ..model }
}

const fn one_sampler(model: Model) -> Model {
    Model { sampling: Sampling::One, ..model }
}

const fn schemas(model: Model) -> Model {
    Model { schemas: true, ..one_sampler(thinks(model)) }
}

/// 4.6: it decides itself how much to think, and no longer goes on with the beginning of an answer.
const fn adaptive(model: Model) -> Model {
    Model { thinking: Thinking::Adaptive(&[Low, Medium, High, Max]), prefill: false, ..schemas(model) }
}

/// 4.7 and later: one more effort, and no sampling fields.
const fn newest(model: Model) -> Model {
    Model {
        thinking: Thinking::Adaptive(&[Low, Medium, High, Xhigh, Max]),
        sampling: Sampling::None,
        ..adaptive(model)
    }
}

/// A model that is not of the Claude line: nothing is assumed.
const STRANGER: Model = thinks(model("", (0, 0), 4096));

/// A model of the Claude line whose name says nothing of its version.
const UNKNOWN: Model = newest(model("claude", (0, 0), 128_000));

/// Rows of a family stand from the oldest to the newest.
const MODELS: &[Model] = &[
    model("haiku", (0, 0), 4096),
    model("haiku", (3, 5), 8192),
    schemas(model("haiku", (4, 5), 64_000)),
    model("sonnet", (0, 0), 4096),
    model("sonnet", (3, 5), 8192),
    thinks(model("sonnet", (3, 7), 64_000)),
    thinks(model("sonnet", (4, 0), 64_000)),
    schemas(model("sonnet", (4, 5), 64_000)),
    adaptive(model("sonnet", (4, 6), 128_000)),
    newest(model("sonnet", (5, 0), 128_000)),
    model("opus", (0, 0), 4096),
    thinks(model("opus", (4, 0), 32_000)),
    schemas(model("opus", (4, 1), 32_000)),
    schemas(model("opus", (4, 5), 64_000)),
    adaptive(model("opus", (4, 6), 128_000)),
    newest(model("opus", (4, 7), 128_000)),
    Model { instructions: true, ..newest(model("opus", (4, 8), 128_000)) },
];

/// What the model of this id takes, in whatever way a platform spells it: `claude-sonnet-4-5-20250929`,
/// `claude-sonnet-4-5@20250929`, `us.anthropic.claude-3-5-haiku-20241022-v1:0`, `anthropic/claude-haiku-4.5`. A version
/// that is not known is taken for the newest known before it.
pub(in crate::wire) fn of(id: &str) -> Model {
    let id = id.to_ascii_lowercase();
    let Some(at) = id.find("claude") else { return STRANGER };
    // What follows `v1` (as in `-v1:0`) is the platform's, and a date is no version.
    let is_platforms = |w: &&str| w.len() > 1 && w.starts_with('v') && w[1..].parse::<u32>().is_ok();
    let words: Vec<&str> =
        id[at..].split(|c: char| !c.is_ascii_alphanumeric()).take_while(|w| !is_platforms(w)).collect();
    let mut numbers = words.iter().filter(|w| w.len() <= 2).filter_map(|w| w.parse::<u32>().ok());
    let Some(family) = MODELS.iter().map(|m| m.family).find(|f| words.contains(f)) else { return UNKNOWN };
    let Some(major) = numbers.next() else { return UNKNOWN };
    let minor = numbers.next().unwrap_or(0);
    MODELS.iter().rfind(|m| m.family == family && m.since <= (major, minor)).copied().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_platform_are_understood() {
        let cases = [
            ("claude-sonnet-4-5-20250929", "sonnet", (4, 5)),
            ("claude-sonnet-4-5@20250929", "sonnet", (4, 5)),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet", (4, 5)),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", "sonnet", (4, 0)),
            ("global.anthropic.claude-opus-4-6-v1", "opus", (4, 6)),
            ("anthropic.claude-3-haiku-20240307-v1:0", "haiku", (0, 0)),
            ("claude-3-5-haiku-20241022", "haiku", (3, 5)),
            ("claude-3-7-sonnet-latest", "sonnet", (3, 7)),
            ("anthropic/claude-haiku-4.5", "haiku", (4, 5)),
            ("claude-opus-4-1", "opus", (4, 1)),
            ("claude-opus-4-20250514", "opus", (4, 0)),
            ("claude-opus-4-7", "opus", (4, 7)),
            ("claude-opus-9", "opus", (4, 8)),
            ("claude-fable-5", "claude", (0, 0)),
            ("glm-4.6", "", (0, 0)),
        ];
        for (id, family, since) in cases {
            let model = of(id);
            assert_eq!((model.family, model.since), (family, since), "{id}");
        }
    }

    #[test]
    fn efforts_have_one_name_in_the_vendors_words() {
        assert_eq!(Effort::named("minimal").map(Effort::name), Some("low"));
        assert_eq!(Effort::named("xhigh").map(Effort::name), Some("xhigh"));
        assert_eq!(Effort::named("enormous"), None);
        assert!(Effort::Low.budget() >= MIN_BUDGET);
    }
}
