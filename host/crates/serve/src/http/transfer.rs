//! `/v1/stores/{store}/export` and `/import`: whole stores, as streams of lines.

use std::io::{self, BufReader, Read};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream;
use mortise_store::inside::finished;
use mortise_store::{Error, Operation};
use mortise_transfer::inside::Pieces;
use mortise_wire::{Imported, Problem};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::extract::{Reading, Writing};
use super::paths::StorePath;
use super::problem::Answer;

/// The lines' media type.
const NDJSON: &str = "application/x-ndjson";
/// How many pieces are under way between the store and the client.
const PIECES: usize = 4;
/// How long the other side may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(export))
        .routes(routes!(import))
}

/// Writes every record, one JSON object a line
///
/// The lines are those of `mortise store export`. An answer without the trailer as its last line was cut off.
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/export",
    tag = "transfer",
    operation_id = "export_store",
    params(StorePath),
    responses((status = 200, description = "a header, the records in the order of their creation, a trailer", body = String, content_type = "application/x-ndjson"))
)]
async fn export(Reading(store): Reading) -> Response {
    let pieces = Pieces::new(&store, None, Operation::Export);
    // It goes on after the head of the answer.
    let span = Span::current();
    // No more is read from the store than the client takes.
    let lines = stream::try_unfold(pieces, move |mut pieces| {
        let next = async move {
            let piece = pieces.next().await;
            let piece = piece.inspect_err(|error| tracing::warn!(?error, "an export ended early"));
            Ok::<_, Error>(piece?.map(|piece| (piece, pieces)))
        };
        next.instrument(span.clone())
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response()
}

/// Writes the records of an export, with their revisions and times
///
/// What is there already with the same stamp is left alone: an import that failed can be made again.
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/import",
    tag = "transfer",
    operation_id = "import_store",
    params(StorePath),
    request_body(content = String, content_type = "application/x-ndjson", description = "what an export wrote"),
    responses(
        (status = 200, description = "how many records", body = Imported),
        (status = 412, description = "another record is under a key", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn import(Writing(store, sight): Writing, request: Request) -> Answer<Json<Imported>> {
    let mut body = request.into_body().into_data_stream();
    let (to_import, pieces) = std::sync::mpsc::channel();
    let room = Arc::new(Semaphore::new(PIECES));
    let reader = BufReader::new(Incoming {
        pieces,
        piece: Bytes::new(),
        room: Arc::clone(&room),
    });
    let (runtime, span) = (Handle::current(), Span::current());
    // Reading blocks where the client sends slowly.
    let importing = tokio::task::spawn_blocking(move || {
        runtime.block_on(mortise_transfer::import(&store, reader, |_| {}).instrument(span))
    });
    loop {
        let piece = match tokio::time::timeout(PATIENCE, body.next()).await {
            Ok(None) => break,
            Ok(Some(piece)) => piece.map_err(io::Error::other),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let last = piece.is_err();
        // An import that failed reads no more, and says why below.
        let Ok(permit) = room.acquire().await else {
            break;
        };
        permit.forget();
        if to_import.send(piece).is_err() || last {
            break;
        }
    }
    drop(to_import);
    let imported = finished(importing).await;
    let imported = imported.map_err(|error| sight.refused(error))?;
    Ok(Json(Imported { imported }))
}

/// A body, as what is read from.
struct Incoming {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    /// What is left of the piece that came last.
    piece: Bytes,
    /// A permit for each piece that may come.
    room: Arc<Semaphore>,
}

impl Read for Incoming {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Ok(piece) = self.pieces.recv() else {
                return Ok(0);
            };
            self.room.add_permits(1);
            self.piece = piece?;
        }
        let count = to.len().min(self.piece.len());
        to[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.room.close();
    }
}
