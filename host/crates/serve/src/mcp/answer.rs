//! Results of tools: the same as text and as structured content.

use mortise_agent::{Json, Object};
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::{Map, Value};

use super::problem::Problem;

/// How deep structured content goes; what is deeper is there as a text. A little less than what JSON libraries read.
const MAX_DEPTH: u32 = 100;

/// The result of a call.
pub(super) fn result<A: Serialize>(answer: Result<A, Problem>) -> CallToolResult {
    let written = match answer {
        Ok(answer) => Json::new(&answer).map(|json| (json, false)),
        Err(problem) => Json::new(&problem).map(|json| (json, true)),
    };
    let (json, failed) = match written {
        Ok(written) => written,
        Err(error) => {
            let text = format!("the answer is no JSON: {error}");
            return CallToolResult::error(vec![ContentBlock::text(text)]);
        }
    };
    let content = vec![ContentBlock::text(json.as_str())];
    let mut result = match failed {
        true => CallToolResult::error(content),
        false => CallToolResult::success(content),
    };
    result.structured_content = Some(structured(&json, MAX_DEPTH));
    result
}

/// JSON as a value. Numbers that are no 64-bit integers become the nearest double, and those that no double is near to
/// a text.
fn structured(json: &Json, depth: u32) -> Value {
    if let Ok(value) = json.parse() {
        return value;
    }
    let as_it_is = || Value::String(json.as_str().to_owned());
    let Some(depth) = depth.checked_sub(1) else {
        return as_it_is();
    };
    if let Ok(object) = json.parse::<Object>() {
        let fields = object.fields();
        let fields = fields.map(|(name, value)| (name.to_owned(), structured(value, depth)));
        return Value::Object(Map::from_iter(fields));
    }
    match json.parse::<Vec<Json>>() {
        Ok(values) => values
            .iter()
            .map(|value| structured(value, depth))
            .collect(),
        Err(_) => as_it_is(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structured_text(text: &str) -> String {
        structured(&serde_json::from_str(text).unwrap(), MAX_DEPTH).to_string()
    }

    #[test]
    fn a_number_beyond_every_double_is_a_text() {
        assert_eq!(
            structured_text(r#"{"a":[1,{"b":1e400}],"c":18446744073709551615,"d":0.10}"#),
            r#"{"a":[1,{"b":"1e400"}],"c":18446744073709551615,"d":0.1}"#
        );
    }

    #[test]
    fn what_is_too_deep_is_a_text() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let written = structured_text(&deep);
        assert!(written.starts_with(&format!("{}\"[[", "[".repeat(100))));
    }

    #[test]
    fn text_keeps_every_digit() {
        let object: Object = serde_json::from_str(r#"{"n":1e400,"m":0.10}"#).unwrap();
        let result = result(Ok(object));
        let ContentBlock::Text(text) = &result.content[0] else {
            panic!("{result:?}");
        };
        assert_eq!(text.text, r#"{"n":1e400,"m":0.10}"#);
        assert_eq!(result.is_error, Some(false));
    }
}
