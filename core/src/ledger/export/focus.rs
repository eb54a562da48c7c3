//! Charges in the FinOps Open Cost and Usage Specification (FOCUS), dataset Cost and Usage, versions 1.2 to 1.4, as CSV.
//! Columns and their rules: <https://focus.finops.org/focus-specification/>; what is ours alone begins with `x_`.
//!
//! A row is a charge: the units of one class of one attempt at one price. Unit price times quantity is the list and the
//! contracted cost exactly; billed and effective costs are whole nano-USD that add up to what the ledger booked, which is the
//! provider's own figure where it states one. A cost that is stated without a known price is one request at that price.
//! Corrections of reconciliation follow as rows of the class Correction.
//! FOCUS demands a number for every cost: where it is unknown the row has 0, and `x_CostUnknown` says so.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use super::csv::{Cell, Csv};
use super::{Party, Tally};
use crate::catalog::{Rate, cost_at};
use crate::error::Result;
use crate::ledger::LedgerStore;
use crate::ledger::question::word;
use crate::types::{Class, Confidence, Correction, CostSource, Exported, FocusVersion, LedgerRecord, UsageQuery};

use FocusVersion::{V1_2, V1_3, V1_4};

/// Writes the charges of the attempts that a question chooses.
pub(super) fn write(
    store: &dyn LedgerStore,
    query: &UsageQuery,
    version: FocusVersion,
    parties: &BTreeMap<String, Party>,
    out: &mut dyn Write,
) -> Result<Exported> {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| column.versions.contains(&version)).collect();
    let mut csv = Csv::new(out, columns.iter().map(|column| column.name))?;
    let mut tally = Tally::default();
    let nobody = Party::default();
    let complete = store.records(query, &mut |record| {
        let attempt = Attempt::new(record, parties.get(&record.provider).unwrap_or(&nobody));
        let charges = charges(record);
        tally.count(record, charges.len() as u64);
        charges.iter().try_for_each(|charge| csv.row(columns.iter().map(|column| (column.cell)(&attempt, charge))))
    })?;
    store.corrections(query, &mut |correction| {
        let record = corrected(correction);
        let attempt = Attempt::new(&record, parties.get(&record.provider).unwrap_or(&nobody));
        let charge = Charge { correction: Some(correction.delta_nanos), ..Charge::request(Some(0)) };
        tally.correct(correction);
        csv.row(columns.iter().map(|column| match UNPRICED.contains(&column.name) {
            true => Cell::None,
            false => (column.cell)(&attempt, &charge),
        }))
    })?;
    Ok(tally.exported(complete))
}

/// What a correction has nothing in: it is an amount, without units at a price.
const UNPRICED: [&str; 14] = [
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "x_Outcome",
];

/// A correction as a record, as far as it says what a record says.
fn corrected(correction: &Correction) -> LedgerRecord {
    let model = correction.model.clone().unwrap_or_default();
    LedgerRecord {
        id: correction.id.clone(),
        parent: correction.record.clone(),
        at_ms: correction.at_ms,
        latency_ms: correction.until_ms.map_or(0, |until| until.saturating_sub(correction.at_ms)),
        provider: correction.provider.clone(),
        model_sent: model.clone(),
        model,
        key: correction.key.clone(),
        request_id: correction.vendor_id.clone(),
        cost_source: Some(CostSource::Provider),
        confidence: Confidence::Reported,
        flags: vec![word(correction.residual).into_owned()],
        tags: correction.tags.clone(),
        ..LedgerRecord::default()
    }
}

/// What all charges of an attempt share.
struct Attempt<'a> {
    record: &'a LedgerRecord,
    party: &'a Party,
    /// Name of the service.
    service: String,
    /// Whose service it is, and who runs the machines.
    vendor: String,
    start: String,
    end: String,
    month: String,
    next_month: String,
    tags: Option<String>,
    flags: String,
}

/// Vendors whose services have names of their own, by the beginning of the provider's id.
const VENDORS: &[(&str, &str)] = &[
    ("bedrock", "Amazon Web Services"),
    ("azure", "Microsoft"),
    ("vertex", "Google Cloud"),
    ("gemini", "Google Cloud"),
    ("cloudflare", "Cloudflare"),
    ("github", "GitHub"),
];

