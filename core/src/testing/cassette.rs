//! Records what providers answer, and gives it again without them.
//!
//! The file is JSON, the same in every language: `providers` by name with their `base_url`, and `interactions` in the order in
//! which the requests came, each with `provider`, `request` (`method`, `path`, `body`) and `response`: `status`, `headers`, and
//! `json`, or `body` (text), or `pieces` (a stream as it came: texts, or `{"base64": ...}`). `ends` is `cut` where the provider
//! broke off, and `left` where the client did; a `response` that is null never came before the client left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::answer::Action;
use super::play::{Course, headers, parsed, path_of, told};
use super::scrub::{self, Secrets};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Body, HttpRequest, HttpResponse, ReqwestTransport, Transport};
use crate::ledger;
use crate::types::{Config, LedgerConfig};

const VERSION: u32 = 1;

/// What is done with a cassette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Records where there is no file, and replays it where there is one.
    Auto,
    /// Records, and replaces a file that is there.
    Record,
    /// Replays; the file must be there.
    Replay,
}

impl std::str::FromStr for Mode {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "auto" => Ok(Mode::Auto),
            "record" => Ok(Mode::Record),
            "replay" => Ok(Mode::Replay),
            _ => Err(Error::invalid_config("mode", format!("it is `auto`, `record` or `replay`, not `{word}`"))),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    interfuse_cassette: u32,
    providers: BTreeMap<String, Provider>,
    interactions: Vec<Interaction>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Provider {
    base_url: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Interaction {
    provider: String,
    request: Request,
    response: Option<Response>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Request {
    method: String,
    /// With the query.
    path: String,
    #[serde(default)]
    body: Value,
}

#[derive(Clone, Serialize, Deserialize)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What a client of a cassette is made of.
pub(super) fn open(path: &Path, mode: Mode, config: Config) -> Result<(Config, Arc<dyn Transport>)> {
    let there = path.exists();
    let wrong = |why: &str| Error::invalid_config("path", format!("the cassette {} {why}", path.display()));
    if mode == Mode::Replay && !there {
        return Err(wrong("is not there; record it"));
    }
    if mode == Mode::Replay || mode == Mode::Auto && there {
        return replayed(path, config);
    }
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(wrong("has no folder to lie in"));
    }
    let inner = Arc::new(ReqwestTransport::new(config.network.clone(), &config.timeouts));
    let transport = Arc::new(recorder(path, &config, inner)?);
    Ok((config, transport))
}

/// Records what `inner` hears from the providers of a configuration.
pub(super) fn recorder(path: &Path, config: &Config, inner: Arc<dyn Transport>) -> Result<Recorder> {
    let tape = Arc::new(Tape { path: path.to_owned(), kept: Mutex::default() });
    Ok(Recorder { inner, targets: targets(config)?, tape })
}

fn replayed(path: &Path, mut config: Config) -> Result<(Config, Arc<dyn Transport>)> {
    let wrong = |why: &dyn std::fmt::Display| {
        Error::invalid_config("path", format!("{} is no cassette: {why}", path.display()))
    };
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::invalid_config("path", format!("the cassette {} cannot be read: {e}", path.display())))?;
    let file: File = serde_json::from_str(&text).map_err(|e| wrong(&e))?;
    if file.interfuse_cassette != VERSION {
        let why = format!("it is of version {}, and this one reads {VERSION}", file.interfuse_cassette);
        return Err(wrong(&why));
    }
    for (name, provider) in &file.providers {
        config.providers.entry(name.clone()).or_default().base_url = Some(provider.base_url.clone());
    }
    for provider in config.providers.values_mut() {
        provider.api_key = Some("replayed".to_owned());
        (provider.api_key_env, provider.api_key_file, provider.credentials) = (None, None, None);
        provider.keys.clear();
    }
    config.use_environment = Some(false);
    let tape = file.interactions.into_iter().map(|one| (one, false)).collect();
    let targets = targets(&config)?;
    Ok((config, Arc::new(Player { path: path.to_owned(), targets, tape: Mutex::new(tape) })))
}

/// Where providers really are, by the name under which they are recorded.
struct Targets(Vec<(String, Url)>);

fn targets(config: &Config) -> Result<Targets> {
    let looked = Config { ledger: LedgerConfig::default(), fusion: Default::default(), ..config.clone() };
    let name = |id: String, aliases: Vec<String>| {
        aliases.into_iter().find(|alias| config.providers.contains_key(alias)).unwrap_or(id)
    };
    let found = Client::from_config(looked)?.providers()?;
    let targets =
        found.into_iter().filter_map(|one| Some((name(one.id, one.aliases), Url::parse(&one.base_url).ok()?)));
    Ok(Targets(targets.collect()))
}

impl Targets {
    /// The provider at an address: of those at its origin the one whose path it shares most of.
    fn of(&self, url: &Url) -> Option<&(String, Url)> {
        let shared = |target: &Url| {
            let steps = |url: &Url| url.path().trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
            steps(target).iter().zip(&steps(url)).take_while(|(a, b)| a == b).count()
        };
        self.0.iter().filter(|(_, target)| target.origin() == url.origin()).max_by_key(|(_, target)| shared(target))
    }
}

/// Plays what was recorded.
struct Player {
    path: PathBuf,
    targets: Targets,
    /// With whether it was played.
    tape: Mutex<Vec<(Interaction, bool)>>,
}

impl Player {
    fn answer(&self, request: &HttpRequest) -> Course {
        let text = String::from_utf8_lossy(&request.body);
        let path = scrub::path(&path_of(request));
        let asked = Request { method: request.method.to_string(), path, body: parsed(&text) };
        let provider = self.targets.of(&request.url).map_or("unknown", |(name, _)| name);
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(one, _): &&mut (Interaction, bool)| one.provider == provider && one.request == asked;
        let times = tape.iter_mut().filter(same).count();
        let requests = tape.len();
        if let Some((one, played)) = tape.iter_mut().filter(same).find(|(_, played)| !played) {
            *played = true;
            return course(one.response.as_ref());
        }
        let why = match times {
            0 => format!("is not among its {requests} requests"),
            _ => format!("is there {times} times and came once more"),
        };
        let told = told(&asked.method, &asked.path, provider, &asked.body);
        let message = format!("cassette {}: {told} {why}; record it anew", self.path.display());
        Course::refusal(&message, "not_in_cassette")
    }
}

impl Transport for Player {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let course = self.answer(&request);
        Box::pin(course.play(request.limits))
    }
}

