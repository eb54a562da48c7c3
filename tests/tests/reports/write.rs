//! The vendors' reports of a made-up month, each in its own form.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use interfuse::types::Class;
use serde_json::{Value, json};

use super::{Charge, DAY, Form, HOUR, START, World};

/// Sums of one model's hour or day.
#[derive(Default)]
struct Sum {
    /// Units and pico-USD by class.
    classes: BTreeMap<Class, (u64, i128)>,
    requests: u64,
    times: u32,
}

fn moment(ms: i64) -> String {
    jiff_free(ms)
}

/// RFC 3339 in UTC, reckoned here (days from civil, H. Hinnant's algorithm), not by the code under test.
fn jiff_free(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(DAY), ms.rem_euclid(DAY) / 1000);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", in_day / 3600, in_day / 60 % 60, in_day % 60)
}

/// Pico-USD as USD times 10^`shift` with so many decimals of a USD, rounded half up; what was rounded is kept in `billed`.
fn amount(pico: i128, decimals: u32, shift: u32, billed: &mut i128) -> String {
    let unit = 10_i128.pow(12 - decimals);
    let whole = (pico.abs() * 2 + unit) / (unit * 2) * pico.signum();
    *billed += whole * unit;
    let places = (decimals - shift.min(decimals)) as usize;
    let scale = 10_i128.pow(places as u32);
    let (sign, whole) = (if whole < 0 { "-" } else { "" }, whole.abs());
    match places {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{}.{:0places$}", whole / scale, whole % scale),
    }
}

impl World {
    fn sums(&self) -> BTreeMap<(i64, usize), Sum> {
        let mut sums: BTreeMap<(i64, usize), Sum> = BTreeMap::new();
        for charge in &self.charges {
            let sum = sums.entry((self.bucket(charge.at), charge.model)).or_default();
            sum.requests += 1;
            for (class, units) in &charge.units {
                let one = sum.classes.entry(*class).or_default();
                one.0 += units;
                one.1 += i128::from(*units) * i128::from(charge.rates[class]);
            }
        }
        for (place, sum) in &mut sums {
            sum.times = if self.doubled.contains(place) { 2 } else { 1 };
        }
        sums
    }

    /// The files, and what they bill in sum, pico-USD.
    pub fn reports(&self) -> (Vec<(String, String)>, i128) {
        let mut billed = 0;
        let files = match self.form {
            Form::OpenAiCostsAndUsage => vec![self.openai_costs(&mut billed), self.openai_usage()],
            Form::OpenAiUsage => vec![self.openai_usage()],
            Form::Anthropic => vec![self.anthropic_cost(&mut billed), self.anthropic_usage()],
            Form::AnthropicCost => vec![self.anthropic_cost(&mut billed)],
            Form::OpenRouterActivity => vec![self.activity(&mut billed)],
            Form::OpenRouterGeneration => vec![self.generations(&mut billed)],
            Form::OpenRouterList => vec![self.list(&mut billed)],
            Form::HuggingFace => vec![self.hugging_face(&mut billed)],
            Form::Cur => vec![self.cur(&mut billed)],
            Form::AwsFocus | Form::AzureFocus | Form::Focus => vec![self.focus(&mut billed)],
        };
        (files, billed)
    }

    /// Buckets with their results, also the empty ones, over two pages one after the other.
    fn pages(&self, bucket: impl Fn(i64, i64) -> Value, results: BTreeMap<i64, Vec<Value>>) -> String {
        let mut all: Vec<Value> = Vec::new();
        for n in 0..self.days * DAY / self.width() {
            let from = START + n * self.width();
            let mut one = bucket(from, from + self.width());
            one["results"] = results.get(&from).cloned().unwrap_or_default().into();
            all.push(one);
        }
        let half = all.len() / 2;
        let page = |data: &[Value], more: bool| json!({"object": "page", "data": data, "has_more": more});
        format!("{}\n{}", page(&all[..half], true), page(&all[half..], false))
    }

    fn openai_bucket(from: i64, until: i64) -> Value {
        json!({"object": "bucket", "start_time": from / 1000, "end_time": until / 1000})
    }

