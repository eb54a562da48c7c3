//! Money as integers: nano-USD (1e-9 USD) at every edge, decimal text in and out, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in nano-USD, at most 2^53 - 1 (about nine million USD), so that every language can hold it exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct NanoUsd(u64);

const DECIMALS: u32 = 9;

impl NanoUsd {
    /// Nothing (a known zero; an unknown amount is `None`).
    pub const ZERO: NanoUsd = NanoUsd(0);
    /// The largest amount.
    pub const MAX: NanoUsd = NanoUsd((1 << 53) - 1);

    /// From nano-USD; `None` above [`NanoUsd::MAX`].
    pub fn from_nanos(nanos: u64) -> Option<NanoUsd> {
        (nanos <= Self::MAX.0).then_some(NanoUsd(nanos))
    }

    /// From pico-USD (1e-12 USD), rounded half up to whole nano-USD; `None` above [`NanoUsd::MAX`].
    pub fn from_pico(pico: u128) -> Option<NanoUsd> {
        let nanos = pico / 1000 + u128::from(pico % 1000 >= 500);
        u64::try_from(nanos).ok().and_then(Self::from_nanos)
    }

    /// The amount in nano-USD.
    pub fn nanos(self) -> u64 {
        self.0
    }

    /// Sum; `None` above [`NanoUsd::MAX`].
    pub fn checked_add(self, other: NanoUsd) -> Option<NanoUsd> {
        self.0.checked_add(other.0).and_then(Self::from_nanos)
    }

    /// Difference; `None` below zero.
    pub fn checked_sub(self, other: NanoUsd) -> Option<NanoUsd> {
        self.0.checked_sub(other.0).map(NanoUsd)
    }

    /// An amount a vendor states as a JSON number (`1.4175e-4`), read from its text and rounded half up to whole
    /// nano-USD. `None` when it is negative, not a number, or above [`NanoUsd::MAX`].
    pub fn from_stated(number: &str) -> Option<NanoUsd> {
        scaled(number, DECIMALS).and_then(|nanos| u64::try_from(nanos).ok()).and_then(Self::from_nanos)
    }

    /// The same in pico-USD, rounded half up to whole ones: the noise of binary floats is far below.
    pub fn pico_from_stated(number: &str) -> Option<u128> {
        scaled(number, DECIMALS + 3)
    }
}

/// A JSON number times 10^`decimals`, rounded half up. `None` when it is negative, not a number, or too large.
pub(crate) fn scaled(number: &str, decimals: u32) -> Option<u128> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = [whole, fraction].concat();
    // Thirty significant digits are far more than an amount can show after rounding.
    let digits = digits.trim_start_matches('0');
    let kept = &digits[..digits.len().min(30)];
    if kept.is_empty() {
        return Some(0);
    }
    let value: u128 = kept.parse().ok()?;
    let dropped = i32::try_from(digits.len() - kept.len()).ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let shift = exponent.checked_sub(places)?.checked_add(dropped)?.checked_add(decimals as i32)?;
    if shift >= 0 {
        return value.checked_mul(10u128.checked_pow(shift.unsigned_abs())?);
    }
    Some(match 10u128.checked_pow(shift.unsigned_abs()) {
        Some(divisor) => value / divisor + u128::from(value % divisor >= divisor.div_ceil(2)),
        None => 0,
    })
}

impl TryFrom<u64> for NanoUsd {
    type Error = String;

    fn try_from(nanos: u64) -> Result<Self, String> {
        Self::from_nanos(nanos).ok_or_else(|| format!("{nanos} nano-USD is more than {}", Self::MAX.0))
    }
}

impl From<NanoUsd> for u64 {
    fn from(amount: NanoUsd) -> u64 {
        amount.0
    }
}

/// The shortest exact decimal text in USD: `0.000123`, `2`, `0`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, DECIMALS)
    }
}

impl FromStr for NanoUsd {
    type Err = NotAnAmount;

    /// Parses USD as plain decimal text (`0.05`). A sign, an exponent, more than nine decimals and amounts above
    /// [`NanoUsd::MAX`] are refused.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let nanos = parse_decimal(text, DECIMALS);
        nanos
            .and_then(|n| Self::from_nanos(n).ok_or("larger than can be held"))
            .map_err(|why| NotAnAmount { text: text.to_owned(), why })
    }
}

