//! Models for tests: a function that says what is answered, when, and for how much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::engine::{CallContext, ChatStream};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletion, ChatRequest, Config, FuseRequest, Fused, ProviderPreferences};

use super::ask::Ask;
use super::plan;
use super::run::Run;

/// What a model says to a request.
pub(crate) struct Said {
    pub after: Duration,
    pub text: Result<String>,
    pub nanos: Option<u64>,
    /// What is thought before that the call costs at most.
    pub estimate: Option<u64>,
}

impl Said {
    pub fn now(text: impl Into<String>) -> Said {
        Said { after: Duration::ZERO, text: Ok(text.into()), nanos: Some(1), estimate: Some(1) }
    }

    pub fn after_ms(self, ms: u64) -> Said {
        Said { after: Duration::from_millis(ms), ..self }
    }

    pub fn costs(self, nanos: u64) -> Said {
        Said { nanos: Some(nanos), estimate: Some(nanos), ..self }
    }

    pub fn fails(kind: ErrorKind) -> Said {
        Said { text: Err(Error::new(kind, "as the script says")), nanos: Some(0), ..Said::now("") }
    }
}

/// Models by script.
pub(crate) struct Scripted {
    script: Box<dyn Fn(&ChatRequest) -> Said + Send + Sync>,
    /// Calls that were made, and what those that ended have cost.
    pub calls: AtomicU64,
    pub nanos: AtomicU64,
}

impl Scripted {
    pub fn new(script: impl Fn(&ChatRequest) -> Said + Send + Sync + 'static) -> Arc<Scripted> {
        Arc::new(Scripted { script: Box::new(script), calls: AtomicU64::default(), nanos: AtomicU64::default() })
    }
}

impl Ask for Scripted {
    fn chat<'a>(&'a self, request: &'a ChatRequest, _: &'a CallContext) -> BoxFuture<'a, Result<ChatCompletion>> {
        async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let said = (self.script)(request);
            // Even a sleep of nothing lets other tasks run.
            if !said.after.is_zero() {
                tokio::time::sleep(said.after).await;
            }
            let text = said.text?;
            self.nanos.fetch_add(said.nanos.unwrap_or(0), Ordering::Relaxed);
            let answer = json!({
                "id": "x", "object": "chat.completion", "created": 1, "model": request.model,
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                "interfuse": {"provider": "scripted", "model": request.model, "run_id": "r", "attempts": [], "cost_nanos": said.nanos},
            });
            serde_json::from_value(answer).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
        }
        .boxed()
    }

    /// The whole answer in one chunk.
    fn stream<'a>(&'a self, request: &'a ChatRequest, cx: &'a CallContext) -> BoxFuture<'a, Result<ChatStream>> {
        async move {
            let mut answer = serde_json::to_value(self.chat(request, cx).await?).unwrap();
            answer["object"] = json!("chat.completion.chunk");
            answer["choices"][0]["delta"] = answer["choices"][0]["message"].take();
            let chunk = serde_json::from_value(answer).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()));
            Ok(ChatStream::new(futures_util::stream::iter([chunk])))
        }
        .boxed()
    }

    fn unix_ms(&self) -> u64 {
        0
    }

    fn estimate(&self, request: &ChatRequest, _: Option<&ProviderPreferences>) -> Option<u64> {
        (self.script)(request).estimate
    }
}

/// Runs one fusion over scripted models.
pub(crate) async fn fuse(ask: Arc<Scripted>, request: serde_json::Value) -> Result<Fused> {
    let request: FuseRequest = serde_json::from_value(request).unwrap();
    Run::new(plan::from_fuse(request, &Config::default())?, ask, Arc::default(), false).execute().await
}

/// What a request says in its last message.
pub(crate) fn said_last(request: &ChatRequest) -> String {
    request.messages.last().and_then(|m| m.content.as_ref()).map(crate::types::Content::to_text).unwrap_or_default()
}
