//! The rules as the kernel reads them: plain tables in one map value, every index checked.
//!
//! `detector/src/rules/compile` makes them, and says what fits. Two generations of them stand side by side, and a packet
//! keeps to the one that it began with.

use bytemuck::{Pod, Zeroable};

/// The most rules.
pub const RULES_MAX: usize = 1 << 14;
/// The most operations of all rules together.
pub const OPERATIONS_MAX: usize = 1 << 16;
/// The most words of all patterns together that rules look for themselves, of eight bytes each.
pub const WORDS_MAX: usize = 1 << 16;
/// The same of those that rules are found by.
pub const GRAM_WORDS_MAX: usize = 1 << 15;
/// The most grams of all patterns together: at most [`STRIDE`] of each.
pub const GRAMS_MAX: usize = 1 << 16;
/// The most entries of the filter.
pub const FILTER_MAX: usize = 1 << 20;
/// Classes of traffic that the filter tells apart.
pub const CLASSES: u32 = 8;
/// The most different groups of ports; group 0 is watched by nobody.
pub const GROUPS_MAX: usize = 1 << 8;
/// The groups from this one on ask for packets without a payload too.
pub const WITHOUT_PAYLOAD: u8 = 1 << 7;
/// The most different patterns that rules are found by.
pub const PATTERNS_MAX: usize = 1 << 14;
/// The most different things that rules ask and do with flowbits, and one that is nothing.
pub const FLOW_BITS_MAX: usize = 1 << 11;
/// The most entries of all lists of rules together.
pub const LISTS_MAX: usize = 1 << 15;

/// A window of four bytes is looked at at every fourth byte of a payload, so that one of seven bytes' length has a whole
/// one.
pub const STRIDE: usize = 4;
/// The bytes of a window.
pub const WINDOW: usize = 4;
/// Letters of either case are one to the filter: this bit of a byte tells them apart.
pub const FOLD: u64 = 0x2020_2020_2020_2020;
/// What windows are multiplied by: the golden ratio.
pub const HASH_FACTOR: u32 = 0x9e37_79b1;

/// The hash of a window, all of whose bits its upper ones depend on.
#[inline(always)]
#[must_use]
pub fn hash(window: u32) -> u32 {
    hash_folded(window | FOLD as u32)
}

/// The hashes of the windows that are the lower and the upper half of a word.
#[inline(always)]
#[must_use]
pub fn hashes(word: u64) -> [u32; 2] {
    let word = word | FOLD;
    [word as u32, (word >> 32) as u32].map(hash_folded)
}

#[inline(always)]
fn hash_folded(window: u32) -> u32 {
    window.wrapping_mul(HASH_FACTOR)
}

/// The most entries of one list.
pub const LIST_LEN_MAX: u32 = 128;

/// A list of rows, in [`RuleTable::lists`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct List {
    /// Where it begins.
    pub first: u16,
    /// How many there are.
    pub len: u16,
}

/// What rules of one group of ports have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Group {
    /// The rules that are asked of every packet, for no pattern speaks for them.
    pub always: List,
    /// The bytes of a payload that are looked through, at most.
    pub reach: u16,
    /// The bits of the filter that count.
    pub classes: u8,
    /// A bit for each distance behind every fourth byte at which a window is looked at too, see [`Group::dense_reach`].
    pub shifts: u8,
    /// The bytes in which that is done, at most.
    pub dense_reach: u16,
    /// Bits: [`Self::REQUESTS`], [`Self::HEADERS`].
    pub requests: u8,
    /// The longest pattern that rules are found by, in bytes.
    pub longest: u8,
}

impl Group {
    /// There are rules that ask something of requests of HTTP.
    pub const REQUESTS: u8 = 1;
    /// Something of their headers.
    pub const HEADERS: u8 = 2;

