//! The report: what is left, by model and day, in sum, and the worst of it.

use std::collections::BTreeMap;

use super::posted::Net;
use crate::types::{Correction, Difference, ModelDay, ReconciledSum, Residual};

/// Differences that are told one by one.
const OFFENDERS: usize = 20;

/// Day of a moment in UTC.
pub(super) fn day(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string());
    at.unwrap_or_default()
}

/// The most that may stay unexplained, as parts of a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tolerance(u64);

impl Tolerance {
    /// Parses `0.5%` or `0.005`; half a percent where nothing is given.
    pub fn parse(text: Option<&str>) -> Result<Tolerance, String> {
        let text = text.unwrap_or("0.5%").trim();
        let (digits, decimals) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim(), 4),
            None => (text, 6),
        };
        let parts = crate::money::parse_decimal(digits, decimals);
        let parts = parts.map_err(|why| format!("`{text}` is no share like \"0.5%\" or \"0.005\": {why}"))?;
        (parts <= 1_000_000).then_some(Tolerance(parts)).ok_or_else(|| format!("`{text}` is more than the whole"))
    }

    /// Whether so much unexplained is within it.
    fn allows(self, sum: &ReconciledSum) -> bool {
        let whole = u128::from(larger(sum));
        u128::from(sum.unexplained_nanos.unsigned_abs()) * 1_000_000 <= whole * u128::from(self.0)
            && sum.unpriced_units == 0
    }
}

fn larger(sum: &ReconciledSum) -> u64 {
    sum.vendor_nanos.unsigned_abs().max((sum.ours_nanos + sum.corrections_nanos).unsigned_abs())
}

/// Days, their sum, the worst differences, and everything that would be posted.
pub(super) fn tell(
    nets: &[Net],
    files: &[String],
    tolerance: Tolerance,
) -> (Vec<ModelDay>, ReconciledSum, Vec<Difference>, Vec<Correction>) {
    let mut days: BTreeMap<(String, String, Option<String>), ReconciledSum> = BTreeMap::new();
    let (mut total, mut offenders, mut corrections) = (ReconciledSum::default(), Vec::new(), Vec::new());
    for net in nets {
        let key = (day(net.place.from), net.place.account.clone(), net.place.model.clone());
        for sum in [days.entry(key).or_default(), &mut total] {
            add(sum, net);
        }
        for (class, left) in net.left.iter().filter(|(_, left)| left.nanos != 0) {
            let correction = net.correction(*class, left, files);
            let rows = left.rows.iter().map(|(_, row)| *row).collect();
            let reason = left.why.clone();
            offenders.push(Difference { correction: correction.clone(), day: day(net.place.from), rows, reason });
            if !net.held {
                corrections.push(correction);
            }
        }
    }
    let rank = |one: &Difference| (!one.correction.residual.explained(), one.correction.delta_nanos.unsigned_abs());
    offenders.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.correction.id.cmp(&b.correction.id)));
    offenders.truncate(OFFENDERS);
    finish(&mut total);
    let days = days.into_iter().map(|((day, provider, model), mut sum)| {
        finish(&mut sum);
        let ok = tolerance.allows(&sum);
        ModelDay { day, provider, model, sum, ok }
    });
    (days.collect(), total, offenders, corrections)
}

fn add(sum: &mut ReconciledSum, net: &Net) {
    sum.ours_nanos += net.ours;
    sum.corrections_nanos += net.corrections;
    sum.vendor_nanos += net.vendor;
    sum.cost_unknown += net.unknown;
    sum.priced_here |= net.priced_here;
    sum.unpriced_units += net.unpriced;
    for (class, left) in net.left.iter().filter(|(_, left)| left.nanos != 0) {
        *sum.classes.entry(class.name().to_owned()).or_default() += left.nanos;
        if !class.explained() {
            sum.unexplained_nanos += left.nanos.abs();
        }
    }
}

fn finish(sum: &mut ReconciledSum) {
    sum.delta_nanos = sum.vendor_nanos - sum.ours_nanos - sum.corrections_nanos;
    sum.classes.retain(|_, nanos| *nanos != 0);
    let (unexplained, whole) = (sum.unexplained_nanos.unsigned_abs(), larger(sum));
    sum.explained_share = match whole {
        _ if unexplained == 0 => 1.0,
        0 => 0.0,
        // Six decimals of a share, never of money.
        whole => ((1.0 - unexplained as f64 / whole as f64).max(0.0) * 1e6).round() / 1e6,
    };
}

/// Whether a class's name stands for something that needs nobody's attention.
pub(super) fn explained(name: &str) -> bool {
    Residual::ALL.iter().any(|class| class.name() == name && class.explained())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_shares() {
        let sum = |unexplained, whole| ReconciledSum {
            unexplained_nanos: unexplained,
            vendor_nanos: whole,
            ..Default::default()
        };
        for (text, holds, fails) in
            [(None, 5, 6), (Some("0.5%"), 5, 6), (Some("0.005"), 5, 6), (Some("1 %"), 10, 11), (Some("0"), 0, 1)]
        {
            let tolerance = Tolerance::parse(text).unwrap();
            assert!(tolerance.allows(&sum(holds, 1000)), "{text:?}");
            assert!(!tolerance.allows(&sum(fails, 1000)), "{text:?}");
        }
        for bad in ["", "-1%", "half", "101%", "1.5"] {
            assert!(Tolerance::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
