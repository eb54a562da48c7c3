//! Types that may be written as one string or as a full object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// How a type is read from a string, an object (`Full`) or, where allowed, a list.
pub(super) trait Shorthand<'de>: Sized {
    /// The object form.
    type Full: Deserialize<'de>;
    /// For error messages: what may stand here.
    const EXPECTS: &'static str;
    fn from_text(text: &str) -> Self;
    fn from_full(full: Self::Full) -> Self;
    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let _ = list;
        Err(de::Error::invalid_type(de::Unexpected::Seq, &Self::EXPECTS))
    }
}

/// Reads a [`Shorthand`] without buffering, so that error paths stay exact.
pub(super) fn deserialize<'de, T: Shorthand<'de>, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    struct V<T>(PhantomData<T>);
    impl<'de, T: Shorthand<'de>> Visitor<'de> for V<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTS)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            Ok(T::from_text(text))
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::Full::deserialize(MapAccessDeserializer::new(map)).map(T::from_full)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
            T::from_list(list)
        }
    }
    d.deserialize_any(V(PhantomData))
}

/// Collects a list for [`Shorthand::from_list`].
pub(super) fn list<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(list: A) -> Result<Vec<T>, A::Error> {
    Vec::deserialize(SeqAccessDeserializer::new(list))
}
