//! What goes in comes out, what is no ledger stays as it is, and no fault of the disk loses a record.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::queue::ROOM;
use super::*;
use crate::ledger::MemoryLedger;
use crate::types::{
    AttemptKind, Class, CompletionTokensDetails, Confidence, CostSource, Outcome, PriceRow, PromptTokensDetails,
    Purpose, Usage,
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn record(n: u64) -> LedgerRecord {
    LedgerRecord {
        id: format!("r{n}"),
        run_id: format!("run {}", n / 3),
        at_ms: 1000 + n,
        provider: "p".into(),
        model: "m".into(),
        model_sent: "m".into(),
        attempt: 1,
        cost_nanos: Some(n),
        latency_ms: 1,
        ..LedgerRecord::default()
    }
}

fn all(ledger: &dyn LedgerStore, query: &UsageQuery) -> Vec<LedgerRecord> {
    let mut found = Vec::new();
    let each = &mut |record: &LedgerRecord| {
        found.push(record.clone());
        Ok(())
    };
    assert!(ledger.records(query, each).unwrap());
    found
}

fn ids(ledger: &dyn LedgerStore) -> Vec<String> {
    all(ledger, &UsageQuery::default()).into_iter().map(|record| record.id).collect()
}

/// Runs something on the writer's connection, before whatever is booked next.
fn on_writer(ledger: &SqliteLedger, what: impl Fn(&Connection) + Send + 'static) {
    ledger.live().unwrap().parts().unwrap().queue.put(Job::Do(Box::new(what))).unwrap();
}

fn text(rng: &mut Rng) -> String {
    let odd = ["", "plain", "Ω ☃", "a\0b", "line\nbreak", "quote\"'", "{\"json\": 1}", "null", "1", "\u{202e}x"];
    format!("{}{}", rng.choice(odd).unwrap(), rng.u8(0..3))
}

/// Zero, one, the largest there is, and what lies between.
fn number(rng: &mut Rng) -> u64 {
    match rng.u8(0..20) {
        0 => 0,
        1 => u64::MAX,
        2 => i64::MAX as u64 + rng.u64(0..3),
        3 => rng.u64(..),
        _ => rng.u64(0..1 << 40),
    }
}

fn maybe<T>(rng: &mut Rng, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

fn value(rng: &mut Rng) -> Value {
    match rng.u8(0..6) {
        0 => json!(rng.f64() * 10f64.powi(rng.i32(-12..12))),
        1 => json!(number(rng)),
        2 => json!(text(rng)),
        3 => json!({"b": [number(rng), null], "a": {"deep": true}}),
        4 => json!(-(rng.i64(0..i64::MAX))),
        _ => Value::Null,
    }
}

fn usage(rng: &mut Rng) -> Usage {
    let small = |rng: &mut Rng| rng.u64(0..1 << 40);
    Usage {
        prompt_tokens: small(rng),
        completion_tokens: small(rng),
        total_tokens: number(rng),
        prompt_tokens_details: maybe(rng, |rng| PromptTokensDetails {
            cached_tokens: maybe(rng, number),
            cache_write_tokens: maybe(rng, number),
            extra: serde_json::Map::from_iter([("more".to_owned(), value(rng))]),
            ..Default::default()
        }),
        completion_tokens_details: maybe(rng, |rng| CompletionTokensDetails {
            reasoning_tokens: maybe(rng, number),
            ..Default::default()
        }),
        extra: (0..rng.u8(0..4)).map(|n| (format!("extra_{n}"), value(rng))).collect(),
    }
}

/// Records begin so far apart that they are of several days, and some of one quarter of an hour.
const STEP_MS: u64 = 450_000;

fn any(rng: &mut Rng) -> LedgerRecord {
    let mut made = LedgerRecord {
        id: crate::ids::new(),
        run_id: text(rng),
        parent: maybe(rng, text),
        at_ms: rng.u64(0..2000) * STEP_MS,
        purpose: *rng.choice(&[Purpose::Chat, Purpose::Member, Purpose::Judge, Purpose::Embedding]).unwrap(),
        provider: text(rng),
        model: text(rng),
        model_sent: text(rng),
        model_served: maybe(rng, text),
        served_by: maybe(rng, text),
        key: maybe(rng, text),
        request_id: maybe(rng, text),
        response_id: maybe(rng, text),
        attempt: rng.u32(..),
        kind: maybe(rng, |rng| *rng.choice(&[AttemptKind::Retry, AttemptKind::Hedge]).unwrap()),
        outcome: *rng.choice(&[Outcome::Ok, Outcome::Failed, Outcome::Interrupted, Outcome::Cancelled]).unwrap(),
        error: maybe(rng, |rng| rng.choice(crate::error::KINDS).unwrap().kind),
        usage: maybe(rng, usage),
        // What a provider may state at most, so that sums of them stay numbers.
        cost_nanos: maybe(rng, |rng| rng.u64(0..1 << 50)),
        cost_source: maybe(rng, |rng| *rng.choice(&[CostSource::Provider, CostSource::Live]).unwrap()),
        confidence: *rng.choice(&[Confidence::Reported, Confidence::Estimated, Confidence::Unknown]).unwrap(),
        computed_nanos: maybe(rng, number),
        flags: (0..rng.u8(0..3)).map(|_| text(rng)).collect(),
        latency_ms: number(rng),
        ttft_ms: maybe(rng, number),
        cached: rng.bool(),
        tags: (0..rng.u8(0..3)).map(|n| (format!("tag{n}"), text(rng))).collect(),
        ..LedgerRecord::default()
    };
    if rng.bool() {
        made.units.report(Class::Input, number(rng));
        made.units.estimate(Class::Output, number(rng));
    }
    made.price = maybe(rng, |rng| {
        let rates = json!({"id": text(rng), "rates": {"input": format!("0.{}", rng.u32(1..9999)), "output": "1.5"}});
        PriceRow { source: maybe(rng, text), as_of: maybe(rng, text), ..serde_json::from_value(rates).unwrap() }
    });
    made
}

#[test]
fn a_record_comes_back_as_it_was_booked() {
    let (folder, mut rng) = (folder(), Rng::with_seed(7));
    let path = folder.path().join("ledger.db");
    let booked: Vec<_> = (0..2000).map(|_| any(&mut rng)).collect();
    let ledger = SqliteLedger::open(&path).unwrap();
    booked.iter().for_each(|record| ledger.record(record.clone()).unwrap());
    for ledger in [ledger, SqliteLedger::open(&path).unwrap()] {
        let found = all(&ledger, &UsageQuery::default());
        assert_eq!(found.len(), booked.len());
        found.iter().zip(&booked).for_each(|(found, booked)| assert_eq!(found, booked));
    }
}

#[test]
fn a_file_and_memory_answer_alike() {
    let (folder, mut rng) = (folder(), Rng::with_seed(11));
    let file = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    let memory = MemoryLedger::new(usize::MAX);
    for _ in 0..600 {
        let record = any(&mut rng);
        file.record(record.clone()).unwrap();
        memory.record(record).unwrap();
    }
    let names = [
        "provider",
        "model",
        "model_sent",
        "model_served",
        "served_by",
        "endpoint",
        "key",
        "kind",
        "purpose",
        "outcome",
        "error",
        "confidence",
        "run_id",
        "hour",
        "day",
        "week",
        "month",
        "tag0",
        "tag1",
        "nothing",
    ];
    let mut empty = 0;
    for _ in 0..200 {
        let mut by: Vec<String> = (0..rng.usize(0..4)).map(|_| rng.choice(names).unwrap().to_owned()).collect();
        by.sort_unstable();
        by.dedup();
        let filter = BTreeMap::from_iter((0..rng.usize(0..3)).map(|_| {
            let name = rng.choice(names).unwrap();
            let value = match name {
                "purpose" => "member".to_owned(),
                "outcome" => "failed".to_owned(),
                "kind" => "retry".to_owned(),
                "error" => "timeout".to_owned(),
                "confidence" => "estimated".to_owned(),
                "day" => "1970-01-05".to_owned(),
                "week" => "1970-W02".to_owned(),
                _ => text(&mut rng),
            };
            (name.to_owned(), value)
        }));
        let (since_ms, until_ms) = (maybe(&mut rng, |rng| rng.u64(0..2000) * STEP_MS), maybe(&mut rng, number));
        // Of quarters and halves of hours off.
        let zones = ["Asia/Kathmandu", "America/St_Johns", "Europe/Berlin"];
        let time_zone = maybe(&mut rng, |rng| (*rng.choice(&zones).unwrap()).to_owned());
        let latencies = rng.bool();
        let query = UsageQuery { by, since_ms, until_ms, filter, time_zone, latencies, ..Default::default() };
        let (found, known) = (file.usage(&query).unwrap(), memory.usage(&query).unwrap());
        assert_eq!(found, known, "{query:?}");
        empty += usize::from(known.rows.is_empty());
        assert!(all(&file, &query) == all(&memory, &query), "{query:?}");
    }
    assert!(empty < 150, "most questions must find something: {empty} did not");
}

#[test]
fn many_pages_are_read_and_what_comes_meanwhile_is_left_for_later() {
    let folder = folder();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    (0..3500).for_each(|n| ledger.record(record(n)).unwrap());
    let mut seen = 0;
    let each = &mut |found: &LedgerRecord| {
        assert_eq!(found.id, format!("r{seen}"));
        // Whoever is told of a record may book one.
        ledger.record(record(10_000 + seen))?;
        seen += 1;
        Ok(())
    };
    ledger.records(&UsageQuery::default(), each).unwrap();
    assert_eq!((seen, ids(&ledger).len()), (3500, 7000));
    let stop = ledger.records(&UsageQuery::default(), &mut |_| Err(Error::invalid_request("enough")));
    assert_eq!(stop.unwrap_err().message(), "enough");
}

#[test]
fn a_record_is_kept_once_however_often_it_is_booked() {
    let folder = folder();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    for _ in 0..3 {
        ledger.record(record(1)).unwrap();
        ledger.flush().unwrap();
        ledger.record(LedgerRecord { cost_nanos: Some(99), ..record(1) }).unwrap();
    }
    let total = ledger.usage(&UsageQuery::default()).unwrap().total;
    assert_eq!((total.attempts, total.cost_nanos), (1, 1));
}

#[test]
fn nothing_that_is_there_is_changed_or_removed() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).unwrap();
    ledger.record(record(1)).unwrap();
    ledger.flush().unwrap();
    let connection = open::writer(&path).unwrap();
    for sql in ["DELETE FROM attempt", "UPDATE attempt SET cost_nanos = 0", "UPDATE facet SET provider = 'x'"] {
        let refused = connection.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("the ledger only grows"), "{sql}: {refused}");
    }
    let shown: (String, String, i64) = connection
        .query_row("SELECT id, provider, cost_nanos FROM attempts", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(shown, ("r1".to_owned(), "p".to_owned(), 1), "any tool can read it");
}

