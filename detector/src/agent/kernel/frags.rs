//! Frames that lie in several pieces (XDP multi-buffer, Linux 5.18): where the kernel has them, the programs take them.
//!
//! A program says so when it is loaded. To one that does not, drivers give no frame longer than a piece, which is about a page: they
//! refuse it where the MTU is larger. Older kernels refuse one that does.

use std::borrow::Cow;

use aya::{
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};

use super::OBJECT;

/// The section of a program that takes such frames, for aya goes by its name; the section of any other program is called as its beginning.
const SECTION: &[u8] = b"xdp.frags\0";
/// The rest of it.
const FRAGS: std::ops::Range<usize> = "xdp".len().."xdp.frags".len();

/// Whether the kernel gives frames in several pieces to programs that take them.
///
/// It is asked for the helper by which a program learns the length of such a frame, for that is needed too and came with them.
#[must_use]
pub fn has_frags() -> bool {
    // What keeps the kernel from answering keeps it from loading the program, and is told then.
    is_helper_supported(ProgramType::Xdp, BpfHelper::BPF_FUNC_xdp_get_buff_len).unwrap_or(false)
}

/// The kernel program for a kernel that has such frames, or has none. All of its programs are alike in that, as the kernel asks of
/// those that go on after each other.
#[must_use]
pub fn object(has_frags: bool) -> Cow<'static, [u8]> {
    if has_frags {
        Cow::Borrowed(OBJECT)
    } else {
        Cow::Owned(without_frags(OBJECT))
    }
}

/// `object` with the sections of its programs renamed in place, wherever they are named.
fn without_frags(object: &[u8]) -> Vec<u8> {
    let mut object = object.to_vec();
    let names = object.windows(SECTION.len());
    let places: Vec<_> = names
        .enumerate()
        .filter_map(|(at, bytes)| (bytes == SECTION).then_some(at))
        .collect();
    for at in places {
        if let Some(name) = object.get_mut(at..)
            && let Some(frags) = name.get_mut(FRAGS)
        {
            frags.fill(0);
        }
    }
    object
}
