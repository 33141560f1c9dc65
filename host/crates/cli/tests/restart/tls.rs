//! A server that speaks TLS is restarted as any other, and has the certificate that is there then.

use std::fs;

use mortise::serve::restart::Outcome;
use serde_json::json;

use super::process::Site;
use super::session::Session;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_stay_and_a_new_certificate_is_taken() {
    let mut site = Site::prepared();
    site.certify();
    site.configure_more("[serve]\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n");
    let mut site = site.started().await;
    site.create("memory", "a", "kept").await;
    let session = Session::begin(&site).await;
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    assert!(site.load("memory", "a").await.unwrap().is_some());
    session.ok("list_stores", &json!({})).await;

    let old = site.client.clone();
    site.certify();
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    site.is_served().await;
    assert!(site.load("memory", "a").await.unwrap().is_some());
    // A connection that it had before may bring one more answer.
    let ready = format!("{}/readyz", site.url);
    let _ = old.get(&ready).send().await;
    old.get(&ready).send().await.unwrap_err();

    fs::write(site.path("key.pem"), "no key").unwrap();
    let restart = site.restart().await.unwrap();
    let Some(Outcome::GivenUp(why)) = restart.outcome else {
        panic!("{restart:?}")
    };
    assert!(why.contains("key.pem has no private key"), "{why}");
    site.is_served().await;
    assert!(site.load("memory", "a").await.unwrap().is_some());
}
