//! Clients for the tests of a program: they ask nobody.

use std::ffi::c_char;

use interfuse_core::testing::{self, Mode};

use crate::boundary::{Status, out, run};
use crate::client::{give, interfuse_client};
use crate::error::interfuse_error;
use crate::text;

/// Makes a client for the tests of a program: its providers answer from a script, without network. `script` is a JSON list,
/// such as [{"when": {"model": "m-a"}, "then": [{"status": 429}, {"answer": "Bern."}]}, {"answer": "Rome.", "delay_ms": 50}]:
/// routes, of which the first that holds answers, in turn, and bare answers for every other request; the last of each repeats.
///
/// `when` may hold `provider`, `method`, `path`, `path_ends`, `model`, `header`, `body` (a part of it), `body_contains` and
/// `last_role`. An answer is `answer` (a text, streamed if the request asks for it) with `tool_calls`, `finish_reason`, `usage`
/// and `breaks`, or one of `embeddings`, `json`, `body`, `sse` and `steps` (`send`, `delay_ms`, `stall`, `reset`, `close`);
/// beside it may stand `status`, `headers`, `delay_ms`, `chunk_delay_ms`, `cut_after` and `done`.
///
/// `config` (TOML or JSON) is the client's configuration, such as {"prices": {"up/m-a": {"input": "1", "output": "2"}}}, or
/// NULL. The providers that it names follow the script, `up` if it names none: ask for "up/m-a". Retries do not wait unless it
/// or an answer says how long. A request that no route takes is INTERFUSE_NOT_FOUND, code `script_without_route`.
///
/// Returns 0 and the client in `*client` (free it with interfuse_client_free), INTERFUSE_INVALID_REQUEST naming what in the
/// script is not understood, or INTERFUSE_INVALID_CONFIG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_client_scripted(
    script: *const c_char,
    config: *const c_char,
    client: *mut *mut interfuse_client,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(client, "client")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let script = unsafe { text::read(script, "script") }?.to_owned();
        // SAFETY: as above.
        let config = unsafe { text::read_optional(config, "config") }?.map(str::to_owned);
        *place = give(Box::new(move || testing::scripted(&script, config.as_deref())))?;
        Ok(Status::Ok)
    })
}

/// Makes a client for the tests of a program: what its providers answer is recorded into the file `path` once, and replayed
/// from it ever after, without network and keys. `mode` is "auto" (records where there is no file), "record" (replaces it) or
/// "replay" (needs it). `config` (TOML or JSON, or NULL) is the client's configuration; its providers, and those of the
/// catalogue whose keys the environment has, are recorded.
///
/// The file is there, whole, with each answer, and the same in every language. It holds no credential: no header of a request
/// is kept, few of an answer, and where a key (of 8 characters or more) is repeated in a text, it is taken out. A replay is
/// strict: every request is answered once per recording, whatever the order; one that is not there is INTERFUSE_NOT_FOUND,
/// code `not_in_cassette`.
///
/// Returns 0 and the client in `*client` (free it with interfuse_client_free), or INTERFUSE_INVALID_CONFIG, also for a file
/// that is no cassette, or cannot be found or made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_client_recorded(
    path: *const c_char,
    mode: *const c_char,
    config: *const c_char,
    client: *mut *mut interfuse_client,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(client, "client")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let (path, mode) = unsafe { (text::read(path, "path")?.to_owned(), text::read(mode, "mode")?) };
        // SAFETY: as above.
        let config = unsafe { text::read_optional(config, "config") }?.map(str::to_owned);
        let mode: Mode = mode.parse()?;
        *place = give(Box::new(move || testing::recorded(&path, mode, config.as_deref())))?;
        Ok(Status::Ok)
    })
}
