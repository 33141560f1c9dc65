//! The store that keeps agent tasks.

use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Query, Result, Revision, Store, Stored, Write};

use super::shape::{AgentTask, COLLECTION, REQUEST_ID, SESSION_ID, STATUS, TaskStatus, key};
use crate::decode::{decode, decode_page};
use crate::pages::EmptyPages;
use crate::retry::Attempts;
use crate::versioned::Versioned;

/// What the body of a record is.
const WHAT: &str = "agent task";

/// Which tasks to list. More fields may come: end a literal with `..TaskQuery::default()`.
#[derive(Debug, Clone, Default)]
pub struct TaskQuery {
    /// Only those that stand so.
    pub status: Option<TaskStatus>,
    /// Only those of this session.
    pub session_id: Option<String>,
    /// Only those that a request with this id belongs to.
    pub request_id: Option<String>,
    /// Newest first, instead of oldest.
    pub newest_first: bool,
    /// `next` of an earlier page.
    pub after: Option<String>,
    /// 1 to 1,000 a page; 0 stands for 100.
    pub limit: u32,
}

/// Some of the tasks that match.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskPage {
    /// In the order of their creation.
    pub tasks: Vec<Versioned<AgentTask>>,
    /// Where the next page starts; none after the last. An empty page may have one.
    pub next: Option<String>,
}

/// Keeps agent tasks in a store. Cheap to clone.
///
/// Every write brings the task's request ids in step with its items, in the same atomic step.
#[derive(Debug, Clone)]
pub struct TaskStore {
    store: Store,
}

impl TaskStore {
    /// Keeps tasks in this store, in the collection `task`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes a task that is not there yet; answers the revision.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; those of [`Store::create`].
    pub async fn create(&self, task: &AgentTask) -> Result<Revision> {
        let stamp = self.store.create(task.draft(Operation::Create)?).await?;
        Ok(stamp.mod_revision)
    }

    /// Writes tasks that are not there yet, all or none, in their order; answers the revision of each.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `Invalid` where two have one id, `TooLarge` where they are more than one batch
    /// takes; those of [`Store::apply`]. [`Error::write_index`] names the task.
    pub async fn create_all(&self, tasks: &[AgentTask]) -> Result<Vec<Revision>> {
        let drafts = tasks
            .iter()
            .map(|task| task.draft(Operation::Apply).map(Write::create));
        self.store.apply(drafts.collect::<Result<_>>()?).await
    }

    /// Reads a task; none where there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the record is no task: one that is no JSON at all was set aside
    /// ([`Store::quarantine`]), one of another shape is where it was; those of [`Store::load`].
    pub async fn load(&self, task_id: &str) -> Result<Option<Versioned<AgentTask>>> {
        let Some(stored) = self.store.load(&key(task_id)).await? else {
            return Ok(None);
        };
        self.decode(Operation::Load, &stored).await.map(Some)
    }

    fn decode<'a>(
        &'a self,
        operation: Operation,
        stored: &'a Stored,
    ) -> Later<'a, Result<Versioned<AgentTask>>> {
        Box::pin(decode(&self.store, operation, WHAT, stored))
    }

    /// Writes a task that was read, unless it changed since; takes on the new revision. The record
    /// expires at [`Versioned::expires_at`], so that an expiry stays unless it is changed there.
    ///
    /// # Errors
    ///
    /// `Conflict`, `NotFound`; those of [`Store::update`]. The task is as it was.
    pub async fn update(&self, task: &mut Versioned<AgentTask>) -> Result<()> {
        let mut draft = task.draft(Operation::Update)?;
        draft.expires_at = task.expires_at;
        task.revision = self
            .store
            .update(draft, Some(task.revision))
            .await?
            .mod_revision;
        Ok(())
    }

    /// Writes a task over whatever is there, and so over what others wrote since it was read; only the
    /// record's expiry stays. Prefer [`update`](Self::update) or [`modify`](Self::modify).
    ///
    /// # Errors
    ///
    /// `NotFound`; those of [`Store::load`] and [`Store::update`].
    pub async fn replace(&self, task: &AgentTask) -> Result<Revision> {
        let mut draft = task.draft(Operation::Update)?;
        let there = self.store.load(&draft.key).await;
        let there = there.map_err(|error| error.with_operation(Operation::Update))?;
        draft.expires_at = there.and_then(|stored| stored.draft.expires_at);
        let stamp = self.store.update(draft, None).await?;
        Ok(stamp.mod_revision)
    }

    /// Reads a task, changes it, writes it; again on what is there by then, if it changed meanwhile.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Conflict` where others were faster 256 times; those of [`Store::update`].
    pub async fn modify(
        &self,
        task_id: &str,
        mut change: impl FnMut(&mut AgentTask),
    ) -> Result<Versioned<AgentTask>> {
        let mut task = self.load(task_id).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                Operation::Update,
                "there is no such record",
            )
            .with_backend(self.store.backend())
            .with_key(key(task_id))
        })?;
        let mut attempts = Attempts::default();
        loop {
            change(&mut task);
            let error = match self.update(&mut task).await {
                Ok(()) => return Ok(task),
                Err(error) => error,
            };
            let Some(current) = error.current() else {
                return Err(error);
            };
            task = self.decode(Operation::Update, current).await?;
            attempts.again(error).await?;
        }
    }

    /// Removes a task; with a revision, only while it is unchanged since.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict`; those of [`Store::delete`].
    pub async fn delete(&self, task_id: &str, expect: Option<Revision>) -> Result<()> {
        self.store.delete(&key(task_id), expect).await
    }

    /// The oldest task that a request with this id belongs to. Passes over records that are no JSON, as
    /// [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn load_by_request_id(
        &self,
        request_id: &str,
    ) -> Result<Option<Versioned<AgentTask>>> {
        let mut query = TaskQuery {
            request_id: Some(request_id.to_owned()),
            limit: 1,
            ..TaskQuery::default()
        };
        // A page without a task had a corrupt one, which was set aside.
        let mut empty = EmptyPages::default();
        loop {
            let page = self
                .list(query.clone())
                .await
                .map_err(|error| error.with_operation(Operation::Load))?;
            query.after = page.next;
            let task = page.tasks.into_iter().next();
            if task.is_some() || query.after.is_none() {
                return Ok(task);
            }
            empty.seen(&self.store, 0)?;
        }
    }

    /// One page of the tasks that match, oldest first. Records that are no JSON at all are set aside
    /// ([`Store::quarantine`]), logged as errors and left out, so that a page can be empty and go on.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not of this query; `Corrupt` for JSON of another shape; those of
    /// [`Store::find`].
    pub async fn list(&self, query: TaskQuery) -> Result<TaskPage> {
        let mut find = Query::new(COLLECTION).after(query.after);
        let status = query.status.map(String::from);
        for (name, value) in [
            (REQUEST_ID, query.request_id),
            (STATUS, status),
            (SESSION_ID, query.session_id),
        ] {
            if let Some(value) = value {
                find = find.with(name, value);
            }
        }
        find.descending = query.newest_first;
        if query.limit > 0 {
            find.limit = query.limit;
        }
        let page = self.store.find(find).await?;
        Ok(TaskPage {
            tasks: self.decode_page(page.records).await?,
            next: page.next,
        })
    }

    /// The tasks of a page.
    fn decode_page(&self, records: Vec<Stored>) -> Later<'_, Result<Vec<Versioned<AgentTask>>>> {
        Box::pin(async move {
            let tasks = decode_page(&self.store, WHAT, records).await?;
            Ok(tasks.into_iter().map(|(_, task)| task).collect())
        })
    }
}
