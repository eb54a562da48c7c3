//! The public data.
