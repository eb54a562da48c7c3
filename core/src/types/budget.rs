//! Budgets: how much may be spent, by whom and in what time; and what is left of each.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Usd;

/// A limit to what may be spent. Before an attempt is sent, the most that it may cost is held against every budget that it
/// falls under, all of them or none; its cost then takes the place of what was held.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Most that may be spent in the window, decimal USD ("10.00").
    #[cfg_attr(feature = "schema", schemars(with = "super::bounds::Amount"))]
    pub limit_usd: Usd,
    /// In what time; `total` (all time) by default.
    #[serde(default, skip_serializing_if = "BudgetWindow::is_total")]
    #[cfg_attr(feature = "schema", schemars(with = "WindowForm"))]
    pub window: BudgetWindow,
    /// What falls under it: attempts with these values of `provider`, `model`, `key`, `purpose` or of a tag (`project`,
    /// `team`, ...). Nothing means every attempt.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub of: BTreeMap<String, String>,
    /// A budget of its own for every value of this name, each with the whole limit. Attempts without it share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// What happens to an attempt that does not fit; it is refused by default.
    #[serde(default)]
    pub mode: BudgetMode,
    /// What happens to an attempt whose price is not known: refused by default where the budget is enforced, else allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<OnUnpriced>,
    /// Tokens that an answer is taken to have at most where the request sets no `max_tokens`, in place of the model's own
    /// most, which few answers come near. Longer answers are paid all the same, and told as `settled_over`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_output_tokens: Option<NonZeroU64>,
}

/// What a budget does about an attempt that does not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetMode {
    /// It is refused before anything is sent, and the next route is tried.
    #[default]
    Enforce,
    /// It is made; the response says so, and the log once.
    Warn,
    /// It is made and only counted.
    Shadow,
}

/// What a budget does about an attempt whose price is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnUnpriced {
    /// It is refused.
    Refuse,
    /// It is made while anything is left; nothing is held for it.
    Allow,
}

/// The time in which a budget's limit holds. In documents: `"total"`, `{"rolling_s": 3600}`,
/// `{"calendar": "month", "time_zone": "Europe/Berlin"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BudgetWindow {
    /// All time.
    #[default]
    Total,
    /// The last seconds, at any moment.
    Rolling(NonZeroU64),
    /// The present day, week or month where a clock shows the time of this zone.
    Calendar(CalendarUnit, Option<String>),
}

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday (ISO 8601).
    Week,
    /// From the first of a month to the next.
    Month,
}

impl BudgetWindow {
    fn is_total(&self) -> bool {
        *self == BudgetWindow::Total
    }
}

/// How a window is written.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum WindowForm {
    /// All time.
    Word(WindowWord),
    /// The last seconds, or a stretch of the calendar.
    Of(WindowOptions),
}

/// A window without options.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum WindowWord {
    /// All time.
    Total,
}

/// The last seconds, or a stretch of the calendar.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "BudgetWindow"))]
#[serde(deny_unknown_fields)]
struct WindowOptions {
    /// The last so many seconds, at any moment; counted in slices of a sixty-fourth, so that up to that much more is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rolling_s: Option<NonZeroU64>,
    /// The present day, week (from Monday) or month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calendar: Option<CalendarUnit>,
    /// Where the day begins, by its IANA name (`Europe/Berlin`); `UTC` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
}

impl Serialize for BudgetWindow {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let options = match self.clone() {
            BudgetWindow::Total => return WindowForm::Word(WindowWord::Total).serialize(s),
            BudgetWindow::Rolling(seconds) => WindowOptions { rolling_s: Some(seconds), ..Default::default() },
            BudgetWindow::Calendar(unit, time_zone) => {
                WindowOptions { calendar: Some(unit), time_zone, ..Default::default() }
            }
        };
        WindowForm::Of(options).serialize(s)
    }
}

impl<'de> Deserialize<'de> for BudgetWindow {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = BudgetWindow;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`total`, or an object with `rolling_s`, or with `calendar` and `time_zone`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<BudgetWindow, E> {
                match text {
                    "total" => Ok(BudgetWindow::Total),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BudgetWindow, A::Error> {
                let given = WindowOptions::deserialize(de::value::MapAccessDeserializer::new(map))?;
                match given {
                    WindowOptions { rolling_s: Some(seconds), calendar: None, time_zone: None } => {
                        Ok(BudgetWindow::Rolling(seconds))
                    }
                    WindowOptions { rolling_s: None, calendar: Some(unit), time_zone } => {
                        Ok(BudgetWindow::Calendar(unit, time_zone))
                    }
                    _ => Err(de::Error::custom("give either `rolling_s`, or `calendar` and perhaps its `time_zone`")),
                }
            }
        }
        d.deserialize_any(V)
    }
}