    fn openai_costs(&self, billed: &mut i128) -> (String, String) {
        let mut results: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        let mut push = |from, item: String, quantity: Value, pico, times: u32| {
            let text = amount(pico, self.decimals, 0, billed);
            let row = json!({"object": "organization.costs.result", "amount": {"value": text, "currency": "usd"},
                "line_item": item, "quantity": quantity, "project_id": "proj_x"});
            // A page that is kept twice is one page.
            results.entry(from).or_default().extend(std::iter::repeat_n(row, times as usize));
        };
        for ((from, model), sum) in self.sums() {
            for (class, (units, pico)) in sum.classes {
                let word = match class {
                    Class::Input => "input",
                    Class::CacheRead => "cached input",
                    _ => "output",
                };
                push(from, format!("{}, {word}", self.models[model].1), json!(units as f64), pico, sum.times);
            }
        }
        for extra in &self.extras {
            push(extra.from, format!("vector store | {}", extra.what), Value::Null, extra.pico, 1);
        }
        ("costs.json".into(), self.pages(Self::openai_bucket, results))
    }

    fn openai_usage(&self) -> (String, String) {
        let mut results: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for ((from, model), sum) in self.sums() {
            let units = |class| sum.classes.get(&class).map_or(0, |one| one.0);
            let row = json!({"object": "organization.usage.completions.result", "model": self.models[model].1,
                "input_tokens": units(Class::Input) + units(Class::CacheRead), "input_cached_tokens": units(Class::CacheRead),
                "output_tokens": units(Class::Output), "num_model_requests": sum.requests,
                "input_audio_tokens": 0, "output_audio_tokens": 0, "api_key_id": null, "project_id": null, "batch": null});
            results.entry(from).or_default().extend(std::iter::repeat_n(row, sum.times as usize));
        }
        ("usage.json".into(), self.pages(Self::openai_bucket, results))
    }

    fn anthropic_bucket(from: i64, until: i64) -> Value {
        json!({"starting_at": moment(from), "ending_at": moment(until)})
    }

    fn anthropic_cost(&self, billed: &mut i128) -> (String, String) {
        let mut results: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for ((from, model), sum) in self.sums() {
            for (class, (_, pico)) in sum.classes {
                let kind = match class {
                    Class::Input => "uncached_input_tokens",
                    Class::CacheRead => "cache_read_input_tokens",
                    _ => "output_tokens",
                };
                let row = json!({"amount": amount(pico, self.decimals, 2, billed), "currency": "USD", "cost_type": "tokens",
                    "token_type": kind, "model": self.models[model].1, "service_tier": "standard", "context_window": "0-200k",
                    "description": "usage", "workspace_id": null});
                results.entry(from).or_default().extend(std::iter::repeat_n(row, sum.times as usize));
            }
        }
        for extra in &self.extras {
            let row = json!({"amount": amount(extra.pico, self.decimals, 2, billed), "currency": "USD", "cost_type": "code_execution",
                "token_type": null, "model": null, "description": extra.what, "workspace_id": null});
            results.entry(extra.from).or_default().push(row);
        }
        ("cost_report.json".into(), self.pages(Self::anthropic_bucket, results))
    }

    fn anthropic_usage(&self) -> (String, String) {
        let mut results: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for ((from, model), sum) in self.sums() {
            let units = |class| sum.classes.get(&class).map_or(0, |one| one.0);
            let row = json!({"model": self.models[model].1, "uncached_input_tokens": units(Class::Input),
                "cache_read_input_tokens": units(Class::CacheRead), "output_tokens": units(Class::Output),
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "server_tool_use": {"web_search_requests": 0}, "api_key_id": null, "workspace_id": null});
            results.entry(from).or_default().extend(std::iter::repeat_n(row, sum.times as usize));
        }
        ("usage_report.json".into(), self.pages(Self::anthropic_bucket, results))
    }

    fn activity(&self, billed: &mut i128) -> (String, String) {
        let mut data = Vec::new();
        for ((from, model), sum) in self.sums() {
            let units = |class| sum.classes.get(&class).map_or(0, |one| one.0);
            let pico = sum.classes.values().map(|one| one.1).sum();
            let usage: Value = serde_json::from_str(&amount(pico, self.decimals, 0, billed)).unwrap();
            let row = json!({"date": &moment(from)[..10], "model": self.models[model].1, "model_permaslug": self.models[model].1,
                "endpoint_id": "e", "provider_name": "P", "usage": usage, "byok_usage_inference": 0, "requests": sum.requests,
                "prompt_tokens": units(Class::Input) + units(Class::CacheRead), "completion_tokens": units(Class::Output),
                "reasoning_tokens": 0});
            data.extend(std::iter::repeat_n(row, sum.times as usize));
        }
        ("activity.json".into(), json!({"data": data}).to_string())
    }

