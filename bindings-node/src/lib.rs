//! The native half of the Node package: JSON text in, JSON text out, on napi's own runtime. What users see is in `js/`.

mod batch;
mod call;
mod client;
mod keys;
mod stream;

// A function that nothing here calls is alive only where it can be seen from outside.
pub use client::{
    batch_text, calibrate, calibration_text, evaluation_html, evaluation_text, fused_html, replay, usage_csv,
};
