//! What `cargo xtask` is told to do. Read by hand: a parser of arguments takes longer to compile than all else here.

use crate::examples::Example;

/// What `cargo xtask --help` says.
pub const HELP: &str = "\
Everything that the project does by command

Usage: cargo xtask <COMMAND>

Commands:
  demo                       Builds what is missing and shows the main job on 200 real agent tasks
  test [ARGUMENTS]...        Installs what the tests need and runs all of them; arguments go to `cargo test`
  check                      Format, lints, documentation, the contract, the house: what must be clean before a change lands
  house                      Checks that the crates depend one way, as the table in xtask/src/house.rs says
  wit                        Checks that the contract parses, that every item is documented, and that no release changed
  build-backends             Writes the built-in backends to target/backends/*.wasm
  build-examples [EXAMPLE]...  Builds the backends of guest-backends/examples and writes them to target/examples/*.wasm
  test-examples [EXAMPLE]... Lays each example down as `mortise plugin new` does, builds it, and runs the conformance kit on it
  bench [ARGUMENTS]...       Measures what storage through a component costs; arguments go to the benchmark: `--quick` ends within a minute

EXAMPLE is python, javascript or rust-wasip2. Default: all.
";

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    Demo,
    Test(Vec<String>),
    Check,
    House,
    Wit,
    BuildBackends,
    BuildExamples(Vec<Example>),
    TestExamples(Vec<Example>),
    Bench(Vec<String>),
}

impl Task {
    /// Reads the command line; none where it asks for help.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut arguments = arguments.into_iter();
        let Some(name) = arguments.next() else {
            return Err("a command is missing".to_owned());
        };
        let rest: Vec<String> = arguments.collect();
        let task = match name.as_str() {
            "-h" | "--help" | "help" => return Ok(None),
            "test" => Self::Test(rest),
            "bench" => Self::Bench(rest),
            _ if rest
                .iter()
                .any(|argument| argument == "-h" || argument == "--help") =>
            {
                return Ok(None);
            }
            "build-examples" => Self::BuildExamples(examples(&rest)?),
            "test-examples" => Self::TestExamples(examples(&rest)?),
            _ => {
                let task = match name.as_str() {
                    "demo" => Self::Demo,
                    "check" => Self::Check,
                    "house" => Self::House,
                    "wit" => Self::Wit,
                    "build-backends" => Self::BuildBackends,
                    _ => return Err(format!("there is no command `{name}`")),
                };
                if let Some(more) = rest.first() {
                    return Err(format!("`{name}` takes no argument, but got `{more}`"));
                }
                task
            }
        };
        Ok(Some(task))
    }
}

fn examples(names: &[String]) -> Result<Vec<Example>, String> {
    let names = names.iter();
    let examples = names.map(|name| {
        let mut all = Example::ALL.into_iter();
        let found = all.find(|example| example.name() == name);
        found.ok_or_else(|| {
            format!("there is no example `{name}`: it is python, javascript or rust-wasip2")
        })
    });
    examples.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Task>, String> {
        Task::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parse("demo"), Ok(Some(Task::Demo)));
        assert_eq!(parse("--help"), Ok(None));
        assert_eq!(parse("check --help"), Ok(None));
        let bench = ["--quick", "--help"].map(str::to_owned).to_vec();
        assert_eq!(parse("bench --quick --help"), Ok(Some(Task::Bench(bench))));
        let some = vec![Example::Python, Example::RustWasip2];
        assert_eq!(
            parse("build-examples python rust-wasip2"),
            Ok(Some(Task::BuildExamples(some)))
        );
    }

    #[test]
    fn what_is_no_command_is_said() {
        for (line, part) in [
            ("", "missing"),
            ("dance", "`dance`"),
            ("demo fast", "`fast`"),
            ("test-examples go", "`go`"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
