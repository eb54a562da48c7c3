//! What the families of models on Bedrock take, told by the model's id. Sources: the Converse API's reference and its
//! table of models and features; where neither says anything, a request goes out as it is and the server decides.

/// One family.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// How the ids of its models begin, after the region of an inference profile.
    prefix: &'static str,
    /// Whether it takes system blocks.
    pub system: bool,
    /// Which choices of tools it takes beside `auto`.
    pub choice: Choice,
    /// Cache points.
    pub cache: Cache,
    /// How an answer is held to a schema.
    pub schema: Schema,
    /// How hard it is to think.
    pub effort: Effort,
    /// Where `top_k` goes.
    pub top_k: TopK,
}

/// Choices of tools beside `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    None,
    Any,
    Named,
}

/// Cache points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cache {
    None,
    /// Without a time to live.
    Plain,
    /// With one.
    Timed,
}

/// How an answer is held to a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    None,
    /// By a tool that must be called.
    Tool,
    /// By `outputConfig`.
    Native,
}

/// How the effort of reasoning is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// It does not reason.
    None,
    /// It may, and cannot be told how hard.
    Untold,
    /// As Anthropic's own wire says it.
    Claude,
    /// `reasoningConfig`.
    Nova,
    /// `reasoning_effort`.
    OpenAi,
}

/// Where `top_k` goes within what the model takes beside Converse's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopK {
    None,
    /// `top_k`.
    Plain,
    /// `inferenceConfig.topK`.
    Nova,
}

/// A family of which nothing more is known than that it answers.
const PLAIN: Family = Family {
    prefix: "",
    system: true,
    choice: Choice::None,
    cache: Cache::None,
    schema: Schema::None,
    effort: Effort::None,
    top_k: TopK::None,
};

/// Open-weight models, which decode after a grammar.
const OPEN: Family = Family { choice: Choice::Any, schema: Schema::Native, effort: Effort::Untold, ..PLAIN };

/// Whatever stands behind an application's inference profile, an imported model or a prompt: its owner knows.
const OPAQUE: Family = Family {
    choice: Choice::Named,
    cache: Cache::Timed,
    schema: Schema::Native,
    effort: Effort::Untold,
    top_k: TopK::Plain,
    ..PLAIN
};

const CLAUDE: Family = Family {
    prefix: "anthropic.claude",
    choice: Choice::Named,
    cache: Cache::Timed,
    schema: Schema::Tool,
    effort: Effort::Claude,
    top_k: TopK::Plain,
    ..PLAIN
};

const NOVA: Family = Family {
    prefix: "amazon.nova",
    choice: Choice::Named,
    cache: Cache::Plain,
    schema: Schema::Tool,
    top_k: TopK::Nova,
    ..PLAIN
};