impl<'a> Attempt<'a> {
    fn new(record: &'a LedgerRecord, party: &'a Party) -> Self {
        // What a name says in brackets is of protocols, not of bills.
        let name = party.name.as_deref().unwrap_or(&record.provider);
        let service = name.split(" (").next().unwrap_or(name).to_owned();
        let vendor = VENDORS.iter().find(|(id, _)| record.provider.starts_with(id));
        let vendor = vendor.map_or_else(|| service.clone(), |(_, name)| (*name).to_owned());
        let start_s = (record.at_ms / 1000) as i64;
        // Exclusive, and later than the start.
        let end_s = record.at_ms.saturating_add(record.latency_ms).div_ceil(1000).max(record.at_ms / 1000 + 1) as i64;
        let (month, next_month) = months(start_s);
        let tags = (!record.tags.is_empty()).then(|| json!(record.tags).to_string());
        Attempt {
            record,
            party,
            service,
            vendor,
            start: second(start_s),
            end: second(end_s),
            month,
            next_month,
            tags,
            flags: record.flags.join(" "),
        }
    }

    fn account(&self) -> &str {
        let billing = &self.party.billing;
        billing.account_id.as_deref().or(self.record.key.as_deref()).unwrap_or(&self.record.provider)
    }

    fn issuer(&self) -> &str {
        self.party.billing.invoice_issuer.as_deref().unwrap_or(&self.vendor)
    }
}

fn second(unix: i64) -> String {
    Timestamp::from_second(unix).map(|at| at.to_string()).unwrap_or_default()
}

/// The first instants of a moment's month and of the next, UTC.
fn months(unix: i64) -> (String, String) {
    let first = Timestamp::from_second(unix).ok().map(|at| at.to_zoned(TimeZone::UTC).date().first_of_month());
    let instant =
        |date: jiff::civil::Date| date.to_zoned(TimeZone::UTC).map(|at| at.timestamp().to_string()).unwrap_or_default();
    let next = first.and_then(|first| first.checked_add(1.month()).ok());
    (first.map(instant).unwrap_or_default(), next.map(instant).unwrap_or_default())
}

/// What is measured and priced in one row.
struct Charge {
    /// Class of its units; none where the whole request has one cost.
    class: Option<Class>,
    /// Units.
    count: u64,
    /// Pico-USD per unit.
    rate: u128,
    /// Its part of the attempt's cost.
    nanos: u64,
    unknown: bool,
    /// Of a correction: its amount, nano-USD.
    correction: Option<i64>,
}

impl Charge {
    /// Of a whole request: units are requests.
    fn request(nanos: Option<u64>) -> Charge {
        let rate = u128::from(nanos.unwrap_or(0)) * 1000;
        Charge { class: None, count: 1, rate, nanos: nanos.unwrap_or(0), unknown: nanos.is_none(), correction: None }
    }

    fn meter(&self) -> Meter {
        meter(self.class)
    }

    /// Pico-USD.
    fn pico(&self) -> u128 {
        u128::from(self.count) * self.rate
    }
}

/// The charges of an attempt; their parts of the cost add up to it.
fn charges(record: &LedgerRecord) -> Vec<Charge> {
    let Some(cost) = record.cost_nanos else { return vec![Charge::request(None)] };
    let priced = record.price.as_ref().and_then(|price| cost_at(&price.rates, &record.units).ok());
    let Some(priced) = priced.filter(|priced| !priced.lines.is_empty()) else {
        return vec![Charge::request(Some(cost))];
    };
    let line = |(class, count, rate): &(Class, u64, Rate)| Charge {
        class: Some(*class),
        count: *count,
        rate: u128::from(rate.pico()),
        nanos: 0,
        unknown: false,
        correction: None,
    };
    let mut charges: Vec<Charge> = priced.lines.iter().map(line).collect();
    share(cost, &mut charges);
    charges
}

/// Shares a cost out by what each charge would cost, to the last nano-USD: whole shares first, then one each by the largest
/// remainders.
fn share(cost: u64, charges: &mut [Charge]) {
    let all: u128 = charges.iter().map(Charge::pico).sum();
    if all == 0 {
        if let Some(first) = charges.first_mut() {
            first.nanos = cost;
        }
        return;
    }
    let mut left = cost;
    let mut remainders = Vec::with_capacity(charges.len());
    for (at, charge) in charges.iter_mut().enumerate() {
        // Below 2^53 times at most 2^75: it fits.
        let parts = u128::from(cost).saturating_mul(charge.pico());
        charge.nanos = (parts / all) as u64;
        left -= charge.nanos.min(left);
        remainders.push((std::cmp::Reverse(parts % all), at));
    }
    remainders.sort_unstable();
    for (_, at) in remainders.into_iter().take(left as usize) {
        charges[at].nanos += 1;
    }
}

