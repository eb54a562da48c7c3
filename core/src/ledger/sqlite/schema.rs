//! What the file holds: the tables, made and changed by numbered steps.
//!
//! A step is never edited once it has been released: what changes is a further step. Whatever an older library could not
//! read or would write wrongly is a step too, if only an empty one (a new word in a column of words, for example), because
//! the number of steps is what an older library recognises a newer file by.

use rusqlite::{Connection, TransactionBehavior};

/// SQLite's `application_id` of a ledger: `ifus` in ASCII.
pub(super) const APPLICATION: i32 = i32::from_be_bytes(*b"ifus");

/// The steps; SQLite's `user_version` tells how many of them a file has had.
pub(super) const STEPS: &[&str] = &[ATTEMPTS, BUDGETS];

/// Attempts: numbers and ids in `attempt`; the words that many of them share in `facet` and `price`, each combination
/// once, so that a record is small and sums need not read it whole. The view `attempts` shows everything.
const ATTEMPTS: &str = r#"
CREATE TABLE facet (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  model_sent TEXT NOT NULL,
  model_served TEXT,
  served_by TEXT,
  "key" TEXT,
  purpose TEXT NOT NULL,
  kind TEXT,
  outcome TEXT NOT NULL,
  error TEXT,
  cost_source TEXT,
  confidence TEXT NOT NULL,
  cached INTEGER NOT NULL,
  first INTEGER NOT NULL,
  tags TEXT NOT NULL
) STRICT;

CREATE TABLE price (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  price TEXT NOT NULL
) STRICT;

CREATE TABLE attempt (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run_id TEXT NOT NULL,
  parent TEXT,
  at_ms INTEGER NOT NULL,
  facet INTEGER NOT NULL REFERENCES facet,
  attempt INTEGER NOT NULL,
  request_id TEXT,
  response_id TEXT,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_nanos INTEGER,
  computed_nanos INTEGER,
  price INTEGER REFERENCES price,
  latency_ms INTEGER NOT NULL,
  ttft_ms INTEGER,
  usage TEXT,
  units TEXT,
  flags TEXT
) STRICT;

-- Everything that sums are made of, so that they are read from here alone.
CREATE INDEX attempt_sums ON attempt (facet, at_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens,
  cost_nanos, latency_ms, ttft_ms);

CREATE TRIGGER attempt_stays BEFORE DELETE ON attempt BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER attempt_is_fixed BEFORE UPDATE ON attempt BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER facet_stays BEFORE DELETE ON facet BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER facet_is_fixed BEFORE UPDATE ON facet BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER price_stays BEFORE DELETE ON price BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER price_is_fixed BEFORE UPDATE ON price BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;

CREATE VIEW attempts AS
SELECT a.seq, a.id, a.run_id, a.parent, a.at_ms, f.purpose, f.provider, f.model, f.model_sent, f.model_served, f.served_by,
  f."key", a.request_id, a.response_id, a.attempt, f.kind, f.outcome, f.error, a.prompt_tokens, a.completion_tokens,
  a.cached_tokens, a.reasoning_tokens, a.cost_nanos, f.cost_source, f.confidence, a.computed_nanos, p.price, a.usage,
  a.units, a.flags, a.latency_ms, a.ttft_ms, f.cached, f.first, f.tags
FROM attempt AS a JOIN facet AS f ON f.id = a.facet LEFT JOIN price AS p ON p.id = a.price;
"#;

/// Budgets and corrections. `reservation`, `released` and `adjustment` only grow: what was held, budget by budget, which of
/// it was given back, and what vendors billed otherwise. What stands where follows from these and `attempt`, and is kept in
/// `slot` and `held` so that nobody has to add up history: sums of an account by slot of time, and holds that are not settled.
const BUDGETS: &str = r#"
CREATE TABLE budget (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  form TEXT NOT NULL
) STRICT;

CREATE TABLE account (
  id INTEGER PRIMARY KEY,
  budget INTEGER NOT NULL REFERENCES budget,
  value TEXT
) STRICT;
CREATE INDEX account_of ON account (budget, value);

CREATE TABLE reservation (
  id TEXT NOT NULL,
  account INTEGER NOT NULL REFERENCES account,
  owner TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  lease_ms INTEGER NOT NULL,
  nanos INTEGER,
  PRIMARY KEY (id, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE released (
  id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE slot (
  account INTEGER NOT NULL REFERENCES account,
  slot INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  unknown INTEGER NOT NULL,
  held INTEGER NOT NULL,
  open INTEGER NOT NULL,
  over INTEGER NOT NULL,
  over_nanos INTEGER NOT NULL,
  exceeded INTEGER NOT NULL,
  PRIMARY KEY (account, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE held (
  id TEXT NOT NULL,
  account INTEGER NOT NULL REFERENCES account,
  slot INTEGER NOT NULL,
  nanos INTEGER,
  lease_ms INTEGER NOT NULL,
  lapsed INTEGER NOT NULL,
  PRIMARY KEY (id, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_until ON held (lease_ms) WHERE lapsed = 0;

CREATE TABLE adjustment (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  at_ms INTEGER NOT NULL,
  until_ms INTEGER,
  provider TEXT NOT NULL,
  model TEXT,
  "key" TEXT,
  tags TEXT NOT NULL,
  record TEXT,
  vendor_id TEXT,
  residual TEXT NOT NULL,
  delta_nanos INTEGER NOT NULL,
  file TEXT NOT NULL,
  "row" INTEGER
) STRICT;

CREATE TRIGGER reservation_stays BEFORE DELETE ON reservation BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER reservation_is_fixed BEFORE UPDATE ON reservation BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER released_stays BEFORE DELETE ON released BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER released_is_fixed BEFORE UPDATE ON released BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER adjustment_stays BEFORE DELETE ON adjustment BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER adjustment_is_fixed BEFORE UPDATE ON adjustment BEGIN SELECT raise(ABORT, 'the ledger only grows'); END;
"#;

/// How many steps a file has had.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A number that no library wrote is newer than anything.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Takes the steps that a file has not had yet, all or none of them; whoever comes second finds nothing left to do.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    if version(connection)? >= steps.len() {
        return Ok(());
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let had = version(&change)?;
    for step in steps.iter().skip(had) {
        change.execute_batch(step)?;
    }
    if had < steps.len() {
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", steps.len() as i64)?;
    }
    change.commit()
}