#[test]
fn clients_of_one_process_share_what_is_open() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let one = SqliteLedger::open(&path).unwrap();
    let link = folder.path().join("link.db");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let other = SqliteLedger::open(&link).unwrap();
    assert!(Arc::ptr_eq(&one.live().unwrap(), &other.live().unwrap()));
    one.record(record(1)).unwrap();
    assert_eq!(ids(&other), ["r1"]);
    drop(one);
    other.record(record(2)).unwrap();
    assert_eq!(ids(&other), ["r1", "r2"]);
}

#[test]
fn the_last_one_to_leave_writes_what_waits() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).unwrap();
    (0..2000).for_each(|n| ledger.record(record(n)).unwrap());
    drop(ledger);
    assert_eq!(ids(&SqliteLedger::open(&path).unwrap()).len(), 2000);
    let ledger = SqliteLedger::open(&path).unwrap();
    ledger.record(record(2000)).unwrap();
    flush_all().unwrap();
    // As another process sees it.
    let count: i64 =
        open::reader(&path).unwrap().query_row("SELECT count(*) FROM attempt", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2001);
}

#[test]
fn many_may_make_the_file_at_once() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| open::writer(&path).unwrap());
        }
    });
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("ledger.db")), "{left:?}");
}

/// Opens what must be refused: the error; checks that the file is as it was, and that nothing is beside it.
fn refusal(path: &Path) -> String {
    let before = std::fs::read(path).unwrap();
    let error = SqliteLedger::open(path).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(std::fs::read(path).unwrap(), before, "{error}");
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "{error}");
    error.message().to_owned()
}

