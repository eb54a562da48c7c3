//! Answers kept for requests that are the same in everything that changes the answer. One call at a time asks for an
//! answer that is not there; the others wait for it. A call that fails or is dropped leaves its place to the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use quick_cache::{Weighter, sync};
use serde_json::Value;
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::types::{CacheConfig, ChatCompletion, ChatRequest, Piece, Tags};

/// Digest of a request.
pub(super) type Key = [u8; 32];

/// Fields of a request that say how it is made, not what is asked.
const NOT_ASKED: &[&str] = &[
    "stream",
    "stream_options",
    "timeout_ms",
    "timeouts",
    "max_retries",
    "max_cost_usd",
    "on_interrupt",
    "hedge",
    "explain",
    "cache",
];

/// The answers of one client.
pub(super) struct AnswerCache {
    answers: sync::Cache<Key, Arc<Kept>, BySize>,
    ttl: Duration,
    /// Whose turn it is to ask, by request.
    turns: Mutex<HashMap<Key, Weak<Turns<()>>>>,
}

/// An answer, and when it came.
pub(super) struct Kept {
    pub answer: ChatCompletion,
    /// Who gave it.
    pub by: Piece,
    pub at: Instant,
    bytes: u64,
}

#[derive(Clone)]
struct BySize;

impl Weighter<Key, Arc<Kept>> for BySize {
    fn weight(&self, _: &Key, kept: &Arc<Kept>) -> u64 {
        kept.bytes
    }
}

/// What a look brings.
pub(super) enum Look {
    /// The answer.
    Kept(Arc<Kept>),
    /// The turn to ask for it.
    Mine(Place),
}

/// The turn to ask. Dropped without [`Place::keep`], it passes to the next that waits.
pub(super) struct Place {
    cache: Arc<AnswerCache>,
    key: Key,
    _turn: OwnedMutexGuard<()>,
}

impl AnswerCache {
    pub fn new(config: &CacheConfig) -> Self {
        // The number of answers that are expected; only the sum of their sizes is a limit.
        let expected = (config.max_bytes / 4096).clamp(16, 1 << 20) as usize;
        AnswerCache {
            answers: sync::Cache::with_weighter(expected, config.max_bytes, BySize),
            ttl: Duration::from_millis(config.ttl_ms),
            turns: Mutex::default(),
        }
    }

    /// The answer to a request, or the turn to ask for it.
    pub async fn look(self: &Arc<Self>, key: Key) -> Look {
        if let Some(kept) = self.get(&key) {
            return Look::Kept(kept);
        }
        let turn = self.turn(key).lock_owned().await;
        match self.get(&key) {
            Some(kept) => Look::Kept(kept),
            None => Look::Mine(Place { cache: self.clone(), key, _turn: turn }),
        }
    }

    fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        let kept = self.answers.get(key)?;
        if kept.at.elapsed() < self.ttl {
            return Some(kept);
        }
        self.answers.remove(key);
        None
    }

    fn turn(&self, key: Key) -> Arc<Turns<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        // Those that nobody waits for any more are swept out as the map grows.
        if turns.len() == turns.capacity() {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turns::new(()));
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }
}

impl Place {
    /// Keeps the answer for those that wait and those that come.
    pub fn keep(self, answer: &ChatCompletion) {
        let by = answer.interfuse.as_ref().map(|meta| (meta.provider.clone(), meta.model.clone()));
        let (provider, model) = by.unwrap_or_default();
        // What else stands in `interfuse` is of the call that asked.
        let answer = ChatCompletion { interfuse: None, ..answer.clone() };
        let bytes = serde_json::to_vec(&answer).map_or(u64::MAX, |text| text.len() as u64 + 256);
        self.cache
            .answers
            .insert(self.key, Arc::new(Kept { answer, by: Piece { provider, model }, at: Instant::now(), bytes }));
    }
}

