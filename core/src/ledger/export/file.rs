//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::unwritten;
use crate::error::{Error, ErrorKind, Result};

/// Has a file written beside `path` and puts it there once it is complete and on the disk; what was there before is
/// replaced then and not earlier.
///
/// # Errors
/// `storage` when it cannot be written; nothing is left behind then.
pub fn whole<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let wrong =
        |e: std::io::Error| Error::new(ErrorKind::Storage, format!("{} cannot be written: {e}", path.display()));
    let Some(name) = path.file_name() else {
        return Err(Error::invalid_request(format!("`{}` is no file's path", path.display())).with_param("path"));
    };
    let mut part = OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", crate::ids::new()));
    let part = path.with_file_name(part);
    let file = File::options().write(true).create_new(true).open(&part).map_err(wrong)?;
    let written = (|| {
        let mut out = BufWriter::with_capacity(1 << 18, file);
        let done = write(&mut out)?;
        let file = out.into_inner().map_err(|e| unwritten(e.error()))?;
        file.sync_all().map_err(wrong)?;
        fs::rename(&part, path).map_err(wrong)?;
        Ok(done)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "before").unwrap();
        let failed = whole(&path, |out| {
            out.write_all(b"half").map_err(|e| unwritten(&e))?;
            Err::<(), _>(Error::invalid_request("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        whole(&path, |out| out.write_all(b"after").map_err(|e| unwritten(&e))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let e = whole(&folder.path().join("no/b.csv"), |_| Ok(())).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Storage);
        assert!(e.message().contains("b.csv"), "{e}");
    }
}
