//! The arguments of a tool call, digit by digit.
//!
//! The protocol's library reads them as [`serde_json::Value`], in which `123456789012345678901234567890` is a double
//! and `1e400` nothing at all. They are therefore taken out of a message before it reads it, and travel beside it.

use mortise_agent::{Json, Object};
use rmcp::RoleServer;
use rmcp::service::RequestContext;

/// The arguments of a call, as they were written.
#[derive(Debug, Clone)]
pub(super) struct Arguments(Json);

impl Arguments {
    /// Takes the arguments out of a message; none where it is no tool call, or has none that are an object.
    pub(super) fn take(message: &[u8]) -> Option<(Vec<u8>, Self)> {
        let mut message: Object = serde_json::from_slice(message).ok()?;
        if message.text("method")? != "tools/call" {
            return None;
        }
        let mut params: Object = message.get("params")?.parse().ok()?;
        let arguments = params.get("arguments")?.clone();
        // Anything else is the protocol's to refuse.
        arguments.parse::<Object>().ok()?;
        params.set("arguments", &Object::default()).ok()?;
        message.set("params", &params).ok()?;
        let message = serde_json::to_vec(&message).ok()?;
        Some((message, Self(arguments)))
    }

    /// Those that came with a request; none of them where it came without.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Json {
        // Over HTTP they are beside the headers.
        let parts = context.extensions.get::<axum::http::request::Parts>();
        let beside = parts.and_then(|parts| parts.extensions.get::<Self>());
        match beside.or_else(|| context.extensions.get::<Self>()) {
            Some(Self(arguments)) => arguments.clone(),
            None => Json::new(&Object::default()).expect("no field is always JSON"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_taken_as_they_were_written() {
        let call = br#"{"id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1e400, "m":0.10}},"jsonrpc":"2.0"}"#;
        let (rest, Arguments(taken)) = Arguments::take(call).unwrap();
        assert_eq!(taken.as_str(), r#"{"n":1e400, "m":0.10}"#);
        assert_eq!(
            String::from_utf8(rest).unwrap(),
            r#"{"id":1,"method":"tools/call","params":{"name":"x","arguments":{}},"jsonrpc":"2.0"}"#
        );
    }

    #[test]
    fn what_is_no_call_with_arguments_stays_as_it_is() {
        for message in [
            r#"{"method":"tools/list","params":{"arguments":{}}}"#,
            r#"{"method":"tools/call","params":{"name":"x"}}"#,
            r#"{"method":"tools/call","params":{"name":"x","arguments":[1]}}"#,
            r#"{"method":"tools/call","params":7}"#,
            r#"[{"method":"tools/call"}]"#,
            "{",
        ] {
            assert!(Arguments::take(message.as_bytes()).is_none(), "{message}");
        }
    }
}