/// Where a budget stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetState {
    /// Its name.
    pub budget: String,
    /// Of a budget with `each`: the name and the value it is for; null for attempts without it. Empty for others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, Option<String>>,
    /// What happens to an attempt that does not fit.
    pub mode: BudgetMode,
    /// Beginning of the present window, milliseconds since 1970-01-01 UTC; absent for `total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// End of the present window of the calendar, milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// The limit, nano-USD.
    pub limit_nanos: u64,
    /// The same as an exact decimal text in USD.
    pub limit_usd: String,
    /// Spent in the window, nano-USD; `unknown_nanos` is in it.
    pub spent_nanos: u64,
    /// The same as an exact decimal text in USD.
    pub spent_usd: String,
    /// Of `spent_nanos`, what stands for attempts whose cost is not known: the most that they may have cost.
    pub unknown_nanos: u64,
    /// Held for attempts under way, nano-USD.
    pub held_nanos: u64,
    /// What is neither spent nor held, nano-USD; 0 where more than the limit is.
    pub left_nanos: u64,
    /// The same as an exact decimal text in USD.
    pub left_usd: String,
    /// Attempts that cost more than the most that was held for them.
    pub settled_over: SettledOver,
    /// Attempts that did not fit: refused where the budget is enforced, else made all the same.
    pub exceeded: u64,
}

/// Attempts that cost more than was held for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettledOver {
    /// How many.
    pub count: u64,
    /// By how much together, nano-USD.
    pub nanos: u64,
}

/// An attempt that does not fit into a budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverBudget {
    /// The budget's name; `max_cost_usd` for the call's own, `batch.budget` for that of the batch it belongs to.
    pub budget: String,
    /// Of a budget with `each`: the name and the value it is for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, Option<String>>,
    /// Provider of the attempt.
    pub provider: String,
    /// Model, as it would be sent.
    pub model: String,
    /// Beginning of the window, milliseconds since 1970-01-01 UTC; absent for `total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// End of the window of the calendar, milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// The limit, nano-USD.
    pub limit_nanos: u64,
    /// Spent in the window, nano-USD; absent where it was not looked at, because the price of the attempt is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_nanos: Option<u64>,
    /// Held for attempts under way, nano-USD; absent as `spent_nanos` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_nanos: Option<u64>,
    /// The most that the attempt may cost, nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_nanos: Option<u64>,
    /// The same in a sentence.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use serde_json::json;

    fn refused(budget: serde_json::Value) -> (String, String) {
        let document = json!({"budgets": {"b": budget}}).to_string();
        let error = Config::parse(&document).unwrap_err();
        (error.body().param.clone().unwrap_or_default(), error.message().to_owned())
    }

    #[test]
    fn a_budget_is_written_as_it_was_read() {
        for window in [
            json!("total"),
            json!({"rolling_s": 3600}),
            json!({"calendar": "month", "time_zone": "Europe/Berlin"}),
            json!({"calendar": "week"}),
        ] {
            let read: BudgetWindow = serde_json::from_value(window.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), window);
        }
        let toml =
            "[budgets.a]\nlimit_usd = 2.5\nwindow = {calendar = \"day\"}\nof = {project = \"x\"}\neach = \"user\"";
        let config = Config::parse(toml).unwrap();
        let budget = &config.budgets["a"];
        assert_eq!((budget.limit_usd.pico(), budget.mode), (2_500_000_000_000, BudgetMode::Enforce));
        assert_eq!(budget.window, BudgetWindow::Calendar(CalendarUnit::Day, None));
        let again = Config::parse(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn what_is_no_budget_is_refused_where_it_stands() {
        for (budget, path) in [
            (json!({"limit_usd": "-1"}), "budgets.b.limit_usd"),
            (json!({"limit_usd": -1}), "budgets.b.limit_usd"),
            (json!({"limit_usd": "NaN"}), "budgets.b.limit_usd"),
            (json!({"limit_usd": "1e3"}), "budgets.b.limit_usd"),
            (json!({"limit_usd": null}), "budgets.b.limit_usd"),
            (json!({"limit_usd": "1", "window": "year"}), "budgets.b.window"),
            (json!({"limit_usd": "1", "window": {"rolling_s": 0}}), "budgets.b.window.rolling_s"),
            (json!({"limit_usd": "1", "window": {"rolling_s": -5}}), "budgets.b.window.rolling_s"),
            (json!({"limit_usd": "1", "window": {"calendar": "year"}}), "budgets.b.window.calendar"),
            (json!({"limit_usd": "1", "window": {"calender": "day"}}), "budgets.b.window.calender"),
            (json!({"limit_usd": "1", "window": {}}), "budgets.b.window"),
            (json!({"limit_usd": "1", "window": {"rolling_s": 5, "calendar": "day"}}), "budgets.b.window"),
            (json!({"limit_usd": "1", "window": {"rolling_s": 5, "time_zone": "UTC"}}), "budgets.b.window"),
            (json!({"limit_usd": "1", "mode": "block"}), "budgets.b.mode"),
            (json!({"limit_usd": "1", "of": {"project": 7}}), "budgets.b.of.project"),
            (json!({"limit_usd": "1", "assumed_output_tokens": 0}), "budgets.b.assumed_output_tokens"),
            (json!({"limit": "1"}), "budgets.b.limit"),
        ] {
            let (param, message) = refused(budget.clone());
            assert_eq!(param, path, "{budget}: {message}");
        }
        assert!(refused(json!({"mode": "warn"})).1.contains("limit_usd"));
        let toml = Config::parse("[budgets.b]\nlimit_usd = nan").unwrap_err();
        assert_eq!(toml.body().param.as_deref(), Some("budgets.b.limit_usd"), "{toml}");
    }
}