    /// What is asked of a packet that belongs to both. The list is the first one's.
    #[inline(always)]
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            always: self.always,
            reach: max(self.reach, other.reach),
            classes: self.classes | other.classes,
            shifts: self.shifts | other.shifts,
            dense_reach: max(self.dense_reach, other.dense_reach),
            requests: self.requests | other.requests,
            longest: max(self.longest.into(), other.longest.into()) as u8,
        }
    }
}

#[inline(always)]
fn max(one: u16, other: u16) -> u16 {
    if one > other { one } else { other }
}

/// Four bytes of a pattern, and its first and last eight: where they stand, a rule may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Gram {
    /// Which bits count of the first eight bytes of the pattern, the first byte lowest; of a shorter one of all there are.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
    /// Where these begin, in bytes from the window.
    pub delta: i16,
    /// Where the last eight bytes begin, in bytes from the window.
    pub last_delta: i16,
    /// The first place in the payload where the window may stand.
    pub first: u16,
    /// The last one.
    pub last: u16,
    /// The pattern that it belongs to.
    pub pattern: u16,
    /// The next gram in the same bucket; 0 if there is none.
    pub next: u16,
    /// The last word of the pattern, in [`FilterTable::words`]; of one of eight bytes or less 0, where nothing is asked.
    pub last_word: u16,
    /// The length of the pattern, in bytes.
    pub len: u8,
    /// Where in it the window stands.
    pub at: u8,
}

/// What a row says besides its operations. Of the rows that a packet matches, the first counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Row {
    /// Its first operation.
    pub first: u32,
    /// Where the rule is counted, and what findings call it; it stays the same from one generation to the next.
    pub slot: u16,
    /// What is done, see [`Action`].
    pub action: u8,
    /// 1 if the rule is asked of each request of HTTP in a packet, and of no packet without one.
    pub of_request: u8,
    /// How long packets of one source are counted for it, in the units of [`super::threshold::Limits`]; 0 if they are not.
    pub window: u32,
    /// The first of them that matches.
    pub least: u16,
    /// The last of them that is told, or [`Self::AGAIN`].
    pub last: u16,
    /// Whether it is asked of segments that are joined, see [`Joins`].
    pub joins: u8,
    /// Bits: [`Self::PARTIAL`], [`Self::SILENT`].
    pub flags: u8,
    /// What it asks and does with bits of its connection, in [`RuleTable::flow_bits`]; 0 if nothing.
    pub flow_bits: u16,
}

impl Row {
    /// The count begins again with each packet that matches.
    pub const AGAIN: u16 = 0;
    /// A part of it is decided elsewhere, see [`super::partial`]: that it holds here is no finding.
    pub const PARTIAL: u8 = 1;
    /// It is never told; of one that alerts, nothing is done at all but to count it.
    pub const SILENT: u8 = 2;

    /// Whether that it holds is noted only, and no finding yet: more than the packet decides, see [`super::held`], or somebody else,
    /// see [`super::partial`].
    ///
    /// VERIFIER: one number, for one branch.
    #[inline(always)]
    #[must_use]
    pub fn is_noted(&self) -> bool {
        let others = u64::from(self.flags) | u64::from(self.flow_bits) << 8;
        u64::from(self.least) | others << 16 > 1
    }
    /// Whether nothing is done where it matches but to count it.
    #[inline(always)]
    #[must_use]
    pub fn only_counts(&self) -> bool {
        self.flags & Self::SILENT != 0 && self.action == Action::Alert as u8
    }
}

/// What a rule asks of the bits of its connection, and what it does with them where it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FlowBits {
    /// Which bits must be as `value` has them.
    pub mask: u64,
    /// See before.
    pub value: u64,
    /// One of these must be set; 0 if nothing is asked so.
    pub any: u64,
    /// Which bits are left,
    pub keep: u64,
    /// and which are turned then.
    pub flip: u64,
}

/// Whether a rule is asked of what came before a segment together with its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Joins {
    /// It is not: what it asks is of one packet, or of what is not there.
    Never = 0,
    /// While all is here that came since the beginning.
    Whole = 1,
    /// It is.
    Always = 2,
}

