//! What a reconciliation costs, beside its goals: a million records, read one by one as a store hands them over, against a
//! hundred thousand rows of a vendor, in bounded memory. Prints; asserts nothing about time. `make bench-reconcile`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::time::Instant;

use interfuse::Catalog;
use interfuse::catalog::cost_at;
use interfuse::error::Result;
use interfuse::ledger::LedgerStore;
use interfuse::ledger::reconcile::{Report, reconcile};
use interfuse::types::{
    Class, LedgerRecord, PriceRow, Rate, Rates, ReconcileOptions, UsageQuery, UsageReport, UsageVector,
};

const RECORDS: u64 = 1_000_000;
const ROWS: u64 = 100_000;
/// Seconds of processor time for the whole; it runs on one thread.
const SECONDS: f64 = 5.0;
/// MiB beside the report itself.
const MIB: u64 = 512;
/// 2026-11-01T00:00:00Z.
const START: u64 = 1_793_491_200_000;
const HOUR: u64 = 3_600_000;
const HOURS: u64 = 30 * 24;
const MODELS: u64 = 3;
const KEYS: u64 = 16;

/// Records that are made when they are read, so that what is measured is not their storage.
struct Made {
    models: Vec<String>,
    rates: Rates,
}

impl Made {
    fn record(&self, n: u64) -> LedgerRecord {
        let mut units = UsageVector::default();
        units.report(Class::Input, 100 + n % 4000);
        units.report(Class::CacheRead, n % 700);
        units.report(Class::Output, 10 + n % 900);
        let cost = cost_at(&self.rates, &units).unwrap().amount.nanos();
        LedgerRecord {
            id: format!("{n:016x}"),
            run_id: format!("{n:016x}"),
            at_ms: START + n * (HOURS * HOUR) / RECORDS,
            provider: "bedrock".into(),
            model: self.models[(n % MODELS) as usize].clone(),
            model_sent: self.models[(n % MODELS) as usize].clone(),
            key: Some(format!("key-{}", n / MODELS % KEYS)),
            response_id: Some(format!("gen-{n:016x}")),
            attempt: 1,
            units,
            cost_nanos: Some(cost),
            computed_nanos: Some(cost),
            price: Some(PriceRow { id: "made".into(), rates: self.rates.clone(), ..PriceRow::default() }),
            latency_ms: 800,
            ..LedgerRecord::default()
        }
    }
}

impl LedgerStore for Made {
    fn record(&self, _: LedgerRecord) -> Result<()> {
        Ok(())
    }

    fn usage(&self, _: &UsageQuery) -> Result<UsageReport> {
        Ok(UsageReport::default())
    }

    fn records(&self, query: &UsageQuery, each: &mut dyn FnMut(&LedgerRecord) -> Result<()>) -> Result<bool> {
        let fits =
            |at: u64| query.since_ms.is_none_or(|since| at >= since) && query.until_ms.is_none_or(|until| at < until);
        for record in (0..RECORDS).map(|n| self.record(n)).filter(|record| fits(record.at_ms)) {
            each(&record)?;
        }
        Ok(true)
    }
}

/// A moment of the month.
fn moment(ms: u64) -> String {
    let (day, hour, second) = (1 + ms / HOUR / 24, ms / HOUR % 24, ms / 1000 % 3600);
    format!("2026-11-{day:02}T{hour:02}:{:02}:{:02}Z", second / 60, second % 60)
}

