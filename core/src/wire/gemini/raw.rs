//! Response bodies as Google sends them, plain and in streams alike.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::wire::open::open;

open! {
    /// `GenerateContentResponse`, whole or the new parts of one.
    Response {
        candidates "candidates": Vec<Candidate>,
        prompt_feedback "promptFeedback": Value,
        usage "usageMetadata": Value,
        model "modelVersion": String,
        id "responseId": String,
        error "error": Value,
    }
}

open! {
    /// One answer.
    Candidate {
        index "index": u32,
        content "content": Content,
        finish_reason "finishReason": Reason,
        logprobs "logprobsResult": Value,
    }
}

open! {
    /// What it says.
    Content {
        parts "parts": Vec<Part>,
    }
    skips "role"
}

open! {
    /// A piece of it; what is neither text nor a function call stays in `extra`.
    Part {
        text "text": String,
        thought "thought": bool,
        signature "thoughtSignature": String,
        call "functionCall": Call,
    }
}

open! {
    /// A function call, or a piece of one where arguments are streamed.
    Call {
        id "id": String,
        name "name": String,
        args "args": Value,
        partial_args "partialArgs": Vec<PartialArg>,
        will_continue "willContinue": bool,
    }
}

open! {
    /// A value in the arguments, or more of a text there.
    PartialArg {
        path "jsonPath": String,
        will_continue "willContinue": bool,
    }
}

/// Why an answer ended. Some gateways write the number of the word in Google's protocol definition.
pub(super) struct Reason(pub String);

/// The words by their numbers.
const REASONS: &[&str] = &[
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
];

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Reason(match Value::deserialize(d)? {
            Value::String(word) => word,
            other => match other.as_u64().and_then(|n| REASONS.get(n as usize)) {
                Some(word) => (*word).to_owned(),
                None => other.to_string(),
            },
        }))
    }
}
