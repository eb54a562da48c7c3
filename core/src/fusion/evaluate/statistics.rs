//! The statistics of an evaluation: intervals, a paired test, percentiles. Pure; each names the source of its formula.

/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
/// JASA 22 (1927), p. 209. Never below 0 or above 1, and sensible for few items.
pub(crate) fn wilson(right: u32, of: u32) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (f64::from(of), f64::from(right) / f64::from(of));
    let middle = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    let low = if right == 0 { 0.0 } else { (middle - spread) / whole };
    let high = if right == of { 1.0 } else { (middle + spread) / whole };
    (low.max(0.0), high.min(1.0))
}

/// The 95 % interval of the difference of two shares of the same items: A. Agresti and Y. Min, "Simple improved confidence
/// intervals for comparing matched proportions", Statistics in Medicine 24 (2005), p. 729: Wald's, with half an item added to
/// each of the four cells.
pub(crate) fn paired_difference(wins: u32, losses: u32, of: u32) -> (f64, f64) {
    let (b, c, n) = (f64::from(wins) + 0.5, f64::from(losses) + 0.5, f64::from(of) + 2.0);
    let difference = (b - c) / n;
    let spread = Z * ((b + c) - (b - c) * (b - c) / n).max(0.0).sqrt() / n;
    ((difference - spread).max(-1.0), (difference + spread).min(1.0))
}

/// How likely a split at least as uneven is where wins and losses are equally likely: Q. McNemar, "Note on the sampling error
/// of the difference between correlated proportions or percentages", Psychometrika 12 (1947), p. 153, in its exact form (the
/// binomial distribution with one half), two-sided.
pub(crate) fn mcnemar(wins: u32, losses: u32) -> f64 {
    let n = wins + losses;
    // The logarithm of n over k, times 2^-n, from one k to the next.
    let mut term = -f64::from(n) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=wins.min(losses) {
        tail += term.exp();
        term += (f64::from(n - k) / f64::from(k + 1)).ln();
    }
    (2.0 * tail).min(1.0)
}

/// Which of several tests hold together at 5 %: S. Holm, "A simple sequentially rejective multiple test procedure",
/// Scandinavian Journal of Statistics 6 (1979), p. 65.
pub(crate) fn holm(chances: &[f64]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let mut hold = vec![false; chances.len()];
    for (rank, &i) in order.iter().enumerate() {
        if chances[i] > 0.05 / (chances.len() - rank) as f64 {
            break;
        }
        hold[i] = true;
    }
    hold
}

/// The smallest value that this share of all values does not exceed (nearest rank); 0 of nothing.
pub(crate) fn percentile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: (f64, f64), low: f64, high: f64) {
        assert!((found.0 - low).abs() < 5e-4 && (found.1 - high).abs() < 5e-4, "{found:?}");
    }

    #[test]
    fn intervals_are_the_published_ones() {
        // R. G. Newcombe, Statistics in Medicine 17 (1998), p. 857, table I, method 3.
        close(wilson(81, 263), 0.2553, 0.3662);
        close(wilson(15, 148), 0.0624, 0.1605);
        close(wilson(0, 20), 0.0, 0.1611);
        close(wilson(1, 29), 0.0061, 0.1718);
        close(wilson(0, 0), 0.0, 1.0);
        assert_eq!(wilson(7, 7).1, 1.0);
    }

    #[test]
    fn a_difference_of_nothing_has_an_interval_around_nothing() {
        let (low, high) = paired_difference(0, 0, 100);
        assert!(low < 0.0 && high > 0.0 && (low + high).abs() < 1e-12);
        let (low, high) = paired_difference(30, 5, 100);
        assert!(low > 0.13 && high < 0.36, "{low} {high}");
        let (back_low, back_high) = paired_difference(5, 30, 100);
        assert!((back_low + high).abs() < 1e-12 && (back_high + low).abs() < 1e-12);
    }

    #[test]
    fn the_test_is_the_binomial_one() {
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(5, 5), 1.0);
        // 2 * (1 + 10) / 1024 and 2 / 2^6.
        assert!((mcnemar(9, 1) - 22.0 / 1024.0).abs() < 1e-12);
        assert!((mcnemar(0, 6) - 2.0 / 64.0).abs() < 1e-12);
        assert!(mcnemar(5000, 4000) < 1e-20 && mcnemar(5000, 4990) > 0.9, "large counts do not overflow");
    }

    #[test]
    fn several_tests_must_hold_together() {
        assert_eq!(holm(&[0.04, 0.01]), [true, true]);
        assert_eq!(holm(&[0.04, 0.03]), [false, false]);
        assert_eq!(holm(&[0.01, 0.2, 0.02]), [true, false, true]);
        assert_eq!(holm(&[]), [false; 0]);
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        let mut values: Vec<u64> = (1..=100).rev().collect();
        assert_eq!((percentile(&mut values, 0.5), percentile(&mut values, 0.95)), (50, 95));
        assert_eq!((percentile(&mut [7], 0.95), percentile(&mut [], 0.5)), (7, 0));
    }
}
