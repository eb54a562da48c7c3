//! interfuse
