//! The C header: functions and handles from `ffi/src` by cbindgen, statuses from the core's table of error kinds.

use std::fmt::Write as _;
use std::path::Path;

use cbindgen::{Builder, Config};
use interfuse::error::KINDS;

use super::{MARKER, root};

/// In the order in which the header presents them.
const SOURCES: &[&str] = &[
    "version", "text", "error", "ready", "log", "client", "testing", "fusion", "batch", "call", "stream", "card",
    "ledger",
];

const OVERVIEW: &str = "\
/**
 * @file
 * One API over every inference provider, and fusion of their answers.
 *
 * Handles are opaque; requests and results are JSON text (interfuse.schema.json describes them). All text is
 * NUL-terminated UTF-8.
 *
 * A function that can fail returns a status: INTERFUSE_OK, INTERFUSE_END, INTERFUSE_NOT_READY, or a negative
 * INTERFUSE_<KIND>; its last parameter, which may be NULL, then receives an error to be freed with
 * interfuse_error_free. Out-parameters are NULL unless something was put there.
 *
 * Who frees: handles have their `_free`, text from an out-parameter goes to interfuse_string_free, text that a
 * function returns is never freed. Every `_free` takes NULL. A handle that is freed a second time, or used once it was
 * freed, is refused (INTERFUSE_MISUSE; the log tells of a `_free`) as long as it is among the last 256 that were freed.
 * Text is not watched: to free it twice is undefined, as with free().
 *
 * Do not unload the library. After fork(), clients work in the child; calls and streams of the parent do not.
 */
";

/// The text of `include/interfuse.h`.
///
/// # Errors
/// A source that cbindgen cannot read.
pub fn header() -> Result<String, String> {
    let ffi = root().join("ffi");
    let mut config = Config::from_file(ffi.join("cbindgen.toml"))?;
    config.header = Some(format!("/* {MARKER} */"));
    config.after_includes = Some(format!("\n{OVERVIEW}\n{}", statuses()?));
    let mut builder = Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(source_file(&ffi, source));
    }
    let bindings = builder.generate().map_err(|error| format!("cbindgen: {error}"))?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).map_err(|error| format!("cbindgen: {error}"))
}

fn source_file(ffi: &Path, name: &str) -> std::path::PathBuf {
    ffi.join("src").join(name).with_extension("rs")
}

fn statuses() -> Result<String, String> {
    let mut text = String::new();
    let fixed = [
        ("OK", 0, "Done.".to_owned()),
        ("END", 1, "The stream ended as it should; there are no more items.".to_owned()),
        ("NOT_READY", 2, "Nothing came in time; ask again.".to_owned()),
    ];
    let kinds = KINDS.iter().map(|kind| (kind.name, kind.number, format!("{} {}", kind.doc, kind.remedy)));
    for (name, number, doc) in fixed.into_iter().chain(kinds) {
        let name = name.to_uppercase();
        let number = if number < 0 { format!("({number})") } else { number.to_string() };
        write!(text, "/** {doc} */\n#define INTERFUSE_{name} {number}\n\n").map_err(|error| error.to_string())?;
    }
    text.pop();
    Ok(text)
}