/// How units of a class are called, measured and priced.
struct Meter {
    /// `SkuMeter`.
    name: &'static str,
    /// What is consumed, and as how many decimals of it one unit counts.
    consumed: (&'static str, u32),
    /// What has a price, and the decimal of it that one unit is.
    priced: (&'static str, u32),
    /// Which way tokens go.
    direction: Option<&'static str>,
    /// What a cache does with them.
    cache: Option<&'static str>,
}

fn meter(class: Option<Class>) -> Meter {
    let tokens = |name, direction, cache| Meter {
        name,
        consumed: ("Tokens", 0),
        priced: ("1000000 Tokens", 6),
        direction: Some(direction),
        cache,
    };
    let fee = |name, priced| Meter { name, consumed: ("Requests", 0), priced, direction: None, cache: None };
    match class {
        None => fee("Requests", ("Requests", 0)),
        Some(Class::Input) => tokens("Input Tokens", "Input", None),
        Some(Class::CacheRead) => tokens("Cached Input Tokens", "Input", Some("Read")),
        Some(Class::CacheWrite) => tokens("Cache Write Tokens", "Input", Some("Write")),
        Some(Class::CacheWrite5m) => tokens("Cache Write Tokens, 5 Minutes", "Input", Some("Write")),
        Some(Class::CacheWrite1h) => tokens("Cache Write Tokens, 1 Hour", "Input", Some("Write")),
        Some(Class::InputAudio) => tokens("Audio Input Tokens", "Input", None),
        Some(Class::CacheReadAudio) => tokens("Cached Audio Input Tokens", "Input", Some("Read")),
        Some(Class::InputImage) => tokens("Image Input Tokens", "Input", None),
        Some(Class::CacheReadImage) => tokens("Cached Image Input Tokens", "Input", Some("Read")),
        Some(Class::Output) => tokens("Output Tokens", "Output", None),
        Some(Class::Reasoning) => tokens("Reasoning Tokens", "Output", None),
        Some(Class::OutputAudio) => tokens("Audio Output Tokens", "Output", None),
        Some(Class::OutputImage) => tokens("Image Output Tokens", "Output", None),
        Some(Class::Request) => fee("Requests", ("Requests", 0)),
        Some(Class::WebSearch) => fee("Web Searches", ("1000 Requests", 3)),
        Some(Class::ToolCall) => fee("Tool Calls", ("1000 Requests", 3)),
        Some(Class::SearchUnit) => fee("Search Units", ("1000 Requests", 3)),
        // Counted in milliseconds.
        Some(Class::Seconds) => Meter {
            name: "Audio Seconds",
            consumed: ("Seconds", 3),
            priced: ("1000 Seconds", 6),
            direction: None,
            cache: None,
        },
    }
}

/// `value` divided by 10^`decimals`, exactly, with at least one decimal: a validator takes `1000` for another type.
fn decimal(value: u128, decimals: u32) -> String {
    let unit = 10u128.pow(decimals);
    let fraction = format!("{:0width$}", value % unit, width = decimals as usize);
    let fraction = if decimals == 0 { "" } else { fraction.trim_end_matches('0') };
    format!("{}.{}", value / unit, if fraction.is_empty() { "0" } else { fraction })
}

/// What a column holds for a charge of an attempt.
type Content = for<'a> fn(&'a Attempt<'_>, &'a Charge) -> Cell<'a>;

/// A column.
struct Column {
    name: &'static str,
    versions: &'static [FocusVersion],
    cell: Content,
}

const ALL: &[FocusVersion] = &[V1_2, V1_3, V1_4];
const TO_1_3: &[FocusVersion] = &[V1_2, V1_3];
const FROM_1_3: &[FocusVersion] = &[V1_3, V1_4];

const fn in_all(name: &'static str, cell: Content) -> Column {
    Column { name, versions: ALL, cell }
}

fn plain(text: &str) -> Cell<'static> {
    Cell::Plain(text.to_owned())
}

/// What the units cost at their price, exactly.
fn listed<'a>(_: &'a Attempt<'_>, charge: &'a Charge) -> Cell<'a> {
    charge.correction.map_or_else(|| Cell::Plain(decimal(charge.pico(), 12)), amount)
}

/// A correction's amount.
fn amount<'a>(delta: i64) -> Cell<'a> {
    let sign = if delta < 0 { "-" } else { "" };
    Cell::Plain(format!("{sign}{}", decimal(delta.unsigned_abs().into(), 9)))
}