fn course(response: Option<&Response>) -> Course {
    let Some(Response { status, headers: given, rest }) = response else {
        // It never came: a head that is never sent.
        return Course { delay: Duration::MAX, ..Course::refusal("", "") };
    };
    let send = |piece: &Value| match piece {
        Value::String(text) => Bytes::from(text.clone()),
        coded => STANDARD.decode(coded["base64"].as_str().unwrap_or_default()).unwrap_or_default().into(),
    };
    let mut actions: Vec<Action> = match (rest.get("pieces"), rest.get("json"), rest.get("body")) {
        (Some(pieces), ..) => pieces.as_array().into_iter().flatten().map(|piece| Action::Send(send(piece))).collect(),
        (_, Some(json), _) => vec![Action::Send(json.to_string().into())],
        (.., body) => vec![Action::Send(body.map(send).unwrap_or_default())],
    };
    match rest.get("ends").and_then(Value::as_str) {
        Some("cut") => actions.push(Action::Close),
        Some(_) => actions.push(Action::Stall),
        None => {}
    }
    let headers = headers(given.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Course { delay: Duration::ZERO, status: *status, headers, actions: actions.into() }
}

/// Lets a real transport ask, and writes down what came.
pub(super) struct Recorder {
    inner: Arc<dyn Transport>,
    targets: Targets,
    tape: Arc<Tape>,
}

struct Tape {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    providers: BTreeMap<String, Provider>,
    /// In the order in which the requests came; what is not over yet is `None`.
    interactions: Vec<Option<Interaction>>,
    /// Why the file could not be written.
    failure: Option<Error>,
}

impl Transport for Recorder {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let Some((provider, target)) = self.targets.of(&request.url) else { return self.inner.send(request) };
        let take = match Take::begin(self.tape.clone(), provider, target, &request) {
            Ok(take) => take,
            Err(failure) => return Box::pin(std::future::ready(Err(failure))),
        };
        let sending = self.inner.send(request);
        Box::pin(async move {
            let mut take = take;
            match sending.await {
                Err(failure) => {
                    take.forget();
                    Err(failure)
                }
                Ok(HttpResponse { status, headers, body }) => {
                    let text = |value: &http::HeaderValue| value.to_str().ok().map(|value| take.secrets.out_of(value));
                    let kept = headers.iter().filter(|(name, _)| scrub::kept(name.as_str()));
                    let kept = kept.filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect();
                    take.head = Some((status, kept));
                    Ok(HttpResponse { status, headers, body: Body::new(Recorded { body, take }) })
                }
            }
        })
    }
}

/// One interaction, being recorded. Dropped before its end, it says that the client left.
struct Take {
    tape: Arc<Tape>,
    place: usize,
    provider: String,
    request: Request,
    secrets: Secrets,
    head: Option<(u16, BTreeMap<String, String>)>,
    pieces: Vec<Vec<u8>>,
    over: bool,
}

