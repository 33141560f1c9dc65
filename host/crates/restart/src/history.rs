//! The history of restarts: a journal, of which a crash takes at most the last line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mortise_store::inside::{ErrorInside as _, beside, sync_folder_of};
use mortise_store::{Error, ErrorKind, Operation, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Outcome, Phase, Request, Restart};

/// How many restarts are kept.
const KEPT: usize = 1_000;
/// The size from which on older ones are left out when the file is opened, in bytes.
const COMPACT_BYTES: u64 = 4 << 20;

/// One line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// A restart that goes on.
    Began(Restart),
    /// A phase of it began.
    Entered {
        number: u64,
        phase: Phase,
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
    },
    /// A restart that ended, with all that is known about it.
    Ended(Restart),
}

/// The history of one state directory. Every line is on disk before the call that writes it comes back.
#[derive(Debug)]
pub(crate) struct History {
    file: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    journal: File,
    restarts: BTreeMap<u64, Restart>,
}

impl History {
    /// Reads the file, or begins it. Blocks.
    pub(crate) fn open(file: PathBuf) -> Result<Self> {
        let failed = |error| failed(&file, error);
        let restarts = read(&file)?;
        let is_large = fs::metadata(&file).is_ok_and(|about| about.len() > COMPACT_BYTES);
        if is_large {
            compact(&file, &restarts).map_err(failed)?;
        }
        let mut journal = private().append(true).open(&file).map_err(failed)?;
        // A line that a crash cut off stays alone.
        if !ends_whole(&file).map_err(failed)? {
            journal.write_all(b"\n").map_err(failed)?;
        }
        let restarts = restarts
            .into_iter()
            .map(|restart| (restart.number, restart));
        let open = Mutex::new(Open {
            journal,
            restarts: restarts.collect(),
        });
        Ok(Self { file, open })
    }

    /// All that are known, oldest first.
    pub(crate) fn restarts(&self) -> Vec<Restart> {
        self.lock().restarts.values().cloned().collect()
    }

    /// Begins a restart that `from` was asked for. Blocks, as all that follow.
    pub(crate) fn begin(&self, request: Request, from: u32, now: Timestamp) -> Result<Restart> {
        let mut open = self.lock();
        let last = open.restarts.last_key_value();
        let restart = Restart {
            number: last.map_or(1, |(number, _)| number + 1),
            at: now,
            request,
            from,
            to: None,
            phases: Vec::new(),
            outcome: None,
        };
        self.append(&mut open, &Line::Began(restart.clone()))?;
        open.restarts.insert(restart.number, restart.clone());
        Ok(restart)
    }

    /// Notes that a restart entered a phase.
    pub(crate) fn enter(&self, restart: &mut Restart, phase: Phase, now: Timestamp) -> Result<()> {
        restart.enter(phase, now);
        let mut open = self.lock();
        open.restarts.insert(restart.number, restart.clone());
        let number = restart.number;
        let line = Line::Entered {
            number,
            phase,
            at: now,
            to: restart.to,
        };
        self.append(&mut open, &line)
    }

    /// Notes how a restart ended.
    pub(crate) fn end(
        &self,
        restart: &mut Restart,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<()> {
        restart.end(outcome, now);
        let mut open = self.lock();
        open.restarts.insert(restart.number, restart.clone());
        self.append(&mut open, &Line::Ended(restart.clone()))
    }

    /// Notes of every restart that never ended that it was interrupted, and in which phase; which those were.
    /// To be called by a process that serves, or starts to, while no restart goes on; `now` is what it does.
    pub(crate) fn settle(&self, now: &str) -> Result<Vec<Restart>> {
        let mut unfinished = self.restarts();
        unfinished.retain(|restart| restart.outcome.is_none());
        for restart in &mut unfinished {
            let place = match restart.phase() {
                Some(phase) => format!("in phase {phase}"),
                None => "before its first phase".to_owned(),
            };
            let (old, new) = (restart.from, std::process::id());
            let what = format!("process {old} ended {place}; process {new} {now}");
            // Nobody knows how long the phase took.
            restart.outcome = Some(Outcome::Interrupted(what));
            let mut open = self.lock();
            open.restarts.insert(restart.number, restart.clone());
            self.append(&mut open, &Line::Ended(restart.clone()))?;
        }
        Ok(unfinished)
    }

    fn append(&self, open: &mut Open, line: &Line) -> Result<()> {
        let written = serde_json::to_vec(line).map_err(io::Error::from);
        let written = written.and_then(|mut text| {
            text.push(b'\n');
            // At once: a line is whole, or the last one.
            open.journal.write_all(&text)?;
            open.journal.sync_data()
        });
        written.map_err(|error| failed(&self.file, error))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The restarts that a file tells of, oldest first, at most the last 1,000; none where there is no file. What
/// cannot be read in it is passed over: a crash may have cut a line, and a later version may have written another.
///
/// # Errors
///
/// `Io` where the file cannot be read.
pub(crate) fn read(file: &Path) -> Result<Vec<Restart>> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(file, error)),
    };
    let mut restarts = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Line::Began(restart) | Line::Ended(restart)) => {
                restarts.insert(restart.number, restart);
            }
            Ok(Line::Entered {
                number,
                phase,
                at,
                to,
            }) => {
                if let Some(restart) = restarts.get_mut(&number) {
                    Restart::enter(restart, phase, at);
                    restart.to = to;
                }
            }
            Err(_) => {}
        }
    }
    let older = restarts.len().saturating_sub(KEPT);
    Ok(restarts.into_values().skip(older).collect())
}

