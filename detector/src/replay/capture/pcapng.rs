//! The pcapng format: sections of blocks, each section with interfaces of its own. Source: draft-ietf-opsawg-pcapng.
//!
//! Enhanced, simple and obsolete packet blocks give packets; section headers and interface descriptions say how to
//! read them; all other blocks are skipped without being kept. A length is bounded before a byte of it is waited for,
//! and every block must end with the length it begins with. Packets are parsed here and not by `pcap-parser`, which
//! allocates for the options of each and reads the padding of a simple packet as data.

mod block;
mod clock;
#[cfg(test)]
mod tests;

use pcap_parser::{BOM_MAGIC, EPB_MAGIC, IDB_MAGIC, SHB_MAGIC, SPB_MAGIC};
use pcap_parser::{
    parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_sectionheaderblock,
};

use super::error::{Damage, Found, Stop};
use super::input::{ByteOrder, Input};
use super::link_type::{Link, LinkType};
use super::{MAX_INTERFACES, Packet};
use clock::Clock;

/// The packet block of before 2004, which some hardware still writes.
const OBSOLETE_PACKET_MAGIC: u32 = 2;

/// What comes before the data of an enhanced or obsolete packet, and of a simple one.
const PACKET_HEADER_LEN: usize = 28;
const SIMPLE_HEADER_LEN: usize = 12;

/// A pcapng file, somewhere in a section.
pub(super) struct PcapNg {
    order: ByteOrder,
    /// The interfaces of this section.
    interfaces: Vec<Interface>,
    /// How many interfaces the sections before this one had.
    earlier_interfaces: u32,
    /// The time of the last packet that had one.
    last_timestamp_ns: u64,
}

/// What an interface description says about the packets after it.
#[derive(Clone, Copy)]
struct Interface {
    link: Result<Link, LinkType>,
    /// The most that is kept of a packet, in bytes; 0 is no limit.
    snap_len: u32,
    clock: Clock,
}

