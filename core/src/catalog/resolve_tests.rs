//! Tests of the meaning of model names, on a small catalogue of made-up models and on the embedded one.

use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::catalog::Class;

/// Real providers, made-up models: every case of the grammar once.
const MODELS: &str = r#"{"schema": 1, "as_of": "2026-01-01", "sources": [], "models": [
{"id": "openai/shut-1", "vendor": "openai", "aliases": ["shut-1"], "modalities_in": ["text"], "serves": {
  "openrouter": {"id": "openai/shut-1", "price": {"input": "1", "output": "4"}, "confidence": "high", "source": "x", "as_of": "2026-01-01"},
  "azure": {"id": "shut-1", "price": {"input": "1", "output": "4"}, "confidence": "medium", "source": "x", "as_of": "2026-01-01"},
  "openai": {"id": "shut-1-2026", "price": {"input": "1", "output": "4"}, "confidence": "high", "other_ids": {"dated": "shut-1-2026-01-01", "fast": "shut-1-fast"}, "source": "x", "as_of": "2026-01-01"},
  "vertex": {"id": "shut-1@v", "confidence": "high", "source": "x", "as_of": "2026-01-01"}}},
{"id": "openai/open-20b", "vendor": "openai", "open_weights": true, "aliases": ["open-20b", "other/open"], "modalities_in": ["text"], "serves": {
  "groq": {"id": "openai/open-20b", "price": {"input": "2", "output": "2"}, "confidence": "high", "source": "x", "as_of": "2026-01-01"},
  "together": {"id": "openai/open-20b", "confidence": "high", "source": "x", "as_of": "2026-01-01"},
  "fireworks-ai": {"id": "accounts/fireworks/models/open-20b", "price": {"input": "1", "output": "1"}, "confidence": "medium", "source": "x", "as_of": "2026-01-01"},
  "cerebras": {"id": "open-20b", "status": "retired", "ends": "2025-12-24", "confidence": "high", "source": "x", "as_of": "2026-01-01"},
  "novita": {"id": "openai/open-20b", "price": {"input": "0.1", "output": "0.1"}, "confidence": "low", "source": "x", "as_of": "2026-01-01"},
  "bedrock": {"id": "openai.open-20b", "via": "bedrock-mantle", "confidence": "medium", "status": "ending", "source": "x", "as_of": "2026-01-01"},
  "bedrock-mantle": {"id": "openai.open-20b", "confidence": "medium", "status": "ending", "source": "x", "as_of": "2026-01-01"},
  "openrouter": {"id": "openai/open-20b", "price": {"input": "3", "output": "3"}, "confidence": "high", "source": "x", "as_of": "2026-01-01"}}},
{"id": "Qwen/Open-8B", "vendor": "alibaba", "open_weights": true, "aliases": ["open-8b"], "modalities_in": ["text"], "serves": {
  "novita": {"id": "qwen/open-8b", "confidence": "high", "source": "x", "as_of": "2026-01-01"},
  "alibaba": {"id": "open-8b-latest", "confidence": "medium", "source": "x", "as_of": "2026-01-01"}}},
{"id": "anthropic/claude-x", "vendor": "anthropic", "aliases": ["claude-x"], "modalities_in": ["text"], "serves": {
  "bedrock": {"id": "anthropic.claude-x-v1:0", "api": "smoke-signals", "confidence": "high", "source": "x", "as_of": "2026-01-01"},
  "azure": {"id": "claude-x", "api": "telepathy", "confidence": "high", "source": "x", "as_of": "2026-01-01"}}},
{"id": "deepseek-ai/Pro", "vendor": "deepseek", "open_weights": true, "aliases": ["pro", "deepseek/pro-v4"], "modalities_in": ["text"], "serves": {
  "novita": {"id": "deepseek/pro", "confidence": "high", "source": "x", "as_of": "2026-01-01"}}},
{"id": "deepseek-ai/Pro-2", "vendor": "deepseek", "open_weights": true, "aliases": ["pro-2"], "modalities_in": ["text"], "serves": {
  "deepseek": {"id": "pro-v4", "confidence": "high", "source": "x", "as_of": "2026-01-01"}}}
]}"#;

