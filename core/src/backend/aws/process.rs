//! Keys that a program tells (`credential_process`).
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::{from_json, unusable};
use crate::backend::AwsKeys;
use crate::error::Result;

/// How long the program may take: it may ask someone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most that it may say, bytes.
const MAX_SAID: u64 = 1 << 20;

/// Runs the program, without a shell, and reads the keys from its output.
pub(super) async fn keys(command: &str) -> Result<AwsKeys> {
    let mut words = split(command)?.into_iter();
    let program = words.next().ok_or_else(|| unusable("`credential_process` is empty".to_owned()))?;
    let whose = format!("the program `{program}` (credential_process)");
    let mut child = Command::new(&program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| unusable(format!("{whose} cannot be run: {e}")))?;
    let output = child.stdout.take();
    let read = tokio::task::spawn_blocking(move || {
        let mut said = Zeroizing::new(Vec::new());
        let read = output.map_or(Ok(0), |output| output.take(MAX_SAID).read_to_end(&mut said));
        read.map(|_| said)
    });
    let said = tokio::time::timeout(PATIENCE, read).await;
    // tokio's own processes would take over the host's SIGCHLD; this waits on a thread, so that no dead child is left.
    if said.is_err() {
        let _ = child.kill();
    }
    drop(tokio::task::spawn_blocking(move || child.wait()));
    let said = match said {
        Err(_) => return Err(unusable(format!("{whose} said nothing for {} s", PATIENCE.as_secs()))),
        Ok(Ok(Ok(said))) => said,
        Ok(_) => return Err(unusable(format!("the output of {whose} cannot be read"))),
    };
    let told: Value = serde_json::from_slice(&said)
        .map_err(|_| unusable(format!("{whose} did not print keys as JSON; run it by hand to see why")))?;
    match told.get("Version").and_then(Value::as_u64) {
        Some(1) => from_json(&told, &whose),
        _ => Err(unusable(format!("{whose} does not speak version 1 of the form"))),
    }
}

/// Words of a command line; quotes of both kinds hold words together, a backslash keeps the next sign on systems whose
/// paths have none.
fn split(command: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut signs = command.chars();
    while let Some(sign) = signs.next() {
        match (sign, quote) {
            ('\\', quote) if quote != Some('\'') && cfg!(not(windows)) => {
                word.get_or_insert_default().extend(signs.next())
            }
            (sign, Some(open)) if sign == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (sign, None) if sign.is_whitespace() => words.extend(word.take()),
            (sign, _) => word.get_or_insert_default().push(sign),
        }
    }
    if quote.is_some() {
        return Err(unusable("`credential_process` has a quote without its end".to_owned()));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command() {
        let words = split(r#"  /opt/a\ b 'c "d"' e"f g"h '' "#).unwrap();
        assert_eq!(words, ["/opt/a b", "c \"d\"", "ef gh", ""]);
        assert!(split("a 'b").is_err());
    }
}