/// What was booked.
fn booked<'a>(_: &'a Attempt<'_>, charge: &'a Charge) -> Cell<'a> {
    charge.correction.map_or_else(|| Cell::Plain(decimal(u128::from(charge.nanos), 9)), amount)
}

fn unit_price<'a>(_: &'a Attempt<'_>, charge: &'a Charge) -> Cell<'a> {
    let (_, decimals) = charge.meter().priced;
    Cell::Plain(decimal(charge.rate, 12 - decimals))
}

fn currency<'a>(_: &'a Attempt<'_>, _: &'a Charge) -> Cell<'a> {
    plain("USD")
}

fn none<'a>(_: &'a Attempt<'_>, _: &'a Charge) -> Cell<'a> {
    Cell::None
}

/// What is bought, whatever it costs: provider, model, what replaced the base price, class.
fn sku(record: &LedgerRecord, charge: &Charge, with_label: bool) -> String {
    let class = charge.class.map_or("request", Class::name);
    let label = record.price.as_ref().and_then(|price| {
        let rest = price.id.strip_prefix(&format!("{}/{}", record.provider, record.model_sent))?;
        // After the date of the price, which is no part of what is bought.
        let dated = price.as_of.as_deref().and_then(|date| rest.strip_prefix('@')?.strip_prefix(date));
        dated.unwrap_or(rest).strip_prefix('@')
    });
    let label = label.filter(|_| with_label && charge.class.is_some()).map(|l| format!("@{l}")).unwrap_or_default();
    format!("{}/{}{label}/{class}", record.provider, record.model_sent)
}

fn details(record: &LedgerRecord, meter: &Meter) -> String {
    let mut details = serde_json::Map::new();
    details.insert("x_ModelId".to_owned(), json!(record.model_sent));
    for (name, value) in [("x_TokenDirection", meter.direction), ("x_TokenCacheAction", meter.cache)] {
        value.into_iter().for_each(|value| drop(details.insert(name.to_owned(), json!(value))));
    }
    serde_json::Value::Object(details).to_string()
}

fn description(attempt: &Attempt<'_>, charge: &Charge) -> String {
    let record = attempt.record;
    let what = match (charge.unknown, record.cached) {
        _ if charge.correction.is_some() => "Difference to the vendor's bill",
        (true, _) => "Cost unknown",
        (false, true) => "Kept answer given again",
        (false, false) => charge.meter().name,
    };
    format!("{what}, {} at {}", record.model_sent, attempt.service)
}

