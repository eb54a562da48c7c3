//! Names of functions in the letters Cohere takes, `[A-Za-z_][A-Za-z0-9_]*`: any other character becomes `_x2d_` (its
//! number), so that the name can be had back from the answer alone.

use std::borrow::Cow;

/// The name as Cohere takes it.
pub(super) fn to_cohere(name: &str) -> Cow<'_, str> {
    let fits = |(place, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (place > 0 && c.is_ascii_digit());
    if name.char_indices().all(fits) && from_cohere(name) == name {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for (place, c) in name.char_indices() {
        // What would read as a number of ours is written as one.
        if !fits((place, c)) || (c == '_' && number(&name[place..]).is_some()) {
            out.push_str(&format!("_x{:x}_", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The name as the caller knows it.
pub(super) fn from_cohere(name: &str) -> Cow<'_, str> {
    if !name.contains("_x") {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let (c, length) = number(rest).unwrap_or((c, c.len_utf8()));
        out.push(c);
        rest = &rest[length..];
    }
    Cow::Owned(out)
}

/// The character that a number at the start of the text stands for, and the number's length.
fn number(text: &str) -> Option<(char, usize)> {
    let (digits, _) = text.strip_prefix("_x")?.split_once('_')?;
    let written = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let c = u32::from_str_radix(digits, 16).ok().filter(|_| written).and_then(char::from_u32)?;
    Some((c, digits.len() + 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        for name in ["f", "get_weather", "get-weather", "3d", "a.b:c", "größe", "_x2d_", "x_x41_y-z", "_x", "__x2d__"]
        {
            let there = to_cohere(name);
            assert!(there.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()), "{there}");
            assert!(!there.starts_with(|c: char| c.is_ascii_digit()), "{there}");
            assert_eq!(from_cohere(&there), name, "{there}");
        }
        assert_eq!(to_cohere("get-weather"), "get_x2d_weather");
    }
}
