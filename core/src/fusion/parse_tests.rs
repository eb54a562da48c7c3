//! What judges really write, and what nobody should.

use super::*;
use serde_json::json;

fn verdict(o: &Object) -> bool {
    o.contains_key("best")
}

fn read(text: &str) -> Option<(Value, Step)> {
    object(text, &verdict).map(|(o, step)| (Value::Object(o), step))
}

/// (what the model wrote, the step that reads it, what is read)
fn cases() -> Vec<(&'static str, Step, Value)> {
    use Step::{Extracted, Repaired, Strict, Stripped};
    let k = || json!({"best": "KTX"});
    let kr = || json!({"best": "KTX", "reason": "it's right"});
    vec![
        (r#"{"best":"KTX"}"#, Strict, k()),
        ("  \n{\"best\": \"KTX\"}\n\n", Strict, k()),
        (r#"[{"best":"KTX"}]"#, Strict, k()),
        ("\u{feff}{\"best\":\"KTX\"}", Stripped, k()),
        ("```json\n{\"best\":\"KTX\"}\n```", Stripped, k()),
        ("```\n{\"best\":\"KTX\"}\n```", Stripped, k()),
        ("``` {\"best\":\"KTX\"} ```", Stripped, k()),
        ("```json\n{\"best\":\"KTX\"}", Stripped, k()),
        ("Here you go:\n```json\n{\"best\":\"KTX\"}\n```\nHope it helps!", Stripped, k()),
        ("<think>maybe {\"best\":\"ZZZ\"}?</think>{\"best\":\"KTX\"}", Stripped, k()),
        ("<think>a</think>\n\n```json\n{\"best\":\"KTX\"}\n```", Stripped, k()),
        ("The verdict is {\"best\":\"KTX\"}.", Extracted, k()),
        ("{\"best\":\"KTX\"} I am sure.", Extracted, k()),
        ("{\"best\":\"ZZZ\"} wait, no: {\"best\":\"KTX\"}", Extracted, k()),
        ("I use {curly} words. {\"best\":\"KTX\"}", Extracted, k()),
        ("{\"scores\":[{\"id\":\"A\"}]} {\"best\":\"KTX\"}", Extracted, k()),
        ("{\"verdict\":{\"best\":\"KTX\"}}", Extracted, k()),
        ("{\"best\":\"KTX\"}}", Extracted, k()),
        ("{{\"best\":\"KTX\"}}", Extracted, k()),
        ("text ``` code ``` {\"best\":\"KTX\"}", Extracted, k()),
        (r#"{"best":"KTX",}"#, Repaired, k()),
        (r#"{"best":"KTX",,}"#, Repaired, k()),
        (r#"{'best':'KTX'}"#, Repaired, k()),
        (r#"{'best': 'KTX', 'reason': 'it's right'}"#, Repaired, kr()),
        (r#"{best: "KTX"}"#, Repaired, k()),
        (r#"{best: KTX}"#, Repaired, k()),
        ("{“best”: “KTX”}", Repaired, k()),
        (r#"{"best": "KTX" "reason": "it's right"}"#, Repaired, kr()),
        ("{\"best\": \"KTX\" // the best\n}", Repaired, k()),
        ("{/* hm */ \"best\": \"KTX\"}", Repaired, k()),
        ("{\"best\": \"KTX\", # python\n\"reason\": \"it's right\"}", Repaired, kr()),
        (r#"{"best":"KTX""#, Repaired, k()),
        (r#"{"best":"KTX"#, Repaired, k()),
        (r#"{"best":"KTX","reason":"it's ri"#, Repaired, json!({"best": "KTX", "reason": "it's ri"})),
        (r#"{"best":"KTX","reason":"#, Repaired, json!({"best": "KTX", "reason": null})),
        (r#"{"best":"KTX","reason"#, Repaired, json!({"best": "KTX", "reason": null})),
        (
            r#"{"best":"KTX","scores":[{"id":"KTX","correctness":7"#,
            Repaired,
            json!({"best": "KTX", "scores": [{"id": "KTX", "correctness": 7}]}),
        ),
        (r#"{"best":"KTX","scores":[{"id":"KTX"},"#, Repaired, json!({"best": "KTX", "scores": [{"id": "KTX"}]})),
        (
            r#"{"best":"KTX","ok":True,"no":False,"x":None,"n":NaN}"#,
            Repaired,
            json!({"best": "KTX", "ok": true, "no": false, "x": null, "n": null}),
        ),
        ("{\"best\":\"KTX\",\"reason\":\"two\nlines\"}", Repaired, json!({"best": "KTX", "reason": "two\nlines"})),
        (r#"{"best":"KTX","reason":"bad \q escape"}"#, Repaired, json!({"best": "KTX", "reason": "bad \\q escape"})),
        (
            r#"{"best":"KTX","reason":"bad \u12 escape"}"#,
            Repaired,
            json!({"best": "KTX", "reason": "bad \\u12 escape"}),
        ),
        (r#"{"best":"KTX","s":[1,2}"#, Repaired, json!({"best": "KTX", "s": [1, 2]})),
        (r#"{"best":"KTX","a":{"b":1]}"#, Repaired, json!({"best": "KTX", "a": {"b": 1}})),
        (r#"{"best":"KTX","a":+5}"#, Repaired, json!({"best": "KTX", "a": "+5"})),
        ("```json\n{\"best\":\"KTX\",\n", Repaired, k()),
        ("{\"best\":\"KTX\",\"reason\":\"tab\there\"}", Repaired, json!({"best": "KTX", "reason": "tab\there"})),
    ]
}

#[test]
fn every_case_is_read_by_its_step() {
    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    for (text, step, value) in cases {
        assert_eq!(read(text), Some((value, step)), "{text}");
    }
}

#[test]
fn what_holds_no_verdict_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "42",
        "\"KTX\"",
        "[]",
        "[[[[",
        "{",
        "}",
        "{}",
        "{\"worst\":\"KTX\"}",
        "I cannot judge.",
        "```",
        "```json",
        "<think>",
        "<think>{\"best\"</think>",
        "\u{feff}",
        "{\"b",
        "\\",
        "'",
        "{'",
        "{\"",
        "{\"\\",
        "{\"\\u",
        "{:",
        "{,",
        "{]",
        "{\"best",
        "\0",
        "{\0",
    ] {
        // "{\"best" completes to a key without a value, which is no choice, but it is an object with that key.
        if text == "{\"best" {
            assert_eq!(read(text).map(|r| r.0), Some(json!({"best": null})));
            continue;
        }
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn hostile_sizes_end() {
    let deep = "{\"best\":".repeat(50_000);
    read(&deep);
    read(&"[".repeat(3 << 20));
    read(&"{".repeat(1 << 20));
    read(&"{\"a\":\"".repeat(20_000));
    read(&format!("{}{{\"best\":\"é\"}}", "é".repeat(MAX_SEARCH)));
    let late = format!("{}{{\"best\":\"KTX\"}}", " ".repeat(2 << 20));
    assert_eq!(read(&late), None, "beyond the bound");
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let whole = r#"{"scores":[{"id":"KTX","correctness":7,"reason":"a \"q\" \u00e9 é"}],"best":"KTX","reason":"x"}"#;
    for (at, _) in whole.char_indices() {
        read(&whole[..at]);
        read(&whole[at..]);
        for c in ['"', '{', '}', '[', ']', ',', ':', '\\', '\'', '\n', '\0'] {
            let mut changed = whole.to_owned();
            let end = at + whole[at..].chars().next().unwrap().len_utf8();
            changed.replace_range(at..end, c.encode_utf8(&mut [0; 4]));
            read(&changed);
        }
    }
}

#[test]
fn a_label_is_read_by_hand() {
    let labels = ["KTX", "QRS", "WZB"];
    for (text, found) in [
        ("KTX", Some("KTX")),
        ("**ktx**", Some("KTX")),
        ("The best answer is QRS because KTX is wrong.", Some("QRS")),
        ("QRS and KTX are close. Best: WZB", Some("WZB")),
        ("I think KTX. Yes, KTX.", Some("KTX")),
        ("KTX or QRS", None),
        ("none of them", None),
        ("<think>KTX is best</think>QRS", Some("QRS")),
        ("KTXQ", None),
        ("", None),
    ] {
        assert_eq!(label(text, &labels), found, "{text}");
    }
}

#[test]
fn thinking_is_taken_off_only_when_it_ended() {
    assert_eq!(after_thinking("<think>a</think> b"), " b");
    assert_eq!(after_thinking("<think>a"), "<think>a");
    assert_eq!(after_thinking("b"), "b");
}
