//! The agent's end of the control socket.
//!
//! A connection answers one question and has five seconds for it; there are so many at a time and no more. When
//! somebody waits for a place, the oldest connection loses its own after a moment, whether it is silent, does not read,
//! or asks what is hard to answer. So clients that are slow, greedy or hostile cost a fixed amount and keep nobody
//! waiting long.

use std::{collections::VecDeque, convert::Infallible, io, os::unix, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde::Deserialize;
use tokio::{
    net::{UnixListener, UnixStream},
    task::{AbortHandle, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{ARP, STATS, STATUS, collector::Collector, orders};
use crate::agent::{
    arp,
    netlink::Netlink,
    status::{self, Places},
    view::View,
};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 128;
/// How long the question may be, in bytes.
const QUESTION_BYTES_MAX: usize = 16 << 10;
/// How long one lasts at least if it has not ended, whoever else waits: an honest client needs a few milliseconds.
const TURN: Duration = Duration::from_millis(250);
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
    let orders = orders::router(Arc::clone(&control.view));
    let router = Router::new()
        .route(
            STATS,
            get(stats).with_state(Collector::new(Arc::clone(&control.view))),
        )
        .route(STATUS, get(status))
        .route(ARP, get(arp_table))
        .with_state(control)
        .merge(orders)
        .layer(DefaultBodyLimit::max(QUESTION_BYTES_MAX));
    let mut open = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        make_room(&mut open).await;
        // Who takes too long or speaks something else than HTTP gets no answer.
        let answer = timeout(CONNECTION_WITHIN, answer(stream, router.clone()));
        open.push_back(Connection {
            since: Instant::now(),
            task: tokio::spawn(answer).abort_handle(),
        });
    }
}

struct Connection {
    since: Instant,
    task: AbortHandle,
}

/// Ends the oldest of the `open` connections, once it had its turn, if there are too many for another one.
async fn make_room(open: &mut VecDeque<Connection>) {
    open.retain(|connection| !connection.task.is_finished());
    if open.len() < CONNECTIONS_MAX {
        return;
    }
    if let Some(oldest) = open.pop_front() {
        sleep_until(oldest.since + TURN).await;
        oldest.task.abort();
    }
}

async fn answer(stream: UnixStream, router: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .max_buf_size(QUESTION_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

#[derive(Debug, Deserialize)]
struct StatsQuery {
    #[serde(default)]
    per_cpu: bool,
}

async fn stats(State(collector): State<Collector>, Query(query): Query<StatsQuery>) -> Response {
    match collector.json(query.per_cpu).await {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => failed(&error),
    }
}

async fn status(State(control): State<Control>) -> Response {
    match status::status(&control.view, &control.places, &control.netlink).await {
        Ok(status) => Json(status).into_response(),
        Err(error) => failed(&error),
    }
}

async fn arp_table(State(control): State<Control>) -> Response {
    let collected = spawn_blocking(move || arp::collect(&control.view)).await;
    match collected {
        Ok(Ok(table)) => Json(table).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &impl ToString) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}
