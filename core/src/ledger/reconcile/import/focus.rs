//! FOCUS 1.0 to 1.4 as CSV: of AWS, of Azure, of anybody else, and what this library exports.
//!
//! Checked against the columns of the specification and against Microsoft's list of the columns of its export. Azure's
//! meters abbreviate (`gpt 4o 1120 cached Inp glbl Tokens`) and its prices are per block (`x_PricingBlockSize`, `1K`,
//! `1M`). `EffectiveCost` is compared; what `BilledCost` differs from it (commitments, credits) is told apart, so that the
//! whole is what is billed. Rows of other services are passed over.

use serde_json::Value;

use super::meter;
use super::table::Line;
use super::{Format, Reader, VendorRow, moment, only_usd};
use crate::ledger::reconcile::amount::{Amount, count};
use crate::ledger::reconcile::vendor::{Named, Subject};
use crate::types::Class;

/// Words in the names of who bills, and the provider they mean.
const BILLERS: [(&str, &str); 12] = [
    ("microsoft", "azure"),
    ("azure", "azure"),
    ("amazon", "bedrock"),
    ("aws", "bedrock"),
    ("google", "vertex"),
    ("openrouter", "openrouter"),
    ("hugging", "hf-router"),
    ("anthropic", "anthropic"),
    ("openai", "openai"),
    ("mistral", "mistral"),
    ("groq", "groq"),
    ("together", "together"),
];

pub(super) fn fits(line: &Line<'_>) -> bool {
    line.has("BilledCost") && line.has("ChargePeriodStart") && line.has("ChargePeriodEnd")
}

pub(super) fn read(reader: &mut Reader, row: u64, line: &Line<'_>) -> Result<(), String> {
    let biller = line.first(&["ServiceProviderName", "ProviderName", "InvoiceIssuerName", "PublisherName"]);
    let provider = provider(reader, biller)?;
    let format = match provider.as_str() {
        _ if line.has("x_SkuMeterName") || line.has("x_SkuMeterCategory") => Format::AzureFocus,
        "bedrock" => Format::AwsFocus,
        "azure" => Format::AzureFocus,
        _ => Format::Focus,
    };
    let meter =
        line.first(&["SkuMeter", "x_SkuMeterName", "x_UsageType", "ChargeDescription", "SkuId"]).unwrap_or_default();
    if !is_inference(line, format, meter) {
        reader.skipped += 1;
        return Ok(());
    }
    let date = |name: &str| line.get(name).and_then(moment).ok_or_else(|| format!("`{name}` is no moment"));
    let (from_ms, until_ms) = (date("ChargePeriodStart")?, date("ChargePeriodEnd")?);
    if from_ms >= until_ms {
        return Err("it ends before it begins".to_owned());
    }
    let (billed, effective) = money(line)?;
    reader.note(billed);
    reader.note(effective);

    let category = line.get("ChargeCategory").unwrap_or("Usage");
    let usage = category.eq_ignore_ascii_case("usage");
    let described = || line.get("ChargeDescription").unwrap_or(meter).to_owned();
    let subject = match meter::class(meter).or_else(|| meter::class(line.get("ChargeDescription")?)) {
        Some(class) if usage && class < Class::Request => Subject::Tokens(Some(class)),
        Some(class) if usage => Subject::Fee(class),
        _ if usage => Subject::Other(described()),
        _ => Subject::Other(category.to_owned()),
    };
    let units = match subject {
        Subject::Tokens(Some(class)) => quantity(line)?.map(|number| (class, number)),
        Subject::Fee(class) => line.get("ConsumedQuantity").map(|text| count(text, 1)).transpose()?.map(|n| (class, n)),
        _ => None,
    };
    let tokens = matches!(subject, Subject::Tokens(_));
    let blank = VendorRow {
        row,
        file: reader.file,
        format,
        provider,
        key: line.first(&["x_KeyName", "x_Key", "CredentialId", "x_CredentialId"]).map(str::to_owned),
        model: None,
        subject,
        from_ms,
        until_ms,
        ids: ["x_RequestId", "x_GenerationId", "x_ResponseId"]
            .iter()
            .filter_map(|id| line.get(id))
            .map(str::to_owned)
            .collect(),
        units: units.into_iter().collect(),
        requests: None,
        pico: Some(if tokens { effective.pico } else { billed.pico }),
    };
    if tokens && billed.pico != effective.pico {
        reader.take(VendorRow {
            subject: Subject::Other("billed otherwise than at the effective price".to_owned()),
            ids: Vec::new(),
            units: Vec::new(),
            pico: Some(billed.pico - effective.pico),
            ..blank.clone()
        });
    }
    let model = tokens.then(|| model(line, meter)).flatten();
    reader.take(VendorRow { model, ..blank });
    Ok(())
}

