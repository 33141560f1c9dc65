//! From the files of MCP Task Orchestrator to a store.

mod folder;

use std::path::{Path, PathBuf};

use mortise_agent::{Json, Object};
use mortise_store::{Result, Store};

use self::folder::Folder;
use crate::importer::{Found, ImportOptions, ImportReport, entity, import_found, read, read_part};
use crate::instant::instant;

/// Where tasks are, and whether they are archived.
const TASKS: [(&str, bool); 2] = [("tasks/active", false), ("tasks/archive", true)];
/// Where artifacts are, in a folder for each subtask.
const ARTIFACTS: &str = "artifacts";
/// How the name of a file that describes an artifact ends.
const METADATA: &str = "_metadata.json";
/// The collections.
const BREAKDOWN: &str = "task-breakdown";
const SUBTASK: &str = "subtask";
const ARTIFACT: &str = "artifact";

/// Writes the tasks and artifacts of MCP Task Orchestrator's older, file-based state to a store, and reports
/// what it read. `folder` is its `orchestrator-files`, or the `.task_orchestrator` in there.
///
/// | files | collection | id | body |
/// |---|---|---|---|
/// | `tasks/active/*.json`, `tasks/archive/*.json` | `task-breakdown` | `parent_task_id` | `id`, the file's fields without `subtasks`, `archived` |
/// | the `subtasks` in them | `subtask` | `task_id` | `id`, `parent_task_id`, the subtask's fields |
/// | `artifacts/*/*_metadata.json` | `artifact` | `artifact_id` | `id`, the file's fields, `content`: its text |
///
/// So they look as those of the database do ([`import_orchestrator_db`](crate::import_orchestrator_db)). A
/// record is found by its `status` and by each field whose name ends in `_id`.
///
/// Tasks come in the order of their `created_at`, where it is the same by their ids; then the artifacts,
/// likewise. A task is followed by its subtasks, and written with them in one batch where one takes them all.
/// `locks` and other files are passed over. A symbolic link is not followed out of the folder.
///
/// What cannot be imported is skipped and reported by its file. What is there already with the same content
/// is left alone: an import can be run again. Nothing is written over.
///
/// Memory is taken for the names of all files, for one file, and for one batch. `progress` is told after
/// each batch how many records were dealt with so far. Reading blocks the thread that polls the future: in a
/// server, hand it one of its own.
///
/// # Errors
///
/// `Io` where the folder cannot be read; `Invalid` where it is no such folder, and, where the import is
/// strict, for the first record that would be skipped; those of [`Store::load_many`] and [`Store::apply`],
/// which say how many records were created before.
pub async fn import_orchestrator_files(
    store: &Store,
    folder: &Path,
    options: &ImportOptions,
    progress: impl FnMut(u64),
) -> Result<ImportReport> {
    let folder = Folder::open(folder)?;
    let most = store.max_body_bytes();
    let mut faults = Vec::new();
    let tasks = tasks(&folder, &mut faults);
    let artifacts = artifacts(&folder, most, &mut faults);
    let tasks = tasks.into_iter().flat_map(|file| task(&folder, &file));
    let artifacts = artifacts.into_iter();
    let artifacts = artifacts.map(|file| artifact(&folder, &file, most));
    let found = faults.into_iter().chain(tasks).chain(artifacts).map(Ok);
    import_found(store, found, options, progress).await
}

/// A file, and what it is sorted by.
struct Listed {
    path: PathBuf,
    archived: bool,
    created_at: Option<jiff::Timestamp>,
    id: Option<String>,
}

impl Listed {
    /// Of what cannot be read there is no more than its name; why is found out when it is its turn.
    fn new(path: PathBuf, archived: bool, fields: Option<&Object>, id: &str) -> Self {
        let created_at = fields.and_then(|fields| fields.text("created_at"));
        Self {
            path,
            archived,
            created_at: created_at.and_then(|text| instant(&text)),
            id: fields.and_then(|fields| fields.text(id)),
        }
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// The oldest first; where times are equal by id; those whose time cannot be read last.
fn sort(files: &mut [Listed]) {
    files.sort_by(|a, b| {
        let place = |file: &Listed| (file.created_at.is_none(), file.created_at);
        place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id))
    });
}

fn tasks(folder: &Folder, faults: &mut Vec<Found>) -> Vec<Listed> {
    let mut files = Vec::new();
    for (place, archived) in TASKS {
        for path in listed(folder, place.as_ref(), faults) {
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let fields = fields(folder, &path).ok();
                files.push(Listed::new(
                    path,
                    archived,
                    fields.as_ref(),
                    "parent_task_id",
                ));
            }
        }
    }
    sort(&mut files);
    files
}

