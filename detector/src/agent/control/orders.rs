//! What the agent is told: whom to block and whom to protect, that it may enforce, and to read its rules anew.
//!
//! An order is carried out before it is answered. One that is refused changes nothing, and the answer says why.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tokio::{task::spawn_blocking, time::timeout};

use super::{BLOCKS, CONFIRM, PROTECTED, RELOAD, Whom};
use crate::agent::{
    kernel::KernelError,
    reload::{NotReloaded, Reloaded},
    response::{BlockList, BlockOrder, ProtectedList, Refused},
    view::View,
    voice::say,
};

/// How long reading the rules anew may take before it is answered that it goes on: less than a connection lasts.
const RELOAD_WITHIN: Duration = Duration::from_secs(4);

/// The routes.
pub(super) fn router(view: Arc<View>) -> Router {
    Router::new()
        .route(BLOCKS, get(blocks).post(block).delete(unblock))
        .route(PROTECTED, get(protected).post(protect).delete(unprotect))
        .route(CONFIRM, post(confirm))
        .route(RELOAD, post(reload))
        .with_state(view)
}

/// An order is not carried out.
enum No {
    /// It is not understood.
    Malformed(String),
    /// It is refused.
    Refused(String),
    /// It cannot be.
    Failed(String),
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        match self {
            Self::Malformed(why) => (StatusCode::BAD_REQUEST, why),
            Self::Refused(why) => (StatusCode::CONFLICT, why),
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why),
        }
        .into_response()
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Kernel(error) => Self::Failed(error.to_string()),
            refused @ (Refused::Protected { .. }
            | Refused::TooWide(_)
            | Refused::Time
            | Refused::Note
            | Refused::NoRoom
            | Refused::NotThere(..)
            | Refused::Learnt(..)) => Self::Refused(refused.to_string()),
        }
    }
}

impl From<KernelError> for No {
    fn from(error: KernelError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<JsonRejection> for No {
    fn from(rejection: JsonRejection) -> Self {
        Self::Malformed(rejection.body_text())
    }
}

/// What was asked for was done.
#[derive(Serialize)]
struct Done {}

type Answer<T> = Result<Json<T>, No>;
type Order<T> = Result<Json<T>, JsonRejection>;

async fn blocks(State(view): State<Arc<View>>) -> Answer<BlockList> {
    let now = view.now()?;
    let list = view.response().blocks(view.mode().name(), now)?;
    Ok(Json(list))
}

async fn block(State(view): State<Arc<View>>, order: Order<BlockOrder>) -> Answer<Done> {
    let Json(order) = order?;
    let prefix = order.prefix;
    let now = view.now()?;
    view.response().block(order, now)?;
    view.apply()?;
    say(&format!("{prefix} is blocked: the operator says so"));
    Ok(Json(Done {}))
}

async fn unblock(State(view): State<Arc<View>>, order: Order<Whom>) -> Answer<Done> {
    let Json(Whom { prefix }) = order?;
    view.response().unblock(prefix)?;
    view.apply()?;
    say(&format!(
        "{prefix} is not blocked any more: the operator says so"
    ));
    Ok(Json(Done {}))
}

async fn protected(State(view): State<Arc<View>>) -> Answer<ProtectedList> {
    Ok(Json(view.response().protected()))
}

async fn protect(State(view): State<Arc<View>>, order: Order<Whom>) -> Answer<Done> {
    let Json(Whom { prefix }) = order?;
    view.response().protect(prefix)?;
    say(&format!("{prefix} is protected: the operator says so"));
    view.release()?;
    Ok(Json(Done {}))
}

async fn unprotect(State(view): State<Arc<View>>, order: Order<Whom>) -> Answer<Done> {
    let Json(Whom { prefix }) = order?;
    view.response().unprotect(prefix)?;
    say(&format!(
        "{prefix} is not protected any more: the operator says so"
    ));
    Ok(Json(Done {}))
}

async fn confirm(State(view): State<Arc<View>>) -> Answer<Done> {
    let confirmed = view.confirmation.confirm();
    confirmed.map_err(|error| No::Refused(error.to_string()))?;
    Ok(Json(Done {}))
}

async fn reload(State(view): State<Arc<View>>) -> Answer<Reloaded> {
    let turn = Arc::clone(&view.reloads).try_acquire_owned();
    let turn = turn
        .map_err(|_| No::Refused("the rules are being read anew already: ask again".to_owned()))?;
    let reloaded = spawn_blocking(move || {
        let reloaded = view.reload();
        drop(turn);
        reloaded
    });
    let reloaded = timeout(RELOAD_WITHIN, reloaded).await.map_err(|_| {
        No::Failed("it is still reading the rules, and will say what became of that".to_owned())
    })?;
    match reloaded.map_err(|error| No::Failed(error.to_string()))? {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(NotReloaded::Settings(error)) => Err(No::Refused(error.to_string())),
        Err(NotReloaded::Kernel(error)) => Err(error.into()),
    }
}
