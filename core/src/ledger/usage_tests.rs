//! From what vendors count to disjoint classes, and their sums.

use serde_json::json;

use super::*;
use crate::types::Quirks;
use crate::wire::usage::recognise;

fn counted(raw: serde_json::Value) -> Counted {
    counted_at(raw, &Quirks::default())
}

fn counted_at(raw: serde_json::Value, quirks: &Quirks) -> Counted {
    let (wire, usage) = recognise(&raw, quirks).unwrap();
    Counted::of(&usage, wire)
}

/// The units without the request itself.
fn units(counted: &Counted) -> serde_json::Value {
    let mut units = serde_json::to_value(&counted.units).unwrap();
    assert_eq!(units.as_object_mut().unwrap().remove("request"), Some(json!(1)));
    units
}

#[test]
fn cached_and_written_tokens_are_parts_of_openais_prompt() {
    let c = counted(json!({"prompt_tokens": 10000, "completion_tokens": 500, "total_tokens": 10500,
        "prompt_tokens_details": {"cached_tokens": 6000, "cache_write_tokens": 3000, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 128}}));
    let want = json!({"input": 1000, "cache_read": 6000, "cache_write": 3000, "input_audio": 0, "output": 372, "reasoning": 128});
    assert_eq!((units(&c), c.flags), (want, vec![]));
}

#[test]
fn what_is_not_told_is_not_zero() {
    let c = counted(json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}));
    assert_eq!(units(&c), json!({"input": 5, "output": 2}));
    let c = counted(json!({"prompt_tokens": 5, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}}));
    assert_eq!(units(&c), json!({"input": 5, "cache_read": 0, "output": 0}));
}

#[test]
fn anthropic_and_bedrock_split_what_they_wrote() {
    let c = counted(json!({"input_tokens": 40, "cache_creation_input_tokens": 4000, "cache_read_input_tokens": 20000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1500, "ephemeral_1h_input_tokens": 2500}, "output_tokens": 900,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}));
    let want = json!({"input": 40, "cache_read": 20000, "cache_write_5m": 1500, "cache_write_1h": 2500, "output": 900, "web_search": 2});
    assert_eq!((units(&c), c.flags), (want, vec![]));
    let c = counted(json!({"input_tokens": 10, "cache_creation_input_tokens": 2048, "output_tokens": 20}));
    assert_eq!(units(&c), json!({"input": 10, "cache_write_5m": 2048, "output": 20}), "no split: five minutes");
    let c = counted(json!({"cacheDetails": [{"inputTokens": 1000, "ttl": "1h"}, {"inputTokens": 236, "ttl": "5m"}],
        "cacheReadInputTokens": 1712, "cacheWriteInputTokens": 1236, "inputTokens": 3, "outputTokens": 25, "totalTokens": 2976}));
    let want = json!({"input": 3, "cache_read": 1712, "cache_write_5m": 236, "cache_write_1h": 1000, "output": 25});
    assert_eq!((units(&c), c.flags), (want, vec![]));
    let c = counted(json!({"input_tokens": 1, "cache_creation_input_tokens": 9, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}}));
    assert_eq!(c.flags, [AMBIGUOUS], "the split is not the sum");
}