/// Whether the file is empty or ends with a whole line.
fn ends_whole(file: &Path) -> io::Result<bool> {
    let mut file = File::open(file)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Writes the file anew, with a line for each restart.
fn compact(file: &Path, restarts: &[Restart]) -> io::Result<()> {
    let partial = beside(file, ".partial");
    let mut text = Vec::new();
    for restart in restarts {
        serde_json::to_writer(&mut text, &Line::Ended(restart.clone()))?;
        text.push(b'\n');
    }
    let mut written = private().write(true).truncate(true).open(&partial)?;
    written.write_all(&text)?;
    written.sync_all()?;
    fs::rename(&partial, file)?;
    sync_folder_of(file)
}

/// A file that is made where it is not there, for this user alone.
fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.create(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn failed(file: &Path, error: io::Error) -> Error {
    let what = format!("the history of restarts {} fails", file.display());
    Error::new(ErrorKind::Io, Operation::Restart, what).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::super::event::Trigger;
    use super::*;

    fn request(reason: &str) -> Request {
        Request {
            trigger: Trigger::Command,
            by: "ann".to_owned(),
            reason: Some(reason.to_owned()),
            graceful: true,
            preserve_state: true,
        }
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("restarts.jsonl");
        (folder, file)
    }

    #[test]
    fn a_restart_is_told_with_its_phases_and_how_long_they_took() {
        let (_folder, file) = place();
        let history = History::open(file.clone()).unwrap();
        let mut restart = history.begin(request("upgrade"), 7, 1_000).unwrap();
        history.enter(&mut restart, Phase::Start, 1_001).unwrap();
        restart.to = Some(8);
        history.enter(&mut restart, Phase::Drain, 1_101).unwrap();
        history.end(&mut restart, Outcome::Done, 1_151).unwrap();
        let told = read(&file).unwrap();
        assert_eq!(told, history.restarts());
        let [told] = &*told else { panic!("{told:?}") };
        assert_eq!((told.number, told.from, told.to), (1, 7, Some(8)));
        let phases = told.phases.iter();
        let phases: Vec<_> = phases
            .map(|entry| (entry.phase, entry.milliseconds))
            .collect();
        assert_eq!(
            phases,
            [(Phase::Start, Some(100)), (Phase::Drain, Some(50))]
        );
        assert_eq!(told.outcome, Some(Outcome::Done));
    }

    #[test]
    fn one_that_never_ended_is_settled_with_the_phase_that_it_was_in() {
        let (_folder, file) = place();
        let history = History::open(file.clone()).unwrap();
        let mut restart = history.begin(request("upgrade"), 7, 1_000).unwrap();
        history.enter(&mut restart, Phase::Drain, 1_001).unwrap();
        drop(history);
        let history = History::open(file.clone()).unwrap();
        let [settled] = &*history.settle("serves").unwrap() else {
            panic!("expected one")
        };
        let what = "interrupted: process 7 ended in phase drain; process";
        let told = settled.outcome.as_ref().unwrap().to_string();
        assert!(
            told.starts_with(what) && told.ends_with(" serves"),
            "{told}"
        );
        assert_eq!(history.settle("serves").unwrap(), []);
        assert_eq!(read(&file).unwrap(), std::slice::from_ref(settled));
        // Numbers go on.
        assert_eq!(history.begin(request("again"), 9, 2_000).unwrap().number, 2);
    }

    #[test]
    fn a_journal_that_a_crash_cut_anywhere_still_tells_what_was_before() {
        let (_folder, file) = place();
        let history = History::open(file.clone()).unwrap();
        let mut first = history.begin(request("1"), 7, 1_000).unwrap();
        history.end(&mut first, Outcome::Done, 1_001).unwrap();
        let whole = fs::read(&file).unwrap().len();
        let mut second = history.begin(request("2"), 7, 2_000).unwrap();
        history.enter(&mut second, Phase::Start, 2_001).unwrap();
        let text = fs::read(&file).unwrap();
        drop(history);
        for cut in whole..text.len() {
            fs::write(&file, &text[..cut]).unwrap();
            let history = History::open(file.clone()).unwrap();
            assert_eq!(history.restarts()[0], first, "cut at {cut}");
            // What is written after the cut line can be read.
            let mut third = history.begin(request("3"), 7, 3_000).unwrap();
            history.end(&mut third, Outcome::Done, 3_001).unwrap();
            assert_eq!(read(&file).unwrap().last(), Some(&third), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let (_folder, file) = place();
        let history = History::open(file.clone()).unwrap();
        history.begin(request("1"), 7, 1_000).unwrap();
        let mut text = fs::read(&file).unwrap();
        text.extend_from_slice(b"{\"more\":1}\n\0\xff\n[]\n");
        fs::write(&file, text).unwrap();
        assert_eq!(read(&file).unwrap(), history.restarts());
        assert_eq!(read(Path::new("/nowhere")).unwrap(), []);
    }

    #[test]
    fn a_file_that_grew_is_written_anew_with_the_last_thousand() {
        let (_folder, file) = place();
        let history = History::open(file.clone()).unwrap();
        let mut restart = history
            .begin(request(&"x".repeat(5_000)), 7, 1_000)
            .unwrap();
        history.end(&mut restart, Outcome::Done, 1_001).unwrap();
        drop(history);
        let mut text = Vec::new();
        for number in 1..=1_200 {
            restart.number = number;
            serde_json::to_writer(&mut text, &Line::Ended(restart.clone())).unwrap();
            text.push(b'\n');
        }
        fs::write(&file, &text).unwrap();
        let history = History::open(file.clone()).unwrap();
        assert_eq!(history.restarts().len(), KEPT);
        assert_eq!(read(&file).unwrap(), history.restarts());
        assert!(fs::metadata(&file).unwrap().len() < text.len() as u64);
        assert_eq!(history.begin(request("next"), 7, 1).unwrap().number, 1_201);
    }

    #[test]
    fn nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, file) = place();
        History::open(file.clone()).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
