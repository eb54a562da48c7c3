//! Opening the file: what is not a ledger of this kind is refused before anything is written, what is missing is made.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::faults::{PATIENCE_S, refused, storage};
use super::fork::Opened;
use super::{place, schema};
use crate::error::Result;

/// Files up to this size are read through for damage when they are opened, bytes; it takes milliseconds.
const READ_THROUGH: u64 = 4 << 20;
/// What the log may keep of the disk after it has been copied into the file, bytes.
const LOG: i64 = 16 << 20;
/// The length at which the log is copied into the file, pages of 4 KiB: within [`LOG`], and so many that fewer than one hold
/// in a hundred waits for it.
const COPY: i64 = 4000;

/// The path by which everybody in this process knows the file. Its folder must be there: none is made in silence.
pub(super) fn canonical(path: &Path) -> Result<PathBuf> {
    if let Ok(found) = path.canonicalize() {
        return Ok(found);
    }
    let name = path.file_name().ok_or_else(|| refused(path, "it names no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.canonicalize() {
        Ok(folder) => Ok(folder.join(name)),
        Err(why) => Err(refused(path, format!("its folder cannot be used: {why}; make it, or name another"))),
    }
}

/// The connection that writes. Makes the file where there is none, and brings an older one up to date.
pub(super) fn writer(path: &Path) -> Result<Opened> {
    place::check(path.parent().unwrap_or(path))?;
    match fs::metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => create(path)?,
        Err(why) => return Err(refused(path, why)),
        Ok(found) if !found.is_file() => return Err(refused(path, "it is not a file")),
        Ok(found) if found.len() == 0 => {
            return Err(refused(path, "the file is empty, which no ledger ever is; remove it, and a ledger is made"));
        }
        Ok(_) => {}
    }
    inspect(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    set_up(path, &mut connection)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Opened> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let asked = connection.pragma_update(None, "query_only", true);
    asked.map_err(|e| storage(path, "read", &e))?;
    Ok(connection)
}

/// Refuses what is no ledger, or one that this library is too old for, looking at the first page alone and in a way that
/// writes nothing and takes no lock.
fn inspect(path: &Path) -> Result<()> {
    let url = url::Url::from_file_path(path).map_err(|()| refused(path, "its path is not absolute"))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let looked = Connection::open_with_flags(format!("{url}?immutable=1"), flags).and_then(|connection| {
        // Where somebody was killed while the log was copied into the file, the file alone may be too short for what its
        // first page says; with its log it is sound. SQLite lets that pass when its schema may be repaired.
        connection.pragma_update(None, "writable_schema", true)?;
        let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok((application, schema::version(&connection)?))
    });
    let elsewhere = "nothing was changed; name another file for the ledger";
    match looked {
        Ok((schema::APPLICATION, version)) if version > schema::STEPS.len() => Err(refused(
            path,
            format!(
                "it was written by a newer version of interfuse (its form is {version}, and {} is the latest known here); \
                 update interfuse, or name another file",
                schema::STEPS.len()
            ),
        )),
        Ok((schema::APPLICATION, _)) => Ok(()),
        Ok(_) => Err(refused(path, format!("it is a database of another program; {elsewhere}"))),
        Err(why) => Err(refused(path, format!("it is no ledger, or damaged ({why}); {elsewhere}"))),
    }
}

/// Makes a file that is a whole ledger from the moment on at which it has its name; whoever comes second takes that of the
/// first.
fn create(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unnamed = path.with_file_name(format!(".{name}.{}", crate::ids::new()));
    let made = fill(path, &unnamed).and_then(|()| match fs::hard_link(&unnamed, path) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(|why| refused(path, format!("it cannot be made: {why}"))),
    });
    // It may not even have been made.
    let _ = fs::remove_file(&unnamed);
    made?;
    // Else the name could be lost with the power, and the file with it.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|why| refused(path, why))?;
    }
    Ok(())
}

fn fill(path: &Path, unnamed: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connect(unnamed, flags).map_err(|e| refused(path, e.message()))?;
    let filled = schema::migrate(&mut connection, schema::STEPS)
        .and_then(|()| connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0)))
        .map(drop);
    filled.map_err(|why| storage(path, "made", &why))
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Opened> {
    let opened =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).and_then(|mut connection| {
            connection.busy_handler(Some(patience()))?;
            // Nothing that somebody wrote into the file's schema is run for it.
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(Opened::new(connection))
        });
    opened.map_err(|why| storage(path, "opened", &why))
}

/// Asks again after a short while that is different each time, so that those who wait do not move in step; a longer one the
/// longer it takes, as many who ask all the time leave whoever writes no processor to do it with.
fn patience() -> impl FnMut(i32) -> bool + Send + 'static {
    let since = Cell::new(Instant::now());
    move |turn| {
        if turn == 0 {
            since.set(Instant::now());
        }
        let wait = since.get().elapsed() < Duration::from_secs(PATIENCE_S);
        if wait {
            std::thread::sleep(Duration::from_micros(fastrand::u64(100..1000 * turn.clamp(1, 16) as u64)));
        }
        wait
    }
}

fn set_up(path: &Path, connection: &mut Connection) -> Result<()> {
    let fault = |why: rusqlite::Error| storage(path, "opened", &why);
    // Until the file is known to be sound, closing it writes nothing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(fault)?;
    if connection.is_readonly("main").map_err(fault)? {
        return Err(refused(path, "this user may not write it"));
    }
    if fs::metadata(path).is_ok_and(|found| found.len() <= READ_THROUGH) {
        let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(fault)?;
        if found != "ok" {
            return Err(refused(path, format!("it is damaged ({found}); move it away, or put a copy in its place")));
        }
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(fault)?;
    schema::migrate(connection, schema::STEPS).map_err(fault)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(fault)?;
    if mode != "wal" {
        return Err(refused(
            path,
            format!("SQLite keeps no log for it here (its mode is `{mode}`); name a file elsewhere"),
        ));
    }
    connection.pragma_update(None, "synchronous", "full").map_err(fault)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG, |row| row.get::<_, i64>(0)).map_err(fault)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", COPY, |row| row.get::<_, i64>(0)).map_err(fault)?;
    Ok(())
}
