//! One name for a model, however the vendor's report and the ledger spell it, and one for a provider that has several ids
//! here and sends one bill.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::import::{letters_and_numbers, plain_words};
use super::vendor::Named;
use crate::catalog::Catalog;

/// Ids of a provider that differ in the protocol spoken only; the account is the same.
const PROTOCOLS: [&str; 3] = ["-openai", "-mantle", "-express"];

/// Finds names, each once.
pub(super) struct Names<'a> {
    catalog: &'a Catalog,
    accounts: HashMap<String, String>,
    models: HashMap<(String, String), String>,
    words: HashMap<(String, String), Option<String>>,
    /// Names that the ledger's records use, by account, with the canonical one.
    used: BTreeMap<String, BTreeMap<String, String>>,
    /// Offers of an account, fallen apart, made on first use.
    offered: HashMap<String, Vec<Candidate>>,
}

/// A model, as words can be compared with.
struct Candidate {
    canonical: String,
    /// Letters of one of its names, without anything between them.
    letters: String,
    numbers: Vec<u64>,
}

impl<'a> Names<'a> {
    pub fn new(catalog: &'a Catalog) -> Self {
        Names {
            catalog,
            accounts: HashMap::new(),
            models: HashMap::new(),
            words: HashMap::new(),
            used: BTreeMap::new(),
            offered: HashMap::new(),
        }
    }

    /// Whose bill a provider's calls stand on: its id without what only says how it is spoken to.
    pub fn account(&mut self, provider: &str) -> String {
        if let Some(known) = self.accounts.get(provider) {
            return known.clone();
        }
        let row = self.catalog.provider(provider).ok();
        let id = row.map_or(provider, |row| row.id.as_str());
        let short = PROTOCOLS.iter().find_map(|end| id.strip_suffix(end));
        let short = short.filter(|short| row.is_some() && self.catalog.provider(short).is_ok());
        let account = short.unwrap_or(id).to_owned();
        self.accounts.insert(provider.to_owned(), account.clone());
        account
    }

    /// The canonical id of a model that an id of requests or answers names; an unknown one stays itself, without its date.
    pub fn model(&mut self, account: &str, id: &str) -> String {
        let key = (account.to_owned(), id.to_owned());
        if let Some(known) = self.models.get(&key) {
            return known.clone();
        }
        let canonical = self.canonical(account, id).unwrap_or_else(|| undated(id).to_lowercase());
        self.models.insert(key, canonical.clone());
        canonical
    }

    /// Notes that the ledger has calls of this model, so that words of meters can mean it.
    pub fn note_used(&mut self, account: &str, id: &str, canonical: &str) {
        let used = self.used.entry(account.to_owned()).or_default();
        if !used.contains_key(id) {
            used.insert(id.to_owned(), canonical.to_owned());
        }
    }

    /// The canonical id of what a report names.
    pub fn of(&mut self, account: &str, named: &Named) -> String {
        match named {
            Named::Id(id) => self.model(account, id),
            Named::Words(words) => {
                let key = (account.to_owned(), words.clone());
                if let Some(known) = self.words.get(&key) {
                    return known.clone().unwrap_or_else(|| words.to_lowercase());
                }
                let found = self.canonical(account, words).or_else(|| self.meant(account, words));
                self.words.insert(key, found.clone());
                found.unwrap_or_else(|| words.to_lowercase())
            }
        }
    }

    fn canonical(&self, account: &str, id: &str) -> Option<String> {
        let models = self.catalog.models().ok()?;
        let exact = |id: &str| {
            if let Some(model) = models.get(id) {
                return Some(model.id.clone());
            }
            let mut offers = models.offers_called(id);
            let here =
                offers.find(|(_, provider, _)| self.catalog.provider(provider).is_ok_and(|row| row.id == account));
            here.or_else(|| {
                let mut any = models.offers_called(id);
                any.next().filter(|first| any.all(|other| other.0.id == first.0.id))
            })
            .map(|(model, _, _)| model.id.clone())
        };
        let bare = id.split_once(':').map_or(id, |(stem, _)| stem);
        let spelled = [id, undated(id), bare, undated(bare)];
        let prefixed = spelled.iter().map(|id| format!("{account}/{id}"));
        spelled.iter().find_map(|id| exact(id)).or_else(|| prefixed.into_iter().find_map(|id| exact(&id)))
    }

    /// The one model that words can mean: the same numbers, every word in its name, and fewer other letters than any other.
    /// Models that the ledger used come first. `None` where several are as near.
    fn meant(&mut self, account: &str, words: &str) -> Option<String> {
        let (letters, numbers) = letters_and_numbers(plain_words(words));
        if letters.is_empty() && numbers.is_empty() {
            return None;
        }
        let used: Vec<Candidate> =
            self.used.get(account).into_iter().flatten().map(|(id, canonical)| candidate(canonical, id)).collect();
        nearest(&used, &letters, &numbers).or_else(|| nearest(self.offered(account), &letters, &numbers))
    }

