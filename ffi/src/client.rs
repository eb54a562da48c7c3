//! The client handle, and everything asked of it.

use std::ffi::{CString, c_char};
use std::future::Future;

use futures_util::StreamExt as _;
use interfuse_core::host::{Call, EventStream, ForkSafe, log_as_environment_says, may_block};
use interfuse_core::types::{Config, Estimable, from_json};
use interfuse_core::{Client, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::boundary::{Status, out, quiet, run};
use crate::call::interfuse_call;
use crate::error::interfuse_error;
use crate::handle::{self, Handle};
use crate::stream::interfuse_stream;
use crate::text;

/// A client: configuration, connections and ledger. Any number of threads may use it at once. In a forked child it makes
/// its connections again, opens its ledger's file again, and without a file starts with an empty ledger.
pub struct interfuse_client {
    _opaque: [u8; 0],
}

type Made = Box<dyn Fn() -> Result<Client> + Send + Sync>;

impl Handle for interfuse_client {
    type Inner = ForkSafe<Client, Made>;
    const TAG: [u8; 8] = *b"ifclient";
    const NAME: &'static str = "client";
}

/// Makes a client. `config` is a TOML or JSON document, or NULL for the file that the variable INTERFUSE_CONFIG names,
/// or, when that is not set, the defaults: every vendor at its usual address with the key from its usual environment
/// variable. Keys are read now; a ledger's file (`ledger.path`) is opened now. Makes no connection.
///
/// A key that changes stands in a file: `api_key_file` is read again whenever the file has changed. There are no callbacks
/// for keys.
///
/// Returns 0 and the client in `*client` (free it with interfuse_client_free), or INTERFUSE_INVALID_CONFIG with the path
/// of the fault, or INTERFUSE_STORAGE when the ledger cannot be opened, or INTERFUSE_INVALID_REQUEST when the text is not
/// UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_client_new(
    config: *const c_char,
    client: *mut *mut interfuse_client,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(client, "client")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let config = match unsafe { text::read_optional(config, "config") }? {
            Some(document) => Config::parse(document)?,
            None => Config::from_environment()?,
        };
        *place = make(config)?;
        Ok(Status::Ok)
    })
}

/// Makes a client from a configuration file (TOML or JSON). As interfuse_client_new otherwise; a file that cannot be read
/// is INTERFUSE_INVALID_CONFIG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_client_from_file(
    path: *const c_char,
    client: *mut *mut interfuse_client,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(client, "client")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let path = unsafe { text::read(path, "path") }?;
        *place = make(Config::from_file(path)?)?;
        Ok(Status::Ok)
    })
}

/// Frees a client. Its calls and streams go on; with the last of them, what waits for its ledger is written. NULL does
/// nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_client_free(client: *mut interfuse_client) {
    // SAFETY: NULL or a handle that is not used any more, by contract.
    quiet((), || unsafe { handle::free(client) });
}

/// Asks one model and waits for the answer. `request` is a chat request in JSON; `*response` becomes the response in JSON
/// (free it with interfuse_string_free).
///
/// Returns 0 or the kind of failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_chat(
    client: *const interfuse_client,
    request: *const c_char,
    response: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(response, "response")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        *place = answer(async move { client.chat(request).await })?.into_raw();
        Ok(Status::Ok)
    })
}

/// Embeds one or several inputs and waits for the embeddings. `request` is an embedding request in JSON; `*response`
/// becomes the embeddings in JSON (free it with interfuse_string_free).
///
/// Returns 0 or the kind of failure, INTERFUSE_UNSUPPORTED where a provider gives no embeddings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_embeddings(
    client: *const interfuse_client,
    request: *const c_char,
    response: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(response, "response")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        *place = answer(async move { client.embeddings(request).await })?.into_raw();
        Ok(Status::Ok)
    })
}

/// Asks a pool of models, combines their answers and waits for the result. `request` is a fusion request in JSON;
/// `*result` becomes the answer with its report in JSON (free it with interfuse_string_free).
///
/// Returns 0 or the kind of failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_fuse(
    client: *const interfuse_client,
    request: *const c_char,
    result: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(result, "result")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        *place = answer(async move { client.fuse(request).await })?.into_raw();
        Ok(Status::Ok)
    })
}

/// As interfuse_chat, without waiting: `*call` gives the response later (free it with interfuse_call_free).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_chat_start(
    client: *const interfuse_client,
    request: *const c_char,
    call: *mut *mut interfuse_call,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(call, "call")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        *place = handle::give(self::call(async move { client.chat(request).await }));
        Ok(Status::Ok)
    })
}

/// As interfuse_embeddings, without waiting: `*call` gives the response later (free it with interfuse_call_free).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_embeddings_start(
    client: *const interfuse_client,
    request: *const c_char,
    call: *mut *mut interfuse_call,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(call, "call")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        *place = handle::give(self::call(async move { client.embeddings(request).await }));
        Ok(Status::Ok)
    })
}

/// As interfuse_fuse, without waiting: `*call` gives the result later (free it with interfuse_call_free).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_fuse_start(
    client: *const interfuse_client,
    request: *const c_char,
    call: *mut *mut interfuse_call,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(call, "call")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        *place = handle::give(self::call(async move { client.fuse(request).await }));
        Ok(Status::Ok)
    })
}