#[test]
fn what_is_no_ledger_is_refused_and_stays_as_it_is() {
    for bytes in [b"".to_vec(), b"shopping list".to_vec(), vec![0; 8192], b"SQLite format 3\0 and then not".to_vec()] {
        let folder = folder();
        let path = folder.path().join("ledger.db");
        std::fs::write(&path, &bytes).unwrap();
        let why = refusal(&path);
        assert!(why.contains("ledger.db is not opened"), "{why}");
    }
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE attempt (id TEXT); INSERT INTO attempt VALUES ('mine')").unwrap();
    drop(foreign);
    let why = refusal(&path);
    assert!(why.contains("database of another program"), "{why}");
}

/// A ledger with some records, closed, its log written into it.
fn closed(path: &Path) {
    let ledger = SqliteLedger::open(path).unwrap();
    (0..500).for_each(|n| ledger.record(record(n)).unwrap());
    drop(ledger);
}

#[test]
fn a_newer_ledger_is_refused_and_stays_as_it_is() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    closed(&path);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let why = refusal(&path);
    assert!(why.contains("newer version") && why.contains("its form is 7"), "{why}");
}

#[test]
fn a_damaged_ledger_is_refused_and_stays_as_it_is() {
    for (what, damage) in [
        ("cut", (|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2)) as fn(&mut Vec<u8>)),
        ("a page of zeros", |bytes| {
            let page = bytes.len() / 4096 / 2 * 4096;
            bytes[page..page + 4096].fill(0);
        }),
        ("noise in the first page", |bytes| bytes[100..3000].fill(0xa5)),
    ] {
        let folder = folder();
        let path = folder.path().join("ledger.db");
        closed(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let error = SqliteLedger::open(&path).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{what}");
        assert!(error.message().contains("damaged"), "{what}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what}");
    }
}

