//! What is spent and held of every budget, in the file: the same rules as in memory, written with the records in one
//! transaction. What other processes hold is seen, as sums are read in the transaction that decides.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params};

use super::super::budget::{Budget, Claim, Hold, Over, Reserved, Slot, Span, Standing};
use super::count::{self, Whose};
use super::rows::{signed, unsigned};
use crate::types::BudgetMode;

/// The prepared statements of the writer for budgets.
pub(super) struct Accounts<'c> {
    connection: &'c Connection,
    is_held: Statement<'c>,
    find_budget: Statement<'c>,
    find_account: Statement<'c>,
    add_account: Statement<'c>,
    forget: Statement<'c>,
    sums: Statement<'c>,
    read_slot: Statement<'c>,
    write_slot: Statement<'c>,
    add_reservation: Statement<'c>,
    add_held: Statement<'c>,
    find_held: Statement<'c>,
    remove_held: Statement<'c>,
    add_released: Statement<'c>,
    find_lapsing: Statement<'c>,
    lapse: Statement<'c>,
}

/// What is held against one account.
struct Part {
    account: i64,
    slot: i64,
    nanos: Option<u64>,
    lapsed: bool,
}

impl Part {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let nanos = row.get::<_, Option<i64>>(2)?.map(unsigned);
        Ok(Part { account: row.get(0)?, slot: row.get(1)?, nanos, lapsed: row.get(3)? })
    }
}

