//! What a judge says, well-formed or not, in a whole fusion without a socket. A judge never makes a call fail.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use interfuse::backend::KeySources;
use interfuse::clock::SystemClock;
use interfuse::engine::Parts;
use interfuse::http::{Body, HeaderMap, HttpRequest, HttpResponse, Transport};
use interfuse::types::{Config, FuseRequest, FusionMode};
use interfuse::{Catalog, Client, Result};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::choose;

const MODES: &[FusionMode] = &[FusionMode::BestOf, FusionMode::Merge, FusionMode::Debate];
const MEMBERS: [(&str, &str); 2] = [("m-a", "The capital is Bern."), ("m-b", "It is Zurich, the largest city.")];

/// The first byte's mode; of the rest, what stands between two bytes of `0x1e` is one answer of the judge after another,
/// and the last repeats.
pub fn judge(data: &[u8]) {
    let Some((mode, said)) = choose(data, MODES) else { return };
    let said: VecDeque<String> =
        said.split(|byte| *byte == 0x1e).map(|one| String::from_utf8_lossy(one).into_owned()).collect();
    let size: usize = said.iter().map(String::len).sum();
    let (judge, client) = staged();
    *judge.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
    let request =
        FuseRequest::new("What is the capital of Switzerland?").pool(["up/m-a", "up/m-b"]).judge("up/m-j").mode(*mode);
    let fused = RUNTIME.with(|runtime| {
        let runtime = runtime
            .get_or_init(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));
        runtime.block_on(client.fuse(request))
    });
    let fused = fused.expect("a judge never makes a call fail");
    assert!(!fused.text.trim().is_empty(), "no answer");
    if matches!(mode, FusionMode::BestOf) {
        assert!(
            MEMBERS.iter().any(|(_, text)| fused.text == *text),
            "best-of gives a member's own words: {}",
            fused.text
        );
    }
    let report = serde_json::to_string(&fused.report).expect("a report is JSON");
    assert!(report.len() <= 64 * size + (64 << 10), "the report is {} bytes, the judge said {size}", report.len());
}

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

/// Answers without a network: members as they are, the judge as it is told.
#[derive(Default)]
struct Staged {
    said: Mutex<VecDeque<String>>,
}

impl Staged {
    fn answer(&self, request: &HttpRequest) -> String {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let model = body["model"].as_str().unwrap_or_default();
        if let Some((_, text)) = MEMBERS.iter().find(|(member, _)| *member == model) {
            return (*text).to_owned();
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let next = said.front().cloned().unwrap_or_default();
        if said.len() > 1 {
            said.pop_front();
        }
        next
    }
}

impl Transport for Staged {
    fn send(&self, request: HttpRequest) -> Pin<Box<dyn Future<Output = Result<HttpResponse>> + Send>> {
        let text = self.answer(&request);
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let message = json!({"role": "assistant", "content": text});
        let body = if body["stream"] == true {
            let chunk = json!({"choices": [{"index": 0, "delta": message, "finish_reason": "stop"}]});
            format!("data: {chunk}\n\ndata: [DONE]\n\n")
        } else {
            json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string()
        };
        let body = Body::new(futures_util::stream::iter([Ok(body.into())]));
        Box::pin(std::future::ready(Ok(HttpResponse { status: 200, headers: HeaderMap::new(), body })))
    }
}

fn staged() -> &'static (Arc<Staged>, Client) {
    static STAGED: OnceLock<(Arc<Staged>, Client)> = OnceLock::new();
    STAGED.get_or_init(|| {
        let config: Config = serde_json::from_value(json!({
            "use_environment": false,
            "providers": {"up": {"base_url": "http://127.0.0.1:1/v1", "api_key": "k-1"}},
            "ledger": {"max_records": 16}
        }))
        .expect("a configuration");
        let judge = Arc::new(Staged::default());
        let parts = Parts {
            catalog: Catalog::builtin(),
            transport: Some(judge.clone()),
            web: None,
            ledger: None,
            clock: Arc::new(SystemClock),
            keys: KeySources::new(),
        };
        (judge, Client::with_parts(config, parts).expect("a client"))
    })
}
