//! Amounts, counts, shares and times as people read them.

use jiff::Timestamp;

/// USD, rounded half up.
pub(crate) fn rounded(nanos: u64, decimals: usize) -> String {
    let unit = 10u64.pow(9 - decimals as u32);
    let scaled = nanos / unit + u64::from(nanos % unit >= unit.div_ceil(2) && unit > 1);
    let whole = 10u64.pow(decimals as u32);
    match decimals {
        0 => thousands(scaled),
        _ => format!("{}.{:0decimals$}", thousands(scaled / whole), scaled % whole),
    }
}

/// A number with a comma before every third digit from the end.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration for people.
pub(crate) fn seconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..100_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} s", ms / 1_000),
    }
}

/// USD with as many decimals as an amount of this size needs.
pub(crate) fn usd(nanos: u64) -> String {
    let decimals = match nanos {
        0 => 0,
        10_000_000.. => 2,
        100_000.. => 4,
        1_000.. => 6,
        _ => 9,
    };
    // A zero is one, not a rounded amount.
    if decimals == 0 { "$0".to_owned() } else { format!("${}", rounded(nanos, decimals)) }
}

/// A share of a whole in percent, of which a part is never 0 and never all.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0 %".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    match tenths {
        0 => "< 0.1 %".to_owned(),
        1..100 => format!("{}.{} %", tenths / 10, tenths % 10),
        _ => format!("{} %", tenths / 10),
    }
}

/// A moment in UTC.
pub(crate) fn moment(unix_ms: u64) -> String {
    let at = Timestamp::from_second((unix_ms / 1000) as i64).map(|at| at.to_string()).unwrap_or_default();
    format!("{} UTC", at.trim_end_matches('Z').replace('T', " "))
}
