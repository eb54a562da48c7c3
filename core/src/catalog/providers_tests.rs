//! Tests of the provider rows, embedded and own.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::catalog::{Catalog, PROVIDERS_TOML, expand};

fn none(_: &str) -> Option<String> {
    None
}

fn embedded(name: &str) -> Provider {
    Catalog::builtin().provider(name).unwrap().clone()
}

fn base_url(name: &str, vars: &[(&str, &str)]) -> Result<String> {
    let env = |var: &str| vars.iter().find(|(k, _)| *k == var).map(|(_, v)| v.to_string());
    let row = embedded(name);
    row.fill(&row.base_url(None, &env), &row.values(&BTreeMap::new(), &env)?)
}

#[test]
fn every_embedded_row_parses_and_names_are_unique() {
    let table = Providers::parse(PROVIDERS_TOML).unwrap();
    assert!(table.rows().len() >= 49, "{}", table.rows().len());
    let mut seen = std::collections::BTreeSet::new();
    for name in table.names() {
        assert!(seen.insert(name.to_lowercase()), "{name} twice");
        assert_eq!(name, name.to_lowercase(), "ids and aliases are written in lower case");
    }
}

#[test]
fn every_embedded_row_is_sound() {
    for row in Providers::parse(PROVIDERS_TOML).unwrap().rows() {
        let at = &row.id;
        for wire in row.api.iter().map(|api| &api.wire).chain([&row.wire]) {
            let known = crate::wire::protocol(wire).is_some() || (wire == "bedrock-converse" && !cfg!(feature = "aws"));
            assert!(known, "{at}: no wire `{wire}`");
        }
        assert!(row.api.iter().all(|api| api.chat_path.starts_with('/')), "{at}");
        assert!(row.api.iter().all(|api| api.when.is_some() == api.models.is_empty()), "{at}: for which models?");
        assert!(row.chat_path.starts_with('/'), "{at}");
        assert!(!row.base_url.ends_with('/'), "{at}");
        assert!(row.docs.as_deref().is_some_and(|d| d.starts_with("https://")), "{at}");
        assert_eq!(row.base_url.starts_with("http://"), row.kind == ProviderKind::Local, "{at}");
        assert_eq!(row.key_optional, row.kind == ProviderKind::Local, "{at}");
        let paths = row.api.iter().map(|api| &api.chat_path).chain([&row.base_url]);
        let used: BTreeSet<&str> = paths.flat_map(|t| placeholders(t)).collect();
        let derived = row.derived.values().map(|d| d.from.as_str());
        assert!(row.vars.keys().all(|var| used.contains(var.as_str()) || derived.clone().any(|d| d == var)), "{at}");
        for var in row.key_vars.iter().chain(&row.base_url_vars).chain(row.vars.values().flatten()) {
            assert!(var.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'), "{at}: {var}");
        }
        assert!(row.status == ProviderStatus::Active || row.status_note.is_some(), "{at}: why?");
    }
}

#[test]
fn the_promised_aliases_stand() {
    for (alias, id) in [
        ("aws", "bedrock"),
        ("amazon-bedrock", "bedrock"),
        ("hf", "hf-router"),
        ("google", "gemini"),
        ("GEMINI", "gemini"),
        ("claude", "anthropic"),
        ("Groq", "groq"),
    ] {
        assert_eq!(embedded(alias).id, id);
    }
}

#[test]
fn an_unknown_provider_names_the_near_ones_and_the_way_out() {
    let catalog = Catalog::builtin();
    let e = catalog.provider("openrooter").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.message().contains("`openrouter`") && e.message().contains("base_url"), "{e}");
}

#[test]
fn keys_are_found_in_order_and_never_empty() {
    let gemini = embedded("gemini");
    let env = |var: &str| match var {
        "GEMINI_API_KEY" => Some(" ".to_owned()),
        "GOOGLE_API_KEY" => Some("second".to_owned()),
        "GOOGLE_GENERATIVE_AI_API_KEY" => Some("third".to_owned()),
        _ => None,
    };
    let (var, key) = gemini.key(&env).unwrap();
    assert_eq!((var, key.expose()), ("GOOGLE_API_KEY", "second"));
    assert!(gemini.key(&none).is_none());
    let e = gemini.missing_key();
    assert_eq!(e.kind(), ErrorKind::Authentication);
    assert!(e.message().contains("GEMINI_API_KEY (or GOOGLE_API_KEY"), "{e}");
}

#[test]
fn placeholders_are_filled_or_named() {
    let region = [("AWS_DEFAULT_REGION", "eu-west-1")];
    assert_eq!(base_url("aws", &region).unwrap(), "https://bedrock-runtime.eu-west-1.amazonaws.com");
    let e = base_url("aws", &[]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidConfig);
    assert!(e.message().contains("AWS_REGION") && e.message().contains("vars.region"), "{e}");
    let e = base_url("aws", &[("AWS_REGION", "evil.example/#")]).unwrap_err();
    assert!(e.message().contains("only letters"), "{e}");

    let own = BTreeMap::from([("account_id".to_owned(), "abc123".to_owned())]);
    let row = embedded("cloudflare");
    let url = row.fill(&row.base_url(None, &none), &row.values(&own, &none).unwrap()).unwrap();
    assert_eq!(url, "https://api.cloudflare.com/client/v4/accounts/abc123/ai/v1");
}

