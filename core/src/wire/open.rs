//! Structs read from JSON objects that may hold more than is known: nothing lost, nothing buffered.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Defines a struct that reads an object key by key: known fields into their places, skipped ones nowhere, all others
/// into `extra`. serde's `flatten` does the same, but buffers what it does not know, which costs a stream half its time.
macro_rules! open {
    ($(#[$doc:meta])* $name:ident { $($field:ident $key:literal: $type:ty,)* } $(skips $($skip:literal)*)?) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $name {
            $(pub $field: Option<$type>,)*
            pub extra: $crate::types::Extra,
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct V;
                impl<'de> serde::de::Visitor<'de> for V {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut out = $name::default();
                        while let Some($crate::wire::open::Key(key)) = map.next_key()? {
                            match &*key {
                                $($key => out.$field = map.next_value()?,)*
                                $($($skip => { map.next_value::<serde::de::IgnoredAny>()?; })*)?
                                _ => { out.extra.insert(key.into_owned(), map.next_value()?); }
                            }
                        }
                        Ok(out)
                    }
                }
                d.deserialize_map(V)
            }
        }
    };
}

pub(crate) use open;

/// A key, borrowed where the text has no escapes.
pub(crate) struct Key<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E: de::Error>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        d.deserialize_str(V)
    }
}
