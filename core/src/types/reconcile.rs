//! Reconciliation: reports of vendors in; what they say otherwise than the ledger, and why, out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Rates, Tags};

/// Why a vendor's figure and the ledger's are what they are beside each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Residual {
    /// They are equal.
    #[default]
    Matched,
    /// They differ by no more than rounding can: half of the last digit of every amount that was added up.
    Rounded,
    /// An attempt stands on the other side of an hour's or a day's edge.
    Timing,
    /// Not for tokens: tools that the ledger does not count, storage, taxes, credits, commitments.
    NonToken,
    /// The counts are equal and the money is not: the price here is not the vendor's.
    PriceDrift,
    /// The counts differ: a stream that was cancelled, usage that was not told, or somebody else's within the same sum.
    UsageDrift,
    /// The vendor tells of what the ledger does not have: another client uses the key, or a charge made twice.
    MissingLocal,
    /// The ledger has what the vendor does not tell of: it comes later, or was free.
    MissingVendor,
}

impl Residual {
    /// Every class.
    pub const ALL: [Residual; 8] = [
        Residual::Matched,
        Residual::Rounded,
        Residual::Timing,
        Residual::NonToken,
        Residual::PriceDrift,
        Residual::UsageDrift,
        Residual::MissingLocal,
        Residual::MissingVendor,
    ];

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Residual::Matched => "matched",
            Residual::Rounded => "rounded",
            Residual::Timing => "timing",
            Residual::NonToken => "non_token",
            Residual::PriceDrift => "price_drift",
            Residual::UsageDrift => "usage_drift",
            Residual::MissingLocal => "missing_local",
            Residual::MissingVendor => "missing_vendor",
        }
    }

    /// Whether the class alone says why there is a difference; of the others somebody has to find out.
    pub fn explained(self) -> bool {
        matches!(self, Residual::Matched | Residual::Rounded | Residual::Timing | Residual::NonToken)
    }
}

/// What a vendor billed more or less than the ledger has. Kept beside the records, which are never changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Correction {
    /// Follows from the report's bytes and what in it is corrected, so that the same one is posted once.
    pub id: String,
    /// Milliseconds since 1970-01-01 UTC: beginning of the hour or day it is about, or the corrected attempt's start.
    pub at_ms: u64,
    /// End of that hour or day; absent for a single attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Provider id.
    pub provider: String,
    /// Model: as the corrected attempts asked for it where all asked alike, else its canonical id; absent where the vendor
    /// tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name of the key, where vendor and ledger tell keys apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Labels that all corrected attempts share.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
    /// Id of the ledger's record, where one attempt is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The vendor's id of the request or answer, where it tells single ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Why.
    pub residual: Residual,
    /// Vendor's amount minus the ledger's, nano-USD.
    pub delta_nanos: i64,
    /// SHA-256 of the report.
    pub file: String,
    /// Number of the first of the report's rows that it rests on, from 1; absent where the report has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
}

/// What to reconcile with, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconcileOptions {
    /// The provider whose reports these are, as the ledger calls it; needed where a report does not tell (FOCUS of a
    /// reseller) or where the backend has a name of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The most that may stay unexplained of a model's day, as a share of its amount: `"0.5%"` (default) or `"0.005"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
    /// Names of keys here by the vendor's ids for them (`{"key_abc": "search"}`); an empty name is the key without one.
    /// What is billed to keys that are not named is nobody's here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// Whether the differences are posted to the ledger as corrections; only reported by default.
    #[serde(default)]
    pub post: bool,
}

/// One report of a vendor, as it was downloaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VendorReport {
    /// Its name, for messages.
    pub name: String,
    /// JSON or CSV.
    pub content: String,
}

/// Reports and options in one document, as C and Node hand them over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {
    /// The reports; those of one vendor are read together.
    pub files: Vec<VendorReport>,
    /// How.
    #[serde(default)]
    pub options: ReconcileOptions,
}

/// How vendors' reports and the ledger agree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reconciliation {
    /// Whether no model's day has more unexplained than the tolerance, and no report had rows that could not be read.
    pub ok: bool,
    /// What was read.
    pub files: Vec<ImportedReport>,
    /// One row per provider, model and day, in that order of days.
    pub days: Vec<ModelDay>,
    /// Sum over all days.
    pub total: ReconciledSum,
    /// The largest differences, the largest first.
    pub offenders: Vec<Difference>,
    /// Prices that would explain the drift; never applied.
    pub proposals: Vec<PriceProposal>,
    /// Corrections posted now; those that were posted before are not posted again.
    pub posted: u64,
    /// Whether every record of the times in question was still there to be read.
    pub complete: bool,
    /// What else one should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A report that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedReport {
    /// Its name.
    pub name: String,
    /// Whose form it has: `openai.costs`, `anthropic.usage`, `aws.cur`, `focus`, ...
    pub format: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Rows taken.
    pub rows: u64,
    /// Rows about what is not inference (the rest of a cloud's bill).
    pub skipped: u64,
    /// Rows left out because they could not be read, or stood there before.
    pub refused: Vec<RefusedRow>,
    /// Corrections from these very bytes that the ledger has already.
    pub corrections_before: u64,
}

/// A row that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedRow {
    /// Its number, from 1: a CSV's rows after the heading, a JSON's results over all its pages.
    pub row: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it only repeats a row before it (a page that was kept twice), which harms nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// One model's day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelDay {
    /// Day in UTC, `YYYY-MM-DD`; the first one of a period that the vendor tells as a whole.
    pub day: String,
    /// Provider id.
    pub provider: String,
    /// Canonical id or the vendor's name of the model; absent for what belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub sum: ReconciledSum,
    /// Whether the unexplained share is within the tolerance.
    pub ok: bool,
}

/// Amounts of vendor and ledger beside each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReconciledSum {
    /// Sum of the ledger's records, nano-USD.
    pub ours_nanos: i64,
    /// Sum of the corrections posted before, nano-USD.
    pub corrections_nanos: i64,
    /// The vendor's sum, nano-USD; where it tells counts only, these at the prices known.
    pub vendor_nanos: i64,
    /// Vendor minus ledger with its corrections, nano-USD.
    pub delta_nanos: i64,
    /// Sum of the sizes of the differences that their class does not explain, nano-USD.
    pub unexplained_nanos: i64,
    /// One minus the unexplained part of the larger amount; 1 where there is nothing at all.
    pub explained_share: f64,
    /// Sums of the differences by class, nano-USD, without those that are zero.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, i64>,
    /// Attempts of the ledger whose cost is unknown: they count as 0 in `ours_nanos`.
    #[serde(default)]
    pub cost_unknown: u64,
    /// Whether some of the vendor's amount is counts at the prices known, because no price is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub priced_here: bool,
    /// Units that the vendor tells and whose price is not known, so that they are in no sum.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced_units: u64,
}

/// One difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// What would be posted.
    #[serde(flatten)]
    pub correction: Correction,
    /// Day in UTC.
    pub day: String,
    /// The vendor's rows in question, at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<u64>,
    /// In words.
    pub reason: String,
}

/// A price that would explain the drift.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PriceProposal {
    /// Provider id.
    pub provider: String,
    /// Model as sent to the provider.
    pub model: String,
    /// The rates that the vendor's amounts follow.
    pub rates: Rates,
    /// The rates that the ledger computed with, of the same classes.
    pub were: Rates,
    /// First day that shows it.
    pub first_day: String,
    /// Last day that shows it.
    pub last_day: String,
    /// Hours or days that show it.
    pub seen: u64,
    /// The lines for a TOML configuration.
    pub snippet: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
