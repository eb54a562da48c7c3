//! A key or token: never printed, wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A credential. `Debug` and `Display` show `***`; there is no serde implementation on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a credential; surrounding white space (a newline from a file) is cut off.
    pub fn new(value: impl Into<String>) -> Self {
        let value = Zeroizing::new(value.into());
        Secret(Zeroizing::new(value.trim().to_owned()))
    }

    /// The credential itself, for the request's header only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
