//! What the sender and the receiver share: an `AF_PACKET` socket bound to one interface of the calling thread's
//! namespace. The socket stays in that namespace, whichever thread uses it later.

use std::{
    mem::size_of,
    os::fd::{AsRawFd as _, OwnedFd},
    ptr::from_ref,
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    libc,
    net::if_::if_nametoindex,
    sys::socket::{AddressFamily, LinkAddr, SockFlag, SockType, SockaddrLike as _, bind, socket},
};

/// Opens a socket that takes in frames of `protocol` (an `EtherType`, or 0 for none) from one interface only.
pub(super) fn open(interface: &str, protocol: u16) -> Result<OwnedFd> {
    let index =
        if_nametoindex(interface).with_context(|| format!("there is no interface {interface}"))?;
    // Protocol 0 at first: until it is bound, a packet socket listens on every interface.
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET.try_into()?,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index.try_into()?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>().try_into()?;
    // SAFETY: the pointer is to a whole sockaddr_ll of the stated length, which is copied.
    let address = unsafe { LinkAddr::from_raw(from_ref(&address).cast(), Some(length)) };
    bind(
        fd.as_raw_fd(),
        &address.context("the link address was refused")?,
    )?;
    Ok(fd)
}

/// Sets a packet socket option that is a number.
pub(super) fn set_option(socket: &OwnedFd, option: libc::c_int, value: libc::c_int) -> Result<()> {
    let length = size_of::<libc::c_int>().try_into()?;
    // SAFETY: the value is a c_int of the stated length and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            from_ref(&value).cast(),
            length,
        )
    };
    Errno::result(result)
        .map(drop)
        .with_context(|| format!("packet socket option {option}"))
}
