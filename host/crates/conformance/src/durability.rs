//! What was acknowledged stays: after the store is closed, and after its process is killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::job::{ATTRIBUTE, BATCH, CALLERS, COLLECTION, Job};
use super::world::Subject;
use mortise_store::{Draft, Key, Precondition, Query, Remove, Revision, Store, Stored, Write};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        subject,
        "durability/reopen",
        "closed and opened again, a store has every record with its stamp and its attributes, and \
         revisions go on",
        reopen
    ),
    clause!(
        subject,
        "durability/kill",
        "after its process was killed while it wrote, a store has every batch that was acknowledged, \
         no half batch, and the attributes of every record",
        kill
    ),
];

fn require_durable(subject: &Subject) -> Outcome {
    match subject.description().durable {
        true => Ok(()),
        false => Err(Finding::not_applicable(
            "the backend describes itself as not durable",
        )),
    }
}

async fn reopen(subject: Subject) -> Outcome {
    require_durable(&subject)?;
    let key = |id: &str| Key::new("durability", id);
    let store = subject.open().await?;
    for (id, body) in [("a", "one"), ("b", ""), ("c", "three"), ("gone", "four")] {
        let draft = Draft::new(key(id), body)
            .attribute("x", id)
            .attribute("y", "all");
        store.create(draft).await?;
    }
    let updated = Draft::new(key("c"), "five").attribute("y", "all");
    store.update(updated, None).await?;
    let remove = Write::Remove(Remove {
        key: key("gone"),
        expect: Precondition::None,
    });
    let removed = store.apply(vec![remove]).await?;
    let before = all(&store).await?;
    let store = subject.reopen(store).await?;
    let after = all(&store).await?;
    ensure!(
        before == after,
        "before it was closed there were {}, and after it was opened again {}",
        brief(&before),
        brief(&after)
    );
    for (name, value, expected) in [
        ("x", "a", 1),
        ("y", "all", 3),
        ("x", "c", 0),
        ("x", "gone", 0),
    ] {
        let query = Query::new("durability").with(name, value);
        let found = store.find(query).await?.records.len();
        ensure!(
            found == expected,
            "opened again, {found} records are found by {name}={value:?}, expected {expected}"
        );
    }
    let next = store
        .create(Draft::new(key("gone"), ""))
        .await?
        .mod_revision;
    let last = removed.last().copied().unwrap_or_default();
    ensure!(
        next > last,
        "the last write before the store was closed had revision {last}, and the first one after it \
         was opened again {next}"
    );
    Ok(())
}

async fn all(store: &Store) -> Result<Vec<Stored>, Finding> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = store.export(after, 1000).await?;
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return Ok(records);
        }
    }
}

async fn kill(subject: Subject) -> Outcome {
    const ROUNDS: u32 = 5;
    require_durable(&subject)?;
    let Some(command) = subject.worker().map(<[OsString]>::to_vec) else {
        return Err(Finding::not_applicable(
            "the kit was given no command that starts a process to kill",
        ));
    };
    let folder =
        tempfile::tempdir().map_err(|error| broken("there is no temporary folder", error))?;
    let file = folder.path().join("under-test.wasm");
    let component = subject.component()?;
    std::fs::write(&file, component)
        .map_err(|error| broken("the component is not written", error))?;
    // The worker makes the store, too, while the first round runs.
    let mut random = fastrand::Rng::with_seed(subject.seed());
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let job = Job::of(&subject, file.clone(), round);
        let (command, batches) = (command.clone(), random.usize(1..80));
        let killing = tokio::task::spawn_blocking(move || kill_after(&command, &job, batches));
        let killed = killing
            .await
            .map_err(|error| broken("the worker was not watched", error))?;
        let of_round = killed?;
        acknowledged.extend(of_round);
        let store = subject.open().await?;
        check(&store, &acknowledged, round).await?;
    }
    Ok(())
}

