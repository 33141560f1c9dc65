//! Whole stores, moved: from store to store, to text and back, to backups and back, and in from other platforms.
//!
//! ```no_run
//! # async fn example(host: mortise::Host) -> Result<(), Box<dyn std::error::Error>> {
//! use mortise::transfer::{BackupOptions, CopyOptions, RestoreOptions};
//!
//! let from = host.open("sqlite:tasks.db").await?;
//! let to = host.open("redis://localhost").await?;
//! let copied = mortise::transfer::copy(&from, &to, &CopyOptions::default(), |_, _| {}).await?;
//! println!("{} records are in Redis, too", copied.records);
//!
//! let mut file = std::fs::File::options().create(true).read(true).write(true).open("tasks.backup")?;
//! mortise::transfer::backup(&from, &mut file, &BackupOptions::default(), |_, _| {}).await?;
//!
//! let new = host.open("sqlite:new.db").await?;
//! let open = || Ok(std::io::BufReader::new(std::fs::File::open("tasks.backup")?));
//! mortise::transfer::restore(&new, open, &RestoreOptions::default(), |_, _| {}).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`mortise_transfer`] has the [format](mortise_transfer#format) of an export, [`mortise_import`] the importers.

pub use mortise_import::*;
pub use mortise_transfer::{
    BackupFile, BackupOptions, BackupReport, CopyOptions, CopyReport, Phase, RestoreOptions,
    RestoreReport, backup, copy, export, import, restore,
};
