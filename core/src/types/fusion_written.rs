//! How the `fusion` of a chat request may be written: in interfuse's words, or in LiteLLM's (`models`, `judge.criteria`,
//! `max_completion_tokens`, `reasoning`, `temperature`). LiteLLM's always compares the answers and writes one from them.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Extract, Foreign, FusionMode, FusionOptions, Judge, Member, Pool, Preset};

/// Both forms at once, so that a fault in either keeps its path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    mode: Option<FusionMode>,
    preset: Option<Preset>,
    pool: Option<Pool>,
    judge: Option<Judge>,
    quorum: Option<u32>,
    grace_ms: Option<u64>,
    deadline_ms: Option<u64>,
    extract: Option<Extract>,
    guard: Option<bool>,
    max_cost_usd: Option<String>,
    models: Option<Vec<Member>>,
    max_completion_tokens: Option<u64>,
    reasoning: Option<serde_json::Map<String, Value>>,
    temperature: Option<f64>,
}

/// Reads the options in either form.
pub(super) fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<FusionOptions>, D::Error> {
    let Some(written) = Option::<Written>::deserialize(d)? else { return Ok(None) };
    let words = [
        ("models", written.models.is_some()),
        ("max_completion_tokens", written.max_completion_tokens.is_some()),
        ("reasoning", written.reasoning.is_some()),
        ("temperature", written.temperature.is_some()),
    ];
    if let Some((word, _)) = words.iter().find(|w| w.1)
        && written.pool.is_some()
    {
        let why = format!("`pool` and LiteLLM's `{word}` say the same in two ways; leave one of them out");
        return Err(serde::de::Error::custom(why));
    }
    let litellm = words.iter().any(|w| w.1);
    let foreign = litellm.then(|| {
        let mut foreign = Foreign {
            member: Member {
                temperature: written.temperature,
                max_tokens: written.max_completion_tokens,
                ..Default::default()
            },
            ..Default::default()
        };
        foreign.reasoning("fusion", &written.reasoning.unwrap_or_default());
        Box::new(foreign)
    });
    Ok(Some(FusionOptions {
        mode: written.mode,
        preset: written.preset,
        pool: written.pool.or(written.models.map(Pool::Members)),
        judge: written.judge,
        quorum: written.quorum,
        grace_ms: written.grace_ms,
        deadline_ms: written.deadline_ms,
        extract: written.extract,
        guard: written.guard,
        max_cost_usd: written.max_cost_usd,
        foreign,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::types::{ChatRequest, from_value};

    fn fusion(written: Value) -> crate::Result<FusionOptions> {
        let request = json!({"model": "interfuse/auto", "messages": [], "fusion": written});
        from_value::<ChatRequest>("request", &request).map(|r| r.fusion.unwrap_or_default())
    }

    #[test]
    fn every_option_is_read_as_it_is_written() {
        let all = FusionOptions {
            mode: Some(FusionMode::Vote),
            preset: Some(Preset::Fast),
            pool: Some(Pool::Members(vec!["a".into()])),
            judge: Some("j".into()),
            quorum: Some(1),
            grace_ms: Some(2),
            deadline_ms: Some(3),
            extract: Some(Extract { regex: Some("x".into()), pointer: None }),
            guard: Some(true),
            max_cost_usd: Some("1".into()),
            foreign: None,
        };
        assert_eq!(fusion(serde_json::to_value(&all).unwrap()).unwrap(), all);
    }

    #[test]
    fn what_litellm_says_of_its_panel_holds_for_the_members() {
        let read = fusion(json!({
            "models": ["a", "b"], "judge": {"model": "j", "criteria": "brevity"}, "max_completion_tokens": 500,
            "reasoning": {"effort": "low", "max_tokens": 9}, "temperature": 0.3,
        }))
        .unwrap();
        let foreign = read.foreign.unwrap();
        assert_eq!(read.pool, Some(Pool::Members(vec!["a".into(), "b".into()])));
        assert_eq!(read.judge.unwrap().criteria.as_deref(), Some("brevity"));
        assert_eq!(foreign.member.temperature, Some(0.3));
        assert_eq!(foreign.member.max_tokens, Some(500));
        assert_eq!(foreign.member.reasoning_effort.as_deref(), Some("low"));
        assert_eq!(foreign.left_out, ["fusion.reasoning.max_tokens"]);
    }

    #[test]
    fn faults_keep_their_path() {
        let path = |written| fusion(written).unwrap_err().body().param.clone().unwrap();
        assert_eq!(path(json!({"quorm": 1})), "fusion.quorm");
        assert_eq!(path(json!({"models": [{"model": 1}]})), "fusion.models[0].model");
        assert_eq!(path(json!({"pool": "p", "models": ["a"]})), "fusion");
    }
}
