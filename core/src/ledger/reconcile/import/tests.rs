//! Small reports of every form, with figures of our own.

use super::*;
use crate::ledger::reconcile::vendor::{Named, Subject};
use crate::types::Class;

fn read(text: &str) -> Reader {
    super::read(0, "report", text.as_bytes(), None).unwrap()
}

/// Subject, model, units and pico-USD.
type Told = (Subject, Option<String>, Vec<(Class, u64)>, Option<i128>);

/// What every row tells.
fn rows(reader: &Reader) -> Vec<Told> {
    let name = |named: &Named| match named {
        Named::Id(name) | Named::Words(name) => name.clone(),
    };
    reader
        .rows
        .iter()
        .map(|row| (row.subject.clone(), row.model.as_ref().map(name), row.units.clone(), row.pico))
        .collect()
}

fn tokens(class: Class) -> Subject {
    Subject::Tokens(Some(class))
}

#[test]
fn openai_costs_say_model_and_class_in_their_line_items() {
    let text = include_str!("fixtures/openai_costs.json");
    let reader = read(text);
    assert_eq!(reader.formats, [Format::OpenAiCosts]);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows(&reader),
        [
            (tokens(Class::Input), some("gpt-4o-mini-2024-07-18"), vec![(Class::Input, 30)], Some(4_500_000)),
            (tokens(Class::CacheRead), some("gpt-4o-mini-2024-07-18"), vec![], Some(0)),
            (tokens(Class::CacheWrite), some("gpt-5.6-luna"), vec![(Class::CacheWrite, 4000)], Some(1_000_000_000)),
            (
                tokens(Class::InputAudio),
                some("gpt-audio-mini-2025-12-15"),
                vec![(Class::InputAudio, 7)],
                Some(70_000_000)
            ),
            (Subject::Fee(Class::WebSearch), None, vec![(Class::WebSearch, 3)], Some(30_000_000_000)),
            (Subject::Other("assistants api | file search".into()), None, vec![], Some(2_000_000_000)),
            (Subject::Tokens(None), None, vec![], Some(1_230_000_000_000)),
        ]
    );
    // Euros are not converted; what stands there twice counts once; empty days are days too.
    let told: Vec<(u64, bool)> = reader.refused.iter().map(|row| (row.row, row.repeated)).collect();
    assert_eq!(told, [(3, false), (9, true)]);
    assert_eq!(reader.covered, [(Format::OpenAiCosts, "openai".into(), 1_793_491_200_000, 1_793_750_400_000)]);
}

#[test]
fn openai_usage_counts_cached_tokens_within_the_prompt() {
    let reader = read(
        r#"{"object": "page", "data": [{"object": "bucket", "start_time": 1793491200, "end_time": 1793494800, "results": [
            {"object": "organization.usage.completions.result", "input_tokens": 100, "input_cached_tokens": 40, "output_tokens": 7,
             "input_audio_tokens": 5, "num_model_requests": 3, "model": "gpt-5-mini", "api_key_id": "key_a"},
            {"object": "organization.usage.completions.result", "input_tokens": 10, "input_cached_tokens": 11, "output_tokens": 0},
            {"object": "organization.usage.images.result", "images": 2}]}]}"#,
    );
    let [row] = reader.rows.as_slice() else { panic!("{:?}", reader.rows) };
    assert_eq!(row.units, [(Class::Input, 60), (Class::CacheRead, 40), (Class::InputAudio, 5), (Class::Output, 7)]);
    assert_eq!((row.requests, row.key.as_deref(), row.pico), (Some(3), Some("key_a"), None));
    assert_eq!(row.until_ms - row.from_ms, HOUR_MS);
    assert_eq!((reader.skipped, reader.refused.len()), (1, 1));
}

