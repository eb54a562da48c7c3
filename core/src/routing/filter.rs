//! Hard filters: who may not be asked. What is not known of a backend does not satisfy one.

use std::fmt;

use super::Router;
use super::need::{Need, NotTaken};
use super::offered::{Offered, hashed};
use crate::catalog::{Class, Price, Rate};
use crate::error::{Error, Result};
use crate::types::{DataCollection, MaxPrice, ProviderPreferences, Quantization, Usd};

/// What left a candidate out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Ignore,
    Only,
    DataCollection,
    Zdr,
    Quantizations,
    RequireParameters,
    MaxPrice,
    Key,
    AllowFallbacks,
}

impl Filter {
    /// The preference's name, or `key`.
    pub fn name(self) -> &'static str {
        match self {
            Filter::Ignore => "ignore",
            Filter::Only => "only",
            Filter::DataCollection => "data_collection",
            Filter::Zdr => "zdr",
            Filter::Quantizations => "quantizations",
            Filter::RequireParameters => "require_parameters",
            Filter::MaxPrice => "max_price",
            Filter::Key => "key",
            Filter::AllowFallbacks => "allow_fallbacks",
        }
    }
}

/// A provider as preferences name it: `name`, or `name/detail`.
#[derive(Debug, Clone, Copy)]
struct Slug<'a> {
    id: &'a str,
    /// The same as a number: most comparisons end there.
    provider: u64,
    detail: Option<&'a str>,
}

impl Slug<'_> {
    fn matches(&self, offered: &Offered) -> bool {
        if self.provider != offered.provider || self.id != offered.target.endpoint.id() {
            return false;
        }
        let Some(detail) = self.detail else { return true };
        let is = |known: Option<&str>| known.is_some_and(|known| known.eq_ignore_ascii_case(detail));
        let quantization = || Quantization::of_variant(&detail.to_ascii_lowercase());
        is(offered.target.endpoint.declared.region.as_deref())
            || is(offered.variant.as_deref())
            || (offered.quantization.is_some() && offered.quantization == quantization())
    }
}

/// Preferences, read once for all candidates.
pub(super) struct Filters<'a> {
    preferences: &'a ProviderPreferences,
    only: Vec<Slug<'a>>,
    ignore: Vec<Slug<'a>>,
    order: Vec<Slug<'a>>,
    parameters: Option<Box<NotTaken<'a>>>,
    need: &'a dyn Need,
}

impl<'a> Filters<'a> {
    /// # Errors
    /// `not_found` for a provider that is none; `invalid_request` for preferences that contradict each other by
    /// themselves.
    pub fn new(router: &'a Router, preferences: &'a ProviderPreferences, need: &'a dyn Need) -> Result<Self> {
        let slugs = |field: &str, names: &'a [String]| -> Result<Vec<Slug<'a>>> {
            let slug = |name: &'a String| {
                let (base, detail) = name.split_once('/').map_or((name.as_str(), None), |(b, d)| (b, Some(d)));
                let row = router.catalog.provider(base).map_err(|e| e.with_param(format!("provider.{field}")))?;
                Ok(Slug { id: &row.id, provider: hashed(&row.id), detail })
            };
            names.iter().map(slug).collect()
        };
        if preferences.sort.is_some() && preferences.policy.is_some() {
            let why = "`provider.sort` and `provider.policy` both say what comes first; keep one";
            return Err(Error::invalid_request(why).with_param("provider.policy"));
        }
        let parameters = (preferences.require_parameters == Some(true)).then(|| need.parameters());
        Ok(Filters {
            preferences,
            only: slugs("only", &preferences.only)?,
            ignore: slugs("ignore", &preferences.ignore)?,
            order: slugs("order", &preferences.order)?,
            parameters,
            need,
        })
    }

    /// Place in the caller's order; `None` when it is not named there.
    pub fn place(&self, offered: &Offered) -> Option<usize> {
        self.order.iter().position(|slug| slug.matches(offered))
    }

    /// Whether the caller names an order.
    pub fn orders(&self) -> bool {
        !self.order.is_empty()
    }

    /// The first filter that leaves a candidate out.
    pub fn leaves_out(&self, offered: &Offered) -> Option<Filter> {
        let p = self.preferences;
        let named = |slugs: &[Slug<'_>]| slugs.iter().any(|slug| slug.matches(offered));
        if named(&self.ignore) {
            return Some(Filter::Ignore);
        }
        if !self.only.is_empty() && !named(&self.only) {
            return Some(Filter::Only);
        }
        if p.data_collection == Some(DataCollection::Deny) && offered.data_collection != Some(DataCollection::Deny) {
            return Some(Filter::DataCollection);
        }
        if p.zdr == Some(true) && offered.zdr != Some(true) {
            return Some(Filter::Zdr);
        }
        let quantization = offered.quantization.unwrap_or(Quantization::Unknown);
        if !p.quantizations.is_empty() && !p.quantizations.contains(&quantization) {
            return Some(Filter::Quantizations);
        }
        if let Some(not_taken) = &self.parameters
            && not_taken(&offered.target, offered.facts).is_some()
        {
            return Some(Filter::RequireParameters);
        }
        if p.max_price.as_ref().is_some_and(|max| dearer(max, offered, self.need).is_some()) {
            return Some(Filter::MaxPrice);
        }
        None
    }

    /// Why a filter left a candidate out, in words; `None` when these preferences did not.
    pub fn reason(&self, filter: Filter, offered: &Offered) -> Option<String> {
        let id = offered.target.endpoint.id();
        let unknown_or = |what: &str, known: bool| {
            if known {
                return format!("`{id}` is configured as one that {what}");
            }
            format!("whether `{id}` {what} is unknown; `providers.{id}` of the configuration can tell")
        };
        Some(match filter {
            Filter::Ignore => format!("`{id}` is in `ignore`"),
            Filter::Only => format!("`{id}` is not in `only`"),
            Filter::DataCollection => {
                unknown_or("collects what it is sent", offered.data_collection == Some(DataCollection::Allow))
            }
            Filter::Zdr => unknown_or("retains what it is sent", offered.zdr == Some(false)),
            Filter::Quantizations => match offered.quantization {
                Some(known) => format!("its weights are {}", word(&known)),
                None => "the precision of its weights is unknown".to_owned(),
            },
            Filter::RequireParameters => self.parameters.as_ref()?(&offered.target, offered.facts)?,
            Filter::MaxPrice => dearer(self.preferences.max_price.as_ref()?, offered, self.need)?.to_string(),
            Filter::Key => offered.target.endpoint.missing_key().message().to_owned(),
            Filter::AllowFallbacks => "`allow_fallbacks` is false".to_owned(),
        })
    }
}

