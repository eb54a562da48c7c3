//! Where a continued answer is joined to what was shown of it: what the continuation says again is taken off.

/// A repetition shorter than this may be the text's own, bytes.
const SHORTEST: usize = 8;

/// The join between what was shown and what continues it.
#[derive(Debug)]
pub(super) struct Seam {
    shown: String,
    /// Text of the continuation that may yet prove a repetition.
    held: String,
}

impl Seam {
    pub fn new(shown: &str) -> Self {
        Seam { shown: shown.to_owned(), held: String::new() }
    }

    /// Takes the next text of the continuation. What of it, and of what was held, is new; `None`: that is not clear yet.
    pub fn push(&mut self, text: &str) -> Option<String> {
        self.held.push_str(text);
        let open = self.repeats_so_far();
        (!open).then(|| self.release())
    }

    /// What was held, once nothing follows.
    pub fn release(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let blank = &self.shown[self.shown.trim_end().len()..];
        let ends = held.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
        let again = |end: &usize| *end >= SHORTEST && self.shown.ends_with(&held[..*end]);
        // The vendor saw the text without the blanks at its end, so both may hold them.
        let shown = self.shown.trim_end();
        let again_trimmed = |end: &usize| *end >= SHORTEST && shown.ends_with(&held[..*end]);
        let repeated = ends.clone().find(again).or_else(|| ends.clone().find(again_trimmed));
        let rest = &held[repeated.unwrap_or(0)..];
        let doubled = rest.char_indices().zip(blank.chars()).take_while(|((_, a), b)| a == b);
        let cut = match repeated {
            Some(end) if self.shown.ends_with(&held[..end]) => 0,
            _ => doubled.last().map_or(0, |((at, c), _)| at + c.len_utf8()),
        };
        rest[cut..].to_owned()
    }

    /// Whether what is held may still be the beginning of a repetition.
    fn repeats_so_far(&self) -> bool {
        self.held.trim().is_empty() || (self.held.len() < self.shown.len() && self.shown.contains(&self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown in the end, however the continuation is cut.
    fn joined(shown: &str, continuation: &str) -> String {
        let cuts = |n: usize| {
            let chars: Vec<char> = continuation.chars().collect();
            let mut seam = Seam::new(shown);
            let mut out = shown.to_owned();
            let mut released = false;
            for piece in chars.chunks(n) {
                let piece: String = piece.iter().collect();
                if released {
                    out.push_str(&piece);
                } else if let Some(new) = seam.push(&piece) {
                    released = true;
                    out.push_str(&new);
                }
            }
            if !released {
                out.push_str(&seam.release());
            }
            out
        };
        let whole = cuts(usize::MAX);
        for n in 1..8 {
            assert_eq!(cuts(n), whole, "{shown:?} + {continuation:?} in pieces of {n}");
        }
        whole
    }

    #[test]
    fn what_is_said_again_is_said_once() {
        assert_eq!(joined("The capital of Switzer", "land is Bern."), "The capital of Switzerland is Bern.");
        assert_eq!(
            joined("The capital of Switzer", "The capital of Switzerland is Bern."),
            "The capital of Switzerland is Bern."
        );
        assert_eq!(
            joined("Bern is the capital of", "the capital of Switzerland."),
            "Bern is the capital of Switzerland."
        );
        assert_eq!(joined("a very", " very good idea"), "a very very good idea");
        assert_eq!(joined("Bern is ", " a town"), "Bern is a town");
        assert_eq!(joined("Bern is ", "a town"), "Bern is a town");
        assert_eq!(joined("Zürich und Köln ", "Zürich und Köln sind Städte"), "Zürich und Köln sind Städte");
        assert_eq!(joined("The capital", ""), "The capital");
    }
}
