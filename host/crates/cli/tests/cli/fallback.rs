//! `fallback = "memory"`, as operators see it.

use std::fs;

use insta::assert_snapshot;

use super::Cli;

#[test]
fn health_says_so_loudly() {
    let cli = Cli::without_store();
    let config =
        "default-store = 'tasks'\n[stores.tasks]\nbackend = 'nobody'\nfallback = 'memory'\n";
    fs::write(cli.path("mortise.toml"), config).unwrap();
    let filters = vec![(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[time]")];
    insta::with_settings!({ filters => filters }, {
        assert_snapshot!(cli.run("store health -q"), @r#"
        exit code 0
        -- stdout
        healthy: store tasks, backend memory 0.1.0, namespace default, not durable, singleton
        FALLBACK: records are kept in memory only, and are gone when the store is closed: open (backend nobody): there is no backend named "nobody"; known: memory, redis, sqlite
        -- stderr
        [time] ERROR mortise_host::host: the store's backend does not open: it falls back, and records are gone when it is closed store="tasks" backend="nobody" fallback="memory" reason="open (backend nobody): there is no backend named \"nobody\"; known: memory, redis, sqlite"
        "#);
        assert_snapshot!(cli.run("store health -q --format json"), @r#"
        exit code 0
        -- stdout
        {"healthy":true,"store":"tasks","backend":"memory","version":"0.1.0","namespace":"default","durable":false,"instances":"singleton","breaker":"closed","traps":0,"last_trap":null,"state_lost":false,"fallback":"open (backend nobody): there is no backend named \"nobody\"; known: memory, redis, sqlite","refused":null}
        -- stderr
        [time] ERROR mortise_host::host: the store's backend does not open: it falls back, and records are gone when it is closed store="tasks" backend="nobody" fallback="memory" reason="open (backend nobody): there is no backend named \"nobody\"; known: memory, redis, sqlite"
        "#);
    });
}
