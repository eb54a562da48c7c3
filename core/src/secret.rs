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

    /// Puts `***` where the text tells the credential: as it is, in the escapes of JSON or of an address, or cut short (what
    /// a vendor says is read to a limit). One of less than 8 bytes is a placeholder, and replacing it would garble the text.
    pub fn redact(&self, text: &mut String) {
        let key = self.0.as_bytes();
        if key.len() < SHORTEST {
            return;
        }
        let enough = key.len().min(TELLING);
        let said = text.as_bytes();
        let mut clean = Vec::new();
        let (mut at, mut kept) = (0, 0);
        while at < said.len() {
            let (told, end) = told(key, said, at);
            if told >= enough {
                clean.extend_from_slice(&said[kept..at]);
                clean.extend_from_slice(b"***");
                (at, kept) = (end, end);
            } else {
                at += 1;
            }
        }
        if kept > 0 {
            clean.extend_from_slice(&said[kept..]);
            *text = String::from_utf8_lossy(&clean).into_owned();
        }
    }
}

/// Credentials shorter than this are placeholders, bytes.
const SHORTEST: usize = 8;
/// So much of a credential's beginning counts as the credential, bytes.
const TELLING: usize = 12;

/// How many bytes of the key the text tells from `at` on, and where that ends.
fn told(key: &[u8], said: &[u8], mut at: usize) -> (usize, usize) {
    for (count, byte) in key.iter().enumerate() {
        match written(*byte, &said[at..]) {
            Some(length) => at += length,
            None => return (count, at),
        }
    }
    (key.len(), at)
}

/// In how many bytes the text writes this one, if it begins with it.
fn written(byte: u8, said: &[u8]) -> Option<usize> {
    let hex = |digits: &[u8]| {
        std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok()) == Some(byte.into())
    };
    // JSON inside JSON doubles them.
    let slashes = said.iter().take_while(|b| **b == b'\\').count();
    match said {
        [first, ..] if *first == byte => Some(1),
        [b'%', digits @ ..] if digits.len() >= 2 && hex(&digits[..2]) => Some(3),
        _ if slashes > 0 => match &said[slashes..] {
            [first, ..] if *first == byte => Some(slashes + 1),
            [b'u', digits @ ..] if digits.len() >= 4 && hex(&digits[..4]) => Some(slashes + 5),
            _ => None,
        },
        _ => None,
    }
}

/// An address as it may be shown: without the name and the password in it.
pub fn without_userinfo(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}***{}", &url[..scheme + 3], &url[at..]),
        (None, Some(at)) => format!("***{}", &url[at..]),
        _ => url.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_taken_out_however_it_is_written() {
        let key = Secret::new("sk/Qx7+f3A9c1E5b2");
        for (said, left) in [
            ("the key sk/Qx7+f3A9c1E5b2 is bad", "the key *** is bad"),
            ("sk/Qx7+f3A9c1E5b2sk/Qx7+f3A9c1E5b2", "******"),
            (r#"{"key": "sk\/Qx7+f3A9c1E5b2"}"#, r#"{"key": "***"}"#),
            (r#"{"said": "{\"key\": \"sk\\\/Qx7\\u002bf3A9c1E5b2\"}"}"#, r#"{"said": "{\"key\": \"***\"}"}"#),
            ("?key=sk%2FQx7%2bf3A9c1E5b2&x", "?key=***&x"),
            ("cut short: sk/Qx7+f3A9c", "cut short: ***"),
            ("sk/Qx7+f3A9 is as much as a vendor shows", "sk/Qx7+f3A9 is as much as a vendor shows"),
            ("ärger mit sk/Qx7+f3A9c1E5b2ö", "ärger mit ***ö"),
            ("nothing", "nothing"),
        ] {
            let mut text = said.to_owned();
            key.redact(&mut text);
            assert_eq!(text, left, "{said}");
        }
        let mut text = "x is a placeholder".to_owned();
        Secret::new("x").redact(&mut text);
        assert_eq!(text, "x is a placeholder");
    }

    #[test]
    fn an_address_is_shown_without_who_asks() {
        for (url, shown) in [
            ("http://user:pass@host:1/x", "http://***@host:1/x"),
            ("http://user:p/a@ss@host/", "http://***@host/"),
            ("user:pass@host", "***@host"),
            ("https://host/v1", "https://host/v1"),
        ] {
            assert_eq!(without_userinfo(url), shown);
        }
    }
}