/// What is done with a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    /// No other rule is asked.
    Pass = 0,
    /// It is reported, and dropped if the policy is to drop.
    Drop = 1,
    /// It is reported.
    Alert = 2,
}

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Whether a field, under a mask, is at least one number and at most another.
    Field = 0,
    /// Whether an address is at least this one.
    Address = 1,
    /// Looks for a pattern, see [`super::find::run`].
    Content = 2,
    /// Whether a buffer has so many bytes more, see [`super::test::is_so`].
    DataAt = 3,
    /// Whether a number in a buffer, under a mask, is at least one number and at most another, see [`super::test::is_so`].
    ByteTest = 4,
    /// Whether a regular expression matches, which [`super::partial`] decides; the kernel takes it for one that does.
    Regex = 5,
    /// Whether a number in a buffer leads not behind its end; the place is kept as if something ended there, see [`super::test::is_so`].
    ByteJump = 6,
    /// Whether each of the next bytes of a buffer is one of a set, see [`super::test::is_so`]; where they end is kept.
    Run = 7,
}

/// One operation of a rule, with two exits: an operation each, or [`FOUND`], or [`NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Operation {
    /// What it is, see [`Kind`].
    pub kind: u8,
    /// The field, see [`Field`], or the address: 0 the source, 1 the destination; or the buffer, see [`Buffer`].
    pub subject: u8,
    /// Where the end of what is found is kept; of a number in a buffer how many bytes it has, 1 to 4.
    pub slot: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// The exit if it holds.
    pub then: u32,
    /// The exit if it does not.
    pub otherwise: u32,
    /// What it asks: of a field the mask, the first and the span; of a content where its words begin, how many bytes it has,
    /// how far from its anchor it begins, and how many bytes are looked at; of a number in a buffer the mask, the first, the span, and how far from
    /// its anchor it begins; of one that leads to a place how many bytes it has, what it is multiplied with, what is added, and the same; of a regular
    /// expression its number; of a run where its set is in [`RuleTable::words`], and how many bytes it has, up to [`RUN_MAX`].
    pub numbers: [u32; 4],
    /// Of what is relative, a [`Kind::Content`] or one of those behind it: the slot of what it is relative to.
    pub after: u32,
}

/// Bits of [`Operation::flags`].
pub mod flag {
    /// The place counts from the end of another pattern.
    pub const RELATIVE: u8 = 1;
    /// The buffer must end with it.
    pub const ENDS: u8 = 2;
    /// It is what the rule was found by: where it stands first is known.
    pub const SIGN: u8 = 4;
    /// The lowest byte of the number comes first.
    pub const LITTLE: u8 = 8;
    /// What it leads to counts from the start of the buffer, and not from behind the number.
    pub const FROM_START: u8 = 16;
    /// It counts from the end of the buffer.
    pub const FROM_END: u8 = 32;
    /// The number is made a multiple of four, the next larger one.
    pub const ALIGN: u8 = 64;
}

/// What a pattern is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Buffer {
    /// The payload.
    Payload = 0,
    /// The target of a request of HTTP: once decoded, once as it is.
    Uri = 1,
    /// The same only as it is.
    UriRaw = 2,
    /// The method of a request.
    Method = 3,
    /// The headers of a request.
    Headers = 4,
}

/// How many buffers there is room for.
pub const BUFFERS: usize = 8;

/// The number of the pattern `HTTP/1.`, with which request lines end. It speaks for no rule.
pub const VERSION: u16 = 0;

/// The most bytes of a run.
pub const RUN_MAX: u32 = 64;

/// The exit to a match.
pub const FOUND: u32 = 1 << 31;
/// The exit to nothing.
pub const NONE: u32 = 1 << 30;
/// With this bit an exit takes up a search where it left off.
pub const RESUME: u32 = 1 << 29;

