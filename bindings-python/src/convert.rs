//! Python values in and out: requests straight from dicts, responses as records, failures as exceptions.

use interfuse::Error;
use interfuse::types::ErrorBody;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyType};
use pythonize::{Depythonizer, PythonizeMappingType, PythonizeTypes, PythonizeUnnamedMappingAdapter};
use serde::{Deserialize, Serialize};

/// Builds `interfuse._record.Record` where pythonize would build a dict.
struct Record;

impl PythonizeMappingType for Record {
    type Builder<'py> = Bound<'py, PyDict>;

    fn builder<'py>(py: Python<'py>, _len: Option<usize>) -> PyResult<Self::Builder<'py>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        Ok(CLASS.import(py, "interfuse._record", "Record")?.call0()?.cast_into()?)
    }

    fn push_item<'py>(to: &mut Self::Builder<'py>, key: Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<()> {
        to.set_item(key, value)
    }

    fn finish<'py>(builder: Self::Builder<'py>) -> PyResult<Bound<'py, PyMapping>> {
        Ok(builder.into_mapping())
    }
}

struct Records;

impl PythonizeTypes for Records {
    type Map = Record;
    type NamedMap = PythonizeUnnamedMappingAdapter<Record>;
    type List = PyList;
}

/// A value of the core as records, lists and plain values.
pub fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    Ok(pythonize::pythonize_custom::<Records, _>(py, value)?)
}

/// A value of the core from dicts, lists and plain values. `what` is "request", "configuration", ...; a fault names its
/// JSON path.
pub fn from_python<T: for<'de> Deserialize<'de>>(what: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    pythonize::depythonize(value).or_else(|_| {
        // Once more, slower, to learn where the fault is.
        serde_path_to_error::deserialize(&mut Depythonizer::from_object(value)).map_err(|e| {
            let (path, why) = (e.path().to_string(), e.into_inner());
            let error = if what == "configuration" {
                Error::invalid_config(path, why)
            } else {
                Error::invalid_request(format!("{what}, at `{path}`: {why}")).with_param(path)
            };
            raise(value.py(), &error)
        })
    })
}

/// The exception for an error of the core: the class of its kind in `interfuse.errors`, with everything it tells.
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).unwrap_or_else(|e| e)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || -> PyResult<_> {
        Ok(py.import("interfuse.errors")?.getattr("BY_KIND")?.cast_into()?.unbind())
    })?;
    let body: &ErrorBody = error.body();
    let class = match classes.bind(py).get_item(body.kind.as_str())? {
        Some(class) => class,
        None => return Err(PyRuntimeError::new_err(error.to_string())),
    };
    let details = to_python(py, body)?;
    Ok(PyErr::from_value(class.call1((PyString::new(py, &body.message), details))?))
}
