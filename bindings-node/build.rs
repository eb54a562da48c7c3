//! Link arguments of a Node addon.

fn main() {
    napi_build::setup();
    // The runtime's threads outlive a worker's environment: the code they run must never be unmapped.
    let family = |name: &str| std::env::var(name).unwrap_or_default();
    if family("CARGO_CFG_TARGET_FAMILY") == "unix" && family("CARGO_CFG_TARGET_VENDOR") != "apple" {
        println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    }
}
