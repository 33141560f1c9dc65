//! `mortise migrate rollback`

use mortise::Migrator;

use crate::output::{self, Format, Output};

/// Restores the backup of the last migration
///
/// No store may have the database open. What is there is backed up first, with the records that were written
/// since the migration: the restored database lacks them. Asks first on a terminal, and refuses elsewhere,
/// unless --yes is given. A store that is opened with the newer backend migrates it again. Prints what was
/// restored, and where the backup is; in json: {"from":N,"to":N,"restored":…,"backup":…,"duration_ms":N}.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// Does not ask
    #[arg(long)]
    yes: bool,
}

impl Rollback {
    pub async fn run(self, migrator: &Migrator, output: &mut Output) -> anyhow::Result<()> {
        if !self.yes {
            let file = migrator.file().display();
            let question = format!(
                "restore {file} as it was before its last migration, without the records written since?"
            );
            output::confirm(&question, "rolled back")?;
        }
        let done = migrator.roll_back().await?;
        if output.format() == Format::Json {
            return output.json(&done);
        }
        let (from, to) = (done.from, done.to);
        output.text(format_args!(
            "rolled back from version {from} to {to}: {} was restored",
            done.restored.display()
        ))?;
        output.text(format_args!(
            "what was there, with the records written since the migration, is in {}",
            done.backup.display()
        ))
    }
}