    fn each_call(&self) -> impl Iterator<Item = (&Charge, u64, u64, u64)> {
        self.charges.iter().flat_map(|charge| {
            let units = |class| charge.units.iter().find(|(c, _)| *c == class).map_or(0, |(_, n)| *n);
            let told = (charge, units(Class::Input), units(Class::CacheRead), units(Class::Output));
            std::iter::repeat_n(told, charge.times as usize)
        })
    }

    fn generations(&self, billed: &mut i128) -> (String, String) {
        let mut text = String::new();
        for (charge, input, cached, output) in self.each_call() {
            let cost: Value = serde_json::from_str(&amount(charge.pico(), 12, 0, billed)).unwrap();
            let one = json!({"data": {"id": charge.id, "created_at": moment(charge.at), "model": self.models[charge.model].1,
                "total_cost": cost, "native_tokens_prompt": input + cached, "native_tokens_cached": cached,
                "native_tokens_completion": output, "is_byok": false, "upstream_inference_cost": null}});
            writeln!(text, "{one}").unwrap();
        }
        ("generations.jsonl".into(), text)
    }

    fn list(&self, billed: &mut i128) -> (String, String) {
        let mut text =
            "generation_id,created_at,cost_total,cost_web_search,byok_usage_inference,tokens_prompt,tokens_completion,\
                        tokens_reasoning,model_permaslug,provider_name\n"
                .to_owned();
        for (charge, input, cached, output) in self.each_call() {
            let cost = amount(charge.pico(), 12, 0, billed);
            let at = moment(charge.at).replace('T', " ").replace('Z', "");
            let model = self.models[charge.model].1;
            writeln!(text, "{},{at},{cost},0,0,{},{output},0,{model},P", charge.id, input + cached).unwrap();
        }
        ("activity.csv".into(), text)
    }

    fn hugging_face(&self, billed: &mut i128) -> (String, String) {
        let pico: i128 = self.charges.iter().map(Charge::pico).sum();
        let cents = |pico, billed: &mut i128| -> Value {
            serde_json::from_str(&amount(pico, self.decimals, 2, billed)).unwrap()
        };
        let inference = json!({"requestCount": self.charges.len(), "costCents": cents(pico, billed)});
        let spaces = self.extras.iter().map(|extra| extra.pico).sum();
        let group = json!({"id": null, "name": null, "storage": {"privateGB": 1.5, "publicGB": 0}, "inference": inference,
            "compute": {"spaces": {"uptimeSec": 5, "costCents": cents(spaces, billed)},
                "endpoints": {"uptimeSec": 0, "costCents": 0}, "jobs": {"uptimeSec": 0, "costCents": 0}}});
        let text = json!({"currency": "USD", "periods": [{"period": moment(START), "resourceGroups": [group]}]});
        ("usage.json".into(), text.to_string())
    }

    fn cur(&self, billed: &mut i128) -> (String, String) {
        let mut text = "bill_payer_account_id,line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,\
                        line_item_product_code,line_item_usage_type,line_item_usage_amount,pricing_unit,line_item_currency_code,\
                        line_item_unblended_cost,line_item_line_item_description\n"
            .to_owned();
        let mut line = |from, until, kind: &str, usage_type: &str, quantity: &str, unit: &str, pico, times: u32| {
            for _ in 0..times {
                let cost = amount(pico, self.decimals, 0, billed);
                let (from, until) = (moment(from), moment(until));
                let row = format!(
                    "1,{from},{until},{kind},AmazonBedrock,{usage_type},{quantity},{unit},USD,{cost},\"of Bedrock, {kind}\""
                );
                writeln!(text, "{row}").unwrap();
            }
        };
        for ((from, model), sum) in self.sums() {
            for (class, (units, pico)) in sum.classes {
                let word = match class {
                    Class::Input => "input-tokens",
                    Class::CacheRead => "cache-read-input-token-count",
                    _ => "output-tokens-cross-region-global",
                };
                let usage_type = format!("USE1-{}-{word}", self.models[model].1);
                let thousands = format!("{}.{:03}", units / 1000, units % 1000);
                line(from, from + HOUR, "Usage", &usage_type, &thousands, "1K tokens", pico, sum.times);
            }
        }
        for extra in &self.extras {
            let kind = if extra.credit { "Credit" } else { "Usage" };
            line(extra.from, extra.from + HOUR, kind, "USE1-CustomModel-Storage", "1", "Months", extra.pico, 1);
        }
        // The rest of the cloud's bill.
        writeln!(
            text,
            "1,{},{},Usage,AmazonEC2,BoxUsage:m5.large,1,Hrs,USD,0.096,a machine",
            moment(START),
            moment(START + HOUR)
        )
        .unwrap();
        ("cur.csv".into(), text)
    }

