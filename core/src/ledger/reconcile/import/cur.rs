//! AWS: Cost and Usage Report 2.0 (and the older one, whose columns are spelled otherwise) as CSV, hourly or daily.
//!
//! Checked against the user guide of Bedrock on reading this report and against usage types that users quoted in public:
//! there is a line per hour, principal and usage type, no request's id; the usage type encodes region, model and kind of
//! token (`USE1-Claude4.6Sonnet-input-tokens`, `...-cache-read-input-token-count`), models of the marketplace stand in the
//! product's name; amounts are in `pricing_unit`, mostly `1K tokens`. Everything but Bedrock is passed over.

use super::meter;
use super::table::Line;
use super::{Format, Reader, VendorRow, moment, only_usd};
use crate::ledger::reconcile::amount::{Amount, count};
use crate::ledger::reconcile::vendor::{Named, Subject};
use crate::types::Class;

const PROVIDER: &str = "bedrock";

pub(super) fn fits(line: &Line<'_>) -> bool {
    line.has("line_item_usage_type") && line.has("line_item_unblended_cost")
}

pub(super) fn read(reader: &mut Reader, row: u64, line: &Line<'_>) -> Result<(), String> {
    let names = [
        "line_item_product_code",
        "product_servicecode",
        "product_product_name",
        "product",
        "line_item_line_item_description",
    ];
    let bedrock = names.iter().filter_map(|name| line.get(name)).any(|text| text.to_lowercase().contains("bedrock"));
    if !bedrock {
        reader.skipped += 1;
        return Ok(());
    }
    only_usd(line.get("line_item_currency_code"))?;
    let date = |name: &str| line.get(name).and_then(moment).ok_or_else(|| format!("`{name}` is no moment"));
    let (from_ms, until_ms) = (date("line_item_usage_start_date")?, date("line_item_usage_end_date")?);
    if from_ms >= until_ms {
        return Err("it ends before it begins".to_owned());
    }
    let money = Amount::parse(line.get("line_item_unblended_cost").ok_or("no `line_item_unblended_cost`")?, 0)?;
    reader.note(money);
    let usage_type = line.get("line_item_usage_type").unwrap_or_default();
    let kind = line.get("line_item_line_item_type").unwrap_or("Usage");
    let class = meter::class(usage_type);
    let of_usage = matches!(kind, "Usage" | "DiscountedUsage" | "SavingsPlanCoveredUsage");
    let subject = match class {
        Some(class) if of_usage && class < Class::Request => Subject::Tokens(Some(class)),
        Some(class) if of_usage => Subject::Fee(class),
        _ if of_usage => Subject::Other(usage_type.to_owned()),
        _ => Subject::Other(kind.to_owned()),
    };
    let units = match (&subject, line.get("line_item_usage_amount")) {
        (Subject::Tokens(Some(class)), Some(amount)) => {
            let per = line.get("pricing_unit").and_then(meter::tokens_per_unit);
            // Of the marketplace's units the description tells the size.
            let per =
                per.or_else(|| meter::tokens_per_unit(line.get("line_item_line_item_description")?).filter(|n| *n > 1));
            per.map(|per| count(amount, per)).transpose()?.map(|number| (*class, number))
        }
        _ => None,
    };
    let model = matches!(subject, Subject::Tokens(_)).then(|| Named::Words(model(line, usage_type)));
    let taken = VendorRow {
        key: line.get("line_item_iam_principal").map(str::to_owned),
        model,
        subject,
        units: units.into_iter().collect(),
        pico: Some(money.pico),
        ..reader.blank(row, Format::AwsCur, PROVIDER, (from_ms, until_ms))
    };
    reader.take(taken);
    Ok(())
}

/// The words that name the model: the product's where it is one of the marketplace, else the usage type's without its
/// region.
fn model(line: &Line<'_>, usage_type: &str) -> String {
    let product = line.get("product_product_name").filter(|name| name.contains("(Amazon Bedrock Edition)"));
    let words = product.unwrap_or_else(|| match usage_type.split_once('-') {
        Some((region, rest)) if region.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) => rest,
        _ => usage_type,
    });
    meter::plain_words(words).join(" ")
}
