//! The one thread that writes: everything that waits goes into the file in one transaction and so shares one write to the
//! disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Statement};

use super::super::budget::{Reserved, Standing};
use super::accounts::Accounts;
use super::corrections::Corrections;
use super::faults::{of_the_record, storage};
use super::fork::Opened;
use super::queue::{Job, Next, Queue};
use super::rows::Rows;
use super::{open, schema};
use crate::error::{Error, ErrorKind, Result};

/// Writes what the queue gives until it is closed and empty; what cannot be written stays in the queue.
pub(super) fn run(first: Opened, queue: &Arc<Queue>, path: PathBuf) {
    // Whoever waits must learn of the end, however it comes.
    let _end = End { queue, path: &path };
    let mut opened = Ok(first);
    loop {
        let parked = match opened {
            Ok(connection) => serve(&connection, queue, &path),
            Err(why) => refuse(&why, queue),
        };
        if !parked {
            return;
        }
        let Some(_counted) = queue.resume() else { return };
        opened = open::writer(&path);
    }
}

/// Writes until the file must be closed, and returns true then; or until there is nothing left to do.
fn serve(connection: &Connection, queue: &Queue, path: &Path) -> bool {
    let mut writer = match Writer::new(connection, path) {
        Ok(writer) => writer,
        Err(why) => return refuse(&storage(path, "written", &why), queue),
    };
    loop {
        let jobs = match queue.take() {
            Next::Write(jobs) => jobs,
            Next::Park => return true,
            Next::End => return false,
        };
        match writer.write(&jobs) {
            Ok(Written { impossible, answers }) => {
                let count = jobs.len();
                // Before whoever flushes goes on: what is given back here comes before what is asked then.
                for (job, answer) in jobs.into_iter().zip(answers) {
                    tell(job, answer, queue);
                }
                queue.kept(count, impossible);
            }
            Err(why) => {
                tracing::error!(target: "interfuse", error = %why, "the ledger cannot be written");
                if !queue.failed(jobs, why) {
                    return false;
                }
            }
        }
    }
}

/// What was written.
struct Written {
    /// Why some of it never can be.
    impossible: Option<Error>,
    /// What each job comes to.
    answers: Vec<Answer>,
}

enum Answer {
    None,
    Reserved(Reserved),
    Standings(Vec<Vec<Standing>>),
    Corrected(u64),
}

/// Answers whoever waits for a job, now that it is durable.
fn tell(job: Job, answer: Answer, queue: &Queue) {
    match (job, answer) {
        (Job::Reserve(hold, told), Answer::Reserved(reserved)) => {
            // Nobody waits for it any more.
            if let Err(Ok(Reserved::Held(_))) = told.send(Ok(reserved)) {
                queue.give_back(hold.id);
            }
        }
        // Whoever asked may have gone.
        (Job::Standings(.., told), Answer::Standings(standings)) => drop(told.send(Ok(standings))),
        (Job::Correct(_, told), Answer::Corrected(new)) => drop(told.send(Ok(new))),
        _ => {}
    }
}

/// Tells whoever wants something written why that cannot be; then the file is tried again. Returns false when that was the
/// last chance.
fn refuse(why: &Error, queue: &Queue) -> bool {
    match queue.take() {
        Next::Write(jobs) => queue.failed(jobs, why.clone()),
        Next::Park => true,
        Next::End => false,
    }
}

struct End<'a> {
    queue: &'a Queue,
    path: &'a Path,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let left = self.queue.over();
        if left > 0 {
            tracing::error!(target: "interfuse", ledger = %self.path.display(), records = left, "records are lost: they could not be written");
        }
    }
}

struct Writer<'c> {
    connection: &'c Connection,
    path: &'c Path,
    begin: Statement<'c>,
    commit: Statement<'c>,
    version: Statement<'c>,
    rows: Rows<'c>,
    accounts: Accounts<'c>,
    corrections: Corrections<'c>,
}

impl<'c> Writer<'c> {
    fn new(connection: &'c Connection, path: &'c Path) -> rusqlite::Result<Self> {
        Ok(Writer {
            connection,
            path,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            version: connection.prepare("PRAGMA user_version")?,
            rows: Rows::new(connection)?,
            accounts: Accounts::new(connection)?,
            corrections: Corrections::new(connection)?,
        })
    }

    /// Makes all of it durable, or none; what can never be kept is left out, and why is returned.
    fn write(&mut self, jobs: &[Job]) -> Result<Written> {
        let written = self.attempt(jobs);
        if written.is_err() {
            if !self.connection.is_autocommit() {
                // SQLite may have done it already, or the file is out of reach: either way nothing was kept.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            self.rows.forget();
        }
        written
    }

    fn attempt(&mut self, jobs: &[Job]) -> Result<Written> {
        let fault = |why: rusqlite::Error| storage(self.path, "written", &why);
        self.begin.execute([]).map_err(fault)?;
        let version: i64 = self.version.query_row([], |row| row.get(0)).map_err(fault)?;
        if version != schema::STEPS.len() as i64 {
            let why = format!(
                "the ledger {} was changed by a newer version of interfuse while it was open; update interfuse here, too",
                self.path.display()
            );
            return Err(Error::new(ErrorKind::Storage, why));
        }
        let (mut impossible, mut answers) = (None, Vec::with_capacity(jobs.len()));
        for job in jobs {
            let mut answer = Answer::None;
            match job {
                Job::Record(record) => match self.rows.add(record) {
                    Ok(()) => self.accounts.settle(&record.id, record.cost_nanos).map_err(fault)?,
                    Err(why) if of_the_record(&why) => {
                        let why = fault(why);
                        tracing::error!(target: "interfuse", record = record.id, error = %why, "a record cannot be kept");
                        impossible = Some(why);
                    }
                    Err(why) => return Err(fault(why)),
                },
                // Nobody waits for it any more.
                Job::Reserve(_, told) if told.is_closed() => {}
                Job::Reserve(hold, _) => answer = Answer::Reserved(self.accounts.reserve(hold).map_err(fault)?),
                Job::Release(id) => self.accounts.release(id).map_err(fault)?,
                Job::Standings(budgets, now_ms, _) => {
                    answer = Answer::Standings(self.accounts.standings(budgets, *now_ms).map_err(fault)?);
                }
                Job::Correct(corrections, _) => {
                    answer = Answer::Corrected(self.corrections.add(corrections).map_err(fault)?);
                }
                #[cfg(test)]
                Job::Do(what) => what(self.connection),
            }
            answers.push(answer);
        }
        self.commit.execute([]).map_err(fault)?;
        Ok(Written { impossible, answers })
    }
}
