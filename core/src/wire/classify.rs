//! From a vendor's status, code and words to the one table of kinds. In this order: code or type, words that tell a
//! context overflow or an empty account, status.

use crate::error::ErrorKind;

/// What a vendor said of a failure, whatever its shape.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct VendorError {
    /// The text.
    pub message: String,
    /// `code` as text.
    pub code: Option<String>,
    /// `type`.
    pub r#type: Option<String>,
    /// The parameter complained about.
    pub param: Option<String>,
}

/// Codes and types that say it alone, in lower case.
const CODES: &[(&str, ErrorKind)] = &[
    ("context_length_exceeded", ErrorKind::ContextLength),
    ("exceed_context_size_error", ErrorKind::ContextLength),
    ("too_many_tokens", ErrorKind::ContextLength),
    ("too_many_prompt_tokens", ErrorKind::ContextLength),
    ("content_filter", ErrorKind::ContentFiltered),
    ("content_policy_violation", ErrorKind::ContentFiltered),
    ("invalid_prompt", ErrorKind::ContentFiltered),
    ("responsibleaipolicyviolation", ErrorKind::ContentFiltered),
    ("insufficient_quota", ErrorKind::InsufficientCredits),
    ("insufficient_credits", ErrorKind::InsufficientCredits),
    ("insufficient_balance", ErrorKind::InsufficientCredits),
    ("billing_hard_limit_reached", ErrorKind::InsufficientCredits),
    ("billing_not_active", ErrorKind::InsufficientCredits),
    ("billing_error", ErrorKind::InsufficientCredits),
    ("enforced_spend_limit_reached", ErrorKind::InsufficientCredits),
    ("model_not_found", ErrorKind::NotFound),
    ("not_found_error", ErrorKind::NotFound),
    ("deploymentnotfound", ErrorKind::NotFound),
    ("invalid_model", ErrorKind::NotFound),
    ("invalid_api_key", ErrorKind::Authentication),
    ("authentication_error", ErrorKind::Authentication),
    ("unsupported_country_region_territory", ErrorKind::Permission),
    ("permission_error", ErrorKind::Permission),
    ("rate_limit_exceeded", ErrorKind::RateLimited),
    ("rate_limit_error", ErrorKind::RateLimited),
    ("timeout_error", ErrorKind::Timeout),
    ("ratelimitreached", ErrorKind::RateLimited),
    ("overloaded_error", ErrorKind::Overloaded),
    ("nocapacity", ErrorKind::Overloaded),
];

/// Words that tell a context overflow (sources: the vendors' recorded errors).
const CONTEXT: &[&str] = &[
    "maximum context length",
    "exceeds the context window",
    "prompt is too long",
    "exceed context limit",
    "exceeds the maximum number of tokens",
    "input is too long",
    "your input is too long",
    "too many input tokens",
    "input tokens exceeded",
    "expected maxlength",
    "too many tokens",
    "too large for model with",
    "exceeds the context length",
    "longer than the context length",
    "exceeds the model's maximum context length",
    "prompt too long",
    "maximum prompt length is",
    "exceeds the available context size",
    "reduce the length of the messages",
    "total length of all messages is too long",
    "token limit reached",
];

/// The kind of a failure.
pub fn kind(status: u16, error: &VendorError) -> ErrorKind {
    for word in [&error.code, &error.r#type].into_iter().flatten() {
        let word = word.to_ascii_lowercase();
        if let Some((_, kind)) = CODES.iter().find(|(code, _)| *code == word) {
            return *kind;
        }
    }
    let text = error.message.to_ascii_lowercase();
    let says = |needle: &str| text.contains(needle);
    let overflows = || CONTEXT.iter().any(|n| says(n)) || (says("prompt contains ") && says(" tokens"));
    if matches!(status, 400 | 413 | 422 | 424 | 429 | 500) && overflows() {
        return ErrorKind::ContextLength;
    }
    if matches!(status, 400 | 402 | 403 | 429)
        && (says("insufficient balance")
            || says("insufficient credit")
            || says("exceeded your current quota")
            || says("credit balance is too low")
            || says("specified api usage limits")
            || says("out of credits"))
    {
        return ErrorKind::InsufficientCredits;
    }
    // A tier that is full, not a limit of the caller's.
    if status == 429 && says("capacity exceeded") {
        return ErrorKind::Overloaded;
    }
    if status == 400 {
        if says("api key") && (says("incorrect") || says("invalid") || says("not valid")) {
            return ErrorKind::Authentication;
        }
        if says("model")
            && (says("not found")
                || says("does not exist")
                || says("not a valid model")
                || says("invalid model")
                || says("supported api model names"))
        {
            return ErrorKind::NotFound;
        }
        if says("content management policy") || says("content filter") {
            return ErrorKind::ContentFiltered;
        }
    }
    from_status(status)
}

