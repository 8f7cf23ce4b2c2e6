//! `WannaCry`'s two SMB1 probes: is the server unpatched (`EternalBlue`), is the implant there (`DoublePulsar`)?
//!
//! Built field by field after the Trans and Trans2 requests of MS-CIFS 2.2.4.33 and 2.2.4.46; the values are those
//! of the probes in public captures. Identifiers that differ from probe to probe are the commonest ones.

use super::{Route, client_data};
use crate::builder::PacketBuilder;

const MICROSOFT_DS: u16 = 445;
const TRANSACTION: u8 = 0x25;
const TRANSACTION2: u8 = 0x32;
const PEEK_NAMED_PIPE: u16 = 0x23;
const SESSION_SETUP: u16 = 0x0e;
const QUERY_PATH_INFORMATION: u16 = 0x05;

/// The probe for MS17-010: peek at named pipe 0, which a patched server answers with another status.
pub fn eternalblue_probe(route: &Route) -> PacketBuilder {
    let mut words = Vec::new();
    words.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]); // parameters and data: sent, then acceptable
    words.extend([0; 10]); // setup words acceptable, flags, timeout, reserved
    words.extend([0, 0, 0x4a, 0, 0, 0, 0x4a, 0]); // parameters and data: count and offset
    words.extend([2, 0]); // setup words
    words.extend(PEEK_NAMED_PIPE.to_le_bytes());
    words.extend(0_u16.to_le_bytes()); // the pipe
    let message = smb(
        TRANSACTION,
        0x2801,
        [0x0800, 0x0800, 0x0800, 0x5ec5],
        &words,
        b"\\PIPE\\\0",
    );
    client_data(route, MICROSOFT_DS, &message)
}

/// The question whether `DoublePulsar` is installed: a session setup inside Trans2, its timeout the command.
pub fn doublepulsar_ping(route: &Route) -> PacketBuilder {
    let mut words = Vec::new();
    words.extend([12, 0, 0, 0, 1, 0, 0, 0]); // parameters and data: sent, then acceptable
    words.extend([0; 4]); // setup words acceptable, flags
    words.extend([0x01, 0x34, 0xee, 0x00]); // timeout
    words.extend([0; 2]);
    words.extend([12, 0, 0x42, 0, 0, 0, 0x4e, 0]); // parameters and data: count and offset
    words.extend([1, 0]); // setup words
    words.extend(SESSION_SETUP.to_le_bytes());
    let message = smb(
        TRANSACTION2,
        0xc007,
        [0x0800, 0xfeff, 0x0800, 0x0041],
        &words,
        &[0; 13],
    );
    client_data(route, MICROSOFT_DS, &message)
}

/// What Windows itself sends to a server without extended security: the same Trans2 command with the same flags, asking
/// for a file's attributes.
pub(super) fn file_query(route: &Route) -> PacketBuilder {
    let mut words = Vec::new();
    words.extend([10, 0, 0, 0, 2, 0, 40, 0]); // parameters and data: sent, then acceptable
    words.extend([0; 10]); // setup words acceptable, flags, timeout, reserved
    words.extend([10, 0, 0x44, 0, 0, 0, 0x4e, 0]); // parameters and data: count and offset
    words.extend([1, 0]); // setup words
    words.extend(QUERY_PATH_INFORMATION.to_le_bytes());
    let message = smb(
        TRANSACTION2,
        0xc007,
        [0x0800, 0xfeff, 0x0800, 0x0041],
        &words,
        &[0; 13],
    );
    client_data(route, MICROSOFT_DS, &message)
}

/// A `NetBIOS` session message with one SMB1 request; `ids` are tree, process, user and multiplex id.
fn smb(command: u8, flags2: u16, ids: [u16; 4], words: &[u8], data: &[u8]) -> Vec<u8> {
    let mut smb = b"\xffSMB".to_vec();
    smb.push(command);
    smb.extend([0; 4]); // status
    smb.push(0x18); // flags: paths are caseless and canonical
    smb.extend(flags2.to_le_bytes());
    smb.extend([0; 12]); // high process id, signature, reserved
    smb.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
    smb.push(u8::try_from(words.len() / 2).unwrap_or(u8::MAX));
    smb.extend(words);
    smb.extend(length(data).to_le_bytes());
    smb.extend(data);
    let mut message = vec![0, 0];
    message.extend(length(&smb).to_be_bytes());
    message.extend(smb);
    message
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}
