//! bench: label="Rust reqwest (practical limit)" group=rust order=1
use bench_drivers::*;

pub struct D {
    c: reqwest::Client,
    url: String,
    key: String,
}
impl Driver for D {
    fn new(base: &str, key: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let c = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap();
        D { c, url: format!("{base}/chat/completions"), key: key.into() }
    }
    async fn chat(&self, model: &str, msgs: &[Message]) -> Result<String, String> {
        let r = self.c.post(&self.url).bearer_auth(&self.key).json(&ChatRequest { model, messages: msgs, stream: false });
        let r = r.send().await.and_then(|r| r.error_for_status()).map_err(|e| e.to_string())?;
        let b = r.bytes().await.map_err(|e| e.to_string())?;
        Ok(serde_json::from_slice::<ChatResponse>(&b).map_err(|e| e.to_string())?.text())
    }
    async fn stream(&self, model: &str, msgs: &[Message], first: &mut (dyn FnMut() + Send)) -> Result<Streamed, String> {
        let r = self.c.post(&self.url).bearer_auth(&self.key).json(&ChatRequest { model, messages: msgs, stream: true });
        let mut r = r.send().await.and_then(|r| r.error_for_status()).map_err(|e| e.to_string())?;
        let mut sse = Sse::default();
        while let Some(part) = r.chunk().await.map_err(|e| e.to_string())? {
            sse.feed(&part, first)?;
        }
        Ok((sse.chunks, sse.bytes))
    }
}
fn main() {
    run_async::<D>()
}
