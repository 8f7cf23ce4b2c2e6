//! Notices when an interface is renamed, and when it is no longer guarded: it was removed or has moved away, or somebody
//! took its program off.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{netlink::Netlink, view::View, voice::say};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// Says once of each interface that it is no longer guarded, for as long as the agent runs.
pub(super) async fn watch(view: Arc<View>, netlink: Netlink) {
    let mut guarded: Vec<_> = (0..view.interfaces.len()).collect();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !guarded.is_empty() {
        tick.tick().await;
        let mut still = Vec::new();
        for slot in guarded {
            // What cannot be asked is asked again.
            if view.is_guarded(slot, &netlink).await.unwrap_or(true) {
                still.push(slot);
            } else if let Some(interface) = view.interface(slot as u32) {
                say(&format!(
                    "{} is no longer guarded: it is gone or its program was taken off; start the agent again when it is back",
                    interface.name
                ));
            }
        }
        guarded = still;
    }
}