fn small() -> Catalog {
    Catalog::from_documents(None, Some(MODELS)).unwrap()
}

/// `provider -> id` of every candidate.
fn means(catalog: &Catalog, model: &str, provider: Option<&str>) -> Vec<String> {
    let found = catalog.resolve(model, provider).unwrap_or_else(|e| panic!("{model} at {provider:?}: {e}"));
    found.candidates.iter().map(|c| format!("{} -> {}", c.provider_id, c.model_id)).collect()
}

fn refuses(catalog: &Catalog, model: &str, provider: Option<&str>) -> Error {
    catalog.resolve(model, provider).map(|r| panic!("{model} at {provider:?} means {r:?}")).unwrap_err()
}

#[test]
fn a_named_provider_gets_its_own_id() {
    let c = small();
    for (model, provider, want) in [
        ("openai/shut-1", "openai", "openai -> shut-1-2026"),
        ("SHUT-1", "OpenAI", "openai -> shut-1-2026"),
        ("shut-1-2026", "openai", "openai -> shut-1-2026"),
        ("shut-1-fast", "openai", "openai -> shut-1-fast"),
        ("openai/open-20b", "fireworks", "fireworks-ai -> accounts/fireworks/models/open-20b"),
        ("accounts/fireworks/models/open-20b", "fireworks", "fireworks-ai -> accounts/fireworks/models/open-20b"),
        ("groq/openai/open-20b", "groq", "groq -> openai/open-20b"),
        ("open-20b", "aws", "bedrock-mantle -> openai.open-20b"),
        ("open-20b:groq", "groq", "groq -> openai/open-20b"),
        ("open-20b:fastest", "groq", "groq -> openai/open-20b"),
        // Moving names: the vendor's id outranks another model's alias.
        ("pro-v4", "deepseek", "deepseek -> pro-v4"),
        // Unknown names go out as written.
        ("llama3.2:3b", "ollama", "ollama -> llama3.2:3b"),
        ("accounts/me/models/x", "fireworks", "fireworks-ai -> accounts/me/models/x"),
        ("my-deployment", "azure", "azure -> my-deployment"),
        ("unheard:of", "groq", "groq -> unheard:of"),
        ("openrouter/auto", "openrouter", "openrouter -> openrouter/auto"),
        // Known elsewhere, but these take any name.
        ("openai/open-20b", "vllm", "vllm -> openai/open-20b"),
        ("deepseek-ai/Pro", "hf", "hf-router -> deepseek-ai/Pro"),
        // An aggregator's own words.
        ("openai/open-20b:free", "openrouter", "openrouter -> openai/open-20b:free"),
        ("open-20b:groq", "openrouter", "openrouter -> openai/open-20b:groq"),
    ] {
        assert_eq!(means(&c, model, Some(provider)), [want], "{model} at {provider}");
    }
}

#[test]
fn a_first_segment_may_name_the_provider() {
    let c = small();
    for (model, want) in [
        ("openai/shut-1", "openai -> shut-1-2026"),
        ("azure/shut-1", "azure -> shut-1"),
        ("azure/my-deployment", "azure -> my-deployment"),
        ("groq/openai/open-20b", "groq -> openai/open-20b"),
        ("groq/open-20b", "groq -> openai/open-20b"),
        ("fireworks/open-20b", "fireworks-ai -> accounts/fireworks/models/open-20b"),
        ("qwen/open-8b-latest", "alibaba -> open-8b-latest"),
        ("mistral/mistral-large-latest", "mistral -> mistral-large-latest"),
        ("ollama/gpt-oss:20b", "ollama -> gpt-oss:20b"),
        ("ollama/gpt-oss:fastest", "ollama -> gpt-oss:fastest"),
        ("openrouter/openai/open-20b:groq", "openrouter -> openai/open-20b:groq"),
        ("hf/some/model:cheapest", "hf-router -> some/model:cheapest"),
        ("deepseek/pro-v4", "deepseek -> pro-v4"),
    ] {
        assert_eq!(means(&c, model, None), [want], "{model}");
    }
}

