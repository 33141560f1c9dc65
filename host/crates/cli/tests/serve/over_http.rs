//! The suites of `records`, on stores that a server has: what a store promises, it promises over HTTP too.

#[path = "../../../../../tests/records/concurrency.rs"]
mod concurrency;
#[path = "../../../../../tests/records/contract.rs"]
mod contract;
#[path = "../../../../../tests/records/entities.rs"]
mod entities;
#[path = "../../../../../tests/records/lifecycle.rs"]
mod lifecycle;
#[path = "../../../../../tests/records/resume.rs"]
mod resume;
#[path = "../../../../../tests/records/tasks.rs"]
mod tasks;

/// What the suites take from `support`, with every backend behind a server.
mod support {
    use mortise::serve::Server;

    pub use crate::support::{Fixture, START, draft, export_all, find_all, ids, jobs, key, run_on};

    /// The fixture with its store reached by a client, on the fixture's clock.
    pub async fn over_http(mut fixture: Fixture) -> Fixture {
        let server = Server::new([fixture.store.clone()]).unwrap();
        let server = server.bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/{}", server.address(), fixture.store.name());
        tokio::spawn(server.run(std::future::pending()));
        fixture.store = fixture.host.open(&url).await.unwrap();
        fixture
    }

    /// Runs each test over HTTP, on the backend that keeps its records in memory and on the one that keeps them in a
    /// file.
    macro_rules! on_every_backend {
        ($($(#[$doc:meta])* async fn $name:ident($fixture:ident: Fixture) $body:block)*) => {
            $($(#[$doc])* async fn $name($fixture: crate::support::Fixture) $body)*

            crate::over_http::support::on_every_backend! { @on memory "memory": $($name)* }
            crate::over_http::support::on_every_backend! { @on sqlite "sqlite": $($name)* }
        };
        (@on $module:ident $backend:literal: $($name:ident)*) => {
            mod $module {
                use crate::over_http::support::{over_http, run_on};

                $(#[test]
                fn $name() {
                    run_on($backend, |fixture| {
                        Box::pin(async { super::$name(over_http(fixture).await).await })
                    });
                })*
            }
        };
    }
    pub(crate) use on_every_backend;
}