/// Starts a worker, and kills it once so many batches were acknowledged; all that were.
fn kill_after(command: &[OsString], job: &Job, batches: usize) -> Result<Vec<String>, Finding> {
    let [program, arguments @ ..] = command else {
        return Err(Finding::broken("the command of the worker is empty"));
    };
    let name = Path::new(program).display();
    let mut worker = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| broken(&format!("{name} does not start"), error))?;
    let (stdin, stdout) = (worker.stdin.take(), worker.stdout.take());
    let told = stdin.map(|mut stdin| {
        let job = serde_json::to_vec(job)?;
        stdin.write_all(&job)
    });
    let mut lines = stdout.map(BufReader::new);
    let mut acknowledged = Vec::new();
    let mut read = |most: usize| {
        let mut line = String::new();
        while acknowledged.len() < most
            && let Some(lines) = &mut lines
            && lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0)
        {
            // A line that was cut is of a batch that nobody was told of.
            if let Some(batch) = line.strip_suffix('\n') {
                acknowledged.push(batch.to_owned());
            }
            line.clear();
        }
        acknowledged.len()
    };
    let before = read(batches);
    // SIGKILL: nothing of the process runs after it. It may have ended by itself.
    let _ = worker.kill();
    read(usize::MAX);
    let mut talk = String::new();
    if let Some(mut stderr) = worker.stderr.take() {
        let _ = stderr.read_to_string(&mut talk);
    }
    let _ = worker.wait();
    if let Some(Err(error)) = told {
        return Err(broken(&format!("{name} does not listen: {talk}"), error));
    }
    if before < batches {
        return Err(Finding::broken(format!(
            "the process that writes ended after {before} batches: {}",
            talk.trim()
        )));
    }
    Ok(acknowledged)
}

async fn check(store: &Store, acknowledged: &[String], round: u32) -> Outcome {
    let records = all(store).await?;
    let mut batches = BTreeMap::<String, Vec<&Stored>>::new();
    for record in &records {
        let batch = String::from_utf8_lossy(&record.draft.body).into_owned();
        batches.entry(batch).or_default().push(record);
    }
    let last = records.iter().find(|record| record.key().id == "last");
    let last = last.map(|record| String::from_utf8_lossy(&record.draft.body).into_owned());
    for batch in acknowledged {
        ensure!(
            batches.contains_key(batch),
            "batch {batch} was acknowledged before the process was killed, and is not there"
        );
    }
    for (batch, records) in &batches {
        // All batches write the record `last`; it is the last one's.
        let expected = BATCH - 1 + usize::from(last.as_ref() == Some(batch));
        ensure!(
            records.len() == expected,
            "after the process was killed, batch {batch} has {} records of {expected}",
            records.len()
        );
        let query = Query::new(COLLECTION).with(ATTRIBUTE, batch).limit(1000);
        let found = store.find(query).await?.records;
        ensure!(
            found.iter().eq(records.iter().copied()),
            "after the process was killed, batch {batch} is {} by export, but by its attribute {} is found",
            brief(records),
            brief(&found)
        );
    }
    let unsaid = batches.len() - acknowledged.len();
    let most = CALLERS * (round as usize + 1);
    ensure!(
        unsaid <= most,
        "{unsaid} batches are there that were not acknowledged, but at most {most} were under way"
    );
    let highest: Option<Revision> = records.iter().map(Stored::revision).max();
    let next = store
        .create(Draft::new(
            Key::new("after", format!("round {round}")),
            format!("after-{round}"),
        ))
        .await?
        .mod_revision;
    ensure!(
        Some(next) > highest,
        "the highest revision there was {highest:?}, and the next write had {next}"
    );
    store
        .delete(&Key::new("after", format!("round {round}")), None)
        .await?;
    Ok(())
}

fn broken(what: &str, error: impl std::fmt::Display) -> Finding {
    Finding::broken(format!("{what}: {error}"))
}