#[test]
fn open_weights_mean_every_backend_in_order() {
    let c = small();
    let open = [
        "groq -> openai/open-20b",
        "together -> openai/open-20b",
        "fireworks-ai -> accounts/fireworks/models/open-20b",
        "bedrock-mantle -> openai.open-20b",
        "openrouter -> openai/open-20b",
    ];
    for name in ["openai/open-20b", "open-20b", "Other/Open", "openai/open-20b:preferred", "open-20b:fastest"] {
        assert_eq!(means(&c, name, None), open, "{name}: retired, badly attested and repeated rows are left out");
    }
    assert_eq!(
        means(&c, "qwen/open-8b", None),
        ["alibaba -> open-8b-latest", "novita -> qwen/open-8b"],
        "vendor first"
    );
    let closed = ["openai -> shut-1-2026", "vertex -> shut-1@v", "azure -> shut-1", "openrouter -> openai/shut-1"];
    assert_eq!(means(&c, "shut-1", None), closed, "a short name names no provider");
}

#[test]
fn suffixes_choose_among_backends() {
    let c = small();
    assert_eq!(means(&c, "openai/open-20b:groq", None), ["groq -> openai/open-20b"]);
    assert_eq!(means(&c, "open-20b:Fireworks", None), ["fireworks-ai -> accounts/fireworks/models/open-20b"]);
    assert_eq!(means(&c, "unheard/of:groq", None), ["groq -> unheard/of"]);
    assert_eq!(means(&c, "openai/shut-1:azure", None), ["azure -> shut-1"]);
    assert_eq!(means(&c, "groq/open-20b:groq", None), ["groq -> openai/open-20b"]);

    let cheapest = c.resolve("open-20b:cheapest", None).unwrap();
    assert_eq!(cheapest.policy, Some(Policy::Cheapest));
    assert_eq!(cheapest.candidates, c.resolve("open-20b", None).unwrap().candidates, "routing puts them in order");
    for (word, policy) in [("NITRO", Policy::Throughput), ("floor", Policy::Price), ("preferred", Policy::Preferred)] {
        assert_eq!(c.resolve(&format!("open-20b:{word}"), None).unwrap().policy, Some(policy));
    }
    assert_eq!(means(&c, "open-20b:nitro", Some("openrouter")), ["openrouter -> openai/open-20b:nitro"]);

    for (model, provider) in [("open-20b:groq", Some("together")), ("together/open-20b:groq", None)] {
        let e = refuses(&c, model, provider);
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
        assert!(e.message().contains("together") && e.message().contains("groq"), "{e}");
    }
}

#[test]
fn an_id_only_one_model_has_is_enough() {
    let c = small();
    let fireworks = ["fireworks-ai -> accounts/fireworks/models/open-20b"];
    assert_eq!(means(&c, "accounts/fireworks/models/open-20b", None), fireworks);
    assert_eq!(means(&c, "openai.open-20b", None).len(), 2, "both names of Bedrock lead there");
    assert_eq!(means(&c, "shut-1-2026", None), ["openai -> shut-1-2026"]);
}

#[test]
fn errors_say_what_to_do() {
    let c = small();
    for (model, provider, kind, parts) in [
        ("open-8b", Some("groq"), ErrorKind::NotFound, &["Groq does not serve", "served by novita, alibaba"][..]),
        ("open-20b", Some("cerebras"), ErrorKind::NotFound, &["stopped", "2025-12-24", "served by groq"]),
        ("claude-x", Some("azure"), ErrorKind::Unsupported, &["`telepathy`", "does not speak"]),
        ("claude-x", None, ErrorKind::Unsupported, &["no backend", "`smoke-signals`", "`telepathy`"]),
        ("shut-1", Some("gorq"), ErrorKind::NotFound, &["`groq`", "base_url"]),
        ("open-20", None, ErrorKind::NotFound, &["did you mean `open-20b`", "provider/"]),
        ("llama3.2:3b", None, ErrorKind::NotFound, &["unknown model", "provider/llama3.2:3b"]),
        ("gorq/open-20b", None, ErrorKind::NotFound, &["unknown model"]),
        (" ", None, ErrorKind::InvalidRequest, &["empty"]),
        ("interfuse/merge", None, ErrorKind::InvalidRequest, &["fusion"]),
    ] {
        let e = refuses(&c, model, provider);
        assert_eq!(e.kind(), kind, "{model}: {e}");
        assert!(parts.iter().all(|p| e.message().contains(p)), "{model}: {e}");
    }
}

