//! Attaching the program: to every interface or to none, in the driver where that is possible, and never in place of
//! somebody else's program.
//!
//! A program is attached by a link that this process holds and nothing pins. So it is detached when the process ends,
//! however it ends, and nobody can detach it by accident meanwhile.

mod error;

use std::io;

use aya::programs::{
    ProgramError, Xdp, XdpMode, loaded_programs,
    xdp::{XdpError, XdpLink},
};

pub use self::error::{AttachError, Foreign};
use super::{
    interface::{Hook, Interface, Mode},
    kernel::Kernel,
    netlink::{Link, Netlink, OnInterface},
};

/// A guarded interface.
#[derive(Clone, Debug)]
pub(super) struct Guarded {
    /// Which one, by the name it had then.
    pub(super) interface: Interface,
    /// Where the program is attached.
    pub(super) hook: Hook,
    /// Why it is not in the driver, if that was tried first.
    pub(super) not_native: Option<&'static str>,
    /// The number of the program in the kernel.
    pub(super) program: u32,
}

impl Guarded {
    /// The interface as it is now, if its copy of the program still is where it was attached.
    pub(super) async fn attached(&self, netlink: &Netlink) -> io::Result<Option<Link>> {
        let expected = OnInterface {
            program: self.program,
            hook: self.hook,
        };
        let link = netlink.link(self.interface.index).await?;
        Ok(link.filter(|link| link.programs.contains(&expected)))
    }
}

/// Attaches a copy of the program to each of `interfaces`, in the order of their slots. Dropping a link detaches it.
pub(super) async fn attach_all(
    kernel: &mut Kernel,
    interfaces: &[Interface],
    mode: Mode,
    netlink: &Netlink,
) -> Result<Vec<(Guarded, XdpLink)>, AttachError> {
    let mut attached = Vec::new();
    for (slot, interface) in (0..).zip(interfaces) {
        let program = kernel.program(slot)?;
        match attach(program, interface, mode) {
            Ok(one) => attached.push(one),
            // Somebody came between the look and the attempt.
            Err(AttachError::Occupied(_)) => {
                refuse_foreign(interface, netlink).await?;
                return Err(AttachError::Occupied(interface.name.clone()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(attached)
}

/// Fails if `interface` has an XDP program already.
pub(super) async fn refuse_foreign(
    interface: &Interface,
    netlink: &Netlink,
) -> Result<(), AttachError> {
    let name = || interface.name.clone();
    let asked = netlink.link(interface.index).await;
    let link = asked.map_err(|error| AttachError::Netlink(name(), error))?;
    match link.as_ref().map(|link| &*link.programs) {
        Some([]) => Ok(()),
        Some([OnInterface { program, hook }, ..]) => Err(AttachError::Foreign(Foreign {
            interface: name(),
            program: *program,
            name: name_of(*program),
            hook: *hook,
        })),
        None => Err(AttachError::Gone(name())),
    }
}

fn attach(
    program: &mut Xdp,
    interface: &Interface,
    mode: Mode,
) -> Result<(Guarded, XdpLink), AttachError> {
    let id = program.info().map_err(AttachError::Program)?.id();
    let (hook, not_native, link) = match mode {
        Mode::Generic => (Hook::Generic, None, link(program, interface, XdpMode::Skb)?),
        Mode::Native => (
            Hook::Native,
            None,
            link(program, interface, XdpMode::Driver)?,
        ),
        Mode::Auto => match link(program, interface, XdpMode::Driver) {
            Ok(link) => (Hook::Native, None, link),
            Err(AttachError::NotNative { why, .. }) => {
                let link = link(program, interface, XdpMode::Skb)?;
                (Hook::Generic, Some(why), link)
            }
            Err(error) => return Err(error),
        },
    };
    let guarded = Guarded {
        interface: interface.clone(),
        hook,
        not_native,
        program: id,
    };
    Ok((guarded, link))
}

fn link(program: &mut Xdp, interface: &Interface, mode: XdpMode) -> Result<XdpLink, AttachError> {
    let attached = program.attach_to_if_index(interface.index, mode);
    attached
        .and_then(|id| program.take_link(id))
        .map_err(|error| match errno(&error) {
            Some(errno) => AttachError::of(errno, interface, mode),
            None => AttachError::Program(error),
        })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "aya's errors are many, and these two come from the operating system"
)]
fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::XdpError(XdpError::NetlinkError(error)) => error.raw_os_error(),
        _ => None,
    }
}

/// The name of a program, if this process may ask for it. The kernel takes letters, digits, `_` and `.` for one.
fn name_of(program: u32) -> Option<String> {
    let info = loaded_programs().find_map(|info| info.ok().filter(|info| info.id() == program))?;
    let name = info.name_as_str()?;
    (!name.is_empty()).then(|| name.escape_debug().to_string())
}

impl AttachError {
    /// What it means that the kernel answers `errno`.
    fn of(errno: i32, interface: &Interface, mode: XdpMode) -> Self {
        use nix::libc::{EBUSY, EEXIST, ENODEV, ENOMEM, ENOTSUP, EPERM, ERANGE};
        let interface = interface.name.clone();
        let why = match errno {
            EBUSY | EEXIST => return Self::Occupied(interface),
            EPERM => return Self::NotPermitted(interface),
            ENODEV => return Self::Gone(interface),
            ENOTSUP => "its driver has no native XDP",
            ERANGE => "its driver has no native XDP at this MTU or with these queues",
            ENOMEM => "its driver has no memory for native XDP",
            _ if mode == XdpMode::Driver => "its driver refuses native XDP",
            _ => {
                return Self::Refused(interface, io::Error::from_raw_os_error(errno));
            }
        };
        if mode == XdpMode::Driver {
            Self::NotNative { interface, why }
        } else {
            Self::Refused(interface, io::Error::from_raw_os_error(errno))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::interface::Side, exit::Exit};

    /// Veth takes any MTU where frames may lie in pieces, so that only older kernels and other drivers say this.
    #[test]
    fn a_driver_that_has_no_native_mode_at_the_mtu_is_told_so_with_the_way_out() {
        let interface = Interface {
            name: "wan0".to_owned(),
            index: 2,
            side: Side::Wan,
        };
        let error = AttachError::of(nix::libc::ERANGE, &interface, XdpMode::Driver);
        assert_eq!(error.exit(), Exit::Unsupported);
        assert_eq!(
            error.to_string(),
            "cannot attach to wan0 in native mode: its driver has no native XDP at this MTU or with these queues; \
             `--mode auto` falls back to generic"
        );
    }
}
