//! What a model takes, told by its name: generations differ in schemas, thinking and signatures.

/// What is known of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model {
    /// Major and minor version of a Gemini; `None` for anything else (Gemma, tuned models, endpoints).
    generation: Option<(u32, u32)>,
    /// One of the larger ones, whose thinking cannot be turned off.
    pub pro: bool,
    /// Takes no system instruction.
    pub gemma: bool,
}

/// The generation that a name without a number stands for (`gemini-flash-latest`).
const CURRENT: (u32, u32) = (3, 0);

impl Model {
    pub fn named(name: &str) -> Self {
        let generation = name.find("gemini-").map(|at| version(&name[at + "gemini-".len()..]).unwrap_or(CURRENT));
        Model { generation, pro: name.contains("-pro"), gemma: name.contains("gemma") }
    }

    /// Takes JSON Schema as it is for the arguments of functions; older models take the subset that OpenAPI knows.
    pub fn json_schema(self) -> bool {
        self.generation >= Some((2, 5))
    }

    /// Takes it for answers, which one generation more does.
    pub fn json_schema_of_answers(self) -> bool {
        self.generation >= Some((2, 0))
    }

    /// Can think; how much is told by a budget of tokens or by a level.
    pub fn thinking(self) -> Thinking {
        match self.generation {
            Some((2, 5)) => Thinking::Budget,
            Some((major, _)) if major >= 3 => Thinking::Level,
            _ => Thinking::None,
        }
    }

    /// Is known not to think; of tuned models and endpoints nothing is known.
    pub fn never_thinks(self) -> bool {
        self.generation.is_some_and(|g| g < (2, 5))
    }

    /// Wants signatures of thoughts back with function calls, and takes a form of answer together with tools.
    pub fn third(self) -> bool {
        self.generation >= Some((3, 0))
    }

    /// Refuses a form of answer together with tools.
    pub fn form_or_tools(self) -> bool {
        self.generation.is_some_and(|g| g < (3, 0))
    }
}

/// How the amount of thinking is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Not at all.
    None,
    /// `thinkingBudget`, tokens.
    Budget,
    /// `thinkingLevel`, a word.
    Level,
}

/// `2.5-flash` is (2, 5), `3-pro-preview` is (3, 0).
fn version(rest: &str) -> Option<(u32, u32)> {
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_generation() {
        let generation = |name| Model::named(name).generation;
        assert_eq!(generation("gemini-2.5-flash"), Some((2, 5)));
        assert_eq!(generation("publishers/google/models/gemini-3.1-pro-preview"), Some((3, 1)));
        assert_eq!(generation("gemini-3-flash-preview"), Some((3, 0)));
        assert_eq!(generation("gemini-flash-latest"), Some(CURRENT));
        assert_eq!(generation("tunedModels/mine"), None);
        assert!(Model::named("gemma-3-27b-it").gemma && !Model::named("gemma-3-27b-it").third());
        let second = Model::named("gemini-2.0-flash");
        assert!(second.form_or_tools() && second.json_schema_of_answers() && !second.json_schema());
        assert!(!Model::named("gemini-1.5-pro").json_schema_of_answers());
    }
}
