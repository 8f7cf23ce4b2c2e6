//! What was counted, for many who ask at once.
//!
//! To collect it takes thousands of system calls, and goes on when who asked has hung up. So there is one collection at
//! a time, and its answer is for everybody who asked before it began.

use std::{error::Error, sync::Arc, time::Instant};

use bytes::Bytes;
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::agent::{stats, view::View};

/// Collects.
#[derive(Clone)]
pub(super) struct Collector {
    view: Arc<View>,
    summed: Last,
    by_cpu: Last,
}

/// The last collection; locked while there is a new one.
type Last = Arc<Mutex<Option<Collected>>>;

struct Collected {
    began: Instant,
    json: Bytes,
}

impl Collector {
    pub(super) fn new(view: Arc<View>) -> Self {
        Self {
            view,
            summed: Last::default(),
            by_cpu: Last::default(),
        }
    }

    /// [`stats::Stats`] as JSON, of no moment before this one; with a list by CPU if `per_cpu`.
    pub(super) async fn json(&self, per_cpu: bool) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let asked = Instant::now();
        let last = if per_cpu { &self.by_cpu } else { &self.summed };
        let mut last = Arc::clone(last).lock_owned().await;
        if let Some(last) = &*last
            && last.began >= asked
        {
            return Ok(last.json.clone());
        }
        let view = Arc::clone(&self.view);
        // It takes the lock along, for it may go on after this future was dropped.
        spawn_blocking(move || {
            let began = Instant::now();
            let json = Bytes::from(serde_json::to_vec(&stats::collect(&view, per_cpu)?)?);
            let collected = Collected { began, json };
            Ok(last.insert(collected).json.clone())
        })
        .await?
    }
}