#[test]
fn a_file_whose_log_was_being_copied_when_the_power_went_is_whole_with_its_log() {
    let (folder, left) = (folder(), self::folder());
    let (path, after) = (folder.path().join("ledger.db"), left.path().join("ledger.db"));
    closed(&path);
    let ledger = SqliteLedger::open(&path).unwrap();
    (500..1000).for_each(|n| ledger.record(record(n)).unwrap());
    ledger.flush().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    std::fs::copy(folder.path().join("ledger.db-wal"), left.path().join("ledger.db-wal")).unwrap();
    drop(ledger);
    // Of the new pages only the first had come, which counts those that had not.
    bytes[..4096].copy_from_slice(&std::fs::read(&path).unwrap()[..4096]);
    std::fs::write(&after, &bytes).unwrap();
    assert_eq!(ids(&SqliteLedger::open(&after).unwrap()).len(), 1000);
}

#[test]
fn no_folder_is_made_in_silence() {
    let folder = folder();
    let error = SqliteLedger::open(folder.path().join("new/ledger.db")).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("folder"), "{error}");
    assert!(!folder.path().join("new").exists());
    let error = SqliteLedger::open(folder.path()).map(|_| ()).unwrap_err();
    assert!(error.message().contains("not a file"), "{error}");
}

#[test]
fn a_file_is_brought_up_to_date_step_by_step_or_not_at_all() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    closed(&path);
    let mut connection = open::writer(&path).unwrap();
    let steps =
        [schema::STEPS, &["CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT", "CREATE TABLE faulty ("]].concat();
    schema::migrate(&mut connection, &steps).unwrap_err();
    assert_eq!(schema::version(&connection).unwrap(), schema::STEPS.len());
    let good = &steps[..steps.len() - 1];
    schema::migrate(&mut connection, good).unwrap();
    schema::migrate(&mut connection, good).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), good.len());
    let kept: i64 = connection.query_row("SELECT count(*) FROM attempt JOIN more", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 0);
}

#[test]
fn who_has_an_older_library_stops_writing_when_a_newer_one_changes_the_file() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).unwrap();
    open::writer(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    ledger.record(record(1)).unwrap();
    let error = ledger.flush().unwrap_err();
    assert!(error.message().contains("newer version"), "{error}");
}

