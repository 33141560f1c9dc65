//! The scripts that the host owns. Every connection begins with their texts, so that each is called by its
//! SHA-1; where the server has forgotten it, its text is sent again.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, ToRedisArgs, Value, cmd};
use tokio::time::Instant;

use crate::connection::{Connection, Effect, Failure};

/// A script, with what all of them begin with.
pub(crate) struct Script {
    text: &'static str,
    sha1: LazyLock<String>,
    effect: Effect,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal, $effect:ident;)*) => {
        $($(#[$doc])*
        pub(crate) static $name: Script = {
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
pub(crate) fn load_all() -> Pipeline {
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

impl Script {
    /// A call on the keys that begin with `prefix`; its arguments follow.
    pub(crate) fn on(&'static self, prefix: &str) -> Call {
        let mut command = cmd("EVALSHA");
        command.arg(self.sha1.as_str()).arg(1).arg(prefix);
        Call {
            script: self,
            command,
        }
    }
}

/// A call of a script.
pub(crate) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    pub(crate) fn push(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// `1` or `0`.
    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        self.push(u8::from(flag))
    }

    /// What may be left out: then nothing.
    pub(crate) fn optional(&mut self, argument: Option<impl ToRedisArgs>) -> &mut Self {
        match argument {
            Some(argument) => self.push(argument),
            None => self.push(""),
        }
    }

    /// Runs the script.
    pub(crate) async fn run(
        &self,
        connection: &Connection,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let Script { text, effect, .. } = *self.script;
        match connection.call(&self.command, effect, deadline).await {
            // The server has forgotten it, and did nothing.
            Err(Failure::Refused(error)) if error.code() == Some("NOSCRIPT") => {
                let load = cmd("SCRIPT").arg("LOAD").arg(text).clone();
                connection.call(&load, Effect::Reads, deadline).await?;
                connection.call(&self.command, effect, deadline).await
            }
            answer => answer,
        }
    }
}

/// As Redis writes it.
pub(crate) fn sha1(bytes: &[u8]) -> String {
    sha1_smol::Sha1::from(bytes).digest().to_string()
}
