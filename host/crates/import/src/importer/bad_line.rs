//! What is wrong with JSON of others, said without a word of what is in it: there may be secrets.

use std::fmt;

use mortise_agent::{AgentTask, Json};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Reads JSON. `what` is it, `shape` is expected: "the line is no agent task: …".
pub(crate) fn read<T: DeserializeOwned>(what: &str, shape: &str, text: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(text).map_err(|_| format!("the {what} is not UTF-8"))?;
    serde_json::from_str(text).map_err(|error| {
        let shape = if error.is_data() { shape } else { "JSON" };
        format!("the {what} is no {shape}: {}", BadLine(&error))
    })
}

/// Reads a task as Teal Agents writes it.
pub(crate) fn read_task(what: &str, text: &[u8]) -> Result<AgentTask, String> {
    read(what, "agent task", text)
}

/// Reads JSON that is part of other JSON.
pub(crate) fn read_part<T: DeserializeOwned>(
    what: &str,
    shape: &str,
    part: &Json,
) -> Result<T, String> {
    read(what, shape, part.as_str().as_bytes())
}

/// An error of serde, without the values that it quotes.
pub(crate) struct BadLine<'a>(pub(crate) &'a serde_json::Error);

impl fmt::Display for BadLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, error) = (self.0.to_string(), self.0);
        let what = match text.rsplit_once(" at line ") {
            Some((what, _)) if error.line() > 0 => what,
            _ => text.as_str(),
        };
        match error.classify() {
            // Where it is was counted from the start of a part.
            Category::Data => f.write_str(&without_value(what)),
            _ if error.line() <= 1 => write!(f, "{what} at column {}", error.column()),
            _ => write!(
                f,
                "{what} at line {} column {}",
                error.line(),
                error.column()
            ),
        }
    }
}

/// `field "x": invalid type: string "secret", expected a sequence` without what was found.
fn without_value(what: &str) -> String {
    let invalid = ["invalid type: ", "invalid value: ", "invalid length "];
    let found = invalid.iter().filter_map(|words| what.find(words)).min();
    match (found, what.rfind(", expected ")) {
        (Some(found), Some(expected)) if found < expected => {
            format!("{}{}", &what[..found], &what[expected + 2..])
        }
        (Some(found), _) => format!("{}another value was expected", &what[..found]),
        (None, _) => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mortise_agent::Object;

    #[test]
    fn what_was_found_is_not_said() {
        let whole = |items: &str| {
            format!(
                r#"{{"task_id":"t","session_id":"s","user_id":"u","items":{items},"created_at":"","last_updated":"","status":""}}"#
            )
        };
        let item = r#"[{"task_id":"SECRET, expected a SECRET","request_id":7}]"#;
        for (text, bad_line) in [
            (
                whole("\"SECRET\""),
                "the line is no agent task: field `items`: expected a sequence",
            ),
            (
                whole(item),
                "the line is no agent task: field `items`: field `request_id`: expected a string",
            ),
            (
                r#""SECRET""#.to_owned(),
                "the line is no agent task: expected a JSON object",
            ),
            (
                r#"{"task_id":"t"}"#.to_owned(),
                "the line is no agent task: missing field `session_id`",
            ),
            (
                r#"{"SECRET":"SECRET"#.to_owned(),
                "the line is no JSON: EOF while parsing a string at column 17",
            ),
        ] {
            assert_eq!(read_task("line", text.as_bytes()).unwrap_err(), bad_line);
        }
        let bytes = read::<Object>("row", "object", b"{\"\xff\":1}");
        assert_eq!(bytes.unwrap_err(), "the row is not UTF-8");
    }
}