#[test]
fn a_full_disk_is_told_and_what_waits_is_written_once_there_is_room() {
    let folder = folder();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    let room = |pages: i64| {
        move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap();
        }
    };
    on_writer(&ledger, room(1));
    // On its own, so that the tries that follow do not do it again.
    ledger.flush().unwrap();
    let big = |n| LedgerRecord { request_id: Some("x".repeat(5000)), ..record(n) };
    (0..600).for_each(|n| ledger.record(big(n)).unwrap());
    let error = ledger.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("the disk is full"), "{error}");
    assert!(ledger.usage(&UsageQuery::default()).unwrap_err().message().contains("full"));
    assert!(ledger.failure().unwrap().message().contains("full"));
    // The first in the queue, before what waits: nobody else has this connection.
    let queue = &ledger.live().unwrap();
    let queue = &queue.parts().unwrap().queue;
    queue.put_first(Job::Do(Box::new(room(1 << 20))));
    ledger.flush().unwrap();
    assert!(ledger.failure().is_none());
    assert_eq!(ids(&ledger), (0..600).map(|n| format!("r{n}")).collect::<Vec<_>>());
}

#[test]
fn who_books_more_than_can_be_written_waits_or_is_told() {
    let folder = folder();
    let ledger = Arc::new(SqliteLedger::open(folder.path().join("ledger.db")).unwrap());
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    on_writer(&ledger, move |_| gate.lock().unwrap().recv().unwrap());
    let (told, full) = mpsc::channel();
    let booking = std::thread::spawn({
        let ledger = ledger.clone();
        move || {
            for n in 0..ROOM as u64 + 1000 {
                ledger.record(record(n)).unwrap();
                told.send(n).unwrap();
            }
        }
    });
    // It stops short of what it wants to book, as long as the writer is held up.
    let mut booked = 0;
    while full.recv_timeout(Duration::from_millis(300)).is_ok() {
        booked += 1;
    }
    assert!((ROOM..ROOM + 300).contains(&booked), "{booked}");
    go.send(()).unwrap();
    booking.join().unwrap();
    assert_eq!(ids(&*ledger).len(), ROOM + 1000);

    on_writer(&ledger, |connection| {
        connection.pragma_update_and_check(None, "max_page_count", 1, |row| row.get::<_, i64>(0)).unwrap();
    });
    let refused = (0..3 * ROOM as u64).find_map(|n| {
        let record = LedgerRecord { request_id: Some("x".repeat(5000)), ..record(100_000 + n) };
        ledger.record(record).err()
    });
    assert!(refused.unwrap().message().contains("full"), "a writer that fails holds nobody up for ever");
}

#[test]
fn a_record_that_can_never_be_kept_does_not_hold_up_the_others() {
    let folder = folder();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    on_writer(&ledger, |connection| {
        let trigger =
            "CREATE TEMP TRIGGER bad BEFORE INSERT ON attempt WHEN new.id = 'r1' BEGIN SELECT raise(ABORT, 'no'); END";
        connection.execute_batch(trigger).unwrap();
    });
    (0..3).for_each(|n| ledger.record(record(n)).unwrap());
    assert!(ledger.flush().unwrap_err().message().contains("no"));
    ledger.flush().unwrap();
    assert_eq!(ids(&ledger), ["r0", "r2"]);
}

#[test]
fn a_writer_that_ended_is_told() {
    let folder = folder();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    on_writer(&ledger, |_| panic!("this test wants it"));
    assert!(ledger.flush().unwrap_err().message().contains("ended"));
    assert!(ledger.record(record(1)).unwrap_err().message().contains("ended"));
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_open_while_the_process_forks_and_nothing_is_lost_by_it() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let ledger = Arc::new(SqliteLedger::open(&path).unwrap());
    let open = || {
        let names =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        names.filter(|name| name.starts_with(folder.path())).count()
    };
    (0..1000).for_each(|n| ledger.record(record(n)).unwrap());
    ledger.usage(&UsageQuery::default()).unwrap();
    assert!(open() > 0);
    before_fork();
    assert_eq!(open(), 0);
    ledger.record(record(1000)).unwrap();
    let asking = std::thread::spawn({
        let ledger = ledger.clone();
        move || ledger.usage(&UsageQuery::default()).unwrap().total.attempts
    });
    assert_eq!(open(), 0);
    after_fork();
    assert_eq!(asking.join().unwrap(), 1001);
    assert_eq!(ids(&*ledger).len(), 1001);
}
