//! The only place that prints: data to stdout, talk to stderr.

use std::fmt::{self, Write as _};
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use anyhow::Context as _;
use clap::ValueEnum;
use mortise::Timestamp;
use serde::Serialize;

use crate::exit_code::{CliError, MortiseExitCode};

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Stdout, until its reader closes it: from then on nothing is written, and nothing fails.
pub struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
    format: Format,
    quiet: bool,
    closed: bool,
}

impl Output {
    pub fn new(format: Format, quiet: bool) -> Self {
        let stdout = BufWriter::with_capacity(64 << 10, io::stdout().lock());
        Self {
            stdout,
            format,
            quiet,
            closed: false,
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether nobody reads what is written: who only reads a store can stop.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// One line of text. Control characters in it are shown, not sent to the terminal.
    pub fn text(&mut self, line: impl fmt::Display) -> anyhow::Result<()> {
        self.send(format!("{}\n", Plain(&line.to_string())).as_bytes())
    }

    /// One line of JSON.
    pub fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value).context("the answer is no JSON")?;
        line.push(b'\n');
        self.send(&line)
    }

    /// One line in either format.
    pub fn line(&mut self, text: impl fmt::Display, json: &impl Serialize) -> anyhow::Result<()> {
        match self.format {
            Format::Text => self.text(text),
            Format::Json => self.json(json),
        }
    }

    /// A text that is a document of its own, as it is.
    pub fn whole(&mut self, text: &str) -> anyhow::Result<()> {
        self.send(text.as_bytes())
    }

    /// The end of a list that goes on: where. In json a line of data, else a line for people.
    pub fn more(&mut self, next: Option<&str>) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Next<'a> {
            next: &'a str,
        }
        match (self.format, next) {
            (Format::Json, Some(next)) => self.json(&Next { next }),
            (Format::Text, Some(next)) => {
                self.note(format_args!("there are more: add --all, or --after {next}"));
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// Has what was written so far arrive.
    pub fn arrive(&mut self) -> anyhow::Result<()> {
        let flushed = self.stdout.flush();
        self.settle(flushed)
    }

    /// The end: what was written has arrived, or it failed.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.arrive()
    }

    /// A line for people, on stderr.
    pub fn note(&self, line: impl fmt::Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", Plain(&line.to_string()));
        }
    }

    fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.stdout.write_all(bytes);
        self.settle(written)
    }

    fn settle(&mut self, written: io::Result<()>) -> anyhow::Result<()> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.context("stdout cannot be written to"),
        }
    }
}

/// For what writes by itself. A closed stdout is an error here, so that it stops.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stdout.write(bytes);
        self.closed |= matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stdout.flush();
        self.closed |= matches!(&flushed, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        flushed
    }
}

/// Rows under headings, in columns; widths grow from page to page and never shrink.
pub struct Table<const N: usize> {
    headings: Option<[&'static str; N]>,
    widths: [usize; N],
}

impl<const N: usize> Table<N> {
    pub fn new(headings: [&'static str; N]) -> Self {
        Self {
            headings: Some(headings),
            widths: headings.map(str::len),
        }
    }

    /// Writes one page of rows; before the first row of all, the headings.
    pub fn rows(&mut self, output: &mut Output, rows: Vec<[String; N]>) -> anyhow::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| row.map(|cell| Plain(&cell).to_string()))
            .collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if let Some(headings) = self.headings.take() {
            output.text(self.row(&headings))?;
        }
        rows.iter().try_for_each(|row| output.text(self.row(row)))
    }

    fn row<S: AsRef<str>>(&self, cells: &[S; N]) -> String {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(self.widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{:<width$}  ", cell.as_ref());
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Text from a store, a component or a file, with its control characters shown rather than obeyed.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char.is_control() {
            true => write!(f, "{}", char.escape_default()),
            false => f.write_char(char),
        })
    }
}

/// Why it failed: the chain of causes, and what to do next, where the library knows.
pub fn error(error: &anyhow::Error) {
    let label = |name: &str| match stderr_has_color() {
        true => format!("\u{1b}[1;31m{name}:\u{1b}[0m"),
        false => format!("{name}:"),
    };
    let mut stderr = io::stderr().lock();
    for (depth, cause) in error.chain().enumerate() {
        let name = if depth == 0 {
            label("error")
        } else {
            "caused by:".to_owned()
        };
        // An explanation may have lines: the excerpt of a configuration.
        let text: Vec<_> = cause
            .to_string()
            .lines()
            .map(|line| Plain(line).to_string())
            .collect();
        // Where stderr is closed, nobody is there to be told.
        let _ = writeln!(stderr, "{name} {}", text.join("\n  "));
    }
    if let Some(hint) = error.chain().find_map(hint) {
        let _ = writeln!(stderr, "hint: {}", Plain(hint));
    }
}

fn hint<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
    match cause.downcast_ref::<mortise::Error>() {
        Some(error) => error.hint(),
        None => cause.downcast_ref::<CliError>()?.hint(),
    }
}

/// What clap has to tell: help and version to stdout, what is wrong to stderr.
pub fn usage(told: &clap::Error) -> MortiseExitCode {
    let _ = told.print();
    if told.use_stderr() {
        MortiseExitCode::Usage
    } else {
        MortiseExitCode::Success
    }
}

/// Asks on the terminal whether to go on, and fails unless the answer is yes. `done` is what was not done then:
/// "removed".
pub fn confirm(question: &str, done: &str) -> anyhow::Result<()> {
    match ask(question)? {
        Some(true) => Ok(()),
        Some(false) => {
            Err(CliError::usage(format!("nothing was {done}"), "answer y to go on").into())
        }
        None => {
            let message = format!("nothing was {done}: nobody can be asked");
            Err(CliError::usage(message, "add --yes to go on without being asked").into())
        }
    }
}

/// Asks on the terminal; none where there is none.
fn ask(question: &str) -> io::Result<Option<bool>> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(None);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{} [y/N] ", Plain(question))?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}

/// An instant as people read it, in UTC.
pub fn time(at: Timestamp) -> String {
    let instant = i64::try_from(at).map(jiff::Timestamp::from_millisecond);
    match instant {
        Ok(Ok(instant)) => format!("{instant:.3}"),
        _ => format!("{at} ms"),
    }
}

/// Whether stderr shows colours: it is a terminal, and `NO_COLOR` is not set (no-color.org).
pub fn stderr_has_color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_letters_left_alone() {
        assert_eq!(
            Plain("a\u{1b}[2Jb\r\n\0é🦀\"\\").to_string(),
            r#"a\u{1b}[2Jb\r\n\u{0}é🦀"\"#
        );
    }

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let mut table = Table::new(["id", "status"]);
        table.widths = [4, 9];
        assert_eq!(table.row(&["é", "Running"]), "é     Running");
        assert_eq!(table.row(&["t", ""]), "t");
    }
}