const COLUMNS: &[Column] = &[
    in_all("BilledCost", booked),
    in_all("BillingAccountId", |a, _| Cell::Text(a.account())),
    in_all("BillingAccountName", |a, _| a.party.billing.account_name.as_deref().or(Some(a.account())).into()),
    in_all("BillingAccountType", |_, _| plain("Account")),
    in_all("BillingCurrency", currency),
    in_all("BillingPeriodEnd", |a, _| plain(&a.next_month)),
    in_all("BillingPeriodStart", |a, _| plain(&a.month)),
    in_all("ChargeCategory", |_, _| plain("Usage")),
    in_all("ChargeClass", |_, c| Cell::of(c.correction.map(|_| "Correction"))),
    in_all("ChargeDescription", |a, c| Cell::Made(description(a, c))),
    in_all("ChargeFrequency", |_, _| plain("Usage-Based")),
    in_all("ChargePeriodEnd", |a, _| plain(&a.end)),
    in_all("ChargePeriodStart", |a, _| plain(&a.start)),
    // Rules of 1.2 for consumed quantities look at it.
    Column { name: "CommitmentDiscountStatus", versions: &[V1_2], cell: none },
    in_all("ConsumedQuantity", |_, c| Cell::Plain(decimal(u128::from(c.count), c.meter().consumed.1))),
    in_all("ConsumedUnit", |_, c| plain(c.meter().consumed.0)),
    in_all("ContractedCost", listed),
    in_all("ContractedUnitPrice", unit_price),
    in_all("EffectiveCost", booked),
    Column { name: "HostProviderName", versions: FROM_1_3, cell: |a, _| Cell::Text(&a.vendor) },
    Column { name: "InvoiceDetailId", versions: &[V1_4], cell: none },
    in_all("InvoiceId", none),
    in_all("InvoiceIssuerName", |a, _| Cell::Text(a.issuer())),
    in_all("ListCost", listed),
    in_all("ListUnitPrice", unit_price),
    in_all("PricingCategory", |_, _| plain("Standard")),
    in_all("PricingCurrency", currency),
    in_all("PricingCurrencyContractedUnitPrice", unit_price),
    in_all("PricingCurrencyEffectiveCost", booked),
    in_all("PricingCurrencyListUnitPrice", unit_price),
    in_all("PricingQuantity", |_, c| Cell::Plain(decimal(u128::from(c.count), c.meter().priced.1))),
    in_all("PricingUnit", |_, c| plain(c.meter().priced.0)),
    Column { name: "ProviderName", versions: TO_1_3, cell: |a, _| Cell::Text(&a.vendor) },
    Column { name: "PublisherName", versions: TO_1_3, cell: |a, _| Cell::Text(&a.vendor) },
    in_all("RegionId", |a, _| a.party.region.as_deref().into()),
    in_all("RegionName", |a, _| a.party.region.as_deref().into()),
    in_all("ResourceId", |a, _| Cell::Made(format!("{}/{}", a.record.provider, a.record.model_sent))),
    in_all("ResourceName", |a, _| Cell::Text(&a.record.model)),
    in_all("ResourceType", |_, _| plain("Model")),
    in_all("ServiceCategory", |_, _| plain("AI and Machine Learning")),
    in_all("ServiceName", |a, _| Cell::Text(&a.service)),
    Column { name: "ServiceProviderName", versions: FROM_1_3, cell: |a, _| Cell::Text(&a.vendor) },
    in_all("ServiceSubcategory", |_, _| plain("Generative AI")),
    in_all("SkuId", |a, c| Cell::Made(sku(a.record, c, false))),
    in_all("SkuMeter", |_, c| Cell::Made(c.meter().name.to_owned())),
    in_all("SkuPriceDetails", |a, c| Cell::Made(details(a.record, &c.meter()))),
    in_all("SkuPriceId", |a, c| Cell::Made(sku(a.record, c, true))),
    in_all("SubAccountId", |a, _| a.party.billing.sub_account_id.as_deref().into()),
    in_all("SubAccountName", |a, _| {
        let billing = &a.party.billing;
        billing.sub_account_name.as_deref().or(billing.sub_account_id.as_deref()).into()
    }),
    in_all("SubAccountType", |a, _| {
        let billing = &a.party.billing;
        billing.sub_account_id.as_ref().map(|_| billing.sub_account_type.as_deref().unwrap_or("Project")).into()
    }),
    in_all("Tags", |a, _| a.tags.as_deref().into()),
    in_all("x_AttemptKind", |a, _| Cell::of(a.record.kind.map(word))),
    in_all("x_Confidence", |a, _| Cell::Plain(word(a.record.confidence).into_owned())),
    in_all("x_CostSource", |a, _| Cell::of(a.record.cost_source.map(word))),
    in_all("x_CostUnknown", |_, c| Cell::Plain(c.unknown.to_string())),
    in_all("x_Error", |a, _| Cell::of(a.record.error)),
    in_all("x_Flags", |a, _| Some(a.flags.as_str()).filter(|flags| !flags.is_empty()).into()),
    in_all("x_KeyName", |a, _| a.record.key.as_deref().into()),
    in_all("x_ModelServed", |a, _| a.record.model_served.as_deref().into()),
    in_all("x_Outcome", |a, _| Cell::Plain(word(a.record.outcome).into_owned())),
    in_all("x_ParentId", |a, _| a.record.parent.as_deref().into()),
    in_all("x_PriceId", |a, _| a.record.price.as_ref().map(|price| price.id.as_str()).into()),
    in_all("x_Project", |a, _| a.record.tags.get("project").map(String::as_str).into()),
    in_all("x_Provider", |a, _| Cell::Text(&a.record.provider)),
    in_all("x_Purpose", |a, _| Cell::Plain(word(a.record.purpose).into_owned())),
    in_all("x_RecordId", |a, _| Cell::Text(&a.record.id)),
    in_all("x_RequestId", |a, _| a.record.request_id.as_deref().into()),
    in_all("x_ResponseId", |a, _| a.record.response_id.as_deref().into()),
    in_all("x_TraceId", |a, _| Cell::Text(&a.record.run_id)),
    in_all("x_UpstreamProvider", |a, _| a.record.served_by.as_deref().into()),
];

#[cfg(test)]
#[path = "focus_tests.rs"]
mod tests;