/// Why a text is no amount in USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnAmount {
    text: String,
    why: &'static str,
}

impl fmt::Display for NotAnAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an amount in USD: {}; write it like \"0.05\"", self.text, self.why)
    }
}

impl std::error::Error for NotAnAmount {}

/// `text` times 10^`decimals`, exactly.
pub(crate) fn parse_decimal(text: &str, decimals: u32) -> Result<u64, &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || text.ends_with('.') || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err("not plain decimal digits");
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = (decimals as usize).checked_sub(fraction.len()).ok_or("too many decimals")?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    digits.parse().map_err(|_| "larger than can be held")
}

/// `value` divided by 10^`decimals`, exactly, without trailing zeros.
pub(crate) fn write_decimal(f: &mut fmt::Formatter<'_>, value: u64, decimals: u32) -> fmt::Result {
    let unit = 10u64.pow(decimals);
    write!(f, "{}", value / unit)?;
    if value.is_multiple_of(unit) {
        return Ok(());
    }
    let fraction = format!("{:0width$}", value % unit, width = decimals as usize);
    write!(f, ".{}", fraction.trim_end_matches('0'))
}

/// Nano-USD as an exact decimal text in USD; of sums, too, which may be larger than any one amount.
pub(crate) fn usd(nanos: u64) -> String {
    NanoUsd(nanos).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree_both_ways() {
        for (text, nanos) in [
            ("0", 0),
            ("0.05", 50_000_000),
            ("0.000123", 123_000),
            ("0.000000001", 1),
            ("2", 2_000_000_000),
            ("12.5", 12_500_000_000),
            ("9007199.254740991", (1 << 53) - 1),
        ] {
            let amount: NanoUsd = text.parse().unwrap();
            assert_eq!(amount.nanos(), nanos, "{text}");
            assert_eq!(amount.to_string(), text);
        }
        assert_eq!("1.50000000000".parse::<NanoUsd>().unwrap().to_string(), "1.5");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for bad in ["", "-1", "+1", "1e3", ".5", "5.", "0.0000000001", "9007199.254740992", "1,5", "NaN", " 1", "1.2.3"]
        {
            let e = bad.parse::<NanoUsd>().unwrap_err();
            assert!(e.to_string().contains("0.05"), "{bad}: {e}");
        }
    }

    #[test]
    fn pico_is_rounded_half_up() {
        for (pico, nanos) in [(0, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2), (2_500, 3)] {
            assert_eq!(NanoUsd::from_pico(pico).unwrap().nanos(), nanos, "{pico}");
        }
        assert_eq!(NanoUsd::from_pico(u128::MAX), None);
        assert_eq!(NanoUsd::from_pico((1 << 53) * 1000), None);
    }

    #[test]
    fn arithmetic_never_wraps() {
        let one = NanoUsd::from_nanos(1).unwrap();
        assert_eq!(NanoUsd::MAX.checked_add(one), None);
        assert_eq!(NanoUsd::ZERO.checked_sub(one), None);
        assert_eq!(one.checked_add(one).and_then(|two| two.checked_sub(one)), Some(one));
    }

    #[test]
    fn stated_amounts_in_any_spelling() {
        for (stated, nanos) in [
            ("0.00014175", Some(141_750)),
            ("1.4175e-4", Some(141_750)),
            ("1.4175E-04", Some(141_750)),
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("5e-10", Some(1)),
            ("4.9e-10", Some(0)),
            ("1e-400", Some(0)),
            ("0.000123456789499999999999999999999999999999", Some(123_457)),
            ("2e3", Some(2_000_000_000_000)),
            ("1e30", None),
            ("-0.1", None),
            ("abc", None),
            ("", None),
            ("1e99999999999", None),
        ] {
            assert_eq!(NanoUsd::from_stated(stated).map(NanoUsd::nanos), nanos, "{stated}");
        }
    }

    #[test]
    fn json_is_the_integer_and_bounded() {
        assert_eq!(serde_json::to_string(&NanoUsd(7)).unwrap(), "7");
        assert_eq!(serde_json::from_str::<NanoUsd>("7").unwrap(), NanoUsd(7));
        assert!(serde_json::from_str::<NanoUsd>("9007199254740992").is_err());
    }
}