/// A word of a pattern: which bits count, and what they must be.
///
/// The last word of a pattern of eight bytes or more ends where the pattern does, so that nothing behind that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PatternWord {
    /// Which bits count, the first byte lowest.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
}

/// A field of a packet's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// A bit of [`protocol`].
    Protocol = 0,
    /// The source port.
    SourcePort = 1,
    /// The destination port.
    DestinationPort = 2,
    /// The length of the payload, in bytes.
    PayloadLen = 3,
    /// The flags of TCP.
    TcpFlags = 4,
    /// The type of ICMP.
    IcmpType = 5,
    /// The code of ICMP.
    IcmpCode = 6,
    /// Bits of [`trait_bit`].
    Traits = 7,
    /// The hops that are left.
    TimeToLive = 8,
    /// The identification of an IPv4 header.
    Identification = 9,
    /// The fragment bits of an IPv4 header: more (1), do not (2), reserved (4).
    FragmentBits = 10,
    /// A bit for each option of an IPv4 header, see [`ANY_OPTION`].
    IpOptions = 11,
    /// The acknowledgement number of TCP.
    Acknowledgement = 12,
    /// The sequence number of TCP.
    Sequence = 13,
    /// The window of TCP.
    Window = 14,
    /// The identifier of ICMP; [`u32::MAX`] of a message that has none.
    IcmpId = 15,
    /// The sequence number of ICMP; [`u32::MAX`] of a message that has none.
    IcmpSequence = 16,
    /// The number of the protocol that the IP header carries.
    IpProtocol = 17,
}

/// How many fields there is room for.
pub const FIELDS: usize = 32;

/// Bits of [`Field::Protocol`].
pub mod protocol {
    /// TCP.
    pub const TCP: u32 = 1;
    /// UDP.
    pub const UDP: u32 = 2;
    /// ICMP, of IPv4 and of IPv6.
    pub const ICMP: u32 = 4;
    /// Any.
    pub const IP: u32 = TCP | UDP | ICMP;
}

/// Bits of [`Field::Traits`].
pub mod trait_bit {
    /// A TCP header without options.
    pub const NO_TCP_OPTIONS: u32 = 1;
    /// A TCP sequence number that is the IPv4 destination address.
    pub const SEQUENCE_IS_DESTINATION: u32 = 2;
    /// An IPv4 packet.
    pub const IPV4: u32 = 4;
    /// A source that is the destination.
    pub const SAME_ADDRESS: u32 = 8;
}

/// The bit of any IPv4 option, in [`Field::IpOptions`]; others have that of [`option_bit`].
pub const ANY_OPTION: u32 = 1 << 31;

/// The number of the bit of an option of IPv4, by its type: the lower five bits of that, which differ among all that rules can name (RFC 791,
/// RFC 1108), but for Snort's 132, which has one that is nobody's.
#[inline(always)]
#[must_use]
pub fn option_bit(kind: u8) -> u8 {
    kind & 31 ^ (u8::from(kind == 132) << 1)
}

/// Where the word of this number begins in a pattern of `len` bytes.
#[inline(always)]
#[must_use]
pub fn word_offset(number: u32, len: u32) -> u32 {
    // VERIFIER: the lesser of two without a branch, which it would follow both ways of. Neither is as large as 2^31.
    let last = not_negative(len.wrapping_sub(8));
    let over = (number << 3).wrapping_sub(last);
    last.wrapping_add(over & sign(over))
}

/// All bits of a difference that is negative, and none of another.
#[inline(always)]
pub(super) fn sign(difference: u32) -> u32 {
    (difference.cast_signed() >> 31).cast_unsigned()
}

/// A difference, or zero if it is negative.
#[inline(always)]
pub(super) fn not_negative(difference: u32) -> u32 {
    difference & !sign(difference)
}

