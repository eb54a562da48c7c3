//! Amounts and counts as reports write them: signed decimals as texts or numbers, exact, never through a float.

use serde_json::Value;

use crate::money::scaled;

/// Pico-USD per USD, as a power of ten.
const PICO: u32 = 12;
/// No vendor rounds coarser than to cents; a report whose amounts all happen to be round does not say that it rounds.
const COARSEST: u32 = 2;

/// An amount and how finely it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    /// Pico-USD.
    pub pico: i128,
    /// Decimals of a USD that were written, at most those of a pico-USD.
    pub decimals: u32,
    /// Whether its unit is told: a text keeps its last zeros, cents are cents. A JSON number may happen to be round.
    pub told: bool,
}

impl Amount {
    /// Reads USD, or with `shift` 2 cents, with 9 nano-USD.
    pub fn parse(text: &str, shift: u32) -> Result<Amount, String> {
        let wrong = || format!("`{text}` is no amount");
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let pico = scaled(digits, PICO - shift).and_then(|pico| i128::try_from(pico).ok()).ok_or_else(wrong)?;
        // Beyond a million million USD sums could no longer be trusted to fit.
        if pico > 10_i128.pow(24) {
            return Err(wrong());
        }
        Ok(Amount { pico: if negative { -pico } else { pico }, decimals: decimals(digits, shift), told: true })
    }

    /// The same of a JSON number or text.
    pub fn of(value: &Value, shift: u32) -> Result<Amount, String> {
        match value {
            Value::Number(number) => {
                let told = shift > 0;
                Amount::parse(&number.to_string(), shift).map(|amount| Amount { told, ..amount })
            }
            Value::String(text) => Amount::parse(text, shift),
            other => Err(format!("`{other}` is no amount")),
        }
    }
}

/// Decimals of a USD that a number shows.
fn decimals(digits: &str, shift: u32) -> u32 {
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let places = i64::try_from(places).unwrap_or(i64::MAX).saturating_sub(exponent).saturating_add(i64::from(shift));
    u32::try_from(places.clamp(0, i64::from(PICO))).unwrap_or(PICO)
}

/// Half of the last digit of amounts with so many decimals, pico-USD.
pub(super) fn half_unit(decimals: u32) -> i128 {
    match decimals.clamp(COARSEST, PICO) {
        PICO => 0,
        decimals => 10_i128.pow(PICO - decimals) / 2,
    }
}

/// Pico-USD as whole nano-USD, half away from zero.
pub(super) fn nanos(pico: i128) -> i64 {
    let half = if pico < 0 { -500 } else { 500 };
    i64::try_from((pico + half) / 1000).unwrap_or(if pico < 0 { i64::MIN } else { i64::MAX })
}

/// A count; a decimal is accepted where it is whole after `multiplier` (thousands or millions of tokens).
pub(super) fn count(text: &str, multiplier: u64) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no count");
    // Six decimals beyond the unit: what binary floats leave is cut.
    let scaled = scaled(text.trim(), 6).ok_or_else(wrong)?;
    let units = scaled.checked_mul(u128::from(multiplier)).ok_or_else(wrong)?;
    u64::try_from((units + 500_000) / 1_000_000).map_err(|_| wrong())
}

/// The same of a JSON number or text; `None` for null and what is not there.
pub(super) fn count_of(value: Option<&Value>) -> Result<Option<u64>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => count(&number.to_string(), 1).map(Some),
        Some(Value::String(text)) => count(text, 1).map(Some),
        Some(other) => Err(format!("`{other}` is no count")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_every_digit_their_sign_and_how_finely_they_were_written() {
        for (text, shift, pico, decimals) in [
            ("1.25", 0, 1_250_000_000_000, 2),
            ("-0.10", 0, -100_000_000_000, 2),
            ("123.78912", 2, 1_237_891_200_000, 7),
            ("0E-6176", 0, 0, 12),
            ("0.000004500000000000000000000000000000000", 0, 4_500_000, 12),
            ("4.5e-06", 0, 4_500_000, 7),
            ("1500", 9, 1_500_000, 9),
            ("5", 0, 5_000_000_000_000, 0),
        ] {
            assert_eq!(Amount::parse(text, shift).unwrap(), Amount { pico, decimals, told: true }, "{text}");
        }
        for bad in ["", "-", "1,5", "1.2.3", "NaN", "--1", "1e40", "5 USD"] {
            assert!(Amount::parse(bad, 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn half_a_unit_is_never_coarser_than_half_a_cent() {
        assert_eq!(half_unit(0), 5_000_000_000);
        assert_eq!(half_unit(2), 5_000_000_000);
        assert_eq!(half_unit(6), 500_000);
        assert_eq!(half_unit(12), 0);
    }

    #[test]
    fn counts_come_in_thousands_and_millions_too() {
        assert_eq!(count("12.345", 1000), Ok(12_345));
        assert_eq!(count("0.000001", 1_000_000), Ok(1));
        assert_eq!(count("3.0", 1), Ok(3));
        assert!(count("-1", 1).is_err());
        assert!(count("many", 1).is_err());
    }

    #[test]
    fn nanos_are_rounded_away_from_zero() {
        for (pico, expected) in [(499, 0), (500, 1), (-499, 0), (-500, -1), (-1500, -2), (1499, 1)] {
            assert_eq!(nanos(pico), expected, "{pico}");
        }
    }
}
