//! One attempt at one target: send, read, decode, book.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;

use super::booking::{Booking, Opening};
use super::entry::Entry;
use super::limits::{Attempted, Limits};
use super::operation::{Answer, Came, Operation};
use super::{Call, CallLog, Served};
use crate::backend::{Api, Host};
use crate::catalog::Circumstances;
use crate::clock::Clock;
use crate::error::{Attempt, AttemptKind, Dispatch, Error, ErrorKind, Result};
use crate::http::{self as net, HttpRequest, HttpResponse};
use crate::ledger::{self, Priced};
use crate::money::NanoUsd;
use crate::routing::Target;
use crate::types::quirks::ServedBy;
use crate::types::{Extra, Quirks, Usage};
use crate::wire::{Framing, Reply, WireTarget};

/// An attempt that the course has begun.
pub(super) struct Trial {
    place: usize,
    number: u32,
    target: Arc<Target>,
    /// What will be told of it.
    pub attempt: Attempt,
    pub booking: Booking,
}

impl Trial {
    /// At a place of the plan; `number` counts the attempts of the call, `waited` is how long the engine waited before it.
    pub fn new<O>(
        call: &Call<'_, O>,
        place: usize,
        entry: Entry,
        kind: Option<AttemptKind>,
        number: u32,
        waited: Duration,
    ) -> Self {
        let target = call.way.plan.routes.at(place).target.clone();
        let attempt = Attempt {
            provider: target.endpoint.id().to_owned(),
            model: target.model.clone(),
            key: target.endpoint.key.as_ref().map(|key| key.name.clone()),
            kind,
            error: None,
            status: None,
            message: None,
            dispatch: None,
            waited_ms: waited.as_millis() as u64,
            ms: 0,
            cost_nanos: None,
        };
        let opening = Opening { target: &target, number, kind, first: &call.way.log.first };
        let booking = Booking::open(call.engine, call.cx, opening, entry);
        Trial { place, number, target, attempt, booking }
    }

    pub fn number(&self) -> u32 {
        self.number
    }
}

/// How an attempt ended.
pub(super) struct Tried<A> {
    attempt: Attempt,
    ended: Ended<A>,
}

enum Ended<A> {
    Answered(A, Box<Booking>),
    /// Booked already.
    Failed(Error, Option<NanoUsd>),
}

impl<A: Answer> Tried<A> {
    pub fn answered(&self) -> bool {
        matches!(self.ended, Ended::Answered(..))
    }

    /// Notes it in the call's log.
    pub fn note(self, log: &mut CallLog) -> Result<A> {
        match self.ended {
            Ended::Answered(mut answer, booking) => {
                answer.settle(*booking, log, self.attempt);
                Ok(answer)
            }
            Ended::Failed(error, cost) => {
                log.costs.push(cost);
                log.attempts.push(self.attempt);
                Err(error)
            }
        }
    }
}

/// Makes an attempt.
pub(super) async fn make<O: Operation>(call: &Call<'_, O>, trial: Trial) -> Tried<O::Answer> {
    let Trial { place, target, mut attempt, mut booking, .. } = trial;
    let made = exchange(call, place, &target, &mut booking);
    let result = match tokio::time::timeout_at(call.way.log.deadline, made).await {
        Ok(result) => result,
        Err(_) => Err(call.way.log.deadline_passed(booking.bytes)),
    };
    attempt.ms = booking.started().elapsed().as_millis() as u64;
    let ended = match result {
        Ok(answer) => Ended::Answered(answer, Box::new(booking)),
        Err(error) => {
            let error = target.endpoint.redact(error).with_provider(target.endpoint.id()).with_model(&target.model);
            let body = error.body();
            attempt.error = Some(error.kind());
            attempt.status = body.status;
            attempt.message = Some(body.message.chars().take(500).collect());
            attempt.dispatch = Some(dispatch(&error, booking.sent));
            // What never left this machine costs nothing, nor does what was refused; anything else may have been billed.
            let refused = !booking.output && body.status.is_some_and(|s| s >= 400);
            if matches!(attempt.dispatch, Some(Dispatch::NotSent)) || refused {
                booking.usage(None, Priced { cost: Some(NanoUsd::ZERO), ..Priced::default() });
            }
            let cost = booking.cost();
            attempt.cost_nanos = cost.map(NanoUsd::nanos);
            target.learn(&error);
            booking.failed(&error);
            Ended::Failed(error, cost)
        }
    };
    Tried { attempt, ended }
}

fn dispatch(error: &Error, sent: bool) -> Dispatch {
    match error.body().details.get("dispatch").and_then(|d| d.as_str()) {
        _ if !sent => Dispatch::NotSent,
        Some("not_sent") => Dispatch::NotSent,
        _ if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidConfig) => Dispatch::NotSent,
        _ => Dispatch::Uncertain,
    }
}

