//! The prefilter: which patterns may stand in a packet, and where, so that only rules are asked that these speak for.
//!
//! The [filter](super::filter) looks through the payload, and what it saw is [confirmed](super::confirm). Where rules ask something of HTTP, each
//! [request](super::request) is found, and its target decoded and looked through too.

use super::{
    Records, Search,
    carry::CARRIED_MAX,
    line::{Ending, Place, Stage},
    request::{HeaderLine, Order},
    table::{Group, STRIDE},
    workspace::{BLOCKS_MAX, REQUESTS_MAX},
};

/// Which text it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Text {
    /// The payload.
    Payload = 0,
    /// What came before it, with its beginning.
    Joined = 1,
    /// The decoded targets of requests.
    Decoded = 2,
    /// Where the payload meets what came before it.
    Seam = 3,
}

impl Text {
    /// What a number was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Payload,
            1 => Self::Joined,
            2 => Self::Decoded,
            _ => Self::Seam,
        }
    }
}

/// The steps of the prefilter, each of which the kernel takes in a function of its own.
pub trait Prefilter: Records {
    /// Runs [`super::filter::run`].
    fn filter(&mut self, search: Search);
    /// Runs [`super::filter::len_of_again`].
    fn len_of_again(&mut self, search: Search, shift: u32) -> u32;
    /// Runs [`super::filter::again`].
    fn filter_again(&mut self, search: Search, shift: u32, len: u32);
    /// Runs [`super::confirm::run`] on the block of this index, and what it goes on with.
    fn confirm(&mut self, search: Search, index: u32, shift: u32);
    /// Runs [`confirm_each`].
    fn confirm_each(&mut self, search: Search, shift: u32);
    /// Runs [`Carry::join`](super::carry::Carry::join) on what is kept of the packet's connection.
    fn join(&mut self, reach: u32);
    /// Runs [`look_at`].
    fn look_at(&mut self, search: Search, text: Text);
    /// Runs [`look_through`].
    fn look_through(&mut self, search: Search, text: Text, shift: u32);
    /// Runs [`super::request::read`].
    fn read_requests(&mut self);
    /// Runs [`super::request::read_line`].
    fn read_line(&mut self, line: Place<Order>) -> Place<Order>;
    /// Runs [`super::line::head`].
    fn head(&mut self, from: Place<Stage>) -> Place<Stage>;
    /// Runs [`super::line::line_end`].
    fn line_end(&mut self, from: u32) -> Place<Ending>;
    /// Runs [`super::line::end_of_line`].
    fn end_of_line(&mut self, from: u32) -> Place<Ending>;
    /// Runs [`super::request::header_line`].
    fn header_line(&mut self, at: u32) -> Place<HeaderLine>;
    /// Runs [`super::line::trim`].
    fn trim(&mut self, begin: u32, end: u32) -> u32;
    /// Runs [`super::uri::decode`].
    fn decode(&mut self);
    /// Runs [`super::request::read_headers`].
    fn read_headers(&mut self, index: u32);
}

/// Whether any rule is to be asked about the packet. For whom, the workspace says, and what was left undecided.
#[inline(always)]
pub fn run<F: Prefilter>(search: Search, prefilter: &mut F) -> bool {
    look(search, prefilter).is_some()
}

/// Something if any rule is to be asked.
#[inline(always)]
fn look<F: Prefilter>(search: Search, prefilter: &mut F) -> Option<()> {
    let [to, from] = search.groups(prefilter.filter_table(search)?);
    let group = to.with(from);
    prefilter.workspace()?.begin();
    prefilter.look_at(search, Text::Payload);
    prefilter.workspace()?.end_payload();
    let always = u32::from(to.always.len | from.always.len);
    look_at_both(search, group, always, prefilter);
    let workspace = prefilter.workspace()?;
    if workspace.candidates_len | always == 0 {
        return None;
    }
    if group.requests & Group::HEADERS != 0 {
        let requests = workspace.requests_len;
        for index in 0..REQUESTS_MAX as u32 {
            if index >= requests {
                break;
            }
            prefilter.read_headers(index);
        }
    }
    Some(())
}

