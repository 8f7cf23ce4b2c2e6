//! Whom the machine asks for names: the lines `nameserver` of `/etc/resolv.conf`.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    net::IpAddr,
};

use super::parse_address;

/// Where they are named.
const FILE: &str = "/etc/resolv.conf";
/// No more of it is read. The C library takes three names from it.
const BYTES_MAX: u64 = 64 << 10;

/// The resolvers; none where there is no such file.
pub(super) fn read() -> BTreeSet<IpAddr> {
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        File::open(FILE)?.take(BYTES_MAX).read_to_end(&mut text)?;
        Ok(text)
    };
    resolvers_in(&String::from_utf8_lossy(&read().unwrap_or_default()))
}

/// The resolvers that a file names. What is no address is left out.
fn resolvers_in(text: &str) -> BTreeSet<IpAddr> {
    let resolver = |line: &str| {
        // resolv.conf(5): the keyword begins the line, its value comes after white space.
        let value = line.strip_prefix("nameserver")?;
        value.strip_prefix([' ', '\t'])?;
        parse_address(value.split_whitespace().next()?)
    };
    text.lines().filter_map(resolver).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_a_resolver_are_read_and_others_left_out() {
        let text = "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.53\nnameserver\t 2001:db8::53 # mine\r\n\
                    nameserver fe80::1%eth0\nnameserver\nnameserver \nnameserver one\nnameservers 192.0.2.9\n\
                    nameserver192.0.2.9\n\u{0}\u{1b}\u{fffd}\nnameserver 127.0.0.53";
        let expected = ["127.0.0.53", "192.0.2.53", "2001:db8::53", "fe80::1"];
        let found: Vec<_> = resolvers_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
        assert_eq!(resolvers_in(""), BTreeSet::new());
    }
}