async fn exchange<O: Operation>(
    call: &Call<'_, O>,
    place: usize,
    target: &Arc<Target>,
    booking: &mut Booking,
) -> Result<O::Answer> {
    let operation = &call.operation;
    let api = operation.api(target, call.engine)?;
    let wire = WireTarget { provider: target.endpoint.id(), model: &target.model, quirks: api.quirks() };
    let routes = &call.way.plan.routes;
    let (config, given) = (&call.engine.0.config.timeouts, operation.terms().timeouts);
    let watched = routes.len() > 1 || [Some(config), given].into_iter().flatten().any(|t| t.first_token_ms.is_some());
    let framing = operation.framing(api.protocol, &wire, watched);
    let encoded = operation.encode(api.protocol, &wire, framing.is_some())?;
    let limits = Limits::of(&Attempted {
        config,
        request: given,
        more: call.way.course.more(routes),
        reasoning: routes.at(place).reasoning,
        streamed: framing.is_some(),
    });
    let told = Told { headers: encoded.headers, body: Bytes::from(encoded.body), framing, limits: limits.net };
    let mut response = send(call, target, api, told, booking).await?;
    let request_id = net::request_id(&response.headers);
    if !(200..300).contains(&response.status) {
        return Err(refused(call.engine.clock(), &mut response, &wire, target).await);
    }
    if let Some(coding) = net::coding(&response.headers) {
        let why = "no coding was asked for; a proxy or a gateway on the way may have added it";
        let why = format!("the answer came in the content coding `{coding}`, which is not read: {why}");
        return Err(Error::new(ErrorKind::Decode, why));
    }
    let now = call.engine.clock().unix();
    let quirks = wire.quirks;
    let served = Box::new(Served {
        provider: wire.provider.to_owned(),
        model: wire.model.to_owned(),
        served_by: served_by(quirks.served_by.as_ref(), &response.headers),
        rate_limit: quirks.rate_limit.as_ref().and_then(|names| net::rate_limit(&response.headers, names, now)),
        dropped: encoded.dropped,
        request_id,
        ..Default::default()
    });
    booking.asked(served.request_id.as_ref());
    if let Some(limit) = &served.rate_limit {
        target.gates.key.told(Instant::now(), limit);
    }
    operation.read(Came { response, framing, limits, api, wire, target, served, now: now.as_secs(), booking }).await
}

/// What a target is told.
struct Told {
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    framing: Option<Framing>,
    limits: net::Limits,
}

/// Sends a request, once more where the proof of who calls had run out and another could be had.
async fn send<O: Operation>(
    call: &Call<'_, O>,
    target: &Target,
    api: &Api<O::Protocol>,
    told: Told,
    booking: &mut Booking,
) -> Result<HttpResponse> {
    let engine = &call.engine.0;
    let mut headers = api.headers(call.operation.terms().extra_headers)?;
    let Told { headers: wanted, body, framing, limits } = told;
    for (name, value) in wanted {
        let value = HeaderValue::from_str(&value).map_err(|e| Error::invalid_request(format!("{name}: {e}")))?;
        headers.entry(name).or_insert(value);
    }
    if let Some(framing) = framing {
        headers.insert(ACCEPT, HeaderValue::from_static(accept(framing)));
    }
    let mut request =
        HttpRequest { method: Method::POST, url: api.url(&target.model, framing.is_some())?, headers, body, limits };
    let Some(credential) = target.endpoint.credential() else {
        booking.sent = true;
        return engine.transport.send(request).await;
    };
    let host = Host { transport: &*engine.transport, clock: &*engine.clock };
    let again = credential.renews().then(|| request.clone());
    credential.authorize(&mut request, host).await.map_err(|e| e.with_dispatch(Dispatch::NotSent))?;
    api.place_key(&mut request.headers);
    booking.sent = true;
    let response = engine.transport.send(request).await?;
    match again {
        Some(mut request) if matches!(response.status, 401 | 403) && credential.renew() => {
            credential.authorize(&mut request, host).await?;
            api.place_key(&mut request.headers);
            engine.transport.send(request).await
        }
        _ => Ok(response),
    }
}

/// What a stream's body is asked to be.
fn accept(framing: Framing) -> &'static str {
    match framing {
        Framing::Sse => "text/event-stream",
        Framing::Ndjson => "application/x-ndjson",
        Framing::AwsEventStream => "application/vnd.amazon.eventstream",
    }
}

/// Fills what some vendors do not tell of an answer.
pub(super) fn complete(id: &mut String, model: &mut String, created: &mut u64, target: &Target, now: u64) {
    if id.is_empty() {
        *id = format!("chatcmpl-{}", crate::ids::new().replace('-', ""));
    }
    if model.is_empty() {
        model.clone_from(&target.model);
    }
    if *created == 0 {
        *created = now;
    }
}

