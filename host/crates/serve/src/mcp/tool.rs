//! What a tool is, and the table of all.

use std::sync::{Arc, LazyLock};

use futures_util::future::BoxFuture;
use mortise_store::ErrorKind;
use rmcp::handler::server::common::{schema_for_input, schema_for_output};
use rmcp::model::{CallToolResult, JsonObject, Tool as Listed, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer;
use super::arguments::Arguments;
use super::call::Call;
use super::problem::Problem;
use super::{entities, lifecycle, restarts, stores, tasks};

/// A tool: its arguments are the fields of whoever implements it.
pub(super) trait Tool: DeserializeOwned + JsonSchema + Send + 'static {
    const NAME: &'static str;
    const TITLE: &'static str;
    const DESCRIPTION: &'static str;
    const EFFECT: Effect;
    type Answer: Serialize + JsonSchema + Send + 'static;

    fn run(self, call: &Call) -> impl Future<Output = Result<Self::Answer, Problem>> + Send;
}

/// What a tool does to what is there: for clients that ask a person before some calls.
pub(super) enum Effect {
    /// Nothing.
    Reads,
    /// It adds to it.
    Adds,
    /// It changes or removes something; the same call once more changes nothing.
    Sets,
    /// It changes something each time.
    Acts,
}

impl Effect {
    fn annotations(&self) -> ToolAnnotations {
        let (read_only, destructive, idempotent) = match self {
            Self::Reads => (true, false, true),
            Self::Adds => (false, false, false),
            Self::Sets => (false, true, true),
            Self::Acts => (false, true, false),
        };
        ToolAnnotations::new()
            .read_only(read_only)
            .destructive(destructive)
            .idempotent(idempotent)
            .open_world(false)
    }
}

/// A tool of the table.
pub(super) struct Entry {
    pub(super) listed: Listed,
    pub(super) run: fn(Call) -> BoxFuture<'static, CallToolResult>,
}

impl Entry {
    /// The result of a call that did not end in time, and was dropped for a restart.
    pub(super) fn given_up(&self) -> CallToolResult {
        let annotations = self.listed.annotations.as_ref();
        let reads = annotations.is_some_and(|tool| tool.read_only_hint == Some(true));
        let (kind, hint) = match reads {
            true => (ErrorKind::Unavailable, "try again"),
            false => (
                ErrorKind::Ambiguous,
                "it may have happened: load before trying again",
            ),
        };
        let what = "the server was restarted before the call had ended";
        answer::result::<()>(Err(Problem::new(kind.as_str(), what).with_hint(hint)))
    }
}

/// The tools that work on stores.
pub(super) static ON_STORES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        entry::<tasks::CreateTask>(),
        entry::<tasks::LoadTask>(),
        entry::<tasks::UpdateTask>(),
        entry::<tasks::DeleteTask>(),
        entry::<tasks::FindTaskByRequestId>(),
        entry::<tasks::ListTasks>(),
        entry::<entities::SaveEntity>(),
        entry::<entities::LoadEntity>(),
        entry::<entities::DeleteEntity>(),
        entry::<entities::ListEntities>(),
        entry::<lifecycle::SendEvent>(),
        entry::<lifecycle::GetHistory>(),
        entry::<stores::ListStores>(),
        entry::<stores::StoreHealth>(),
        entry::<stores::MigrationStatus>(),
    ]
});

/// The tools that restart the server.
pub(super) static ON_THE_SERVER: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        entry::<restarts::RestartServer>(),
        entry::<restarts::RestartStatusOf>(),
    ]
});

fn entry<T: Tool>() -> Entry {
    let input = schema_for_input::<T>().expect("arguments are fields of a struct");
    let mut listed = Listed::new(T::NAME, T::DESCRIPTION, input);
    listed.title = Some(T::TITLE.to_owned());
    listed.output_schema = Some(output_schema::<T::Answer>());
    listed.annotations = Some(T::EFFECT.annotations());
    Entry {
        listed,
        run: |call| Box::pin(run::<T>(call)),
    }
}

async fn run<T: Tool>(call: Call) -> CallToolResult {
    let arguments = Arguments::of(&call.context).parse::<T>();
    let answer = match arguments {
        Ok(tool) => tool.run(&call).await,
        Err(error) => {
            let what = format!("the arguments of {} are not understood: {error}", T::NAME);
            Err(Problem::new("invalid", what).with_hint("tools/list has the schema"))
        }
    };
    answer::result(answer)
}

/// An answer, or a problem: clients hold both to the schema.
fn output_schema<A: JsonSchema + 'static>() -> Arc<JsonObject> {
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "it is there for its schema")]
    enum Outcome<A> {
        Answer(A),
        Problem(Problem),
    }
    let mut schema = JsonObject::clone(&schema_for_output::<Outcome<A>>());
    schema.insert("type".to_owned(), "object".into());
    Arc::new(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static Listed> {
        let all = ON_STORES.iter().chain(ON_THE_SERVER.iter());
        all.map(|entry| &entry.listed)
    }

    #[test]
    fn every_tool_says_what_it_takes_and_what_it_answers() {
        for tool in all() {
            let name = &*tool.name;
            assert!(tool.title.is_some() && tool.description.is_some(), "{name}");
            let input = &tool.input_schema;
            assert_eq!(input["additionalProperties"], false, "{name}");
            let properties = input.get("properties").and_then(|all| all.as_object());
            for (property, schema) in properties.into_iter().flatten() {
                assert!(schema.get("description").is_some(), "{name}: {property}");
            }
            let output = tool.output_schema.as_ref().unwrap();
            assert_eq!(output["type"], "object", "{name}");
            assert_eq!(output["anyOf"].as_array().unwrap().len(), 2, "{name}");
        }
    }

    #[test]
    fn names_are_given_once() {
        let mut names: Vec<_> = all().map(|tool| &*tool.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