/// Every family, the narrower before the wider.
const FAMILIES: &[Family] = &[
    // Claude learnt schemas with its version 4.5.
    Family { prefix: "anthropic.claude-opus-4-1", ..CLAUDE },
    Family { prefix: "anthropic.claude-opus-4-2025", ..CLAUDE },
    Family { prefix: "anthropic.claude-sonnet-4-2025", ..CLAUDE },
    Family { prefix: "anthropic.claude-3", ..CLAUDE },
    Family { prefix: "anthropic.claude-v", ..PLAIN },
    Family { prefix: "anthropic.claude-instant", ..PLAIN },
    Family { schema: Schema::Native, ..CLAUDE },
    Family { prefix: "amazon.nova-2", effort: Effort::Nova, ..NOVA },
    NOVA,
    Family { prefix: "amazon.titan", system: false, ..PLAIN },
    Family { prefix: "meta.", ..PLAIN },
    Family { prefix: "mistral.mistral-7b", system: false, top_k: TopK::Plain, ..PLAIN },
    Family { prefix: "mistral.mixtral", system: false, top_k: TopK::Plain, ..PLAIN },
    Family { prefix: "mistral.mistral-large-2", choice: Choice::Any, schema: Schema::Tool, ..PLAIN },
    Family { prefix: "mistral.mistral-small", choice: Choice::Any, schema: Schema::Tool, ..PLAIN },
    Family { prefix: "mistral.pixtral", choice: Choice::Any, schema: Schema::Tool, ..PLAIN },
    Family { prefix: "mistral.", ..OPEN },
    Family { prefix: "cohere.command-r", ..PLAIN },
    Family { prefix: "cohere.command", system: false, ..PLAIN },
    Family { prefix: "ai21.j2", system: false, ..PLAIN },
    Family { prefix: "ai21.", ..PLAIN },
    Family { prefix: "writer.", ..PLAIN },
    Family { prefix: "deepseek.r1", effort: Effort::Untold, ..PLAIN },
    Family { prefix: "openai.", effort: Effort::OpenAi, ..OPEN },
    Family { prefix: "deepseek.", ..OPEN },
    Family { prefix: "google.", ..OPEN },
    Family { prefix: "minimax.", ..OPEN },
    Family { prefix: "moonshot", ..OPEN },
    Family { prefix: "nvidia.", ..OPEN },
    Family { prefix: "qwen.", ..OPEN },
    Family { prefix: "zai.", ..OPEN },
];

/// The family of a model: a base id, an inference profile (`us.` before it), or the ARN of either.
pub(super) fn of(model: &str) -> &'static Family {
    let id = base_id(model);
    FAMILIES.iter().find(|family| id.starts_with(family.prefix)).unwrap_or(&OPAQUE)
}

/// Whether what one model wants back may go to the other.
pub(super) fn same(one: &str, other: &str) -> bool {
    let (vendor_of_one, vendor_of_other) = (vendor(one), vendor(other));
    base_id(one) == base_id(other) || (vendor_of_one.is_some() && vendor_of_one == vendor_of_other)
}

/// Whether it is one of Mistral's, which want ids of tool calls in a form of their own.
pub(super) fn is_mistral(model: &str) -> bool {
    vendor(model) == Some("mistral")
}

/// The id without the region of an inference profile and without what an ARN says before it.
pub(super) fn base_id(model: &str) -> &str {
    let id = if model.starts_with("arn:") { model.split_once('/').map_or(model, |(_, id)| id) } else { model };
    match id.split_once('.') {
        // `us.anthropic.claude-...`: a vendor follows the region.
        Some((_, rest)) if FAMILIES.iter().any(|family| rest.starts_with(family.prefix)) => rest,
        _ => id,
    }
}

fn vendor(model: &str) -> Option<&str> {
    Some(base_id(model).split_once('.')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_told_by_its_id_in_any_form() {
        let nova = of("amazon.nova-lite-v1:0");
        assert_eq!((nova.effort, nova.top_k), (Effort::None, TopK::Nova));
        assert_eq!(of("us.amazon.nova-2-lite-v1:0").effort, Effort::Nova);
        let claude =
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0";
        assert_eq!(of(claude).schema, Schema::Tool);
        assert_eq!(of("global.anthropic.claude-sonnet-4-5-20250929-v1:0").schema, Schema::Native);
        assert_eq!(of("us-gov.anthropic.claude-3-haiku-20240307-v1:0").schema, Schema::Tool);
        assert_eq!(of("anthropic.claude-v2:1"), &Family { prefix: "anthropic.claude-v", ..PLAIN });
        assert_eq!(of("anthropic.claude-opus-5").schema, Schema::Native);
        assert!(!of("amazon.titan-text-lite-v1").system);
        assert_eq!(of("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x"), &OPAQUE);
    }

    #[test]
    fn state_goes_back_to_its_own_vendor() {
        assert!(same("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-opus-4-6-v1"));
        assert!(!same("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-2-lite-v1:0"));
        let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x";
        assert!(same(profile, profile) && !same(profile, "amazon.nova-2-lite-v1:0"));
    }
}
