//! Bounds that preferences set: what a backend may ask for, and how fast it should be.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::money::{parse_decimal, write_decimal};

/// Most that a backend may ask for. A backend whose price for something that is limited here is unknown is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MaxPrice {
    /// USD per million prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Amount>"))]
    pub prompt: Option<Usd>,
    /// USD per million completion tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Amount>"))]
    pub completion: Option<Usd>,
    /// USD per request, beside its tokens. Known where `prices` of the configuration tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Amount>"))]
    pub request: Option<Usd>,
    /// USD per image; holds for requests with images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Amount>"))]
    pub image: Option<Usd>,
}

/// How an amount may be written: a number, or decimal text ("0.15").
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
pub(super) enum Amount {
    /// As a number.
    Number(f64),
    /// As decimal text.
    Text(String),
}

const USD_DECIMALS: u32 = 12;

/// An amount in USD, exact to 1e-12. Written as a JSON number or as decimal text, and read from its digits either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

impl Usd {
    /// Parses decimal text.
    ///
    /// # Errors
    /// What is wrong with the text, for the caller to place.
    pub fn parse(text: &str) -> Result<Usd, String> {
        parse_decimal(text, USD_DECIMALS)
            .map(Usd)
            .map_err(|why| format!("`{text}` is not an amount in USD: {why}; write it like \"0.15\""))
    }

    /// From an amount in 1e-12 USD.
    pub fn from_pico(pico: u64) -> Usd {
        Usd(pico)
    }

    /// The amount in 1e-12 USD.
    pub fn pico(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, USD_DECIMALS)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Usd;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in USD: a number or decimal text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Usd, E> {
                Usd::parse(text).map_err(E::custom)
            }
            // A number's shortest decimal text is what was written: no arithmetic is done on it.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Usd, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Usd, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Usd, E> {
                self.visit_str(&number.to_string())
            }
        }
        d.deserialize_any(V)
    }
}

/// A bound on something measured: for the median, or by percentile. All that are given count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Threshold {
    /// For the median.
    Median(f64),
    /// By percentile.
    At(ThresholdAt),
}

/// Bounds by percentile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ThresholdAt {
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 75th.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p75: Option<f64>,
    /// 90th.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 99th.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
}

impl Threshold {
    /// The bounds for p50, p75, p90 and p99.
    pub fn bounds(self) -> [Option<f64>; 4] {
        match self {
            Threshold::Median(p50) => [Some(p50), None, None, None],
            Threshold::At(ThresholdAt { p50, p75, p90, p99 }) => [p50, p75, p90, p99],
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        fn checked<E: de::Error>(threshold: Threshold) -> Result<Threshold, E> {
            let mut given = threshold.bounds().into_iter().flatten().peekable();
            if given.peek().is_none() {
                return Err(E::custom("it names no percentile: give p50, p75, p90 or p99"));
            }
            match given.find(|n| !(n.is_finite() && *n > 0.0)) {
                Some(n) => Err(E::custom(format!("{n} is no bound: it must be more than 0"))),
                None => Ok(threshold),
            }
        }
        impl<'de> Visitor<'de> for V {
            type Value = Threshold;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or an object of p50, p75, p90 and p99")
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Threshold, E> {
                checked(Threshold::Median(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Threshold, E> {
                self.visit_f64(number as f64)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Threshold, E> {
                self.visit_f64(number as f64)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Threshold, A::Error> {
                let at = ThresholdAt::deserialize(de::value::MapAccessDeserializer::new(map))?;
                checked(Threshold::At(at))
            }
        }
        d.deserialize_any(V)
    }
}
