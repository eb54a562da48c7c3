//! Ids of tool calls where a vendor gives none, or wants them in a form of its own: the same input, the same id.

const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// An id for the call at `index` of an answer that `answer` tells from others (its id, or what it says).
pub fn generated(answer: &[&str], index: u32) -> String {
    let index = index.to_string();
    let parts = answer.iter().copied().chain([index.as_str()]);
    format!("call_{}", letters(parts, 20))
}

/// The first `count` (at most 21) letters and digits of a hash of the parts (FNV-1a, 128 bits).
pub fn letters<'a>(parts: impl IntoIterator<Item = &'a str>, count: usize) -> String {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    let mut take = |byte: u8| hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    for part in parts {
        part.bytes().for_each(&mut take);
        // Where one part ends and the next begins matters.
        take(0xff);
    }
    (0..count)
        .map(|_| {
            let letter = LETTERS[(hash % 62) as usize];
            hash /= 62;
            char::from(letter)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_the_answer_and_the_place_alone() {
        let id = generated(&["answer-1"], 0);
        assert_eq!(id, generated(&["answer-1"], 0));
        assert_ne!(id, generated(&["answer-1"], 1));
        assert_ne!(id, generated(&["answer-2"], 0));
        assert_ne!(generated(&["a", "b"], 0), generated(&["ab"], 0));
        assert!(id.strip_prefix("call_").unwrap().bytes().all(|b| b.is_ascii_alphanumeric()) && id.len() == 25);
    }
}
