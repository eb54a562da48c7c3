//! Python values in and out: requests straight from dicts, responses as records, failures as exceptions.

use interfuse::Error;
use interfuse::types::{BatchRequest, ChatRequest, ErrorBody, fault, from_value};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple, PyType};
use pythonize::{PythonizeMappingType, PythonizeTypes, PythonizeUnnamedMappingAdapter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    read(what, value).map_err(|e| raise(value.py(), &e))
}

/// The same for what is read at every call: straight from the dict. It is compiled once more for this, so only few types
/// are worth it.
pub fn straight_from_python<T: for<'de> Deserialize<'de>>(what: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    read_straight(what, value).map_err(|e| raise(value.py(), &e))
}

/// One request of a batch: a text, a list of messages, or a dict.
///
/// # Errors
/// What is wrong, for its row to tell.
pub fn batch_request(value: &Bound<'_, PyAny>) -> Result<BatchRequest, Error> {
    if let Ok(prompt) = value.cast::<PyString>() {
        let prompt = prompt.to_cow().map_err(|e| fault("request", ".", &e))?;
        return Ok(prompt.into_owned().into());
    }
    match value.is_instance_of::<PyDict>() {
        true => Ok(read_straight::<ChatRequest>("request", value)?.into()),
        false => BatchRequest::from_value(&plain("request", value)?),
    }
}

fn read<T: for<'de> Deserialize<'de>>(what: &str, value: &Bound<'_, PyAny>) -> Result<T, Error> {
    from_value(what, &plain(what, value)?)
}

fn read_straight<T: for<'de> Deserialize<'de>>(what: &str, value: &Bound<'_, PyAny>) -> Result<T, Error> {
    match deeper_than(MOST_DEPTH, value) {
        false => pythonize::depythonize(value).or_else(|_| read(what, value)),
        true => read(what, value),
    }
}

fn plain(what: &str, value: &Bound<'_, PyAny>) -> Result<Value, Error> {
    if deeper_than(MOST_DEPTH, value) {
        let why = format!("lists and dicts stand in each other more than {MOST_DEPTH} deep");
        return Err(fault(what, ".", &why));
    }
    pythonize::depythonize(value).map_err(|e| fault(what, ".", &e))
}

/// How deep JSON text may be, too.
const MOST_DEPTH: usize = 127;

/// Whether containers stand in each other deeper than that, or in themselves: reading them would exhaust the stack.
fn deeper_than(most: usize, value: &Bound<'_, PyAny>) -> bool {
    let mut left = vec![(value.clone(), 0)];
    while let Some((value, depth)) = left.pop() {
        let container = |value: &Bound<'_, PyAny>| {
            value.is_instance_of::<PyDict>() || value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>()
        };
        if !container(&value) {
            continue;
        }
        if depth == most {
            return true;
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            left.extend(dict.iter().map(|(_, inner)| inner).filter(container).map(|inner| (inner, depth + 1)));
        } else if let Ok(list) = value.cast::<PyList>() {
            left.extend(list.iter().filter(container).map(|inner| (inner, depth + 1)));
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            left.extend(tuple.iter().filter(container).map(|inner| (inner, depth + 1)));
        }
    }
    false
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
