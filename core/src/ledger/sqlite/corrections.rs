//! Corrections as rows, and back.

use rusqlite::{Connection, Row, Statement, params};

use super::rows::{json, known, parsed, signed, unsigned, word};
use crate::types::Correction;

/// The writer's statement for corrections.
pub(super) struct Corrections<'c> {
    add: Statement<'c>,
}

impl<'c> Corrections<'c> {
    pub fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let add = "INSERT INTO adjustment (id, at_ms, until_ms, provider, model, \"key\", tags, record, vendor_id, residual, \
            delta_nanos, file, \"row\") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
            ON CONFLICT (id) DO NOTHING";
        Ok(Corrections { add: connection.prepare(add)? })
    }

    /// Adds those that are not there yet, in the transaction that runs; how many these are.
    pub fn add(&mut self, corrections: &[Correction]) -> rusqlite::Result<u64> {
        let mut new = 0;
        for correction in corrections {
            new += self.add.execute(params![
                correction.id,
                signed(correction.at_ms),
                correction.until_ms.map(signed),
                correction.provider,
                correction.model,
                correction.key,
                json(&correction.tags)?,
                correction.record,
                correction.vendor_id,
                word(&correction.residual)?,
                correction.delta_nanos,
                correction.file,
                correction.row.map(signed),
            ])?;
        }
        Ok(new as u64)
    }
}

/// The corrections from a moment to another, in the order they were kept.
pub(super) fn read(connection: &Connection, (since, last): (i64, i64)) -> rusqlite::Result<Vec<Correction>> {
    let mut statement = connection.prepare(
        "SELECT id, at_ms, until_ms, provider, model, \"key\", tags, record, vendor_id, residual, delta_nanos, file, \"row\" \
         FROM adjustment WHERE at_ms BETWEEN ?1 AND ?2 ORDER BY seq",
    )?;
    statement.query_map([since, last], correction)?.collect()
}

fn correction(row: &Row<'_>) -> rusqlite::Result<Correction> {
    let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(unsigned));
    Ok(Correction {
        id: row.get(0)?,
        at_ms: unsigned(row.get(1)?),
        until_ms: number(2)?,
        provider: row.get(3)?,
        model: row.get(4)?,
        key: row.get(5)?,
        tags: parsed(row, 6)?.unwrap_or_default(),
        record: row.get(7)?,
        vendor_id: row.get(8)?,
        residual: known(row, 9)?.unwrap_or_default(),
        delta_nanos: row.get(10)?,
        file: row.get(11)?,
        row: number(12)?,
    })
}
