//! Tests of the model rows, embedded and own.

use std::collections::BTreeSet;

use super::*;
use crate::catalog::{Catalog, Class, LongContext, Rates, models_json};

#[test]
fn every_embedded_row_parses_and_is_sound() {
    let models = Models::parse(&models_json().unwrap()).unwrap();
    assert_eq!(models.rows().len(), 197);
    let tags: Vec<&str> = models.sources().iter().map(|s| s.tag.as_str()).collect();
    let mut priced = 0;
    for model in models.rows() {
        let id = &model.id;
        assert!(!model.serves().is_empty() && !model.modalities_in.is_empty(), "{id}");
        assert!(model.max_output.is_none_or(|m| model.context.is_none_or(|c| m <= c)), "{id}");
        for (provider, offer) in model.serves() {
            let at = format!("{id} at {provider}");
            assert!(tags.iter().any(|tag| offer.source.contains(tag)) || offer.source.contains("list"), "{at}");
            assert!(
                offer.status != OfferStatus::Retired
                    || offer.ends.is_some()
                    || offer.note.is_some()
                    || offer.price.is_some(),
                "{at}"
            );
            for date in std::iter::once(&offer.as_of).chain(&offer.ends) {
                let parts: Vec<usize> = date.split('-').map(str::len).collect();
                assert_eq!(parts, [4, 2, 2], "{at}: {date}");
            }
            let Some(price) = &offer.price else { continue };
            priced += 1;
            let rate = |rates: &Rates, class| rates.get(class);
            let input = rate(&price.rates, Class::Input).unwrap();
            let cached = rate(&price.rates, Class::CacheRead);
            assert!(cached.is_none_or(|r| r <= input), "{at}: cached tokens dearer than fresh ones");
            let long = |t: &LongContext| rate(&t.rates, Class::Input) >= Some(input) && t.above_input_tokens > 0;
            assert!(price.long_context.iter().all(long), "{at}");
            let batch = price.batch.as_ref().and_then(|b| rate(&b.rates, Class::Input));
            assert!(batch.is_none_or(|b| b <= input), "{at}");
            assert!(price.source.is_some() && price.as_of.is_some(), "{at}: a price without a source");
        }
    }
    assert!(priced > 900, "{priced}");
}

#[test]
fn every_provider_named_has_a_row_that_speaks_its_protocols() {
    let catalog = Catalog::builtin();
    let models = catalog.models().unwrap();
    let rowless: BTreeSet<&str> = models.listed().filter(|p| catalog.provider(p).is_err()).collect();
    assert_eq!(rowless, BTreeSet::new());
    for model in models.rows() {
        for (provider, offer) in model.serves() {
            let row = catalog.provider(provider).unwrap();
            assert!(offer.api.as_deref().is_none_or(|api| row.speaks(api)), "{} at {provider}", model.id);
        }
    }
    for model in models.rows() {
        for (_, offer) in model.serves() {
            assert!(offer.via.as_deref().is_none_or(|via| catalog.provider(via).is_ok()), "{}", model.id);
        }
    }
}

const ONE: &str = r#"{"schema": 1, "as_of": "2026-01-01", "sources": [], "models": [
    {"id": "v/m", "vendor": "v", "aliases": ["m"], "modalities_in": ["text"], "serves": {
    "groq": {"id": "m-1", "price": {"input": "1", "output": "2"}, "confidence": "high", "source": "x", "as_of": "2026-01-01"}}}]}"#;

#[test]
fn faults_name_row_and_field() {
    Models::parse(ONE).unwrap();
    for (from, to, parts) in [
        (r#""input": "1""#, r#""input": "1e3""#, &["models.v/m.serves", "1e3"][..]),
        (r#""input": "1""#, r#""input": 1"#, &["models.v/m.serves", "string"]),
        (r#""input": "1""#, r#""inputs": "1""#, &["models.v/m.serves", "inputs"]),
        (r#""input": "1""#, r#""input": "0.000001""#, &["models.v/m.serves", "input", "another unit"]),
        (r#""vendor": "v""#, r#""vendr": "v""#, &["models.v/m", "vendr"]),
        (r#""high""#, r#""hihg""#, &["models.v/m.serves", "hihg"]),
        (r#"["m"]"#, r#"["V/M"]"#, &["models.v/m.aliases", "already"]),
        (r#""schema": 1"#, r#""schema": 2"#, &["schema 2"]),
        (r#"{"schema""#, r#"{,"schema""#, &["models.json", "line 1"]),
    ] {
        let e = Models::parse(&ONE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::InvalidConfig);
        assert!(parts.iter().all(|p| e.message().contains(p)), "{to} -> {e}");
    }
    let two = ONE.replace(
        r#"}}}]}"#,
        r#"}}},
        {"id": "v/n", "vendor": "v", "aliases": [], "modalities_in": ["text"], "serves": {
        "groq": {"id": "M-1", "confidence": "high", "source": "x", "as_of": "2026-01-01"}}}]}"#,
    );
    let e = Models::parse(&two).unwrap_err();
    assert!(e.message().contains("belongs to `v/m` already"), "{e}");
}
