//! The scripts that the host owns. Every connection begins with their texts, so that each is called by its
//! SHA-1; where the server has forgotten it, its text is sent again.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, Value, cmd};
use tokio::time::Instant;

use super::connection::{Connection, Effect, Failure};

/// A script, with what all of them begin with.
pub(super) struct Script {
    text: &'static str,
    sha1: LazyLock<String>,
    effect: Effect,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal, $effect:ident;)*) => {
        $($(#[$doc])*
        pub(super) static $name: Script = {
            const TEXT: &str = concat!(include_str!("lua/layout.lua"), include_str!(concat!("lua/", $file)));
            Script {
                text: TEXT,
                sha1: LazyLock::new(|| sha1(TEXT.as_bytes())),
                effect: Effect::$effect,
            }
        };)*

        const ALL: &[&Script] = &[$(&$name),*];
    };
}

/// Makes the scripts known to a server.
pub(super) fn load_all() -> Pipeline {
    let mut load = Pipeline::new();
    for script in ALL {
        load.cmd("SCRIPT").arg("LOAD").arg(script.text);
    }
    load
}

scripts! {
    OPEN = "open.lua", Reads;
    COMMIT = "commit.lua", Writes;
    /// It removes entries that lead nowhere; to do so twice does no harm.
    FIND = "find.lua", Reads;
    IMPORT = "import.lua", Writes;
    /// What it removes was absent before, so that it may run twice.
    SWEEP = "sweep.lua", Reads;
    CLEAR = "clear.lua", Writes;
    LOAD_MANY = "load_many.lua", Reads;
    COUNT = "count.lua", Reads;
}

/// The arguments of a script after its key.
#[derive(Default)]
pub(super) struct Arguments(Vec<Vec<u8>>);

impl Arguments {
    pub(super) fn push(&mut self, argument: impl Into<Vec<u8>>) -> &mut Self {
        self.0.push(argument.into());
        self
    }

    /// `1` or `0`.
    pub(super) fn flag(&mut self, flag: bool) -> &mut Self {
        self.push(if flag { "1" } else { "0" })
    }

    /// A number in decimal, or nothing.
    pub(super) fn number(&mut self, number: impl Into<Option<u64>>) -> &mut Self {
        self.push(
            number
                .into()
                .map(|number| number.to_string())
                .unwrap_or_default(),
        )
    }
}

impl Script {
    /// Runs it on the keys that begin with `prefix`.
    pub(super) async fn run(
        &self,
        connection: &Connection,
        prefix: &str,
        arguments: &Arguments,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let call = |name: &str, script: &str| -> Cmd {
            let mut call = cmd(name);
            call.arg(script).arg(1).arg(prefix).arg(&arguments.0);
            call
        };
        let by_name = call("EVALSHA", &self.sha1);
        match connection.call(&by_name, self.effect, deadline).await {
            // Nothing was run. The text is kept by the server, and not sent again.
            Err(Failure::Refused(error)) if error.code() == Some("NOSCRIPT") => {
                let by_text = call("EVAL", self.text);
                connection.call(&by_text, self.effect, deadline).await
            }
            answer => answer,
        }
    }
}

/// As Redis writes it.
pub(super) fn sha1(bytes: &[u8]) -> String {
    sha1_smol::Sha1::from(bytes).digest().to_string()
}