/// The digest of all that changes the answer: the request's fields, whatever their order, but for those that say how it
/// is made; who asks (`tags` of the request and the client) is part of it, so that no tenant hears another's answer.
pub(super) fn key(request: &ChatRequest, tags: &Tags) -> Result<Key> {
    let fault = |e: serde_json::Error| Error::new(ErrorKind::InvalidRequest, format!("request: {e}"));
    let mut value = serde_json::to_value(request).map_err(fault)?;
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| !NOT_ASKED.contains(&name.as_str()));
        fields.insert("tags".to_owned(), serde_json::to_value(tags).map_err(fault)?);
    }
    value.sort_all_objects();
    let text = serde_json::to_vec(&value).map_err(fault)?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &text);
    let mut key = Key::default();
    key.copy_from_slice(digest.as_ref());
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;

    use super::*;

    fn cache(ttl_ms: u64, max_bytes: u64) -> Arc<AnswerCache> {
        Arc::new(AnswerCache::new(&CacheConfig { ttl_ms, max_bytes }))
    }

    fn answer(text: &str) -> ChatCompletion {
        serde_json::from_value(json!({"id": text, "model": "m", "choices": []})).unwrap()
    }

    fn digest(request: Value, tags: &[(&str, &str)]) -> Key {
        let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        key(&serde_json::from_value(request).unwrap(), &tags).unwrap()
    }

    #[test]
    fn everything_that_changes_the_answer_changes_the_key_and_nothing_else_does() {
        let plain = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "top_k": 4});
        let with = |field: &str, value: Value| {
            let mut request = plain.clone();
            request[field] = value;
            digest(request, &[("user", "ada")])
        };
        let same = with("model", json!("m"));
        for (field, value) in [
            ("stream", json!(true)),
            ("stream_options", json!({"include_usage": true})),
            ("timeout_ms", json!(5)),
            ("max_retries", json!(0)),
            ("cache", json!(true)),
        ] {
            assert_eq!(with(field, value), same, "{field}");
        }
        for (field, value) in [
            ("model", json!("n")),
            ("messages", json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}])),
            ("temperature", json!(0.5)),
            ("tools", json!([{"type": "function", "function": {"name": "f"}}])),
            ("response_format", json!({"type": "json_object"})),
            ("top_k", json!(5)),
            ("provider", json!("groq")),
            ("provider", json!({"only": ["groq"]})),
            ("models", json!(["other"])),
            ("extra_body", json!({"x": 1})),
            ("extra_headers", json!({"x-tenant": "1"})),
            ("seed", json!(1)),
        ] {
            assert_ne!(with(field, value), same, "{field}");
        }
        assert_ne!(digest(plain.clone(), &[("user", "bob")]), same, "another tenant");
        let reordered = json!({"top_k": 4, "messages": [{"content": "hi", "role": "user"}], "model": "m"});
        assert_eq!(digest(reordered, &[("user", "ada")]), same, "the order of keys");
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_and_the_others_wait_for_its_answer() {
        let (cache, asked) = (cache(60_000, 1 << 20), Arc::new(AtomicU32::new(0)));
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let (cache, asked) = (cache.clone(), asked.clone());
                tokio::spawn(async move {
                    match cache.look([1; 32]).await {
                        Look::Kept(kept) => kept.answer.id.clone(),
                        Look::Mine(place) => {
                            asked.fetch_add(1, Ordering::SeqCst);
                            tokio::time::sleep(Duration::from_secs(1)).await;
                            place.keep(&answer("a"));
                            "a".to_owned()
                        }
                    }
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), "a");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_leaves_its_turn_to_the_next() {
        let cache = cache(60_000, 1 << 20);
        let Look::Mine(place) = cache.look([1; 32]).await else { panic!("nothing is kept yet") };
        let next = tokio::spawn({
            let cache = cache.clone();
            async move { matches!(cache.look([1; 32]).await, Look::Mine(_)) }
        });
        tokio::task::yield_now().await;
        assert!(!next.is_finished());
        drop(place);
        assert!(next.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_grow_old_and_the_memory_is_bounded() {
        let cache = cache(1_000, 64 << 10);
        let keep = async |n: u32, text: &str| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_le_bytes());
            match cache.look(key).await {
                Look::Mine(place) => place.keep(&answer(text)),
                Look::Kept(_) => panic!("kept already"),
            }
        };
        keep(0, "x").await;
        assert!(matches!(cache.look([0; 32]).await, Look::Kept(_)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(matches!(cache.look([0; 32]).await, Look::Mine(_)), "too old");
        for n in 1..1_000 {
            keep(n, &"long ".repeat(100)).await;
        }
        assert!(cache.answers.weight() <= 64 << 10, "{}", cache.answers.weight());
        assert!(!cache.answers.is_empty());
        assert!(cache.turns.lock().unwrap().len() < 900, "turns nobody waits for are swept out");
    }
}