#[test]
fn anthropic_bills_in_cents_and_counts_by_how_long_a_cache_keeps() {
    let cost = read(
        r#"{"data": [{"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "results": [
            {"amount": "123.5", "currency": "USD", "cost_type": "tokens", "token_type": "output_tokens", "model": "claude-sonnet-4-5"},
            {"amount": "50", "currency": "USD", "cost_type": "web_search", "description": "Web Search Usage"},
            {"amount": "-5", "currency": "USD", "cost_type": "session_usage", "description": "Session"},
            {"amount": "1", "currency": "USD", "cost_type": "tokens", "token_type": "sideways_tokens"}]}], "has_more": false}"#,
    );
    assert_eq!(
        rows(&cost),
        [
            (tokens(Class::Output), Some("claude-sonnet-4-5".into()), vec![], Some(1_235_000_000_000)),
            (Subject::Fee(Class::WebSearch), None, vec![], Some(500_000_000_000)),
            (Subject::Other("Session".into()), None, vec![], Some(-50_000_000_000)),
        ]
    );
    assert!(cost.refused[0].reason.contains("sideways_tokens"));
    let usage = read(
        r#"{"data": [{"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-01T01:00:00Z", "results": [
            {"uncached_input_tokens": 9, "cache_read_input_tokens": 8, "output_tokens": 7, "model": "claude-sonnet-4-5",
             "cache_creation": {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 5},
             "server_tool_use": {"web_search_requests": 4}, "api_key_id": "apikey_1"}]}]}"#,
    );
    let units: Vec<_> = usage.rows.iter().flat_map(|row| row.units.clone()).collect();
    let expected = [
        (Class::Input, 9),
        (Class::CacheRead, 8),
        (Class::CacheWrite5m, 6),
        (Class::CacheWrite1h, 5),
        (Class::Output, 7),
        (Class::WebSearch, 4),
    ];
    assert_eq!(units, expected);
}

#[test]
fn openrouter_tells_days_and_single_calls() {
    let days = read(
        r#"{"data": [{"date": "2026-11-01", "model": "openai/gpt-4.1", "endpoint_id": "e", "usage": 0.015, "byok_usage_inference": 0.012,
            "requests": 5, "prompt_tokens": 50, "completion_tokens": 125, "reasoning_tokens": 25}]}"#,
    );
    let [row] = days.rows.as_slice() else { panic!("{:?}", days.rows) };
    assert_eq!((row.pico, row.requests), (Some(27_000_000_000), Some(5)));
    assert_eq!(row.units, [(Class::Input, 50), (Class::Output, 125)]);

    let call = |id: &str, own: bool| {
        format!(
            r#"{{"data": {{"id": "{id}", "upstream_id": "up-1", "created_at": "2026-11-01T09:30:00.250Z", "model": "openai/gpt-4.1",
            "total_cost": 0.001, "is_byok": {own}, "upstream_inference_cost": 0.02, "native_tokens_prompt": 100,
            "native_tokens_cached": 80, "native_tokens_completion": 20}}}}"#
        )
    };
    let calls = read(&format!("{}\n{}\n", call("gen-1", false), call("gen-2", true)));
    assert_eq!(calls.rows.iter().map(|row| row.pico.unwrap()).collect::<Vec<_>>(), [1_000_000_000, 21_000_000_000]);
    assert_eq!(calls.rows[0].ids, ["gen-1", "up-1"]);
    assert_eq!(calls.rows[0].units, [(Class::Input, 20), (Class::CacheRead, 80), (Class::Output, 20)]);

    let list = read(
        "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug\n\
         gen-1,2026-11-01 09:30:00,0.5,10,2,openai/gpt-4.1\ngen-2,,0.5,10,2,openai/gpt-4.1\n",
    );
    assert_eq!((list.rows.len(), list.refused[0].row), (1, 2));
}

#[test]
fn hugging_face_tells_a_month_by_resource_group() {
    let reader = read(
        r#"{"currency": "USD", "periods": [{"period": "2026-11-01T00:00:00.000Z", "resourceGroups": [
            {"id": "g", "name": "search", "storage": {"privateGB": 1}, "inference": {"requestCount": 12, "costCents": 250.5},
             "compute": {"spaces": {"uptimeSec": 9, "costCents": 100}, "jobs": {"uptimeSec": 0, "costCents": 0}}}]}]}"#,
    );
    assert_eq!(
        rows(&reader),
        [
            (Subject::Tokens(None), None, vec![], Some(2_505_000_000_000)),
            (Subject::Other("compute: spaces".into()), None, vec![], Some(1_000_000_000_000)),
        ]
    );
    assert_eq!((reader.rows[0].until_ms - reader.rows[0].from_ms) / DAY_MS, 30);
}

