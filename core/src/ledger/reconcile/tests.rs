//! Reconciliation on small reports.
