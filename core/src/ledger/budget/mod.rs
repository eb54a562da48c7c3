//! Budgets, pure: which of them an attempt falls under, and what they say of it. Sums are kept by the store ([`Accounts`] in
//! memory), so that what is decided on is what is written.

mod accounts;
mod hold;
mod slot;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use accounts::Accounts;
pub use hold::{Claim, Hold, Over, Reserved, Reserving, Standing};
#[cfg(feature = "sqlite")]
pub(in crate::ledger) use slot::Slot;
pub(super) use window::zone;
pub use window::{Span, Window};

use crate::error::{Error, Result};
use crate::money::NanoUsd;
use crate::types::{BudgetConfig, BudgetMode, OnUnpriced};

/// One budget of the configuration, checked.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Most that may be spent in a window, nano-USD.
    pub limit: u64,
    /// The window.
    pub window: Window,
    /// Names and values that an attempt under it has.
    pub of: BTreeMap<String, String>,
    /// The name that has a budget of its own for each of its values.
    pub each: Option<String>,
    /// What happens to an attempt that does not fit.
    pub mode: BudgetMode,
    /// Whether attempts without a known price are refused.
    pub refuses_unpriced: bool,
    /// Tokens of the longest answer that is expected where the request sets no limit.
    pub assumed_output: Option<u64>,
}

impl Budget {
    /// The budgets of a configuration.
    ///
    /// # Errors
    /// `invalid_config` with the path of a limit that no number of nano-USD holds, or of a time zone that nobody knows.
    pub fn all(config: &BTreeMap<String, BudgetConfig>) -> Result<Vec<Arc<Budget>>> {
        config.iter().map(|(name, budget)| Budget::new(name, budget).map(Arc::new)).collect()
    }

    fn new(name: &str, config: &BudgetConfig) -> Result<Self> {
        let path = |field: &str| format!("budgets.{name}.{field}");
        // What is finer than a nano-USD is not spendable.
        let limit = NanoUsd::from_nanos(config.limit_usd.pico() / 1000).ok_or_else(|| {
            Error::invalid_config(path("limit_usd"), format!("{} is more than {} USD", config.limit_usd, NanoUsd::MAX))
        })?;
        let window = Window::new(&config.window).map_err(|why| Error::invalid_config(path("window.time_zone"), why))?;
        let refuses = match config.unpriced {
            Some(unpriced) => unpriced == OnUnpriced::Refuse,
            None => config.mode == BudgetMode::Enforce,
        };
        Ok(Budget {
            name: name.into(),
            limit: limit.nanos(),
            window,
            of: config.of.clone(),
            each: config.each.clone(),
            mode: config.mode,
            refuses_unpriced: refuses,
            assumed_output: config.assumed_output_tokens.map(std::num::NonZeroU64::get),
        })
    }

    /// Whether an attempt with these labels falls under it.
    pub fn covers<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.of.iter().all(|(name, value)| label(name) == Some(value))
    }

    /// What is counted, and by which slots, as text: two budgets of one name that agree in it have the same sums.
    pub fn form(&self) -> String {
        serde_json::json!({"of": self.of, "each": self.each, "window": self.window.form()}).to_string()
    }

    /// The group of a budget with `each` that is for this value, as reports name it.
    pub fn group(&self, value: Option<&str>) -> BTreeMap<String, Option<String>> {
        self.each.iter().map(|name| (name.clone(), value.map(str::to_owned))).collect()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
