//! Tests of reading closed answers out of texts.

use super::*;

const CHOICE: &str = "Which is it?\nA. Red\nB. Green\nC. Blue";
const NUMBER: &str = "How many eggs are left?";

fn regex(pattern: &str) -> Extract {
    Extract { regex: Some(pattern.to_owned()), ..Default::default() }
}

fn pointer(pointer: &str) -> Extract {
    Extract { pointer: Some(pointer.to_owned()), ..Default::default() }
}

fn read(question: &str, text: &str) -> Option<String> {
    Reader::of_question(question).read(text)
}

#[test]
fn letters_are_read_only_where_letters_are_offered() {
    for (text, expected) in [
        ("The answer is (B).", "B"),
        ("the answer is: **b**", "B"),
        ("Answer: A\nNo. Answer: C", "C"),
        ("I think a lot. A is wrong, so C", "C"),
        ("It must be B, as I said before. I am sure.", "B"),
        ("Green", "B"),
        ("{\"reasoning\": \"..\", \"answer\": \"B) Green\"}", "B"),
        ("Therefore, the answer is \\boxed{C}.", "C"),
    ] {
        assert_eq!(read(CHOICE, text).as_deref(), Some(expected), "{text}");
    }
    assert_eq!(read(CHOICE, "It is D."), None, "there is no D");
    assert_eq!(read(CHOICE, "I have a doubt"), None, "words, not letters");
    assert_eq!(read("Tell me about vitamins\nin detail", "Long text on vitamins A, B and C\nand more text"), None);
}

#[test]
fn a_known_answer_is_read_or_is_all_that_was_said() {
    let gives = |question: &str, text: &str, gold: &str| Reader::of_question(question).gives(text, gold);
    assert!(gives("What is the capital?", "Bern.", "bern"));
    assert!(gives("What is the capital?", "<think>Zurich?</think>\n**Bern**", "Bern."));
    assert!(gives(NUMBER, "So 3 - 1 = 2 are left.", "2"));
    assert!(!gives("What is the capital?", "Not Bern.", "Bern"));
    assert!(!gives(NUMBER, "2 were broken, so 5 are left.", "2"), "what is read is the answer");
}

#[test]
fn numbers_are_read_where_a_number_is_asked_for() {
    for (text, expected) in [
        ("16 - 7 = 9\n#### 9", "9"),
        ("She has 16, eats 7.\nA: 9", "9"),
        ("So there are 9 eggs left.", "9"),
        ("She eats 7 of 16.\nThat leaves 1,009 eggs.", "1009"),
        ("{\"reasoning\": \"a \\( b\", \"answer\": \"9 eggs\"}", "9"),
        ("{\"answer\": 9.0}", "9"),
        ("The final answer is $16 - 7 = 9$.", "9"),
        ("thus \\boxed{\\frac{18}{2}}", "9"),
        ("<think>12?</think>The answer is 9.", "9"),
    ] {
        assert_eq!(read(NUMBER, text).as_deref(), Some(expected), "{text}");
    }
    assert_eq!(read("Write about 1969\nin two lines", "It was 1969.\nA good year: 12."), None);
}

#[test]
fn a_field_is_found_in_broken_json() {
    for text in [
        "```json\n{\"reasoning\": \"say \"it\"\", \"answer\": \"x\"}\n```",
        "{\"reasoning\": \"cut\", \"answer\": \"x\"",
        "{\"answer\": \"y\"} wait {\"answer\" : \"x\"}",
        "{\"answer\": 'x', }",
    ] {
        assert_eq!(read("Say it\nas JSON", text).as_deref(), Some("x"), "{text}");
    }
}

#[test]
fn literals_of_code_keep_their_case() {
    let code = "What does it give?\n```python\ndef f(): pass\n```";
    assert_eq!(read(code, "{\"answer\": \"'aB'\"}").as_deref(), Some("aB"));
    assert_eq!(read(code, "{\"answer\": \"aB\"}").as_deref(), Some("aB"));
    assert_eq!(read(code, "{\"answer\": [1, 2]}"), read(code, "{\"answer\": \"[1,2]\"}"));
    assert_ne!(read(code, "{\"answer\": \"aB\"}"), read(code, "{\"answer\": \"ab\"}"));
}

#[test]
fn prose_is_no_closed_answer() {
    assert_eq!(read("Why is the sky blue?", "Because of scattering, which is stronger for short waves."), None);
    assert_eq!(read("Where?", "In Bern."), None, "a few words are compared as they are");
    assert_eq!(read("Which?", "[1, 2]").as_deref(), Some("[1,2]"));
    let long = format!("The answer is {}", "that it depends on many things and ".repeat(20));
    assert_eq!(read("Why?", &long), None);
}

#[test]
fn the_caller_may_say_where_the_answer_stands() {
    let by = |extract: Extract| Reader::new(&[Message::user("?")], Some(&extract)).unwrap();
    let by_regex = by(regex("result=(\\w+)"));
    assert_eq!(by_regex.read("result=A then result=B").as_deref(), Some("b"));
    assert_eq!(by_regex.read("no such thing"), None);
    let by_pointer = by(pointer("/a/0"));
    assert_eq!(by_pointer.read("so: {\"a\": [7.0]}").as_deref(), Some("7"));
    for wrong in [regex("("), pointer("a"), Extract::default()] {
        let error = Reader::new(&[], Some(&wrong)).unwrap_err();
        assert!(error.body().param.as_deref().unwrap().starts_with("extract"), "{error}");
    }
}
