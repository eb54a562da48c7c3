//! For the tests of a program: clients whose providers follow a script, or are recorded once and replayed ever after. No
//! network, no server: both stand in the place of the transport, so that everything else is as it is in earnest.
//!
//! The script's words and the cassette's file are those of the testing kits of Python and Node.
//!
//! ```
//! # fn main() -> interfuse::Result<()> {
//! let script = r#"[{"when": {"model": "m-a"}, "then": [{"status": 429}, {"answer": "Bern."}]}, {"answer": "Rome."}]"#;
//! let client = interfuse::testing::scripted(script, None)?;      // its provider is `up`: ask for `up/m-a`
//! # let _ = client;
//! # Ok(())
//! # }
//! ```

mod answer;
mod cassette;
mod play;
mod script;
mod scrub;

use std::path::Path;
use std::sync::Arc;

use url::Url;

pub use cassette::Mode;

use crate::backend::KeySources;
use crate::catalog::Catalog;
use crate::client::Client;
use crate::clock::SystemClock;
use crate::engine::Parts;
use crate::error::{Error, Result};
use crate::http::Transport;
use crate::types::{Config, ProviderConfig, RetryConfig};

/// Where scripted providers are said to be; such a name exists nowhere.
const NOWHERE: &str = "https://scripted.invalid";

/// A client whose providers answer from a script. `script` is a JSON list of routes, `{"when": {...}, "then": [...]}`, of
/// which the first that holds answers, in turn, and of bare answers for every other request; the last of each repeats.
///
/// - `when`: `provider`, `method`, `path`, `path_ends`, `model`, `header`, `body` (a part of it), `body_contains`, `last_role`.
/// - an answer: `answer` (a text, streamed if the request asks for it) with `tool_calls`, `finish_reason`, `usage`, `breaks`;
///   or `embeddings`, `json`, `body`, `sse`, `steps` (`send`, `delay_ms`, `stall`, `reset`, `close`); and `status`, `headers`,
///   `delay_ms`, `chunk_delay_ms`, `cut_after`, `done`.
///
/// `config` (TOML or JSON) is the client's configuration, its prices among it; the providers that it names follow the script,
/// `up` if it names none. Retries do not wait, unless it or an answer says how long. A request that no route takes fails with
/// `not_found`, code `script_without_route`.
///
/// # Errors
/// `invalid_request` naming what in the script is not understood; `invalid_config`.
pub fn scripted(script: &str, config: Option<&str>) -> Result<Client> {
    let script = play::Scripted::new(script)?;
    let mut config = parsed(config)?;
    if config.providers.is_empty() {
        config.providers.insert("up".to_owned(), ProviderConfig::default());
    }
    for (name, provider) in &mut config.providers {
        if provider.base_url.is_some() {
            let path = format!("providers.{name}.base_url");
            return Err(Error::invalid_config(path, "a scripted provider has no address"));
        }
        provider.base_url = Some(address(name)?);
        keyed(provider, &format!("key-of-{name}"));
    }
    config.use_environment = Some(false);
    if config.retries == RetryConfig::default() {
        config.retries = RetryConfig { base_ms: 1, max_ms: 1, ..RetryConfig::default() };
    }
    client(config, Arc::new(script))
}

/// A client whose providers are recorded into the file `path`, or replayed from it. With `config` (TOML or JSON) the providers
/// are its own besides those of the catalogue; the environment's keys count as ever.
///
/// The file is written anew with each answer and holds no credential: no header of a request is kept, few of an answer, and
/// where a key (of 8 characters or more) is repeated in a text, it is taken out. A replay needs no keys and is strict: every
/// request is answered once per recording, whatever the order; one that is not there fails with `not_found`, code
/// `not_in_cassette`. What providers of keys ask elsewhere (tokens) is not recorded.
///
/// # Errors
/// `invalid_config` for a file that is no cassette, or cannot be found or made.
pub fn recorded(path: impl AsRef<Path>, mode: Mode, config: Option<&str>) -> Result<Client> {
    let (config, transport) = cassette::open(path.as_ref(), mode, parsed(config)?)?;
    client(config, transport)
}

fn client(config: Config, transport: Arc<dyn Transport>) -> Result<Client> {
    let clock = Arc::new(SystemClock);
    let keys = KeySources::new();
    let transport = Some(transport);
    Client::with_parts(config, Parts { catalog: Catalog::builtin(), transport, web: None, ledger: None, clock, keys })
}

fn parsed(config: Option<&str>) -> Result<Config> {
    config.map_or_else(|| Ok(Config::default()), Config::parse)
}

/// Gives a provider a key where it has none of its own.
fn keyed(provider: &mut ProviderConfig, key: &str) {
    if provider.api_key_env.is_none() && provider.api_key_file.is_none() && provider.keys.is_empty() {
        provider.api_key.get_or_insert_with(|| key.to_owned());
    }
}

/// The address of a scripted provider, which tells its name.
fn address(name: &str) -> Result<String> {
    let bad = || Error::invalid_config(format!("providers.{name}"), "such a name has no place in an address");
    let mut url = Url::parse(NOWHERE).map_err(|_| bad())?;
    url.path_segments_mut().map_err(|()| bad())?.push(name).push("v1");
    Ok(url.into())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