fn artifacts(folder: &Folder, most: u64, faults: &mut Vec<Found>) -> Vec<Listed> {
    let mut files = Vec::new();
    for subtask in listed(folder, ARTIFACTS.as_ref(), faults) {
        if folder.is_file(&subtask) {
            continue;
        }
        for path in listed(folder, &subtask, faults) {
            let name = path.file_name().unwrap_or_default();
            if name.to_string_lossy().ends_with(METADATA) {
                let fields = metadata(folder, &path, most).ok();
                files.push(Listed::new(path, false, fields.as_ref(), "artifact_id"));
            }
        }
    }
    sort(&mut files);
    files
}

/// What is in a folder, by name.
fn listed(folder: &Folder, path: &Path, faults: &mut Vec<Found>) -> Vec<PathBuf> {
    folder.list(path).unwrap_or_else(|reason| {
        faults.push(Found::passed_over(path.display().to_string(), reason));
        Vec::new()
    })
}

fn fields(folder: &Folder, path: &Path) -> Result<Object, String> {
    let text = folder.read(path, folder::MAX_TASK_BYTES)?;
    read::<Object>("file", "JSON object", &text).map(|fields| fields.compact())
}

/// A file's task and its subtasks.
fn task(folder: &Folder, file: &Listed) -> Vec<Found> {
    let place = file.place();
    let task = fields(folder, &file.path).and_then(|fields| {
        let id = id(&fields, "parent_task_id")?;
        Ok((breakdown(&id, &fields, file.archived)?, id, fields))
    });
    let (task, id, fields) = match task {
        Ok(task) => task,
        Err(reason) => return vec![Found::record(place, BREAKDOWN, Err(reason))],
    };
    let mut found = vec![Found::record(&*place, BREAKDOWN, Ok(task))];
    let subtasks = fields.get("subtasks");
    let subtasks =
        subtasks.map(|subtasks| read_part::<Vec<Json>>("field subtasks", "list", subtasks));
    match subtasks.transpose() {
        Err(reason) => found.push(Found::passed_over(place, reason)),
        Ok(subtasks) => {
            let subtasks = subtasks.iter().flatten().enumerate();
            found.extend(subtasks.map(|(number, fields)| {
                let place = format!("{place}, subtask {}", number + 1);
                Found::record(place, SUBTASK, subtask(&id, fields)).joined()
            }));
        }
    }
    found
}

fn breakdown(id: &str, fields: &Object, archived: bool) -> Result<Object, String> {
    let mut task = Object::default();
    let others = fields.fields().filter(|(name, _)| *name != "subtasks");
    let set = others
        .into_iter()
        .try_for_each(|(name, value)| task.set(name, value))
        .and_then(|()| task.set("archived", &archived));
    set.map_err(|error| error.to_string())?;
    entity(id, &task)
}

fn subtask(parent: &str, fields: &Json) -> Result<Object, String> {
    let own: Object = read_part("subtask", "JSON object", fields)?;
    let id = id(&own, "task_id")?;
    let mut fields = Object::default();
    let set = fields.set("parent_task_id", &parent);
    set.map_err(|error| error.to_string())?;
    let others = own.fields().filter(|(name, _)| *name != "parent_task_id");
    for (name, value) in others {
        let set = fields.set(name, value);
        set.map_err(|error| error.to_string())?;
    }
    entity(&id, &fields)
}

fn metadata(folder: &Folder, path: &Path, most: u64) -> Result<Object, String> {
    let text = folder.read(path, most)?;
    read::<Object>("file", "JSON object", &text).map(|fields| fields.compact())
}

/// An artifact: what describes it, and its text.
fn artifact(folder: &Folder, file: &Listed, most: u64) -> Found {
    let artifact = metadata(folder, &file.path, most).and_then(|mut fields| {
        let id = id(&fields, "artifact_id")?;
        let path = fields.text("relative_path");
        let path = path.ok_or("the field relative_path is no text, expected where its text is")?;
        let text = folder
            .read(&Path::new(ARTIFACTS).join(path), most)
            .map_err(|reason| format!("its text: {reason}"))?;
        let text = String::from_utf8(text).map_err(|_| "its text is not UTF-8")?;
        let set = fields.set("content", &text);
        set.map_err(|error| error.to_string())?;
        entity(&id, &fields)
    });
    Found::record(file.place(), ARTIFACT, artifact)
}

/// The text of the field that an entity has its id in.
fn id(fields: &Object, field: &str) -> Result<String, String> {
    let id = fields.text(field);
    id.ok_or_else(|| format!("the field {field} is no text, expected an id"))
}
