//! Recorded answers of real models, replayed through the fusion engine: a folder with `items.jsonl` (one object a line: `id`,
//! `prompt`, `gold`, `answers`, and where they are known `finals`), and what each mode would have made of it.
//!
//! Answers count as they were read (`finals`), as the engine reads them out of the texts, and, of a sample, as a client
//! gets them over sockets. `wide.jsonl` with `models.json` has answers of more models without their texts.

pub mod closed;
pub mod live;
pub mod verdicts;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use interfuse::fusion::recorded;
use serde_json::Value;

/// Where answers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Answers that were read when they were recorded.
    Finals,
    /// Texts, read by the engine.
    Texts,
    /// `wide.jsonl`.
    Wide,
}

impl Source {
    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Source::Finals => "finals",
            Source::Texts => "texts",
            Source::Wide => "wide",
        }
    }
}

/// One item: the right answer, and what each model answered (`None`: nothing that could be read).
#[derive(Debug, Clone, Default)]
pub struct Item {
    /// Its name.
    pub id: String,
    /// The question, where it is known.
    pub prompt: Option<String>,
    /// The right answer, in the spelling of the answers.
    pub gold: String,
    /// Answers as keys that are equal when they say the same.
    pub keys: BTreeMap<String, Option<String>>,
    /// Texts, where they are known.
    pub texts: BTreeMap<String, String>,
}

impl Item {
    /// The answers of a pool, in its order.
    pub fn answers(&self, pool: &[String]) -> Vec<Option<&str>> {
        pool.iter().map(|m| self.keys.get(m).and_then(Option::as_deref)).collect()
    }

    /// Whether a model's answer is right.
    pub fn is_right(&self, model: &str) -> bool {
        self.keys.get(model).and_then(Option::as_deref) == Some(self.gold.as_str())
    }
}

/// The lines of a JSONL file.
///
/// # Errors
/// What cannot be read, with its line.
pub fn lines(file: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let line = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| format!("{}, line {}: {e}", file.display(), i + 1))
    };
    text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(line).collect()
}

/// The items of a folder that have a known answer and answers from this source; empty where it has none.
///
/// # Errors
/// A file that cannot be read.
pub fn items(folder: &Path, source: Source) -> Result<Vec<Item>, String> {
    if source == Source::Wide {
        return wide(folder);
    }
    let rows = lines(&folder.join("items.jsonl"))?;
    Ok(rows.iter().filter_map(|row| item(row, source)).collect())
}

fn item(row: &Value, source: Source) -> Option<Item> {
    let gold = row["gold"].as_str()?;
    let prompt = row["prompt"].as_str();
    let question = prompt.unwrap_or_default();
    let texts: BTreeMap<String, String> = serde_json::from_value(row.get("answers")?.clone()).ok().unwrap_or_default();
    let (keys, gold) = match source {
        Source::Finals => (serde_json::from_value(row.get("finals")?.clone()).ok()?, gold.to_owned()),
        _ => {
            let read = |(model, text): (&String, &String)| (model.clone(), recorded::read(question, text));
            (texts.iter().map(read).collect(), recorded::gold(question, gold))
        }
    };
    let id = row["id"].as_str().unwrap_or_default().to_owned();
    Some(Item { id, prompt: prompt.map(str::to_owned), gold, keys, texts })
}

/// `finals` of `wide.jsonl` is a list, or a text of one letter each ("-" no answer, "?" not asked), in the order of
/// `models.json`.
fn wide(folder: &Path) -> Result<Vec<Item>, String> {
    let (file, names) = (folder.join("wide.jsonl"), folder.join("models.json"));
    if !file.exists() || !names.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&names).map_err(|e| format!("{}: {e}", names.display()))?;
    let about: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", names.display()))?;
    let models: Vec<String> = serde_json::from_value(about["models"].clone()).map_err(|e| e.to_string())?;
    let item = |row: &Value| {
        let finals: Vec<Option<String>> = match &row["finals"] {
            Value::String(letters) => {
                letters.chars().map(|c| Some(c.to_string()).filter(|_| !matches!(c, '-' | '?'))).collect()
            }
            list => serde_json::from_value(list.clone()).ok()?,
        };
        let keys = models.iter().cloned().zip(finals).collect();
        let gold = row["gold"].as_str()?.to_owned();
        Some(Item { id: row["id"].as_str().unwrap_or_default().to_owned(), gold, keys, ..Default::default() })
    };
    Ok(lines(&file)?.iter().filter_map(item).collect())
}