impl PcapNg {
    /// Reads the header of the first section, or gives `None` if this is no pcapng file at all.
    pub(super) fn open(input: &mut Input) -> Result<Option<Self>, Stop> {
        // The type of a section header is the same in both byte orders.
        if !input.available(4)?.starts_with(&SHB_MAGIC.to_be_bytes()) {
            return Ok(None);
        }
        let mut file = Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            earlier_interfaces: 0,
            last_timestamp_ns: 0,
        };
        match file.begin_section(input) {
            Err(Stop::Corrupt(Damage::ByteOrder)) => Err(Stop::NotACapture(Found::Known(
                "like pcapng in its first four bytes only",
            ))),
            begun => begun.map(|()| Some(file)),
        }
    }

    /// Reads blocks up to the next packet.
    #[inline]
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Packet>, Stop> {
        loop {
            input.begin_record();
            let Some([kind, length]) = input.words(self.order, "a block")? else {
                return Ok(None);
            };
            match kind {
                SHB_MAGIC => self.begin_section(input)?,
                IDB_MAGIC => self.describe_interface(input, length)?,
                EPB_MAGIC | OBSOLETE_PACKET_MAGIC => {
                    return self.packet(input, kind, length).map(Some);
                }
                SPB_MAGIC => return self.simple_packet(input, length).map(Some),
                _ => block::skip(input, self.order, length)?,
            }
        }
    }

    /// Reads a section header. Its byte order is its own, and so is that of everything up to the next one.
    fn begin_section(&mut self, input: &mut Input) -> Result<(), Stop> {
        let inside = "a section header";
        let first = input.exactly(block::MIN_LEN, inside)?;
        self.order = match ByteOrder::Little.words(first) {
            Some([_, _, BOM_MAGIC]) => ByteOrder::Little,
            Some([_, _, magic]) if magic == BOM_MAGIC.swap_bytes() => ByteOrder::Big,
            _ => return Err(Damage::ByteOrder.into()),
        };
        let Some([_, length]) = self.order.words(first) else {
            return Err(Stop::Truncated(inside));
        };
        let block = block::whole(input, self.order, length, inside)?;
        let Ok((_, header)) = parse_sectionheaderblock(block) else {
            return Err(Damage::Block(inside).into());
        };
        let (major, minor) = (header.major_version, header.minor_version);
        if major != 1 {
            return Err(Damage::Version {
                format: "pcapng",
                major,
                minor,
                known: "1.0",
            }
            .into());
        }
        input.consume(length as usize);
        let interfaces = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.earlier_interfaces = self.earlier_interfaces.saturating_add(interfaces);
        self.interfaces.clear();
        Ok(())
    }

    /// Reads an interface description. That its packets cannot be read is said when one comes.
    fn describe_interface(&mut self, input: &mut Input, length: u32) -> Result<(), Stop> {
        let inside = "an interface description";
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Damage::TooManyInterfaces.into());
        }
        let block = block::whole(input, self.order, length, inside)?;
        let parsed = match self.order {
            ByteOrder::Little => parse_interfacedescriptionblock_le(block),
            ByteOrder::Big => parse_interfacedescriptionblock_be(block),
        };
        let Ok((_, description)) = parsed else {
            return Err(Damage::Block(inside).into());
        };
        let offset_seconds = match self.order {
            ByteOrder::Little => description.if_tsoffset,
            // pcap-parser reads this one in little-endian whatever the section says.
            ByteOrder::Big => description.if_tsoffset.swap_bytes(),
        };
        let link_type = LinkType(description.linktype.0.cast_unsigned());
        self.interfaces.push(Interface {
            link: link_type.link().ok_or(link_type),
            snap_len: description.snaplen,
            clock: Clock::new(description.if_tsresol, offset_seconds),
        });
        input.consume(length as usize);
        Ok(())
    }

    /// Reads an enhanced or an obsolete packet block.
    #[inline]
    fn packet(&mut self, input: &mut Input, kind: u32, length: u32) -> Result<Packet, Stop> {
        let block = block::whole(input, self.order, length, "a packet")?;
        let Some([_, _, interface, high, low, captured, wire]) = self.order.words(block) else {
            return Err(Damage::BlockLength(length).into());
        };
        let index = match (kind, self.order) {
            (EPB_MAGIC, _) => interface,
            // Two 16-bit numbers: the interface, then how many packets were lost.
            (_, ByteOrder::Little) => interface & 0xffff,
            (_, ByteOrder::Big) => interface >> 16,
        };
        block::check_data(captured, block.len(), PACKET_HEADER_LEN)?;
        let (interface, link) = self.interface(index)?;
        self.last_timestamp_ns = interface
            .clock
            .unix_ns(u64::from(high) << 32 | u64::from(low));
        let start = input.consume(length as usize).start + PACKET_HEADER_LEN;
        Ok(Packet {
            timestamp_ns: self.last_timestamp_ns,
            interface: self.earlier_interfaces.saturating_add(index),
            link,
            body: start..start + captured as usize,
            wire_len: wire as usize,
        })
    }

    /// Reads a simple packet block: one of interface 0, without a time and without a captured length.
    #[inline]
    fn simple_packet(&mut self, input: &mut Input, length: u32) -> Result<Packet, Stop> {
        let block = block::whole(input, self.order, length, "a packet")?;
        let Some([_, _, wire]) = self.order.words(block) else {
            return Err(Damage::BlockLength(length).into());
        };
        let block_len = block.len();
        let (interface, link) = self.interface(0)?;
        let captured = if interface.snap_len == 0 {
            wire
        } else {
            wire.min(interface.snap_len)
        };
        block::check_data(captured, block_len, SIMPLE_HEADER_LEN)?;
        let start = input.consume(length as usize).start + SIMPLE_HEADER_LEN;
        Ok(Packet {
            timestamp_ns: self.last_timestamp_ns,
            interface: self.earlier_interfaces,
            link,
            body: start..start + captured as usize,
            wire_len: wire as usize,
        })
    }

    fn interface(&self, index: u32) -> Result<(Interface, Link), Stop> {
        let interface = self
            .interfaces
            .get(index as usize)
            .ok_or(Damage::UnknownInterface(index))?;
        Ok((*interface, interface.link.map_err(Stop::LinkType)?))
    }
}
