//! The compiled half of the Python package: it hands dicts to the core and builds records from what comes back. Its other
//! half, in `python/interfuse`, gives this the shape users see. Of the core's threads none touches the interpreter but
//! those on which it asks Python functions for keys.

mod call;
mod client;
mod convert;
mod keys;
mod queue;
mod stream;
mod table;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    // Python makes requests and reads answers one thread at a time; a second worker would mostly hand over to the first.
    interfuse::host::set_workers(1);
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_class::<client::Native>()?;
    m.add_class::<call::Call>()?;
    m.add_class::<stream::Stream>()?;
    m.add_class::<stream::Feed>()?;
    m.add_class::<queue::Queue>()?;
    m.add_function(wrap_pyfunction!(client::flush_ledgers, m)?)?;
    m.add_function(wrap_pyfunction!(client::before_fork, m)?)?;
    m.add_function(wrap_pyfunction!(client::after_fork, m)?)?;
    m.add_function(wrap_pyfunction!(table::usage_arrow, m)?)?;
    m.add_function(wrap_pyfunction!(table::usage_columns, m)?)?;
    m.add_function(wrap_pyfunction!(table::usage_schema, m)?)?;
    m.add_function(wrap_pyfunction!(table::records_schema, m)?)?;
    m.add_function(wrap_pyfunction!(client::calibrate, m)?)?;
    m.add_function(wrap_pyfunction!(client::calibration_text, m)?)?;
    m.add_function(wrap_pyfunction!(client::labelled, m)?)?;
    m.add_function(wrap_pyfunction!(client::replay, m)?)?;
    m.add_function(wrap_pyfunction!(client::batch_text, m)?)?;
    m.add_function(wrap_pyfunction!(client::evaluation_text, m)?)?;
    m.add_function(wrap_pyfunction!(client::evaluation_html, m)?)?;
    m.add_function(wrap_pyfunction!(client::render_reconciliation, m)?)?;
    m.add_function(wrap_pyfunction!(client::usage_csv, m)?)?;
    m.add_function(wrap_pyfunction!(client::usage_text, m)?)?;
    m.add_function(wrap_pyfunction!(client::render_fused, m)?)?;
    m.add_function(wrap_pyfunction!(client::fused_html, m)?)
}