impl Take {
    fn begin(tape: Arc<Tape>, provider: &str, target: &Url, request: &HttpRequest) -> Result<Self> {
        let path = path_of(request);
        let secrets = Secrets::of(&request.headers, &path);
        let body = parsed(&secrets.out_of(&String::from_utf8_lossy(&request.body)));
        let asked = Request { method: request.method.to_string(), path: scrub::path(&path), body };
        let place = {
            let mut kept = tape.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(failure) = kept.failure.take() {
                return Err(failure);
            }
            kept.providers.entry(provider.to_owned()).or_insert_with(|| Provider { base_url: target.to_string() });
            kept.interactions.push(None);
            kept.interactions.len() - 1
        };
        let (provider, request) = (provider.to_owned(), asked);
        Ok(Take { tape, place, provider, request, secrets, head: None, pieces: Vec::new(), over: false })
    }

    /// Nothing was to be had.
    fn forget(&mut self) {
        self.over = true;
    }

    fn end(&mut self, ends: Option<&str>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let pieces = std::mem::take(&mut self.pieces);
        let response = self.head.take().map(|(status, headers)| {
            let kind = headers.get("content-type").cloned().unwrap_or_default();
            let rest = rest(self.secrets.out_of_pieces(pieces), &kind, ends);
            Response { status, headers, rest }
        });
        let one = Interaction { provider: self.provider.clone(), request: self.request.clone(), response };
        self.tape.keep(self.place, one);
    }
}

impl Drop for Take {
    fn drop(&mut self) {
        self.end(Some("left"));
    }
}

/// How a body is written down.
fn rest(pieces: Vec<Vec<u8>>, kind: &str, ends: Option<&str>) -> Map<String, Value> {
    let streams = ["text/event-stream", "application/x-ndjson", "application/vnd.amazon"];
    let mut rest = Map::new();
    if ends.is_none()
        && !streams.iter().any(|stream| kind.starts_with(stream))
        && let Ok(text) = String::from_utf8(pieces.concat())
    {
        // A number that not every language holds is kept as it is written.
        let long = text.as_bytes().windows(16).any(|digits| digits.iter().all(u8::is_ascii_digit));
        match serde_json::from_str::<Value>(&text) {
            Ok(json) if kind.contains("json") && !long && !json.is_string() => rest.insert("json".to_owned(), json),
            _ => rest.insert("body".to_owned(), text.into()),
        };
        return rest;
    }
    let pieces = pieces.iter().flat_map(|piece| events(piece, kind)).map(|piece| match String::from_utf8(piece) {
        Ok(text) => text.into(),
        Err(bytes) => json!({"base64": STANDARD.encode(bytes.as_bytes())}),
    });
    rest.insert("pieces".to_owned(), pieces.collect());
    if let Some(ends) = ends {
        rest.insert("ends".to_owned(), ends.into());
    }
    rest
}

/// What came at once, but was written one after the other: events, or lines.
fn events(piece: &[u8], kind: &str) -> Vec<Vec<u8>> {
    let ends: &[&[u8]] = match kind {
        _ if kind.starts_with("text/event-stream") => &[b"\n\n", b"\r\n\r\n"],
        _ if kind.starts_with("application/x-ndjson") => &[b"\n"],
        _ => &[],
    };
    let mut parts = vec![Vec::new()];
    for byte in piece {
        if let Some(part) = parts.last_mut() {
            part.push(*byte);
            if ends.iter().any(|end| part.ends_with(end)) {
                parts.push(Vec::new());
            }
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

impl Tape {
    /// Keeps an interaction, and writes the file anew.
    fn keep(&self, place: usize, one: Interaction) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = kept.interactions.get_mut(place) {
            *slot = Some(one);
        }
        let interactions: Vec<Interaction> = kept.interactions.iter().flatten().cloned().collect();
        // What was not answered is not told: an account may have many providers.
        let mut providers = kept.providers.clone();
        providers.retain(|name, _| interactions.iter().any(|one| one.provider == *name));
        let file = File { interfuse_cassette: VERSION, providers, interactions };
        let written = ledger::whole(&self.path, |out| {
            let mut json =
                serde_json::Serializer::with_formatter(out, serde_json::ser::PrettyFormatter::with_indent(b" "));
            let done = file.serialize(&mut json).map_err(std::io::Error::from);
            let done = done.and_then(|()| json.into_inner().write_all(b"\n"));
            done.map_err(|e| Error::new(ErrorKind::Storage, format!("the cassette cannot be written: {e}")))
        });
        if let Err(why) = written {
            tracing::error!(target: "interfuse", error = %why, "the cassette cannot be written");
            kept.failure = Some(why);
        }
    }
}

/// A body that is written down as it is read.
struct Recorded {
    body: Body,
    take: Take,
}

impl Stream for Recorded {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Poll::Ready(piece) = Pin::new(&mut this.body).poll_next(cx) else { return Poll::Pending };
        match &piece {
            Some(Ok(bytes)) => this.take.pieces.push(bytes.to_vec()),
            Some(Err(_)) => this.take.end(Some("cut")),
            None => this.take.end(None),
        }
        Poll::Ready(piece)
    }
}
