//! Four lines that keep agent tasks: `cargo xtask build-backends`, then
//! `cargo run -p mortise --example embed -- target/backends`.

use mortise::Host;
use mortise::agent::{AgentTask, TaskStore};

#[tokio::main]
async fn main() -> mortise::Result<()> {
    let plugins = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "plugins".to_owned());
    let mut task = AgentTask::new("task-7");
    task.push_text("req-7", "user", "Is the contract signed?");

    let host = Host::builder().plugin_dir(plugins).build()?;
    let tasks = TaskStore::new(host.open("memory:").await?);
    tasks.create(&task).await?;
    let again = tasks.load_by_request_id("req-7").await?;

    assert_eq!(again.map(|task| task.value), Some(task));
    Ok(())
}
