//! From lines of agent tasks to a store.

use std::io::{self, BufRead, Read as _};

use mortise_agent::AgentTask;
use mortise_agent::inside::AgentTaskInside as _;
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result, Store};

use crate::importer::{
    Figures, Found, ImportOptions, ImportReport, NewRecord, import_found, read_task,
};

/// The collection of the tasks.
const COLLECTION: &str = "task";

/// Writes the tasks of a file to a store, and reports what it read: a task of Teal Agents a line, as
/// `AgentTask.model_dump_json()` writes it.
///
/// Tasks are created in the order of the lines, in the collection `task`, as
/// [`TaskStore`](mortise_agent::TaskStore) keeps them: timestamps, unknown fields and every digit stay as
/// they were written. Blank lines are passed over.
///
/// What cannot be imported is skipped and reported by its line. What is there already with the same content
/// is left alone: an import can be run again. Nothing is written over.
///
/// Memory is taken for the ids of all tasks and requests, and for one batch. `progress` is told after each
/// batch how many tasks were dealt with so far. Reading blocks the thread that polls the future: in a
/// server, hand it one of its own.
///
/// # Errors
///
/// `Io` where `from` cannot be read; `Invalid` for the first line that would be skipped, where the import is
/// strict; those of [`Store::load_many`] and [`Store::apply`]. Each says how many tasks were created before.
pub async fn import_teal_jsonl<R: BufRead>(
    store: &Store,
    from: R,
    options: &ImportOptions,
    progress: impl FnMut(u64),
) -> Result<ImportReport> {
    let lines = Lines {
        from,
        most: store.max_body_bytes(),
        number: 0,
    };
    import_found(store, lines, options, progress).await
}

/// The lines of a file, one in memory at a time.
struct Lines<R> {
    from: R,
    /// How many bytes a line may have.
    most: u64,
    number: u64,
}

/// What is in a line.
enum Line {
    Text(Vec<u8>),
    /// More bytes than a line may have. They were passed over.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// The next line; none at the end.
    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        // One byte more is the line's end, or tells one that is too long from one that just fits.
        let most = self.most.saturating_add(1);
        let bytes = (&mut self.from).take(most).read_until(b'\n', &mut line)?;
        if bytes as u64 == most && !line.ends_with(b"\n") {
            self.from.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        Ok((bytes > 0).then_some(Line::Text(line)))
    }

    fn found(&self, task: Result<AgentTask, String>) -> Found {
        let record = task.and_then(|task| {
            let draft = task.draft(Operation::Import);
            Ok(NewRecord {
                draft: draft.map_err(|error| error.reason())?,
                figures: Figures::of_task(&task),
            })
        });
        Found {
            place: format!("line {}", self.number),
            collection: Some(COLLECTION.to_owned()),
            joined: false,
            record,
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.number += 1;
            let task = match self.read() {
                Ok(None) => return None,
                Ok(Some(Line::Text(line))) => match line.trim_ascii() {
                    b"" => continue,
                    line => read_task("line", line),
                },
                Ok(Some(Line::TooLong)) => Err(format!(
                    "the line has more than the {} bytes that the store takes",
                    self.most
                )),
                Err(error) => {
                    let number = self.number;
                    let what =
                        format!("line {number} cannot be read, expected an agent task a line");
                    let error =
                        Error::new(ErrorKind::Io, Operation::Import, what).with_source(error);
                    return Some(Err(error));
                }
            };
            return Some(Ok(self.found(task)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, most: u64) -> Vec<String> {
        let lines = Lines {
            from: text.as_bytes(),
            most,
            number: 0,
        };
        let found = lines.map(|found| {
            let found = found.unwrap();
            let reason = found.record.err().unwrap();
            format!("{}: {reason}", found.place)
        });
        found.collect()
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        let long = "the line has more than the 4 bytes that the store takes";
        let seven = "the line is no agent task: expected a JSON object";
        assert_eq!(
            lines("12345678\n7777\n\n \r\n77777\n7", 4),
            [
                format!("line 1: {long}"),
                format!("line 2: {seven}"),
                format!("line 5: {long}"),
                format!("line 6: {seven}"),
            ]
        );
        assert_eq!(lines("12345", 4), [format!("line 1: {long}")]);
        assert_eq!(lines("", 4), [""; 0]);
    }
}
