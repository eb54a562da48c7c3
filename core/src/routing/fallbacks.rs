//! Fallback models of the configuration, by model and kind of failure: checked when a client is made, followed to their
//! ends.

use std::collections::{BTreeMap, HashMap};

use super::RouteOn;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::types::Fallbacks;

/// For each model that has any, who follows it, in order.
#[derive(Default)]
pub(super) struct FallbackTable {
    by_model: HashMap<String, Fallbacks>,
}

impl FallbackTable {
    /// # Errors
    /// `invalid_config` with the path, for a model that leads nowhere and for a cycle.
    pub fn new(catalog: &Catalog, given: &BTreeMap<String, Fallbacks>) -> Result<Self> {
        let mut direct: HashMap<String, &Fallbacks> = HashMap::new();
        for (model, fallbacks) in given {
            let at = format!("routing.fallbacks.{model}");
            known(catalog, model, &at)?;
            for on in RouteOn::ALL {
                for (i, name) in on.of(fallbacks).iter().enumerate() {
                    known(catalog, name, &format!("{at}.{}[{i}]", on.field()))?;
                }
            }
            if direct.insert(canonical(catalog, model), fallbacks).is_some() {
                return Err(Error::invalid_config(at, "this model stands here a second time, under another name"));
            }
        }
        let mut by_model = HashMap::with_capacity(direct.len());
        for (model, written) in given.keys().map(|name| (canonical(catalog, name), name)) {
            let mut whole = Fallbacks::default();
            for on in RouteOn::ALL {
                let mut walk =
                    Walk { catalog, direct: &direct, on, path: vec![(model.clone(), written)], found: vec![] };
                walk.from(&model)?;
                *on.of_mut(&mut whole) = walk.found;
            }
            by_model.insert(model, whole);
        }
        Ok(FallbackTable { by_model })
    }

    pub fn is_empty(&self) -> bool {
        self.by_model.is_empty()
    }

    /// Who follows a model after a kind of failure.
    pub fn after(&self, catalog: &Catalog, model: &str, on: RouteOn) -> &[String] {
        self.by_model.get(&canonical(catalog, model)).map_or(&[], |fallbacks| on.of(fallbacks))
    }
}

/// A model and all that follow it, each before those that follow it in turn.
struct Walk<'a> {
    catalog: &'a Catalog,
    direct: &'a HashMap<String, &'a Fallbacks>,
    on: RouteOn,
    /// From where the walk began, with the names as they are written.
    path: Vec<(String, &'a String)>,
    found: Vec<String>,
}

impl<'a> Walk<'a> {
    fn from(&mut self, model: &str) -> Result<()> {
        let Some(fallbacks) = self.direct.get(model) else { return Ok(()) };
        for name in self.on.of(fallbacks) {
            let next = canonical(self.catalog, name);
            if let Some(start) = self.path.iter().position(|(seen, _)| *seen == next) {
                let mut way: Vec<&str> = self.path[start..].iter().map(|(_, name)| name.as_str()).collect();
                way.push(name);
                let last = self.path.last().map_or("", |(_, name)| name.as_str());
                let why = format!("the fallbacks go round in a circle: {}", way.join(" -> "));
                return Err(Error::invalid_config(format!("routing.fallbacks.{last}.{}", self.on.field()), why));
            }
            if !self.found.contains(name) {
                self.found.push(name.clone());
            }
            self.path.push((next.clone(), name));
            self.from(&next)?;
            self.path.pop();
        }
        Ok(())
    }
}

/// One name for a model, whatever it is called.
fn canonical(catalog: &Catalog, model: &str) -> String {
    let known = catalog.models().ok().and_then(|models| models.get(model));
    known.map_or(model, |known| &known.id).to_lowercase()
}

fn known(catalog: &Catalog, model: &str, path: &str) -> Result<()> {
    catalog.resolve(model, None).map(drop).map_err(|e| Error::invalid_config(path, e.message()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn table(given: Value) -> Result<FallbackTable> {
        FallbackTable::new(&Catalog::builtin(), &serde_json::from_value(given).unwrap())
    }

    #[test]
    fn fallbacks_of_fallbacks_follow() {
        let given = json!({
            "openai/gpt-5-mini": {"context_length": ["gemini/gemini-2.5-pro"], "any": ["groq/openai/gpt-oss-120b"]},
            "gemini/gemini-2.5-pro": {"context_length": ["mistral/mistral-large-latest"]},
        });
        let (table, catalog) = (table(given).unwrap(), Catalog::builtin());
        let after = |model, on| table.after(&catalog, model, on).to_vec();
        let far = ["gemini/gemini-2.5-pro", "mistral/mistral-large-latest"];
        assert_eq!(after("openai/gpt-5-mini", RouteOn::ContextLength), far);
        assert_eq!(after("GPT-5-mini", RouteOn::ContextLength), far, "an alias is the same model");
        assert_eq!(after("openai/gpt-5-mini", RouteOn::Any), ["groq/openai/gpt-oss-120b"]);
        assert!(after("openai/gpt-5-mini", RouteOn::RateLimited).is_empty());
        assert!(after("mistral/mistral-large-latest", RouteOn::ContextLength).is_empty());
    }

    #[test]
    fn a_circle_and_an_unknown_model_are_refused_where_they_stand() {
        for (given, path, said) in [
            (
                json!({"groq/a": {"unavailable": ["groq/b"]}, "groq/b": {"unavailable": ["groq/c"]},
                       "groq/c": {"unavailable": ["groq/a"]}}),
                "routing.fallbacks.groq/c.unavailable",
                "groq/a -> groq/b -> groq/c -> groq/a",
            ),
            (json!({"groq/a": {"any": ["groq/a"]}}), "routing.fallbacks.groq/a.any", "groq/a -> groq/a"),
            (
                json!({"openai/gpt-5-mini": {"any": ["gpt-5-mini"]}}),
                "routing.fallbacks.openai/gpt-5-mini.any",
                "circle",
            ),
            (
                json!({"openai/gpt-5-mini": {"rate_limited": ["groq/x", "opnai/gpt-5"]}}),
                "routing.fallbacks.openai/gpt-5-mini.rate_limited[1]",
                "openai/gpt-5",
            ),
            (json!({"gpt-55-mini": {"any": ["groq/a"]}}), "routing.fallbacks.gpt-55-mini", "did you mean"),
        ] {
            let error = table(given).err().unwrap();
            assert_eq!(error.body().param.as_deref(), Some(path));
            assert!(error.message().contains(said), "{error}");
        }
        // Two models may stand in for each other after different failures.
        let given = json!({"groq/a": {"unavailable": ["groq/b"]}, "groq/b": {"rate_limited": ["groq/a"]}});
        assert!(table(given).is_ok());
    }
}
