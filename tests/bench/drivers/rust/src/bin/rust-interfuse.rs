//! bench: label="interfuse Rust" group=rust order=2
use bench_drivers::*;
use interfuse::types::{ChatRequest as Request, Config, FuseRequest, Message as Said, Role};
use interfuse::Client;

pub struct D {
    c: Client,
}

fn said(msgs: &[Message]) -> Vec<Said> {
    msgs.iter()
        .map(|m| match m.role {
            "user" => Said::user(&m.content),
            "system" => Said::system(&m.content),
            _ => Said::text(Role::Assistant, &m.content),
        })
        .collect()
}

impl Driver for D {
    fn new(base: &str, key: &str) -> Self {
        let config = serde_json::json!({"providers": {"up": {"base_url": base, "api_key": key}}, "retries": {"max_retries": 0}});
        D { c: Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap() }
    }
    async fn chat(&self, model: &str, msgs: &[Message]) -> Result<String, String> {
        let answer = self.c.chat(Request::new(format!("up/{model}"), said(msgs))).await.map_err(|e| e.to_string())?;
        Ok(answer.choices.into_iter().next().and_then(|c| c.message.content).unwrap_or_default())
    }
    async fn stream(&self, model: &str, msgs: &[Message], first: &mut (dyn FnMut() + Send)) -> Result<Streamed, String> {
        let mut s = self.c.chat_stream(Request::new(format!("up/{model}"), said(msgs))).await.map_err(|e| e.to_string())?;
        let (mut n, mut size) = (0, 0);
        while let Some(chunk) = s.next().await {
            let chunk = chunk.map_err(|e| e.to_string())?;
            let text = chunk.text();
            if !text.is_empty() {
                if n == 0 {
                    first();
                }
                n += 1;
                size += text.len();
            }
        }
        Ok((n, size))
    }
    async fn fuse(&self, models: &[String], judge: &str, msgs: &[Message]) -> Result<String, String> {
        let pool: Vec<String> = models.iter().map(|m| format!("up/{m}-vary")).collect();
        let mut request: FuseRequest =
            serde_json::from_value(serde_json::json!({"mode": "best_of", "pool": pool, "judge": format!("up/{judge}-verdict")})).unwrap();
        request.chat.messages = said(msgs);
        let fused = self.c.fuse(request).await.map_err(|e| e.to_string())?;
        // Five answers, two verdicts in opposite orders: less than that would measure something else.
        match (fused.report.judges.len(), fused.report.degraded.as_slice()) {
            (2, []) => Ok(fused.text),
            other => Err(format!("not a whole fusion: {other:?}")),
        }
    }
}
fn main() {
    run_async::<D>()
}
