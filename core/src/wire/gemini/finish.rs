//! Why an answer ended, in OpenAI's words.

/// What Google's word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is whole.
    Whole,
    /// It reached the limit of tokens.
    Length,
    /// A policy ended it.
    Filtered,
    /// Something went wrong; what was said until then may stand.
    Failed,
}

const ENDINGS: &[(&str, Ending)] = &[
    ("STOP", Ending::Whole),
    ("MAX_TOKENS", Ending::Length),
    ("SAFETY", Ending::Filtered),
    ("RECITATION", Ending::Filtered),
    ("BLOCKLIST", Ending::Filtered),
    ("PROHIBITED_CONTENT", Ending::Filtered),
    ("SPII", Ending::Filtered),
    ("IMAGE_SAFETY", Ending::Filtered),
    ("IMAGE_PROHIBITED_CONTENT", Ending::Filtered),
    ("IMAGE_RECITATION", Ending::Filtered),
    ("MODEL_ARMOR", Ending::Filtered),
    ("ESCALATION", Ending::Filtered),
];

/// The meaning of a `finishReason`; an unknown one counts as a failure, which matters only where nothing was said.
pub(super) fn ending(reason: &str) -> Ending {
    ENDINGS.iter().find(|(word, _)| *word == reason).map_or(Ending::Failed, |(_, ending)| *ending)
}

/// OpenAI's word; Google says STOP of an answer that calls functions, too.
pub(super) fn word(reason: &str, calls: bool) -> &'static str {
    match ending(reason) {
        Ending::Length => "length",
        Ending::Filtered => "content_filter",
        Ending::Whole | Ending::Failed if calls => "tool_calls",
        Ending::Whole | Ending::Failed => "stop",
    }
}