/// The kind that a status alone tells.
pub fn from_status(status: u16) -> ErrorKind {
    match status {
        401 | 498 => ErrorKind::Authentication,
        402 => ErrorKind::InsufficientCredits,
        403 => ErrorKind::Permission,
        404 | 410 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::RateLimited,
        503 | 529 => ErrorKind::Overloaded,
        409 | 424 | 499 | 500..=599 => ErrorKind::ServerError,
        400..=499 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Decode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str, code: Option<&str>) -> VendorError {
        VendorError { message: message.into(), code: code.map(Into::into), ..Default::default() }
    }

    #[test]
    fn every_vendors_wording_of_an_overflow() {
        let said_by = [
            (
                "OpenAI",
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            ),
            ("OpenAI Responses", "Your input exceeds the context window of this model."),
            ("Anthropic", "prompt is too long: 210000 tokens > 200000 maximum"),
            ("Anthropic", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
            ("Gemini", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
            ("Nova", "Input Tokens Exceeded: Number of input tokens exceeds maximum length."),
            ("Bedrock", "Input is too long for requested model."),
            ("Bedrock", "Too many input tokens. Max input tokens: 8192"),
            ("Bedrock", "Malformed input request: expected maxLength: 2048, actual: 90000"),
            ("Cohere", "too many tokens: total number of tokens in the prompt cannot exceed 4081"),
            (
                "Mistral",
                "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            ),
            ("Mistral", "Prompt contains 40000 tokens"),
            ("Ollama", "the input length exceeds the context length"),
            ("Ollama", "prompt is longer than the context length"),
            ("Ollama", "input length (9000 tokens) exceeds the model's maximum context length (8192)"),
            ("Ollama's cloud", "prompt too long; exceeded max context length by 12 tokens"),
            ("xAI", "This model's maximum prompt length is 131072 but the request contains 140000 tokens."),
            ("llama.cpp", "the request exceeds the available context size, try increasing it"),
            ("Groq", "Please reduce the length of the messages or completion."),
        ];
        for (who, message) in said_by {
            assert_eq!(kind(400, &said(message, None)), ErrorKind::ContextLength, "{who}: {message}");
        }
        for code in ["context_length_exceeded", "exceed_context_size_error", "TOO_MANY_TOKENS"] {
            assert_eq!(kind(400, &said("", Some(code))), ErrorKind::ContextLength, "{code}");
        }
        for other in ["max_tokens must be at most 8192", "Prompt contains an image that cannot be read"] {
            assert_eq!(kind(400, &said(other, None)), ErrorKind::InvalidRequest, "{other}");
        }
    }

    #[test]
    fn words_outrank_a_vague_status() {
        let cases = [
            (
                400,
                "Incorrect API key provided. You can obtain one",
                Some("invalid-argument"),
                ErrorKind::Authentication,
            ),
            (400, "Model not found: grok-x", Some("invalid-argument"), ErrorKind::NotFound),
            (400, "This model's maximum context length is 8 tokens", None, ErrorKind::ContextLength),
            (429, "You exceeded your current quota", Some("insufficient_quota"), ErrorKind::InsufficientCredits),
            (429, "slow down", Some("429"), ErrorKind::RateLimited),
            (422, "field required", None, ErrorKind::InvalidRequest),
            (529, "", None, ErrorKind::Overloaded),
            (400, "prompt is too long: 9 tokens > 8 maximum", Some("invalid_request_error"), ErrorKind::ContextLength),
            (400, "Your credit balance is too low to access the API", None, ErrorKind::InsufficientCredits),
            (400, "Output blocked by content filtering policy", None, ErrorKind::ContentFiltered),
            (429, "slow down", Some("enforced_spend_limit_reached"), ErrorKind::InsufficientCredits),
            (404, "model: x", Some("not_found_error"), ErrorKind::NotFound),
            (402, "", None, ErrorKind::InsufficientCredits),
            (429, "Service tier capacity exceeded for this model.", Some("3505"), ErrorKind::Overloaded),
            (429, "Requests rate limit exceeded", Some("1300"), ErrorKind::RateLimited),
            (429, "try later", Some("NoCapacity"), ErrorKind::Overloaded),
        ];
        for (status, message, code, want) in cases {
            assert_eq!(kind(status, &said(message, code)), want, "{status} {message}");
        }
    }
}