/// Finds what stands in the packet together with what came before it: where they meet, and only if anything stands there, in the packet or stood before, in all of
/// both. So do rules of which there are `always` some that no pattern speaks for, and lines of requests.
#[inline(always)]
fn look_at_both<F: Prefilter>(
    search: Search,
    group: Group,
    always: u32,
    prefilter: &mut F,
) -> Option<()> {
    let workspace = prefilter.workspace()?;
    // Of what else a rule asks, the pattern that speaks for it says nothing.
    let reach = if always | workspace.last_version | workspace.candidates_len == 0 {
        u32::from(group.longest)
    } else {
        CARRIED_MAX as u32
    };
    prefilter.join(reach);
    let workspace = prefilter.workspace()?;
    if workspace.joined_end == 0 {
        return Some(());
    }
    workspace.enter_joined();
    if workspace.is_seam != 0 {
        prefilter.look_at(search, Text::Seam);
        let workspace = prefilter.workspace()?;
        if !workspace.leave_seam() {
            return Some(());
        }
        prefilter.join(CARRIED_MAX as u32);
        prefilter.workspace()?.enter_joined();
    }
    prefilter.look_at(search, Text::Joined);
    Some(())
}

/// Finds the patterns and the requests of the payload, or of the joined text; of the seam the patterns.
#[inline(always)]
pub fn look_at<F: Prefilter>(search: Search, text: Text, prefilter: &mut F) -> Option<()> {
    let group = search.group(prefilter.filter_table(search)?);
    if group.classes != 0 {
        look_at_all_shifts(search, text, group, prefilter);
    }
    if group.requests != 0 && text != Text::Seam {
        prefilter.workspace()?.read_lines_of(text);
        prefilter.read_requests();
        let workspace = prefilter.workspace()?;
        if workspace.decoded_len != workspace.decoded_before {
            look_at_all_shifts(search, Text::Decoded, group, prefilter);
        }
    }
    Some(())
}

/// Looks through a text at every fourth byte, and at those between where that is asked for.
#[inline(always)]
fn look_at_all_shifts<F: Prefilter>(search: Search, text: Text, group: Group, prefilter: &mut F) {
    for shift in 0..STRIDE as u32 {
        if shift == 0 || group.shifts >> shift & 1 != 0 {
            prefilter.look_through(search, text, shift);
        }
    }
}

/// Finds the patterns that stand in a text as far as windows show them that stand `shift` bytes behind every fourth byte.
#[inline(always)]
pub fn look_through<F: Prefilter>(
    search: Search,
    text: Text,
    shift: u32,
    prefilter: &mut F,
) -> Option<()> {
    let group = search.group(prefilter.filter_table(search)?);
    match text {
        Text::Payload => {}
        Text::Joined => prefilter.workspace()?.look_at_joined(group),
        Text::Decoded => prefilter.workspace()?.look_at_decoded(),
        Text::Seam => prefilter.workspace()?.look_at_seam(group),
    }
    if shift == 0 && text == Text::Payload {
        prefilter.filter(search);
    } else {
        let len = prefilter.len_of_again(search, shift);
        prefilter.filter_again(search, shift, len);
    }
    prefilter.confirm_each(search, shift);
    Some(())
}

/// Looks again at each block that the filter kept.
#[inline(always)]
pub fn confirm_each<F: Prefilter>(search: Search, shift: u32, prefilter: &mut F) -> Option<()> {
    let blocks = prefilter.workspace()?.blocks_len;
    for index in 0..BLOCKS_MAX as u32 {
        if index >= blocks {
            break;
        }
        prefilter.confirm(search, index, shift);
    }
    Some(())
}
