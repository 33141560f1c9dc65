//! Jobs and their cases.

use mortise_store::Result;
use serde::{Deserialize, Serialize};

use crate::entity::EntityStore;
use crate::json::{Json, Object};
use crate::kind::Entity;
use crate::machine::Machine;
use crate::versioned::Versioned;

/// The field that tells which job a case belongs to.
const JOB_ID: &str = "job_id";

/// A job: what an agent was asked to do, case by case.
///
/// The JSON shape is that of Supervaizer's `Job`. Times are kept as written, because some are local times
/// without an offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Object")]
#[non_exhaustive]
pub struct Job {
    /// Unique among the jobs of a store.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The agent that does it.
    pub agent_name: String,
    /// How it stands: a state of [`Machine::entity`].
    pub status: String,
    /// The cases that it lists.
    pub case_ids: Vec<String>,
    /// When it was made, as written.
    pub created_at: String,
    /// When it came to an end, as written.
    pub finished_at: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub unknown: Object,
}

/// A case: one piece of a job's work.
///
/// The JSON shape is that of Supervaizer's `Case`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Object")]
#[non_exhaustive]
pub struct Case {
    /// Unique among the cases of a store.
    pub id: String,
    /// The job that it belongs to.
    pub job_id: String,
    /// What it is called.
    pub name: String,
    /// How it stands: a state of [`Machine::entity`].
    pub status: String,
    /// What was done, step by step.
    pub updates: Vec<Json>,
    /// When it came to an end, as written.
    pub finished_at: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub unknown: Object,
}

impl TryFrom<Object> for Job {
    type Error = String;

    fn try_from(mut fields: Object) -> Result<Self, String> {
        Ok(Self {
            id: fields.take("id")?,
            name: fields.take("name")?,
            agent_name: fields.take("agent_name")?,
            status: fields.take("status")?,
            case_ids: fields.optional("case_ids")?.unwrap_or_default(),
            created_at: fields.take("created_at")?,
            finished_at: fields.optional("finished_at")?.flatten(),
            unknown: fields,
        })
    }
}

impl TryFrom<Object> for Case {
    type Error = String;

    fn try_from(mut fields: Object) -> Result<Self, String> {
        Ok(Self {
            id: fields.take("id")?,
            job_id: fields.take(JOB_ID)?,
            name: fields.take("name")?,
            status: fields.take("status")?,
            updates: fields.optional("updates")?.unwrap_or_default(),
            finished_at: fields.optional("finished_at")?.flatten(),
            unknown: fields,
        })
    }
}

impl Job {
    /// A stopped job without cases, made now.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        agent_name: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            agent_name: agent_name.into(),
            status: Machine::entity().initial().to_owned(),
            case_ids: Vec::new(),
            created_at: jiff::Timestamp::now().to_string(),
            finished_at: None,
            unknown: Object::default(),
        }
    }
}

impl Case {
    /// A stopped case of a job.
    pub fn new(id: impl Into<String>, job_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            job_id: job_id.into(),
            name: name.into(),
            status: Machine::entity().initial().to_owned(),
            updates: Vec::new(),
            finished_at: None,
            unknown: Object::default(),
        }
    }
}

impl Entity for Job {
    const COLLECTION: &'static str = "job";
    const ATTRIBUTES: &'static [&'static str] = &["agent_name", "status"];

    fn machine() -> Option<&'static Machine> {
        Some(Machine::entity())
    }
}

impl Entity for Case {
    const COLLECTION: &'static str = "case";
    const ATTRIBUTES: &'static [&'static str] = &[JOB_ID, "status"];

    fn machine() -> Option<&'static Machine> {
        Some(Machine::entity())
    }
}

/// Jobs and cases belong together by `job_id`: which cases a job has is what the cases say.
impl EntityStore {
    /// The cases of a job, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Repository::find_by`](crate::Repository::find_by).
    pub async fn cases_for_job(&self, job_id: &str) -> Result<Vec<Versioned<Case>>> {
        self.repository().find_by(JOB_ID, job_id).await
    }

    /// How many cases a job has.
    ///
    /// # Errors
    ///
    /// As [`count_by`](Self::count_by).
    pub async fn count_cases_for_job(&self, job_id: &str) -> Result<u64> {
        self.count_by(Case::COLLECTION, JOB_ID, job_id).await
    }

    /// The job of a case; none where there is no such case, or no such job.
    ///
    /// # Errors
    ///
    /// As [`Repository::get`](crate::Repository::get).
    pub async fn job_of_case(&self, case_id: &str) -> Result<Option<Versioned<Job>>> {
        let Some(case) = self.repository::<Case>().get(case_id).await? else {
            return Ok(None);
        };
        self.repository().get(&case.job_id).await
    }
}