    fn offered(&mut self, account: &str) -> &[Candidate] {
        let catalog = self.catalog;
        self.offered.entry(account.to_owned()).or_insert_with(|| {
            let mut all = Vec::new();
            for model in catalog.models().into_iter().flat_map(|models| models.rows()) {
                let here = |name: &str| catalog.provider(name).is_ok_and(|row| row.id == account);
                let Some((_, offer)) = model.serves().iter().find(|(name, _)| here(name)) else { continue };
                let tail = model.id.rsplit('/').next().unwrap_or(&model.id);
                all.push(candidate(&model.id, tail));
                all.extend(
                    model.aliases.iter().map(|alias| candidate(&model.id, alias.rsplit('/').next().unwrap_or(alias))),
                );
                all.push(candidate(&model.id, unversioned(&offer.id)));
            }
            all
        })
    }
}

fn candidate(canonical: &str, name: &str) -> Candidate {
    let (letters, numbers) = letters_and_numbers(plain_words(unversioned(name)));
    Candidate { canonical: canonical.to_owned(), letters: letters.concat(), numbers }
}

fn nearest(all: &[Candidate], letters: &[String], numbers: &[u64]) -> Option<String> {
    let length: usize = letters.iter().map(String::len).sum();
    let fits = |c: &&Candidate| c.numbers == numbers && letters.iter().all(|word| c.letters.contains(word.as_str()));
    let mut best: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for found in all.iter().filter(fits) {
        best.entry(found.letters.len().saturating_sub(length)).or_default().insert(&found.canonical);
    }
    let (_, names) = best.into_iter().next()?;
    (names.len() == 1).then(|| names.into_iter().next().map(str::to_owned)).flatten()
}

/// Bedrock's ids without their version (`-v1:0`) and its profile's prefix.
fn unversioned(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(stem, _)| stem);
    let id = match id.rsplit_once("-v") {
        Some((stem, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => stem,
        _ => id,
    };
    match id.split_once('.') {
        Some(("us" | "eu" | "apac" | "global" | "jp" | "au" | "us-gov", rest)) => rest,
        _ => id,
    }
}

/// An id without the date at its end: `gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`.
pub(super) fn undated(id: &str) -> &str {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = id.rsplitn(4, '-').collect();
    match parts.as_slice() {
        [day, month, year, stem] if digits(day, 2) && digits(month, 2) && digits(year, 4) => stem,
        [date, ..] if digits(date, 8) => &id[..id.len() - 9],
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: &str, named: Named) -> String {
        Names::new(&Catalog::default()).of(account, &named)
    }

    #[test]
    fn spellings_of_one_model_are_one_name() {
        for (account, id, canonical) in [
            ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
            ("openai", "gpt-4o-mini", "openai/gpt-4o-mini"),
            ("anthropic", "claude-haiku-4-5-20251001", "anthropic/claude-haiku-4.5"),
            ("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic/claude-haiku-4.5"),
            ("openrouter", "openai/gpt-4.1-2025-04-14", "openai/gpt-4.1"),
            ("openrouter", "openai/gpt-4.1:nitro", "openai/gpt-4.1"),
            ("lab", "My-Model-2026-01-02", "my-model"),
        ] {
            assert_eq!(of(account, Named::Id(id.into())), canonical, "{id}");
        }
    }

    #[test]
    fn words_of_meters_mean_the_one_model_they_fit() {
        for (account, words, canonical) in [
            ("bedrock", "Claude4.6Sonnet", "anthropic/claude-sonnet-4.6"),
            ("bedrock", "NovaLite", "amazon/nova-lite"),
            ("bedrock", "Nova2.0Lite", "amazon/nova-2-lite"),
            ("bedrock", "Llama4 Maverick 17B", "meta-llama/Llama-4-Maverick-17B-128E-Instruct"),
            ("bedrock", "Claude Haiku 4.5", "anthropic/claude-haiku-4.5"),
            ("azure", "gpt 4o 1120", "openai/gpt-4o"),
            ("azure", "gpt 4o mini", "openai/gpt-4o-mini"),
            ("azure", "GPT 5 Mini", "openai/gpt-5-mini"),
            ("azure", "5.4 mini", "openai/gpt-5.4-mini"),
            ("azure", "V4 Pro", "deepseek-ai/DeepSeek-V4-Pro"),
            ("azure", "SomethingNew 9", "somethingnew 9"),
        ] {
            assert_eq!(of(account, Named::Words(words.into())), canonical, "{words}");
        }
    }

    #[test]
    fn accounts_of_one_bill_are_one() {
        let catalog = Catalog::default();
        let mut names = Names::new(&catalog);
        for (provider, account) in [
            ("bedrock", "bedrock"),
            ("bedrock-openai", "bedrock"),
            ("anthropic-openai", "anthropic"),
            ("aws", "bedrock"),
            ("my-openai", "my-openai"),
        ] {
            assert_eq!(names.account(provider), account);
        }
    }
}
