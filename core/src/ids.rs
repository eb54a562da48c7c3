//! Ids of runs and ledger records: UUID v7 (RFC 9562), made without asking the system for randomness each time.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// A new id. Later ids sort after earlier ones, to a quarter of a microsecond of this machine's clock.
pub(crate) fn new() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // RFC 9562, 6.2, method 3: the bits after the milliseconds hold more of the time.
    let fraction = (u64::from(now.subsec_nanos() % 1_000_000) * 4096 / 1_000_000) as u16;
    // std draws a thread's keys from the system once and changes them with every use. A forked child starts from its
    // parent's keys, hence the process id.
    let random = RandomState::new().hash_one(now.as_nanos() << 32 | u128::from(std::process::id()));
    let mut tail = [0; 10];
    tail[..2].copy_from_slice(&fraction.to_be_bytes());
    tail[2..].copy_from_slice(&random.to_be_bytes());
    let id = uuid::Builder::from_unix_timestamp_millis(now.as_millis() as u64, &tail).into_uuid();
    id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_uuids_of_version_7_that_hold_the_time() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let id = uuid::Uuid::parse_str(&new()).unwrap();
        let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        let ms = seconds * 1000 + u64::from(nanos) / 1_000_000;
        assert!((before..=after).contains(&ms), "{before} {ms} {after}");
    }

    #[test]
    fn ids_are_unique_across_threads_and_sorted_by_time() {
        let many = || (0..2000).map(|_| new()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(many)).collect();
        let made: Vec<Vec<String>> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        let all: HashSet<&String> = made.iter().flatten().collect();
        assert_eq!(all.len(), 8 * 2000);

        let first = new();
        std::thread::sleep(std::time::Duration::from_micros(2));
        assert!(first < new());
    }
}