fn provider(reader: &Reader, biller: Option<&str>) -> Result<String, String> {
    if let Some(named) = &reader.provider {
        return Ok(named.clone());
    }
    let biller = biller.ok_or("no provider is named; say whose report it is with `provider`")?.to_lowercase();
    let known = BILLERS.iter().find(|(word, _)| biller.contains(word)).map(|(_, provider)| (*provider).to_owned());
    Ok(known.unwrap_or(biller))
}

/// Whether the row is about calls of models. A cloud's bill holds everything else too.
fn is_inference(line: &Line<'_>, format: Format, meter: &str) -> bool {
    let said: String =
        ["ServiceName", "ServiceSubcategory", "x_SkuMeterCategory", "x_SkuMeterSubcategory", "x_ServiceCode", "SkuId"]
            .iter()
            .filter_map(|name| line.get(name))
            .chain([meter])
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match format {
        Format::AwsFocus => any(&["bedrock"]),
        Format::AzureFocus => any(&["openai", "foundry", "token", "azure ai"]),
        // Of a vendor of models everything is.
        _ => {
            line.get("ServiceCategory").is_none_or(|category| category == "AI and Machine Learning" || any(&["token"]))
        }
    }
}

/// What is billed, and what usage costs at the effective price.
fn money(line: &Line<'_>) -> Result<(Amount, Amount), String> {
    let amount = |name: &str| {
        line.get(name).map(|text| Amount::parse(text, 0).map_err(|why| format!("{name}: {why}"))).transpose()
    };
    if let Err(foreign) = only_usd(line.get("BillingCurrency")) {
        // Azure converts for us.
        let billed = amount("x_BilledCostInUsd")?.ok_or(foreign)?;
        return Ok((billed, amount("x_EffectiveCostInUsd")?.unwrap_or(billed)));
    }
    let billed = amount("BilledCost")?.ok_or("no `BilledCost`")?;
    Ok((billed, amount("EffectiveCost")?.unwrap_or(billed)))
}

/// Tokens: what was consumed where it is counted in tokens, else what is priced times the size of its unit.
fn quantity(line: &Line<'_>) -> Result<Option<u64>, String> {
    let consumed = line.get("ConsumedUnit").and_then(meter::tokens_per_unit).zip(line.get("ConsumedQuantity"));
    let block = || {
        let unit = line.get("PricingUnit")?;
        let size = line.get("x_PricingBlockSize").and_then(|text| count(text, 1).ok()).filter(|size| *size > 0);
        size.or_else(|| meter::tokens_per_unit(unit)).zip(line.get("PricingQuantity"))
    };
    consumed.or_else(block).map(|(per, number)| count(number, per)).transpose()
}

/// The model: where a column or the SKU's details name it, else the words of its meter.
fn model(line: &Line<'_>, meter: &str) -> Option<Named> {
    let details: Option<Value> = line.get("SkuPriceDetails").and_then(|text| serde_json::from_str(text).ok());
    let detail = |name: &str| details.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let named = line.first(&["x_ModelId", "x_Model", "ModelId"]).map(str::to_owned);
    let named = named.or_else(|| ["ModelId", "x_ModelId", "x_Model"].iter().find_map(|name| detail(name)));
    if let Some(named) = named {
        return Some(Named::Id(named));
    }
    let meter = match meter.split_once('-') {
        Some((region, rest))
            if region.len() >= 3 && region.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) =>
        {
            rest
        }
        _ => meter,
    };
    let words = meter::plain_words(meter).join(" ");
    let words = if words.is_empty() { line.get("SkuId").map(|id| meter::plain_words(id).join(" "))? } else { words };
    (!words.is_empty()).then_some(Named::Words(words))
}