/// A token's price in pico-USD is that many 1e-6 USD per million tokens, which is that many times 1e6 pico-USD.
const PER_MILLION: u128 = 1_000_000;

/// What is dearer than allowed, or unknown.
enum Dearer {
    NoPrice,
    Tokens(&'static str, Rate, Usd),
    Fee(&'static str, Usd, Usd),
    NoFee(&'static str),
}

impl fmt::Display for Dearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dearer::NoPrice => write!(f, "its price is unknown"),
            Dearer::Tokens(what, rate, most) => {
                write!(f, "its price per million {what} tokens is {rate} USD, more than {most}")
            }
            Dearer::Fee(what, fee, most) => write!(f, "its price per {what} is {fee} USD, more than {most}"),
            Dearer::NoFee(what) => {
                write!(f, "its price per {what} is unknown; `prices` of the configuration can tell")
            }
        }
    }
}

/// What of an offer is dearer than allowed for this request, whose length may re-price it; the dear hours count.
fn dearer(max: &MaxPrice, offered: &Offered, need: &dyn Need) -> Option<Dearer> {
    if *max == MaxPrice::default() {
        return None;
    }
    let of_length = || {
        let (price, _) = offered.target.price.as_ref()?;
        price.token_rates(if price.long_context.is_empty() { 0 } else { need.prompt_tokens() })
    };
    let rates = offered.flat.map_or_else(of_length, |flat| flat.token_rates());
    let Some((input, output)) = rates else { return Some(Dearer::NoPrice) };
    for (most, rate, what) in [(max.prompt, input, "prompt"), (max.completion, output, "completion")] {
        if let Some(most) = most
            && u128::from(rate.pico()) * PER_MILLION > u128::from(most.pico())
        {
            return Some(Dearer::Tokens(what, rate, most));
        }
    }
    let image = max.image.filter(|_| need.has_images());
    if max.request.is_none() && image.is_none() {
        return None;
    }
    let (price, _) = offered.target.price.as_ref()?;
    let request = price.rates.get(Class::Request).map(|rate| Usd::from_pico(rate.pico()));
    for (most, fee, what) in [(max.request, request, "request"), (image, price.image, "image")] {
        match (most, fee) {
            (Some(most), Some(fee)) if fee > most => return Some(Dearer::Fee(what, fee, most)),
            (Some(_), None) => return Some(Dearer::NoFee(what)),
            _ => {}
        }
    }
    None
}

/// The cheapest of some offers, by its price.
pub(super) fn cheapest<'a>(offers: impl Iterator<Item = &'a Offered>) -> Option<(&'a Offered, &'a Price)> {
    let priced = offers.filter_map(|offered| Some((offered, &offered.target.price.as_ref()?.0)));
    // Three prompt tokens and one completion token: what most requests are nearest to.
    let sum = |price: &Price| {
        let (input, output) = price.token_rates(0)?;
        Some(3 * u128::from(input.pico()) + u128::from(output.pico()))
    };
    priced.min_by_key(|(_, price)| sum(price).unwrap_or(u128::MAX))
}

fn word(quantization: &Quantization) -> String {
    serde_json::to_value(quantization).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
