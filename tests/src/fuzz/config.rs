//! Configuration documents, well-formed or not, and clients made from those that are.

use interfuse::types::{Config, ProviderConfig};
use interfuse::{Client, ErrorKind};

/// A TOML or JSON document.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut read = match Config::parse(text) {
        Ok(read) => read,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
            assert!(error.body().param.is_some(), "the fault has no path: {error}");
            // A TOML fault shows its line; a name in it may be escaped.
            assert!(error.to_json().len() <= 32 * text.len() + 4096, "the error is larger than its cause");
            return;
        }
    };
    // What is read can be written and read again; only keys are lost.
    let written = serde_json::to_string(&read).expect("a configuration is JSON");
    let again = Config::parse(&written).expect("what was written is a configuration");
    let debug = format!("{read:?}");
    for provider in read.providers.values_mut() {
        assert_no_key(provider, &written, &debug);
        forget_keys(provider);
    }
    if !has_nan(&read) {
        assert_eq!(again, read);
    }
    // A client reads what a configuration names; files and variables of this machine are none of a fuzzer's business.
    let mut offline = again;
    offline.use_environment = Some(false);
    offline.network.ca_file = None;
    for provider in offline.providers.values_mut() {
        (provider.api_key_env, provider.api_key_file, provider.credentials) = (None, None, None);
        provider.keys.clear();
        provider.api_key = Some("a-key-for-the-fuzzer".to_owned());
    }
    if let Err(error) = Client::from_config(offline) {
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    }
}

/// Long enough to be no accident.
fn assert_no_key(provider: &ProviderConfig, written: &str, debug: &str) {
    let keys = provider.keys.iter().filter_map(|key| key.api_key.as_ref());
    for key in provider.api_key.iter().chain(keys).filter(|key| key.starts_with("canary-key-")) {
        assert!(!written.contains(key.as_str()) && !debug.contains(key.as_str()), "a key was written out");
    }
}

fn forget_keys(provider: &mut ProviderConfig) {
    provider.api_key = None;
    for key in &mut provider.keys {
        key.api_key = None;
    }
}

/// TOML knows numbers that JSON has no words for.
fn has_nan(config: &Config) -> bool {
    config.pools.values().any(|pool| format!("{pool:?}").contains("NaN") || format!("{pool:?}").contains("inf"))
}
