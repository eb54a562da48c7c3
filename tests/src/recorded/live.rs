//! A sample of recorded items through the real client: a server answers every model with its recorded text, and what comes
//! out is compared with what was played without sockets.

use interfuse::Client;
use interfuse::fusion::recorded;
use interfuse::types::{Config, FuseRequest, FusionMode, MemberStatus};
use serde_json::{Value, json};

use super::Item;
use crate::upstream::Upstream;

/// How many runs were compared, and what was different.
#[derive(Debug, Default)]
pub struct Compared {
    /// Runs made.
    pub runs: usize,
    /// In words.
    pub different: Vec<String>,
}

/// Runs `count` items, spread over all, in modes vote and auto.
///
/// # Errors
/// No server, or no client.
pub async fn compare(items: &[Item], pool: &[String], count: usize) -> Result<Compared, String> {
    let usable: Vec<&Item> =
        items.iter().filter(|i| i.prompt.is_some() && pool.iter().all(|m| i.texts.contains_key(m))).collect();
    let step = (usable.len() / count.max(1)).max(1);
    let sample: Vec<&Item> = usable.into_iter().step_by(step).take(count).collect();
    let routes: Vec<Value> = sample.iter().flat_map(|item| routes(item, pool)).collect();
    let up = Upstream::start(json!({ "routes": routes })).await.map_err(|e| e.to_string())?;
    let config = json!({
        "use_environment": false, "retries": {"max_retries": 0},
        "providers": {"up": {"base_url": format!("{}/v1", up.base_url()), "api_key": "k"}}
    });
    let config: Config = serde_json::from_value(config).map_err(|e| e.to_string())?;
    let client = Client::from_config(config).map_err(|e| e.to_string())?;
    let mut compared = Compared::default();
    for item in sample {
        for mode in [FusionMode::Vote, FusionMode::Auto] {
            compared.runs += 1;
            let members: Vec<String> = (0..pool.len()).map(|i| format!("up/m{i}")).collect();
            let request = FuseRequest::new(item.prompt.clone().unwrap_or_default())
                .pool(members.iter().map(String::as_str))
                .judge("up/judge")
                .mode(mode);
            let told = run(&client, request, item, pool, mode).await;
            compared.different.extend(told.err().map(|why| format!("{}, {}: {why}", item.id, mode.as_str())));
        }
    }
    Ok(compared)
}

fn routes(item: &Item, pool: &[String]) -> Vec<Value> {
    let route = |(i, model): (usize, &String)| {
        json!({
            "when": {"model": format!("m{i}"), "body": {"messages": [{"role": "user", "content": item.prompt}]}},
            "then": {"answer": item.texts.get(model)}
        })
    };
    pool.iter().enumerate().map(route).collect()
}

/// One run; says how it differs from the same played without a client.
async fn run(
    client: &Client,
    request: FuseRequest,
    item: &Item,
    pool: &[String],
    mode: FusionMode,
) -> Result<(), String> {
    let answers = item.answers(pool);
    let played = recorded::play(mode, &answers, None);
    let expected = played.chosen.and_then(|i| answers[i]);
    let fused = match client.fuse(request).await {
        Ok(fused) => fused,
        Err(error) if expected.is_none() => {
            drop(error);
            return Ok(());
        }
        Err(error) => return Err(format!("failed: {error}")),
    };
    let got = recorded::read(item.prompt.as_deref().unwrap_or_default(), &fused.text);
    // Where nothing could be read out of any text, they are compared as texts.
    if expected.is_some() && got.as_deref() != expected {
        return Err(format!("{got:?}, not {expected:?}: {}", fused.report.decision.why));
    }
    let asked = fused.report.members.iter().filter(|m| m.status != MemberStatus::Skipped).count();
    if mode == FusionMode::Auto && expected.is_some() && asked != played.calls {
        return Err(format!("{asked} members were asked, not {}", played.calls));
    }
    Ok(())
}
