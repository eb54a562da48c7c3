//! What SQLite and the file system say, as errors that tell what to do.

use std::fmt::Display;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// How long another process may keep the file locked before that is an error, seconds.
pub(super) const PATIENCE_S: u64 = 10;

/// The error of a file that cannot be the ledger; nothing of it was changed.
pub(super) fn refused(path: &Path, why: impl Display) -> Error {
    Error::new(ErrorKind::Storage, format!("the ledger {} is not opened: {why}", path.display()))
}

/// The error of something done with the ledger: `doing` is "written", "read", ...
pub(super) fn storage(path: &Path, doing: &str, error: &rusqlite::Error) -> Error {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space, then what waits is written".to_owned(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "its file is damaged; move it and its `-wal` file away and start anew, or put a copy in its place".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another process has kept it locked for more than {PATIENCE_S} seconds; see who has it open")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "this user may not write it, or may not make files beside it; change the permissions of the file and its folder"
                .to_owned()
        }
        Some(ErrorCode::SystemIoFailure) => "the disk or its file system failed; see the system's log".to_owned(),
        _ => "this is not expected".to_owned(),
    };
    Error::new(ErrorKind::Storage, format!("the ledger {} cannot be {doing}: {advice} ({error})", path.display()))
}

/// Whether it is the record that cannot be kept, by any number of tries.
pub(super) fn of_the_record(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{SqliteFailure, ToSqlConversionFailure};
    matches!(error, ToSqlConversionFailure(_))
        || matches!(error, SqliteFailure(e, _)
            if matches!(e.code, ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch))
}