/// What the filter of a generation looks for. Linux 5.10 takes no record of more than 4 MiB, so the rules are another.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct FilterTable {
    /// By group of ports.
    pub groups: [Group; GROUPS_MAX],
    /// For each hash of a window a bit for each class of traffic in which a pattern has it.
    pub filter: [u8; FILTER_MAX],
    /// The first gram of each bucket; 0 if there is none.
    pub buckets: [u16; GRAMS_MAX],
    /// Grams, from 1.
    pub grams: [Gram; GRAMS_MAX],
    /// Words of the patterns that grams belong to, from 1: of each all but the first, which is in its grams.
    pub words: [PatternWord; GRAM_WORDS_MAX],
}

impl FilterTable {
    /// How far a hash is shifted down to be an index of the filter.
    pub const INDEX_SHIFT: u32 = u32::BITS - FILTER_MAX.trailing_zeros();

    /// A group of ports.
    #[inline(always)]
    #[must_use]
    pub fn group(&self, group: u8) -> Group {
        self.groups
            .get(usize::from(group))
            .copied()
            .unwrap_or_default()
    }

    /// The bucket of a hash.
    #[inline(always)]
    #[must_use]
    pub fn bucket(hash: u32) -> usize {
        (hash >> 16) as usize
    }

    /// Where in the filter the entry of a hash is.
    #[inline(always)]
    #[must_use]
    pub fn index(hash: u32) -> usize {
        (hash >> Self::INDEX_SHIFT) as usize
    }

    /// The bits of the classes in which a window has this hash.
    #[inline(always)]
    #[must_use]
    pub fn classes(&self, hash: u32) -> u8 {
        self.filter
            .get(Self::index(hash))
            .copied()
            .unwrap_or_default()
    }
}

/// The rules of a generation.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct RuleTable {
    /// The rows of each pattern.
    pub patterns: [List; PATTERNS_MAX],
    /// Lists of rows, one behind the other.
    pub lists: [u16; LISTS_MAX],
    /// Rows.
    pub rows: [Row; RULES_MAX],
    /// Operations.
    pub operations: [Operation; OPERATIONS_MAX],
    /// Words of patterns.
    pub words: [PatternWord; WORDS_MAX],
    /// What rules ask and do with bits of connections, from 1.
    pub flow_bits: [FlowBits; FLOW_BITS_MAX],
    /// A hash of what the bits are called, in their order; 0 if no rule asks for any.
    pub flow_names: u64,
}

impl RuleTable {
    /// What a rule asks and does with bits of its connection.
    #[inline(always)]
    #[must_use]
    pub fn flow_bits(&self, number: u16) -> FlowBits {
        let bits = self
            .flow_bits
            .get(usize::from(number) & (FLOW_BITS_MAX - 1));
        bits.copied().unwrap_or_default()
    }

    /// A row.
    #[inline(always)]
    #[must_use]
    pub fn row(&self, row: u32) -> Row {
        let row = self.rows.get(row as usize & (RULES_MAX - 1));
        row.copied().unwrap_or_default()
    }

    /// 1 if a byte is in the set whose words begin at `first`: two, with a bit for each byte.
    #[inline(always)]
    #[must_use]
    pub fn has(&self, first: u32, byte: u8) -> u32 {
        let index = first.wrapping_add(u32::from(byte >> 7)) as usize & (WORDS_MAX - 1);
        let word = self.words.get(index).copied().unwrap_or_default();
        // VERIFIER: one of two without a branch, which it would follow both ways of.
        let is_upper = u64::from(byte >> 6 & 1).wrapping_neg();
        let bits = word.mask & !is_upper | word.value & is_upper;
        bits.wrapping_shr(u32::from(byte & 63)) as u32 & 1
    }

    /// The operation that an exit leads to.
    #[inline(always)]
    #[must_use]
    pub fn operation(&self, exit: u32) -> Option<&Operation> {
        self.operations.get(exit as usize & (OPERATIONS_MAX - 1))
    }
}