#[test]
fn the_sum_says_where_reasoning_is() {
    let told = |completion: u64, total: u64, reasoning: u64| {
        json!({"prompt_tokens": 291, "completion_tokens": completion, "total_tokens": total,
            "completion_tokens_details": {"reasoning_tokens": reasoning}})
    };
    let xai = Quirks { reasoning_outside: true, ..Quirks::default() };
    for quirks in [&Quirks::default(), &xai] {
        let c = counted_at(told(26, 506, 189), quirks);
        assert_eq!((units(&c)["output"].clone(), units(&c)["reasoning"].clone()), (json!(26), json!(189)), "beside");
        assert!(c.sound());
        let c = counted_at(told(215, 506, 189), quirks);
        assert_eq!((units(&c)["output"].clone(), units(&c)["reasoning"].clone()), (json!(26), json!(189)), "inside");
        assert!(c.sound());
        let c = counted_at(told(26, 400, 189), quirks);
        assert_eq!(c.flags, [REASONING_ABOVE_COMPLETION, AMBIGUOUS].into_iter().rev().collect::<Vec<_>>());
        assert!(!c.sound(), "neither: nobody knows");
    }
    let silent = json!({"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100});
    assert_eq!(units(&counted_at(silent.clone(), &xai)), json!({"input": 66, "output": 34}), "the vendor's known gap");
    assert!(!counted(silent).sound(), "no such gap is known elsewhere");
}

#[test]
fn googles_total_may_leave_out_its_tools() {
    let told = |total: u64| {
        json!({"promptTokenCount": 332, "candidatesTokenCount": 53, "thoughtsTokenCount": 173,
        "toolUsePromptTokenCount": 643, "totalTokenCount": total})
    };
    for total in [1201, 558] {
        let c = counted(told(total));
        assert_eq!(units(&c), json!({"input": 975, "output": 53, "reasoning": 173}));
        assert!(c.sound(), "{total}");
    }
    assert!(!counted(told(1000)).sound());
    let c = counted(json!({"inputTokens": 10, "outputTokens": 2, "cacheWriteInputTokens": 1298, "totalTokens": 1400}));
    assert_eq!(c.flags, [AMBIGUOUS]);
}

#[test]
fn kinds_are_subtracted_from_their_own() {
    let c = counted(json!({"total_tokens": 1160, "input_tokens": 800, "output_tokens": 360,
        "input_token_details": {"text_tokens": 300, "audio_tokens": 500, "image_tokens": 0, "cached_tokens": 448,
            "cached_tokens_details": {"text_tokens": 192, "audio_tokens": 256, "image_tokens": 0}},
        "output_token_details": {"text_tokens": 60, "audio_tokens": 300}}));
    let want = json!({"input": 108, "cache_read": 192, "input_audio": 244, "cache_read_audio": 256, "input_image": 0,
        "cache_read_image": 0, "output": 60, "output_audio": 300});
    assert_eq!(units(&c), want);
    let c = counted(json!({"promptTokenCount": 100, "candidatesTokenCount": 1140, "cachedContentTokenCount": 90,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "AUDIO", "tokenCount": 80}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}, {"modality": "TEXT", "tokenCount": 20}]}));
    let want = json!({"input": 0, "cache_read": 20, "input_audio": 10, "cache_read_audio": 70, "output": 20, "output_image": 1120});
    assert_eq!(units(&c), want, "cached without kinds: text first");
}

#[test]
fn impossible_counts_are_cut_and_flagged() {
    let c = counted(
        json!({"prompt_tokens": 293, "completion_tokens": 58, "total_tokens": 351, "prompt_tokens_details": {"cached_tokens": 387}}),
    );
    assert_eq!((units(&c), c.flags), (json!({"input": 0, "cache_read": 293, "output": 58}), vec![CACHED_ABOVE_PROMPT]));
    let c = counted(
        json!({"prompt_tokens": 43, "completion_tokens": 10, "total_tokens": 53, "completion_tokens_details": {"reasoning_tokens": 11}}),
    );
    assert_eq!(
        (units(&c), c.flags),
        (json!({"input": 43, "output": 0, "reasoning": 10}), vec![REASONING_ABOVE_COMPLETION])
    );
}

#[test]
fn names_of_other_vendors() {
    for name in ["cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens"] {
        let c = counted(json!({"prompt_tokens": 104, "completion_tokens": 100, "total_tokens": 204, name: 64}));
        assert_eq!(units(&c), json!({"input": 40, "cache_read": 64, "output": 100}), "{name}");
    }
    let c = counted(
        json!({"billed_units": {"input_tokens": 5, "output_tokens": 2}, "tokens": {"input_tokens": 70, "output_tokens": 3}}),
    );
    assert_eq!(units(&c), json!({"input": 5, "output": 2}), "what is billed counts");
    assert_eq!(units(&counted(json!({"billed_units": {"search_units": 3}}))), json!({"search_unit": 3}));
    let c = counted(json!({"type": "duration", "seconds": 12}));
    assert_eq!(units(&c)["seconds"], 12_000);
}

#[test]
fn turns_that_a_total_leaves_out_are_counted() {
    let turn = |kind: &str, model: Option<&str>| {
        json!({"type": kind, "model": model, "input_tokens": 100, "output_tokens": 82, "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 50, "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 0}})
    };
    let told = |turns: Vec<serde_json::Value>| {
        counted(json!({"input_tokens": 180, "output_tokens": 8, "cache_read_input_tokens": 0, "iterations": turns}))
    };
    let c = told(vec![turn("compaction", None), turn("message", None)]);
    assert_eq!((units(&c)["input"].clone(), units(&c)["cache_write_5m"].clone()), (json!(280), json!(50)));
    assert!(c.sound());
    let c = told(vec![turn("advisor_message", Some("another"))]);
    assert_eq!((units(&c)["input"].clone(), c.flags), (json!(180), vec![OTHER_MODEL]));
}