    fn focus(&self, billed: &mut i128) -> (String, String) {
        let azure = self.form == Form::AzureFocus;
        let mut text = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,\
                        ConsumedUnit,PricingQuantity,PricingUnit,ServiceCategory,ServiceName,ServiceProviderName,SkuMeter,\
                        SkuPriceDetails,ChargeDescription"
            .to_owned();
        text.push_str(if azure { ",x_SkuMeterName,x_PricingBlockSize\n" } else { "\n" });
        let (service, provider) = match self.form {
            Form::AzureFocus => ("Azure OpenAI", "Microsoft"),
            Form::AwsFocus => ("Amazon Bedrock", "Amazon Web Services"),
            _ => ("OpenAI API", "OpenAI"),
        };
        let width = self.width();
        let mut line = |from: i64, category: &str, meter: &str, model: &str, units: u64, pico, times: u32| {
            let details =
                if model.is_empty() { String::new() } else { format!("\"{{\"\"x_ModelId\"\": \"\"{model}\"\"}}\"") };
            for _ in 0..times {
                let cost = amount(pico, self.decimals, 0, billed);
                let (start, end) = (moment(from), moment(from + width));
                let block = match (azure, units % 2) {
                    _ if units == 0 => ",,,".to_owned(),
                    (true, 0) => format!(",,{}.{:03},1K", units / 1000, units % 1000),
                    (true, _) => format!(",,{}.{:06},1M", units / 1_000_000, units % 1_000_000),
                    _ => format!("{units}.0,Tokens,{}.{:06},1000000 Tokens", units / 1_000_000, units % 1_000_000),
                };
                let row = format!(
                    "{cost},{cost},USD,{category},{start},{end},{block},AI and Machine Learning,{service},{provider},{},{details},of {meter}",
                    if azure { "" } else { meter }
                );
                let own = if azure { format!(",{meter},") } else { String::new() };
                writeln!(text, "{row}{own}").unwrap();
            }
        };
        for ((from, model), sum) in self.sums() {
            for (class, (units, pico)) in sum.classes {
                let name = self.models[model].1;
                let (meter, details) = match (self.form, class) {
                    (Form::Focus, Class::Input) => ("Input Tokens".to_owned(), name),
                    (Form::Focus, Class::CacheRead) => ("Cached Input Tokens".to_owned(), name),
                    (Form::Focus, _) => ("Output Tokens".to_owned(), name),
                    (Form::AzureFocus, Class::Input) => (format!("{name} Inp glbl Tokens"), ""),
                    (Form::AzureFocus, Class::CacheRead) => (format!("{name} cached Inp glbl Tokens"), ""),
                    (Form::AzureFocus, _) => (format!("{name} Outp glbl Tokens"), ""),
                    (_, Class::Input) => (format!("USE1-{name}-input-tokens"), ""),
                    (_, Class::CacheRead) => (format!("USE1-{name}-cache-read-input-token-count"), ""),
                    _ => (format!("USE1-{name}-output-tokens"), ""),
                };
                line(from, "Usage", &meter, details, units, pico, sum.times);
            }
        }
        for extra in &self.extras {
            line(extra.from, if extra.credit { "Credit" } else { "Usage" }, "Hosting of a model", "", 0, extra.pico, 1);
        }
        ("focus.csv".into(), text)
    }
}