#[test]
fn addresses_from_variables_are_completed() {
    for (provider, var, given, want) in [
        ("ollama", "OLLAMA_HOST", "0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("ollama", "OLLAMA_HOST", "gpu-box:9000", "http://gpu-box:9000/v1"),
        ("ollama", "OLLAMA_HOST", "https://gpu-box", "https://gpu-box/v1"),
        ("azure", "AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/", "https://me.openai.azure.com/openai/v1"),
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "https://me.openai.azure.com/openai",
            "https://me.openai.azure.com/openai/v1",
        ),
        (
            "azure",
            "AZURE_API_BASE",
            "https://me.openai.azure.com/openai/v1/?api-version=1",
            "https://me.openai.azure.com/openai/v1",
        ),
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "https://me.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            "https://me.openai.azure.com/openai/v1",
        ),
        ("azure", "AZURE_API_BASE", "https://gateway.example/team/openai", "https://gateway.example/team/openai/v1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "https://proxy.example/v1/", "https://proxy.example"),
        ("groq", "GROQ_BASE_URL", "https://proxy.example/other", "https://proxy.example/other"),
        ("openai", "OPENAI_BASE_URL", "https://proxy.example/v1/", "https://proxy.example/v1"),
    ] {
        assert_eq!(base_url(provider, &[(var, given)]).unwrap(), want, "{provider} {given}");
    }
    let exact = embedded("ollama").base_url(Some("http://127.0.0.1:1/"), &none);
    assert_eq!(exact, "http://127.0.0.1:1", "a configured address is taken as it is");
}

#[test]
fn values_follow_from_others() {
    let project = ("GOOGLE_CLOUD_PROJECT", "p-1");
    for (location, host) in [
        (None, "aiplatform.googleapis.com"),
        (Some("eu"), "aiplatform.eu.rep.googleapis.com"),
        (Some("europe-west4"), "europe-west4-aiplatform.googleapis.com"),
    ] {
        let vars: Vec<_> =
            [Some(project), location.map(|l| ("GOOGLE_CLOUD_LOCATION", l))].into_iter().flatten().collect();
        let at = location.unwrap_or("global");
        let want = format!("https://{host}/v1beta1/projects/p-1/locations/{at}");
        assert_eq!(base_url("vertex", &vars).unwrap(), want);
    }
    let e = base_url("vertex", &[]).unwrap_err();
    assert!(e.message().contains("GOOGLE_CLOUD_PROJECT"), "{e}");
}

#[test]
fn a_model_stands_in_an_address_as_its_template_says() {
    let hub = "https://h/models/{+model}/v1";
    assert_eq!(expand(hub, "meta-llama/Llama-3.1-8B").unwrap(), "https://h/models/meta-llama/Llama-3.1-8B/v1");
    for bad in ["a/../b", "a?b", "a b", "a//b", "", "a%2e"] {
        assert!(expand(hub, bad).is_err(), "{bad}");
    }
    let segment = "https://h/model/{model}/converse";
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0";
    assert_eq!(
        expand(segment, arn).unwrap(),
        "https://h/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0/converse"
    );
    assert!(expand(segment, "../x").is_err());
    assert_eq!(embedded("github").models_url("x").unwrap(), "https://models.github.ai/catalog/models");
    assert_eq!(embedded("groq").models_url("https://g/v1").unwrap(), "https://g/v1/models");
}

#[test]
fn faults_name_row_and_field() {
    let row = "schema = 1\nas_of = \"2026-01-01\"\n[[provider]]\nid = \"mine\"\nname = \"Mine\"\nkind = \"cloud\"\n\
               wire = \"openai-chat\"\nbase_url = \"https://h/v1\"\nkey_vars = []\n";
    Providers::parse(row).unwrap();
    for (change, parts) in [
        ("[provider.quirks]\nmax_tokns = \"both\"\n", &["providers.mine.quirks", "max_tokns"][..]),
        ("colour = 1\n", &["providers.mine", "colour"]),
        ("[[provider]]\nid = \"x\"\n", &["providers.x", "name"]),
        ("aliases = [\"MINE\"]\n", &["providers.mine", "already"]),
    ] {
        let e = Providers::parse(&format!("{row}{change}")).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidConfig);
        assert!(parts.iter().all(|p| e.message().contains(p)), "{change} -> {e}");
    }
    for (from, to, part) in [
        ("https://h", "ftp://h", "providers.mine.base_url"),
        ("https://h", "https://{zone}.h", "{zone}"),
        ("key_vars = []", "key_vars = [\"my key\"]", "my key"),
        ("\"mine\"", "\"my/one\"", "no `/`"),
        ("schema = 1", "schema = 2", "schema 2"),
        ("kind = \"cloud\"", "kind = \"clowd\"", "clowd"),
    ] {
        let e = Providers::parse(&row.replace(from, to)).unwrap_err();
        assert!(e.message().contains(part), "{to} -> {e}");
    }
}

#[test]
fn a_row_of_ones_own_joins_or_replaces() {
    let catalog = Catalog::builtin();
    let more = catalog.with_provider(Provider::own("lab", "http://10.0.0.1:8000/v1/")).unwrap();
    assert_eq!(more.provider("LAB").unwrap().base_url, "http://10.0.0.1:8000/v1");
    let rows = catalog.providers().unwrap().len();
    assert_eq!(more.providers().unwrap().len(), rows + 1);
    assert!(catalog.provider("lab").is_err(), "the first catalogue is unchanged");
    let replaced = catalog.with_provider(Provider::own("groq", "http://h/v1")).unwrap();
    assert_eq!(replaced.provider("groq").unwrap().base_url, "http://h/v1");
    assert_eq!(replaced.providers().unwrap().len(), rows);
    let e = catalog.with_provider(Provider::own("aws", "http://h/v1")).unwrap_err();
    assert!(e.message().contains("`bedrock`"), "{e}");
}