/// A moment, as SQLite compares it.
pub(super) fn time(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

impl<'c> Accounts<'c> {
    pub fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Accounts {
            connection,
            is_held: connection.prepare("SELECT 1 FROM held WHERE id = ?1")?,
            find_budget: connection.prepare("SELECT id, form FROM budget WHERE name = ?1")?,
            find_account: connection.prepare("SELECT id FROM account WHERE budget = ?1 AND value IS ?2")?,
            add_account: connection.prepare("INSERT INTO account (budget, value) VALUES (?1, ?2)")?,
            forget: connection.prepare("DELETE FROM slot WHERE account = ?1 AND slot < ?2 AND open = 0")?,
            sums: connection.prepare(
                "SELECT spent, unknown, held, open, over, over_nanos, exceeded FROM slot WHERE account = ?1 AND slot >= ?2",
            )?,
            read_slot: connection.prepare(
                "SELECT spent, unknown, held, open, over, over_nanos, exceeded FROM slot WHERE account = ?1 AND slot = ?2",
            )?,
            write_slot: connection.prepare("REPLACE INTO slot VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?,
            add_reservation: connection.prepare("INSERT INTO reservation VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            add_held: connection.prepare("INSERT INTO held VALUES (?1, ?2, ?3, ?4, ?5, 0)")?,
            find_held: connection.prepare("SELECT account, slot, nanos, lapsed FROM held WHERE id = ?1")?,
            remove_held: connection.prepare("DELETE FROM held WHERE id = ?1")?,
            add_released: connection.prepare("INSERT OR IGNORE INTO released VALUES (?1)")?,
            find_lapsing: connection
                .prepare("SELECT account, slot, nanos, lapsed FROM held WHERE lapsed = 0 AND lease_ms <= ?1")?,
            lapse: connection.prepare("UPDATE held SET lapsed = 1 WHERE lapsed = 0 AND lease_ms <= ?1")?,
        })
    }

    /// Holds an attempt's most against every budget that it falls under, or against none.
    pub fn reserve(&mut self, hold: &Hold) -> rusqlite::Result<Reserved> {
        // Asked again: it is held already.
        if self.is_held.exists([&hold.id])? {
            return Ok(Reserved::Held(Vec::new()));
        }
        self.lapse(hold.at_ms)?;
        let (mut over, mut refused) = (Vec::new(), false);
        let mut accounts = Vec::with_capacity(hold.claims.len());
        for (place, claim) in hold.claims.iter().enumerate() {
            let Span { since, slot, .. } = claim.span;
            let account = self.account(claim)?;
            accounts.push(account);
            self.forget.execute(params![account, time(since)])?;
            let Slot { spent, held, .. } = self.sums(account, since)?;
            if claim.exceeds(spent, held) {
                self.change(account, time(slot), |slot| slot.exceeded += 1)?;
                refused |= claim.budget.mode == BudgetMode::Enforce;
                over.push(Over { claim: place, spent, held });
            }
        }
        if refused {
            over.retain(|over| hold.claims[over.claim].budget.mode == BudgetMode::Enforce);
            return Ok(Reserved::Refused(over));
        }
        for (claim, account) in hold.claims.iter().zip(accounts) {
            let (slot, nanos, lease) = (time(claim.span.slot), claim.nanos.map(signed), time(hold.lease_ms));
            self.change(account, slot, |slot| slot.hold(claim.nanos))?;
            self.add_reservation.execute(params![hold.id, account, hold.owner, time(hold.at_ms), lease, nanos])?;
            self.add_held.execute(params![hold.id, account, slot, nanos, lease])?;
        }
        Ok(Reserved::Held(over))
    }

    /// Puts an attempt's cost in the place of its hold; where it is not known, what was held stays spent.
    pub fn settle(&mut self, id: &str, cost: Option<u64>) -> rusqlite::Result<()> {
        self.close(id, |slot, held| slot.settle(held, cost)).map(drop)
    }

    /// Gives back what was held for an attempt that was never sent.
    pub fn release(&mut self, id: &str) -> rusqlite::Result<()> {
        if self.close(id, |_, _| ())? {
            self.add_released.execute([id])?;
        }
        Ok(())
    }

    /// Where budgets stand: one without `each` always, one with it for every value that there was.
    pub fn standings(&mut self, budgets: &[Arc<Budget>], now_ms: u64) -> rusqlite::Result<Vec<Vec<Standing>>> {
        self.lapse(now_ms)?;
        budgets.iter().map(|budget| self.standing(budget, budget.window.span(now_ms).since)).collect()
    }

    fn standing(&mut self, budget: &Budget, since: u64) -> rusqlite::Result<Vec<Standing>> {
        let id = self.budget(budget, since)?;
        if budget.each.is_none() {
            let account = self.find_account.query_row(params![id, None::<&str>], |row| row.get(0)).optional()?;
            let sums = account.map(|account| self.sums(account, since)).transpose()?.unwrap_or_default();
            return Ok(vec![sums.standing(None)]);
        }
        let mut statement = self.connection.prepare(
            "SELECT id, value FROM account WHERE budget = ?1 AND EXISTS (SELECT 1 FROM slot WHERE account = account.id) \
             ORDER BY value",
        )?;
        let found = statement.query_map([id], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))?;
        let found: Vec<(i64, Option<String>)> = found.collect::<rusqlite::Result<_>>()?;
        let of =
            |(account, value): (i64, Option<String>)| Ok(self.sums(account, since)?.standing(value.map(Arc::from)));
        found.into_iter().map(of).collect()
    }

    /// Takes holds whose lease has ended for spent.
    fn lapse(&mut self, now_ms: u64) -> rusqlite::Result<()> {
        let now = time(now_ms);
        let lapsing: Vec<Part> = self.find_lapsing.query_map([now], Part::read)?.collect::<rusqlite::Result<_>>()?;
        if lapsing.is_empty() {
            return Ok(());
        }
        for part in lapsing {
            self.change(part.account, part.slot, |slot| slot.lapse(part.nanos))?;
        }
        self.lapse.execute([now]).map(drop)
    }

    /// Ends a hold; whether there was one.
    fn close(&mut self, id: &str, settle: impl Fn(&mut Slot, Option<u64>)) -> rusqlite::Result<bool> {
        let parts: Vec<Part> = self.find_held.query_map([id], Part::read)?.collect::<rusqlite::Result<_>>()?;
        if parts.is_empty() {
            return Ok(false);
        }
        for part in parts {
            self.change(part.account, part.slot, |slot| {
                slot.close(part.nanos, part.lapsed);
                settle(slot, part.nanos);
            })?;
        }
        self.remove_held.execute([id])?;
        Ok(true)
    }

    /// The account of a claim.
    fn account(&mut self, claim: &Claim) -> rusqlite::Result<i64> {
        let budget = self.budget(&claim.budget, claim.span.since)?;
        self.account_of(budget, claim.value.as_deref())
    }

    fn account_of(&mut self, budget: i64, value: Option<&str>) -> rusqlite::Result<i64> {
        let found = self.find_account.query_row(params![budget, value], |row| row.get(0)).optional()?;
        match found {
            Some(account) => Ok(account),
            None => self.add_account.insert(params![budget, value]),
        }
    }

    /// The row of a budget. Where it is used for the first time, or counts something else than before, what is in the file
    /// already is counted first.
    fn budget(&mut self, budget: &Budget, since: u64) -> rusqlite::Result<i64> {
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
        let found = self.find_budget.query_row([&budget.name], read).optional()?;
        let form = budget.form();
        match &found {
            Some((id, known)) if *known == form => return Ok(*id),
            _ => {}
        }
        let change = "INSERT INTO budget (name, form) VALUES (?1, ?2) \
            ON CONFLICT (name) DO UPDATE SET form = excluded.form RETURNING id";
        let id = self.connection.query_row(change, params![budget.name, form], |row| row.get(0))?;
        self.count(id, budget, since)?;
        Ok(id)
    }

    /// Makes the sums of a budget anew, of everything that was booked and held.
    pub fn count(&mut self, id: i64, budget: &Budget, since: u64) -> rusqlite::Result<()> {
        let mut slots: HashMap<(i64, i64), Slot> = HashMap::new();
        for ((whose, at), counted) in count::all(self.connection, id, budget, since)? {
            let account = match whose {
                Whose::Account(account) => account,
                Whose::Value(value) => self.account_of(id, value.as_deref())?,
            };
            slots.entry((account, at)).or_default().add(&counted);
        }
        self.connection
            .execute("DELETE FROM slot WHERE account IN (SELECT id FROM account WHERE budget = ?1)", [id])?;
        slots.iter().try_for_each(|((account, at), slot)| self.write(*account, *at, slot))
    }

    /// Sums over the slots that count.
    fn sums(&mut self, account: i64, since: u64) -> rusqlite::Result<Slot> {
        let mut sums = Slot::default();
        let mut rows = self.sums.query(params![account, time(since)])?;
        while let Some(row) = rows.next()? {
            sums.add(&slot(row)?);
        }
        Ok(sums)
    }

    fn change(&mut self, account: i64, at: i64, change: impl FnOnce(&mut Slot)) -> rusqlite::Result<()> {
        let mut slot = self.read_slot.query_row(params![account, at], slot).optional()?.unwrap_or_default();
        change(&mut slot);
        self.write(account, at, &slot)
    }

    fn write(&mut self, account: i64, at: i64, slot: &Slot) -> rusqlite::Result<()> {
        let Slot { spent, unknown, held, open, over, over_nanos, exceeded } = *slot;
        let [spent, unknown, held, open] = [spent, unknown, held, open].map(signed);
        let [over, over_nanos, exceeded] = [over, over_nanos, exceeded].map(signed);
        self.write_slot.execute(params![account, at, spent, unknown, held, open, over, over_nanos, exceeded])?;
        Ok(())
    }
}

fn slot(row: &Row<'_>) -> rusqlite::Result<Slot> {
    let number = |column| row.get(column).map(unsigned);
    Ok(Slot {
        spent: number(0)?,
        unknown: number(1)?,
        held: number(2)?,
        open: number(3)?,
        over: number(4)?,
        over_nanos: number(5)?,
        exceeded: number(6)?,
    })
}
