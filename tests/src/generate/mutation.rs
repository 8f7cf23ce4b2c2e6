//! What is done to a packet: bytes, numbers and lengths changed, the packet cut, lengthened, spliced and tagged.

use super::Dice;

/// Numbers at the edges of what fields hold.
const EDGES: [u16; 16] = [
    0, 1, 4, 5, 8, 13, 14, 20, 28, 40, 64, 0x00ff, 0x05ff, 0x0600, 0x8000, 0xffff,
];
/// Numbers that say what comes next.
const TYPES: [u16; 8] = [
    0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x88e5, 0x88b5,
];
/// Headers end before this, in most packets.
const HEADERS: usize = 96;

/// Does something to `frame`; `other` is what it may be spliced with.
pub(super) fn apply(frame: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    match dice.below(14) {
        0 | 1 => change(frame, dice, |byte, dice| byte ^ (1 << dice.below(8))),
        2 | 3 => change(frame, dice, |_, dice| dice.byte()),
        4 => change(frame, dice, |byte, dice| {
            byte.wrapping_add(dice.one_of(&[1, 255]))
        }),
        5 | 6 => put(frame, dice, &EDGES),
        7 => put(frame, dice, &TYPES),
        8 => frame.truncate(dice.below(frame.len() + 1)),
        9 => frame.truncate(dice.below(HEADERS)),
        10 => {
            let count = dice.below(80);
            frame.extend(dice.bytes(count));
        }
        11 => {
            frame.truncate(dice.below(frame.len() + 1));
            frame.extend(other.iter().skip(dice.below(other.len() + 1)));
        }
        12 => insert(frame, dice),
        _ => remove(frame, dice),
    }
}

/// A place in the frame, mostly in its headers.
fn place(frame: &[u8], dice: &mut Dice) -> usize {
    let limit = if dice.one_in(4) {
        frame.len()
    } else {
        frame.len().min(HEADERS)
    };
    dice.below(limit)
}

/// Changes a byte.
fn change(frame: &mut [u8], dice: &mut Dice, how: impl Fn(u8, &mut Dice) -> u8) {
    let at = place(frame, dice);
    if let Some(byte) = frame.get_mut(at) {
        *byte = how(*byte, dice);
    }
}

/// Writes one of these numbers where a number of two bytes may stand.
fn put(frame: &mut [u8], dice: &mut Dice, numbers: &[u16]) {
    let number = dice.one_of(numbers);
    let at = place(frame, dice) & !1;
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&number.to_be_bytes());
    }
}

/// Puts in a VLAN tag, or some bytes anywhere.
fn insert(frame: &mut Vec<u8>, dice: &mut Dice) {
    let (at, bytes) = if dice.one_in(2) {
        let [high, low] = dice.one_of(&[0x8100_u16, 0x88a8]).to_be_bytes();
        (12, vec![high, low, dice.byte(), dice.byte()])
    } else {
        let count = dice.one_of(&[1, 2, 4, 8]);
        (place(frame, dice), dice.bytes(count))
    };
    let at = at.min(frame.len());
    frame.splice(at..at, bytes);
}

/// Takes some bytes out.
fn remove(frame: &mut Vec<u8>, dice: &mut Dice) {
    let at = place(frame, dice);
    let end = (at + dice.one_of(&[1, 2, 4, 8])).min(frame.len());
    frame.drain(at.min(end)..end);
}