/// Who really served, as headers tell it.
fn served_by(told: Option<&ServedBy>, headers: &HeaderMap) -> Option<String> {
    let Some(ServedBy::Header(name)) = told else { return None };
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Who really served, as the answer tells it.
pub(super) fn note_served_by(into: &mut Option<String>, told: Option<&ServedBy>, extra: &Extra) {
    if let Some(ServedBy::Field(name)) = told
        && let Some(who) = extra.get(name).and_then(|v| v.as_str())
    {
        *into = Some(who.to_owned());
    }
}

/// Cost of what a target answered just now, served in the tier that the answer names.
pub(super) fn price(
    target: &Target,
    quirks: &Quirks,
    usage: Option<&Usage>,
    extra: &Extra,
    service_tier: Option<&str>,
    now_ms: u64,
) -> Priced {
    let answer = ledger::Answer {
        usage,
        extra,
        wire: target.api.protocol.name(),
        stated: quirks.cost.as_ref(),
        target: (target.endpoint.id(), &target.model),
        circumstances: Circumstances {
            service_tier,
            batch: false,
            geo: target.model.split_once('.').map(|(geo, _)| geo),
            completed_ms: now_ms,
        },
    };
    Priced::of(&answer, target.price.as_ref().map(|(price, source)| (price, *source)))
}

/// An error found in an answer, with what shows its cause.
pub(super) fn told(mut error: Error, id: Option<&String>, body: &[u8]) -> Error {
    let told = error.body_mut();
    told.request_id = id.cloned();
    told.body = Some(String::from_utf8_lossy(&body[..body.len().min(net::MAX_ERROR_BODY)]).into_owned());
    error
}

/// The error of an answer that is too large to be held.
pub(super) fn too_large() -> Error {
    let why = format!("the answer is larger than {} MiB and was not read further", net::MAX_RESPONSE >> 20);
    Error::new(ErrorKind::Decode, why)
}

/// A body of bounded size, in one piece; a single piece is not copied.
pub(super) async fn read_whole(response: &mut HttpResponse, seen: &mut u64) -> Result<Bytes> {
    let announced =
        response.headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|n| n > net::MAX_RESPONSE) {
        return Err(too_large());
    }
    let Some(first) = response.body.next().await.transpose()? else { return Ok(Bytes::new()) };
    *seen += first.len() as u64;
    let Some(second) = response.body.next().await.transpose()? else { return Ok(first) };
    let mut whole = Vec::with_capacity(announced.unwrap_or(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    *seen = whole.len() as u64;
    while let Some(piece) = response.body.next().await.transpose()? {
        if whole.len() + piece.len() > net::MAX_RESPONSE {
            return Err(too_large());
        }
        whole.extend_from_slice(&piece);
        *seen = whole.len() as u64;
    }
    Ok(whole.into())
}

/// The error behind a status outside 200..300.
async fn refused(clock: &dyn Clock, response: &mut HttpResponse, wire: &WireTarget<'_>, target: &Target) -> Error {
    let status = response.status;
    if (300..400).contains(&status) {
        let to = response.headers.get(http::header::LOCATION).and_then(|v| v.to_str().ok()).unwrap_or("nowhere");
        let to: String = to.chars().take(200).collect();
        return Error::new(
            ErrorKind::InvalidConfig,
            format!("the server redirects to {to}; redirects are not followed, because a key must not travel: set `base_url` to the final address"),
        )
        .with_status(status);
    }
    let mut body = Vec::new();
    let patience = Instant::now() + Duration::from_secs(5);
    // The status says enough: a body that stalls or breaks must not hide it.
    while let Ok(Some(Ok(piece))) = tokio::time::timeout_at(patience, response.body.next()).await {
        let room = net::MAX_ERROR_BODY - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == net::MAX_ERROR_BODY {
            break;
        }
    }
    if let Some(coding) = net::coding(&response.headers) {
        body = format!("HTTP {status} with a body in the content coding `{coding}`, which is not read").into_bytes();
    }
    let reply = Reply { status, headers: &response.headers, body: &body };
    // A vendor tells its errors in the same way, whatever it is asked for.
    let mut error = target.api.protocol.decode_error(&reply, wire);
    let kind = error.kind();
    let told = error.body_mut();
    told.request_id = net::request_id(&response.headers);
    told.body = (!body.is_empty()).then(|| String::from_utf8_lossy(&body).into_owned());
    if let Some(retry) = net::should_retry(&response.headers) {
        told.retryable = retry;
    }
    if kind.retryable() {
        // A header outranks what a vendor tells in the body.
        if let Some(after) = net::retry_after(&response.headers, clock.unix()) {
            told.retry_after_ms = Some(after.as_millis() as u64);
        }
    }
    error
}
