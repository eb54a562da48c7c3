//! Price lists of others, read as they are published: LiteLLM's map, models.dev, OpenRouter's and Hugging Face's lists of
//! models, genai-prices. Which one a document is, is seen from its shape. A row that cannot be right (negative, no number,
//! in another unit) is left out and told with its path; the others count.

mod genai;
mod huggingface;
mod litellm;
mod models_dev;
mod openrouter;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Catalog;
use crate::error::{Error, Result};
use crate::money::scaled;
use crate::types::{Class, LoadedPrices, Price, Rate, Rates};

/// Loaded prices, by provider and model.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    exact: HashMap<(String, String), Arc<Price>>,
    /// Rows that hold for every model a rule matches, in their order.
    ruled: HashMap<String, Vec<(Rule, Arc<Price>)>>,
}

/// Which models a row is about; all in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Any(Vec<Rule>),
    All(Vec<Rule>),
}

impl Rule {
    fn matches(&self, model: &str) -> bool {
        match self {
            Rule::Equals(text) => model == text,
            Rule::StartsWith(text) => model.starts_with(text.as_str()),
            Rule::EndsWith(text) => model.ends_with(text.as_str()),
            Rule::Contains(text) => model.contains(text.as_str()),
            Rule::Any(rules) => rules.iter().any(|rule| rule.matches(model)),
            Rule::All(rules) => rules.iter().all(|rule| rule.matches(model)),
        }
    }
}

impl PriceBook {
    /// The row of a model at a provider, both as the provider's requests name them.
    pub fn get(&self, provider: &str, model: &str) -> Option<&Arc<Price>> {
        let key = (provider.to_owned(), model.to_lowercase());
        self.exact.get(&key).or_else(|| {
            let rules = self.ruled.get(provider)?;
            rules.iter().find(|(rule, _)| rule.matches(&key.1)).map(|(_, price)| price)
        })
    }

    /// Whether nothing is loaded.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.ruled.is_empty()
    }

    /// Takes rows of a later list; they replace those of the same names.
    pub(super) fn extend(&mut self, later: PriceBook) {
        self.exact.extend(later.exact);
        for (provider, mut rules) in later.ruled {
            let all = self.ruled.entry(provider).or_default();
            rules.append(all);
            *all = rules;
        }
    }
}

/// A list being read.
struct Reader<'a> {
    catalog: &'a Catalog,
    book: PriceBook,
    known: HashMap<String, Option<String>>,
    rows: u64,
    skipped: u64,
    refused: Vec<String>,
}

impl Reader<'_> {
    /// The catalogue's id of a provider that a list calls so.
    fn provider(&mut self, name: &str) -> Option<String> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let written = [name.to_owned(), name.replace('_', "-")];
        let id = written.iter().find_map(|name| self.catalog.provider(name).ok()).map(|row| row.id.clone());
        self.known.insert(name.to_owned(), id.clone());
        id
    }

    /// Takes a row for one model, or tells why not.
    fn take(&mut self, path: &str, provider: &str, model: &str, row: std::result::Result<Option<Price>, String>) {
        match row {
            Ok(Some(price)) => {
                self.rows += 1;
                self.book.exact.insert((provider.to_owned(), model.to_lowercase()), Arc::new(price));
            }
            Ok(None) => self.skipped += 1,
            Err(why) => self.refused.push(format!("{path}: {why}")),
        }
    }
}

/// Whose form it is, whether a document has it, and what reads it.
type Form = (&'static str, fn(&Value) -> bool, fn(&mut Reader<'_>, &Value));

/// Reads a document of any known form.
pub(super) fn read(catalog: &Catalog, bytes: &[u8]) -> Result<(PriceBook, LoadedPrices)> {
    let fault = |why: String| Error::invalid_request(format!("the price list: {why}")).with_param("prices");
    let document: Value = serde_json::from_slice(bytes).map_err(|e| fault(format!("not JSON: {e}")))?;
    let forms: [Form; 5] = [
        ("genai-prices", genai::fits, genai::read),
        ("huggingface", huggingface::fits, huggingface::read),
        ("openrouter", openrouter::fits, openrouter::read),
        ("models.dev", models_dev::fits, models_dev::read),
        ("litellm", litellm::fits, litellm::read),
    ];
    let Some((format, _, fill)) = forms.into_iter().find(|(_, fits, _)| fits(&document)) else {
        let why = "neither LiteLLM's map, models.dev's api.json, a list of models of OpenRouter or Hugging Face, nor \
                   genai-prices' data.json";
        return Err(fault(why.to_owned()));
    };
    let mut reader =
        Reader { catalog, book: PriceBook::default(), known: HashMap::new(), rows: 0, skipped: 0, refused: Vec::new() };
    fill(&mut reader, &document);
    if reader.rows == 0 {
        let first = reader.refused.first().map(|why| format!("; the first one refused: {why}")).unwrap_or_default();
        return Err(fault(format!(
            "no row of its {} could be taken{first}",
            reader.skipped + reader.refused.len() as u64
        )));
    }
    let Reader { book, rows, skipped, refused, .. } = reader;
    Ok((book, LoadedPrices { format: format.to_owned(), rows, skipped, refused }))
}

/// What an amount in a list is for.
#[derive(Debug, Clone, Copy)]
enum Per {
    /// One token, request, search.
    One,
    /// A thousand.
    Thousand,
    /// A million.
    Million,
    /// A second, where milliseconds are counted.
    Second,
}

/// A rate from a number or a decimal text; below a pico-USD it is rounded half up. `None` for null.
fn rate(class: Class, value: &Value, per: Per) -> std::result::Result<Option<Rate>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => return Err(format!("`{other}` is no price")),
    };
    let decimals = match per {
        Per::One => 12,
        Per::Thousand | Per::Second => 9,
        Per::Million => 6,
    };
    let pico = scaled(&text, decimals).and_then(|pico| u64::try_from(pico).ok());
    let pico = pico.ok_or_else(|| format!("`{text}` is no price: it must be a decimal number, not negative"))?;
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    if pico == 0 && digits.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        return Err(format!("`{text}` is no price: less than any unit costs; is it in another unit?"));
    }
    Rate::from_pico(class, pico).map(Some).map_err(|why| format!("`{text}` is no price: {why}"))
}

/// Sets the rates that `names` says an object holds.
fn set(
    rates: &mut Rates,
    of: &Value,
    names: &[(&str, Class, Per)],
    except_zero: bool,
) -> std::result::Result<(), String> {
    for (name, class, per) in names {
        let Some(value) = of.get(*name) else { continue };
        let found = rate(*class, value, *per).map_err(|why| format!("{name}: {why}"))?;
        if let Some(found) = found.filter(|found| !except_zero || found.pico() > 0) {
            rates.set(*class, found);
        }
    }
    Ok(())
}

/// A row without rates for tokens, or with nothing but zeros in a list where that means "not priced", is none.
fn priced(price: Price, free: bool) -> Option<Price> {
    let paid = price.rates.iter().any(|(_, rate)| rate.pico() > 0);
    (!price.rates.is_empty() && (paid || free)).then_some(price)
}

#[cfg(test)]
mod tests;
