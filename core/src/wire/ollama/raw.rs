//! What Ollama sends: whole answers and lines of streams are alike.

use serde_json::Value;

use crate::types::TokenLogprob;
use crate::wire::open::open;

open! {
    /// An answer, or what is new in one.
    Line {
        model "model": String,
        message "message": Message,
        done "done": bool,
        done_reason "done_reason": String,
        prompt_tokens "prompt_eval_count": u64,
        completion_tokens "eval_count": u64,
        logprobs "logprobs": Vec<TokenLogprob>,
        error "error": Value,
    }
}

open! {
    /// The message of one.
    Message {
        content "content": String,
        thinking "thinking": String,
        tool_calls "tool_calls": Vec<Call>,
    }
    skips "role"
}

open! {
    /// A tool call.
    Call {
        id "id": String,
        function "function": Function,
    }
    skips "type"
}

open! {
    /// The function of one; its `index` begins anew with each line in some versions.
    Function {
        name "name": String,
        arguments "arguments": Value,
    }
    skips "index"
}
