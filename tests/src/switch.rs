//! One answer in each wire's words, whole, streamed or refused: routes for the scripted upstream that know the wire by
//! how the path ends and the case by the question. Written from the vendors' references, not from the library's code.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod openai;

use serde_json::{Value, json};

/// What a model says in one case.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// Occurs in the request of this case only.
    pub question: &'static str,
    /// The text, in the pieces of a stream.
    pub pieces: &'static [&'static str],
    /// Id, name and arguments of a tool call, the arguments in the pieces of a stream.
    pub call: Option<(&'static str, &'static str, [&'static str; 2])>,
    /// Ended by the limit of tokens.
    pub cut: bool,
}

impl Said {
    /// The text.
    pub fn text(&self) -> String {
        self.pieces.concat()
    }

    /// The call's arguments.
    pub fn arguments(&self) -> Option<Value> {
        self.call.and_then(|(_, _, pieces)| serde_json::from_str(&pieces.concat()).ok())
    }
}

/// Tokens of every answer: prompt and completion.
pub const TOKENS: (u64, u64) = (41, 9);

/// What a vendor refuses a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is not one.
    Key,
    /// Too many requests.
    Busy,
    /// The prompt is longer than the model's window.
    Long,
}

/// How one wire says things; each function gives a `then`.
pub struct Dialect {
    /// Name in the catalogue.
    pub wire: &'static str,
    /// How its paths end: whole, streamed.
    paths: [&'static [&'static str]; 2],
    whole: fn(&Said) -> Value,
    stream: fn(&Said) -> Value,
    refusal: fn(Refusal) -> Value,
}

/// Every wire's.
pub const DIALECTS: &[Dialect] = &[
    Dialect {
        wire: "openai-chat",
        paths: [&["/chat/completions"], &["/chat/completions"]],
        whole: openai::chat,
        stream: openai::chat_stream,
        refusal: openai::openai_refusal,
    },
    Dialect {
        wire: "openai-responses",
        paths: [&["/responses"], &["/responses"]],
        whole: |said| json!({"json": openai::responses(said)}),
        stream: openai::responses_stream,
        refusal: openai::openai_refusal,
    },
    Dialect {
        wire: "anthropic",
        paths: [&["/v1/messages", ":rawPredict"], &["/v1/messages", ":streamRawPredict"]],
        whole: anthropic::messages,
        stream: anthropic::messages_stream,
        refusal: anthropic::messages_refusal,
    },
    Dialect {
        wire: "gemini",
        paths: [&[":generateContent"], &[":streamGenerateContent"]],
        whole: gemini::gemini,
        stream: gemini::gemini_stream,
        refusal: gemini::gemini_refusal,
    },
    Dialect {
        wire: "bedrock-converse",
        paths: [&["/converse"], &["/converse-stream"]],
        whole: bedrock::converse,
        stream: bedrock::converse_stream,
        refusal: bedrock::converse_refusal,
    },
    Dialect {
        wire: "cohere",
        paths: [&["/v2/chat"], &["/v2/chat"]],
        whole: cohere::cohere,
        stream: cohere::cohere_stream,
        refusal: cohere::cohere_refusal,
    },
    Dialect {
        wire: "ollama",
        paths: [&["/api/chat"], &["/api/chat"]],
        whole: ollama::ollama,
        stream: ollama::ollama_stream,
        refusal: ollama::ollama_refusal,
    },
];

/// Routes for what is said and what is refused (by the question), in every wire.
pub fn routes(said: &[Said], refused: &[(&str, Refusal)]) -> Vec<Value> {
    let mut routes = Vec::new();
    for dialect in DIALECTS {
        let [whole, streamed] = dialect.paths;
        for (paths, stream) in [(streamed, true), (whole, false)] {
            for path in paths {
                let mut when = json!({"method": "POST", "path_ends": path});
                // Where one path serves both, the body says which is asked for.
                if stream && whole.contains(path) {
                    when["body"] = json!({"stream": true});
                }
                for (question, refusal) in refused {
                    when["body_contains"] = json!(question);
                    routes.push(json!({"when": when, "then": (dialect.refusal)(*refusal)}));
                }
                for said in said {
                    when["body_contains"] = json!(said.question);
                    let then = if stream { (dialect.stream)(said) } else { (dialect.whole)(said) };
                    routes.push(json!({"when": when, "then": then}));
                }
            }
        }
    }
    routes
}

/// The wire that a path belongs to.
pub fn wire_of(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let ends = |dialect: &&Dialect| dialect.paths.iter().copied().flatten().any(|end| path.ends_with(end));
    DIALECTS.iter().find(ends).map(|dialect| dialect.wire)
}

/// `event: <type>` and the data, per event.
fn named(events: Vec<Value>) -> Vec<Value> {
    events.into_iter().map(|data| json!({"event": data["type"], "data": data})).collect()
}