#[test]
fn aws_encodes_model_and_kind_in_the_usage_type() {
    let text = include_str!("fixtures/aws_cur.csv");
    let reader = read(text);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows(&reader),
        [
            (tokens(Class::Input), some("NovaLite"), vec![(Class::Input, 12_345)], Some(740_700_000)),
            (tokens(Class::CacheRead), some("NovaLite"), vec![(Class::CacheRead, 2_000)], Some(30_000_000)),
            (tokens(Class::Output), some("Claude Sonnet 4.6"), vec![(Class::Output, 1_500)], Some(22_500_000_000)),
            (Subject::Other("Tax".into()), None, vec![], Some(100_000_000_000)),
            (Subject::Other("Credit".into()), None, vec![], Some(-50_000_000_000)),
        ]
    );
    assert_eq!(reader.skipped, 1);
    assert_eq!(reader.refused.iter().map(|row| row.row).collect::<Vec<_>>(), [7, 8, 9]);
    assert!(reader.refused[1].reason.contains("EUR"), "{:?}", reader.refused);
    // The older spelling of the same columns.
    let old = text.replacen("line_item_usage_type", "lineItem/UsageType", 1);
    assert_eq!(read(&old).rows.len(), reader.rows.len());
}

#[test]
fn azure_prices_blocks_and_abbreviates() {
    let reader = read(include_str!("fixtures/azure_focus.csv"));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(reader.formats, [Format::AzureFocus]);
    assert_eq!(
        rows(&reader),
        [
            (tokens(Class::Input), some("gpt 4o 1120"), vec![(Class::Input, 2_500)], Some(6_250_000_000)),
            (
                tokens(Class::CacheRead),
                some("gpt 4o 1120"),
                vec![(Class::CacheRead, 1_500_000)],
                Some(1_875_000_000_000)
            ),
            (
                Subject::Other("billed otherwise than at the effective price".into()),
                None,
                vec![],
                Some(-1_000_000_000_000)
            ),
            (tokens(Class::Output), some("GPT 5 Mini"), vec![(Class::Output, 500_000)], Some(1_000_000_000_000)),
        ]
    );
    assert_eq!((reader.skipped, reader.refused.len()), (1, 0));
}

#[test]
fn focus_of_anybody_is_read_with_its_details() {
    let head = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ConsumedUnit,\
                ServiceCategory,ServiceProviderName,SkuMeter,SkuPriceDetails,x_RequestId\n";
    let row = "0.5,0.5,USD,Usage,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,1000.0,Tokens,AI and Machine Learning,Groq,Output Tokens,\
               \"{\"\"x_ModelId\"\": \"\"openai/gpt-oss-120b\"\"}\",req-1\n";
    let reader = read(&format!("{head}{row}"));
    let [one] = reader.rows.as_slice() else { panic!("{:?}", reader.refused) };
    assert_eq!((one.provider.as_str(), one.ids.as_slice()), ("groq", ["req-1".to_owned()].as_slice()));
    assert_eq!(one.model, Some(Named::Id("openai/gpt-oss-120b".into())));
    assert_eq!(one.units, [(Class::Output, 1000)]);
}

#[test]
fn what_is_no_report_is_refused_and_what_is_broken_in_one_is_listed() {
    for bad in ["", "   ", "a,b\n1,2\n", "{}", "[1, 2]", "{\"data\": [", "<html></html>", "{\"data\": {\"id\": 1}}"] {
        let e = super::read(0, "bad.json", bad.as_bytes(), None).map(|_| ()).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::InvalidRequest, "{bad}");
        assert!(e.message().contains("bad.json"), "{bad}: {e}");
    }
    // Bytes that are no text spoil their row alone; a page that was cut off leaves those before it.
    let head = "generation_id,created_at,cost_total,model_permaslug\n";
    let broken = [
        head.as_bytes(),
        b"gen-1,2026-11-01,0.5,m\n\xff\xfe,2026-11-01,0.5,m\ngen-3,2026-11-01\ngen-4,2026-11-01,0.5,m\n",
    ]
    .concat();
    let reader = super::read(0, "list.csv", &broken, None).unwrap();
    assert_eq!(reader.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(reader.refused.iter().map(|row| row.row).collect::<Vec<_>>(), [2, 3]);
    let page = r#"{"data": [{"date": "2026-11-01", "model": "m", "usage": 1}]}"#;
    let reader = read(&format!("{page}\n{}", &page[..30]));
    assert_eq!((reader.rows.len(), reader.refused.len()), (1, 1));
    assert!(reader.refused[0].reason.contains("from here on"));
}
