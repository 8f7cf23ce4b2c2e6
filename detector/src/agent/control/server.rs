//! The agent's end of the control socket.
//!
//! A connection answers one question, which must come at once, and has five seconds for it; there are so many at a time and
//! no more. So a client that is slow, greedy or hostile costs a fixed amount, and who connects and says nothing keeps the
//! others waiting for a moment only.

use std::{convert::Infallible, io, os::unix, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::Deserialize;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{STATS, STATUS};
use crate::agent::{
    kernel::KernelError,
    netlink::Netlink,
    stats,
    status::{self, Places},
    view::View,
};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// How long the question may take to come.
const QUESTION_WITHIN: Duration = Duration::from_millis(500);
/// How long one may last.
const CONNECTION_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait when the process has no descriptor left for another connection.
const PAUSE: Duration = Duration::from_millis(200);

/// What the answers are made of.
#[derive(Clone)]
pub(in crate::agent) struct Control {
    pub(in crate::agent) view: Arc<View>,
    pub(in crate::agent) places: Arc<Places>,
    pub(in crate::agent) netlink: Netlink,
}

/// Answers on `listener`, without end.
pub(in crate::agent) async fn serve(
    listener: unix::net::UnixListener,
    control: Control,
) -> io::Result<Infallible> {
    let listener = UnixListener::from_std(listener)?;
    let router = Router::new()
        .route(STATS, get(stats))
        .route(STATUS, get(status))
        .with_state(control);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&connections).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            // Who takes too long or speaks something else than HTTP gets no answer.
            let _ = timeout(CONNECTION_WITHIN, answer(stream, router)).await;
            drop(permit);
        });
    }
}

async fn answer(stream: UnixStream, router: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(QUESTION_WITHIN)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

#[derive(Debug, Deserialize)]
struct StatsQuery {
    #[serde(default)]
    per_cpu: bool,
}

async fn stats(State(control): State<Control>, Query(query): Query<StatsQuery>) -> Response {
    // Thousands of system calls: others have their turn meanwhile.
    let collected = spawn_blocking(move || stats::collect(&control.view, query.per_cpu));
    match collected.await {
        Ok(Ok(stats)) => Json(stats).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn status(State(control): State<Control>) -> Response {
    match status::status(&control.view, &control.places, &control.netlink).await {
        Ok(status) => Json(status).into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &KernelError) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}
