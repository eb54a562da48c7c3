//! Asks three models, lets a fourth merge their answers, prints the answer and what it cost.
#![allow(clippy::print_stdout)]
use interfuse::Client;
use interfuse::types::{FuseRequest, FusionMode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> interfuse::Result<()> {
    let client = Client::new()?;
    let request = FuseRequest::new("Is a tomato a fruit? One sentence.")
        .pool(["openai/gpt-5-mini", "anthropic/claude-haiku-4.5", "gemini/gemini-2.5-flash"])
        .judge("mistral/mistral-large-latest")
        .mode(FusionMode::Merge);
    let fused = client.fuse(request).await?;
    println!("{}\ncost: {} USD", fused.text, fused.report.cost.total_usd.as_deref().unwrap_or("unknown"));
    Ok(())
}