/// Hourly lines by key and class, as AWS bills them.
fn hourly(made: &Made) -> String {
    let mut sums = vec![[0_u64; 3]; (HOURS * MODELS * KEYS) as usize];
    for n in 0..RECORDS {
        let record = made.record(n);
        let hour = (record.at_ms - START) / HOUR;
        let sum = &mut sums[((hour * MODELS + n % MODELS) * KEYS + n / MODELS % KEYS) as usize];
        for (at, class) in [Class::Input, Class::CacheRead, Class::Output].into_iter().enumerate() {
            sum[at] += record.units.number(class);
        }
    }
    let mut text = "line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,line_item_product_code,\
                    line_item_usage_type,line_item_usage_amount,pricing_unit,line_item_currency_code,line_item_unblended_cost,\
                    line_item_iam_principal\n"
        .to_owned();
    let kinds = [
        ("input-tokens", Class::Input),
        ("cache-read-input-token-count", Class::CacheRead),
        ("output-tokens", Class::Output),
    ];
    let mut rows = 0;
    for (at, sum) in sums.iter().enumerate() {
        let (hour, model, key) = (at as u64 / (MODELS * KEYS), at as u64 / KEYS % MODELS, at as u64 % KEYS);
        let end = if hour + 1 == HOURS { "2026-12-01T00:00:00Z".to_owned() } else { moment((hour + 1) * HOUR) };
        for ((kind, class), units) in kinds.iter().zip(sum).filter(|(_, units)| **units > 0) {
            let pico = u128::from(*units) * u128::from(made.rates.get(*class).unwrap().pico());
            let (usd, rest) = (pico / 1_000_000_000_000, pico % 1_000_000_000_000);
            let model = ["NovaLite", "Claude4.6Sonnet", "NovaPro"][model as usize];
            let (whole, thousandth) = (units / 1000, units % 1000);
            writeln!(
                text,
                "{},{end},Usage,AmazonBedrock,USE1-{model}-{kind},{whole}.{thousandth:03},1K tokens,USD,{usd}.{rest:012},key-{key}",
                moment(hour * HOUR)
            )
            .unwrap();
            rows += 1;
        }
    }
    println!("{rows} rows of hours, {} MiB", text.len() >> 20);
    text
}

/// Single calls, as OpenRouter tells them.
fn calls(made: &Made) -> String {
    let mut text = String::new();
    for n in (0..RECORDS).step_by((RECORDS / ROWS) as usize) {
        let record = made.record(n);
        let usd =
            format!("{}.{:09}", record.cost_nanos.unwrap() / 1_000_000_000, record.cost_nanos.unwrap() % 1_000_000_000);
        let prompt = record.units.number(Class::Input) + record.units.number(Class::CacheRead);
        writeln!(
            text,
            "{{\"data\": {{\"id\": \"gen-{n:016x}\", \"created_at\": \"{}\", \"model\": \"{}\", \"total_cost\": {usd}, \
             \"native_tokens_prompt\": {prompt}, \"native_tokens_cached\": {}, \"native_tokens_completion\": {}}}}}",
            moment(record.at_ms - START),
            record.model,
            record.units.number(Class::CacheRead),
            record.units.number(Class::Output)
        )
        .unwrap();
    }
    println!("{ROWS} single calls, {} MiB", text.len() >> 20);
    text
}

/// Processor time of this process, seconds.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // User and system time, in hundredths.
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// The most memory this process has had, MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 10
}

fn measure(made: &Made, what: &str, text: &str, provider: Option<&str>) {
    let reports = [Report { name: "report", bytes: text.as_bytes() }];
    let options = ReconcileOptions { provider: provider.map(str::to_owned), ..Default::default() };
    let (began, before) = (Instant::now(), processor());
    let found = reconcile(made, &Catalog::default(), &reports, &options).unwrap();
    let (elapsed, seconds) = (began.elapsed().as_secs_f64(), processor() - before);
    let verdict = if seconds <= SECONDS { "ok" } else { "MISSED" };
    println!(
        "{what}: {seconds:.2} s of processor time (goal {SECONDS} s) {verdict}, {elapsed:.2} s passed; {} rows, {} model-days, left {} nano-USD, classes {:?}; peak {} MiB (goal {MIB} MiB beside the reports)",
        found.files[0].rows,
        found.days.len(),
        found.total.delta_nanos,
        found.total.classes,
        peak_mib()
    );
}

fn main() {
    let mut rates = Rates::default();
    for (class, pico) in [(Class::Input, 2_000_000), (Class::CacheRead, 200_000), (Class::Output, 8_000_000)] {
        rates.set(class, Rate::from_pico(class, pico).unwrap());
    }
    let models = ["us.amazon.nova-lite-v1:0", "global.anthropic.claude-sonnet-4-6", "us.amazon.nova-pro-v1:0"];
    let made = Made { models: models.map(str::to_owned).to_vec(), rates };
    let before = processor();
    let mut sum = 0;
    made.records(&UsageQuery::default(), &mut |record| {
        sum += record.cost_nanos.unwrap_or(0);
        Ok(())
    })
    .unwrap();
    println!("{RECORDS} records, {sum} nano-USD; making them takes {:.2} s of each run", processor() - before);
    let text = hourly(&made);
    measure(&made, "a million records, by hour, key and class", &text, None);
    let text = calls(&made);
    measure(&made, "a million records, by call", &text, Some("bedrock"));
}