/// Asks one model for a streamed answer. Does not wait: `*stream` gives the chunks, and also the failure of a stream that
/// could not be opened (free it with interfuse_stream_free).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_chat_stream(
    client: *const interfuse_client,
    request: *const c_char,
    stream: *mut *mut interfuse_stream,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(stream, "stream")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        let events = EventStream::start(async move {
            let chunks = client.chat_stream(request).await?;
            Ok(chunks.map(|chunk| text::json(&chunk?)))
        });
        *place = handle::give(events);
        Ok(Status::Ok)
    })
}

/// Asks a pool and tells the progress as events; the last, `run_done`, carries the result. Does not wait: `*stream` gives
/// the events, and also the failure of a fusion that could not start (free it with interfuse_stream_free).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_fuse_stream(
    client: *const interfuse_client,
    request: *const c_char,
    stream: *mut *mut interfuse_stream,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(stream, "stream")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        let events = EventStream::start(async move {
            let events = client.fuse_stream(request).await?;
            Ok(events.map(|event| text::json(&event?)))
        });
        *place = handle::give(events);
        Ok(Status::Ok)
    })
}

/// How the backend of a chat would be chosen now: who is considered, who is left out and why, in which order. `request` is
/// a chat request in JSON; `*explanation` becomes JSON (free it with interfuse_string_free). When nobody is left, its
/// `refused` is the error that a call would end with. Makes no connection.
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST or INTERFUSE_NOT_FOUND for a request that leads nowhere whoever is asked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_explain(
    client: *const interfuse_client,
    request: *const c_char,
    explanation: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(explanation, "explanation")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask(client, request) }?;
        *place = text::json(&client.explain(&request)?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// What a request may cost: hardly less, likely, at most. `request` is a chat request in JSON, or a fuse request (which has a
/// `prompt` or a `pool`, or names no model): of a chat it is told for every place that it may go to, of a fusion stage by
/// stage. `*estimate` becomes JSON (free it with interfuse_string_free). Makes no connection.
///
/// Returns 0, or the kind of failure of a request that leads nowhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_estimate(
    client: *const interfuse_client,
    request: *const c_char,
    estimate: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(estimate, "estimate")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<Value>(client, request) }?;
        *place = text::json(&client.estimate(Estimable::from_value(&request)?)?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// Takes the prices of a published list: LiteLLM's map, models.dev's api.json, the list of models of OpenRouter or of
/// Hugging Face's router, or genai-prices' data.json, seen from its shape. They hold for calls that begin from now on;
/// configured prices outrank them, and they outrank the catalogue's. `*loaded` becomes JSON that tells how many rows were
/// taken and which were refused (free it with interfuse_string_free). A forked child starts without them.
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST for a document of no known form, or one of which no row can be taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_load_prices(
    client: *const interfuse_client,
    list: *const c_char,
    loaded: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(loaded, "loaded")?;
        // SAFETY: NULL or a live handle, NULL or NUL-terminated, by contract.
        let (client, list) = unsafe { (handle::look(client)?, text::read(list, "list")?) };
        *place = text::json(&client.get()?.load_prices(list.as_bytes())?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// The models of the catalogue with who serves them at what price, as a JSON list in `*models` (free it with
/// interfuse_string_free). Makes no connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_models(
    client: *const interfuse_client,
    models: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(models, "models")?;
        // SAFETY: NULL or a live handle, by contract.
        let client = unsafe { handle::look(client) }?;
        *place = text::json(&client.get()?.models()?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// The backends with whether a key was found (never the key), as a JSON list in `*providers` (free it with
/// interfuse_string_free). Makes no connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_providers(
    client: *const interfuse_client,
    providers: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(providers, "providers")?;
        // SAFETY: NULL or a live handle, by contract.
        let client = unsafe { handle::look(client) }?;
        *place = text::json(&client.get()?.providers()?)?.into_raw();
        Ok(Status::Ok)
    })
}

fn make(config: Config) -> Result<*mut interfuse_client> {
    give(Box::new(move || Client::from_config(config.clone())))
}

/// A handle of the client that this makes, here and after a fork anew.
pub(crate) fn give(made: Made) -> Result<*mut interfuse_client> {
    log_as_environment_says()?;
    crate::fork::watch();
    Ok(handle::give(ForkSafe::new(made)?))
}

/// What every question starts with.
///
/// # Safety
/// `client` is NULL or a live handle, `request` NULL or NUL-terminated.
pub(crate) unsafe fn ask<R: DeserializeOwned>(
    client: *const interfuse_client,
    request: *const c_char,
) -> Result<(Client, R)> {
    // SAFETY: promised by the caller.
    let (client, request) = unsafe { (handle::look(client)?, text::read(request, "request")?) };
    Ok((client.get()?.clone(), from_json("request", request)?))
}

/// A call whose result is made JSON text where it runs.
pub(crate) fn call<T: Serialize>(answer: impl Future<Output = Result<T>> + Send + 'static) -> Call<CString> {
    Call::start(async move { text::json(&answer.await?) })
}

/// Its result, waited for. Where a thread may not wait, nothing is asked.
pub(crate) fn answer<T: Serialize>(answer: impl Future<Output = Result<T>> + Send + 'static) -> Result<CString> {
    may_block()?;
    call(answer).join()
}
