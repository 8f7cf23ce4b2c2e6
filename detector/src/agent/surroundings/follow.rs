//! Keeps current what the machine is part of.

use std::{fmt, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use super::{Surroundings, ssh::Connections};
use crate::agent::{
    kernel::KernelError,
    netlink::{Change, Netlink},
    voice::say,
};

/// How long it waits at least before it looks again: changes come in bursts.
const BURST: Duration = Duration::from_secs(1);
/// How often it looks though nothing was told: of resolvers and connections nobody tells.
const EVERY: Duration = Duration::from_secs(30);
/// Where there are so many routes or neighbours that it takes long, it waits longer: to look takes one part of so many of the time.
const SHARE: u32 = 20;

/// Hands on what the machine is part of, at once and whenever it has changed. Does not end.
pub(in crate::agent) async fn follow(
    netlink: Netlink,
    mut changes: impl Stream<Item = Change> + Unpin,
    mut on_change: impl FnMut(&Surroundings) -> Result<(), KernelError>,
) {
    let mut known = Surroundings::default();
    let mut connections = Connections::default();
    let mut complained = false;
    let mut complain = |error: &dyn fmt::Display| {
        if !complained {
            complained = true;
            say(&format!(
                "gateways and protected addresses are not kept current ({error}), what is known stays"
            ));
        }
    };
    loop {
        let began = Instant::now();
        match Surroundings::read(&netlink, &mut connections).await {
            Ok(found) if found == known => {}
            Ok(found) => match on_change(&found) {
                Ok(()) => known = found,
                // Handed on again next time.
                Err(error) => complain(&error),
            },
            Err(error) => complain(&error),
        }
        let pause = BURST.max(began.elapsed() * SHARE);
        until_it_may_have_changed(&mut changes, &known, pause).await;
    }
}

/// Waits for a change, but not less than `pause`. Takes all messages meanwhile, so that they pile up nowhere.
async fn until_it_may_have_changed(
    changes: &mut (impl Stream<Item = Change> + Unpin),
    known: &Surroundings,
    pause: Duration,
) {
    let earliest = Instant::now() + pause;
    let mut due = Instant::now() + EVERY.max(pause);
    loop {
        tokio::select! {
            () = sleep_until(due) => return,
            Some(change) = changes.next() => {
                if change.concerns(|hop| known.gateways.contains_key(hop)) {
                    due = earliest;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use rtnetlink::packet_core::NetlinkPayload;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_burst_of_changes_is_one_reason_to_look_again_and_only_after_a_while() -> io::Result<()> {
        let lost = || Change(NetlinkPayload::Overrun(Vec::new()));
        let mut changes = stream::iter((0..1000).map(|_| lost()));
        let began = Instant::now();
        let runtime = Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(until_it_may_have_changed(
            &mut changes,
            &Surroundings::default(),
            BURST,
        ));
        assert!((BURST..EVERY).contains(&began.elapsed()));
        assert_eq!(changes.size_hint(), (0, Some(0)), "all of them were taken");
        Ok(())
    }
}