#[test]
fn prices_hold_only_for_what_they_were_quoted_for() {
    let c = small();
    let input = |model: &str, provider: &str| Some(c.price(provider, model)?.rates.get(Class::Input)?.to_string());
    assert_eq!(input("openai/shut-1", "openai").as_deref(), Some("1"));
    assert_eq!(input("shut-1-2026-01-01", "openai").as_deref(), Some("1"), "the same version, spelt out");
    assert_eq!(input("shut-1-fast", "openai"), None, "another lane at another price");
    assert_eq!(input("open-20b", "together"), None, "unknown is not zero");
    assert_eq!(input("nothing", "openai"), None);
    assert_eq!(input("open-20b", "nowhere"), None);
    let free = c.resolve("openai/open-20b:free", Some("openrouter")).unwrap();
    assert!(free.candidates[0].offer.is_some() && free.candidates[0].price().is_none());
}

#[test]
fn embedded_names_from_the_documentation() {
    let c = Catalog::builtin();
    for (model, provider, want) in [
        ("anthropic/claude-sonnet-4.5", None, "anthropic -> claude-sonnet-4-5"),
        ("openai/gpt-5-mini", None, "openai -> gpt-5-mini"),
        ("gemini/gemini-2.5-flash", None, "gemini -> gemini-2.5-flash"),
        ("google/gemini-2.5-flash", None, "gemini -> gemini-2.5-flash"),
        (
            "meta-llama/Llama-3.3-70B-Instruct",
            Some("deepinfra"),
            "deepinfra -> meta-llama/Llama-3.3-70B-Instruct-Turbo",
        ),
        ("openai/gpt-oss-120b", Some("bedrock"), "bedrock -> openai.gpt-oss-120b-1:0"),
        ("openai/gpt-oss-120b", Some("bedrock-mantle"), "bedrock-mantle -> openai.gpt-oss-120b"),
        ("openai/gpt-oss-120b:groq", None, "groq -> openai/gpt-oss-120b"),
        ("openai/gpt-oss-120b", Some("azure"), "azure -> gpt-oss-120b"),
    ] {
        assert_eq!(means(&c, model, provider), [want], "{model}");
    }
    let e = refuses(&c, "openai/gpt-oss-120b", Some("fireworks-ai"));
    assert!(e.message().contains("2026-11-07"), "{e}");
    let e = refuses(&c, "anthropic/claude-opus-4.1", None);
    assert!(
        e.message().contains("served by bedrock, openrouter"),
        "a closed model never moves to another host unasked: {e}"
    );
    assert!(means(&c, "openai/gpt-oss-120b", None).len() > 5);
}

#[test]
fn every_embedded_model_leads_somewhere_or_says_why() {
    let c = Catalog::builtin();
    let mut reachable = 0;
    for model in c.models().unwrap().rows() {
        match c.resolve(&model.id, None) {
            Ok(found) => {
                reachable += 1;
                assert!(found.candidates.iter().all(|r| r.canonical.as_deref() == Some(&model.id)), "{}", model.id);
            }
            Err(e) => assert!(e.message().len() > 40, "{}: {e}", model.id),
        }
        for (provider, offer) in model.serves() {
            match c.resolve(&model.id, Some(provider)) {
                Ok(found) => {
                    assert_eq!(found.candidates[0].model_id, offer.id, "{} at {provider}", model.id);
                    assert!(Arc::ptr_eq(found.candidates[0].offer.as_ref().unwrap(), offer));
                }
                Err(e) => {
                    let known = offer.status == OfferStatus::Retired || e.kind() == ErrorKind::Unsupported;
                    assert!(known, "{} at {provider}: {e}", model.id);
                }
            }
        }
    }
    assert!(reachable > 180, "{reachable}");
}
