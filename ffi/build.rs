//! Link options of the shared library: its name carries the ABI version, and it stays loaded once it is.

use std::path::Path;

/// Equal to `INTERFUSE_ABI_VERSION`; a test compares the two.
const ABI: &str = "0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    match os.as_str() {
        "macos" => println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libinterfuse.{ABI}.dylib"),
        "windows" => {}
        _ => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libinterfuse.so.{ABI}");
            // A thread that used thread-locals of an unloaded library crashes when it ends.
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
            link_name();
        }
    }
}

/// What is linked against `libinterfuse.so` asks for the name with the version; let the build folder have it, too.
fn link_name() {
    #[cfg(unix)]
    if let Some(out) = std::env::var_os("OUT_DIR")
        && let Some(profile) = Path::new(&out).ancestors().nth(3)
    {
        let _ = std::os::unix::fs::symlink("libinterfuse.so", profile.join(format!("libinterfuse.so.{ABI}")));
    }
}
