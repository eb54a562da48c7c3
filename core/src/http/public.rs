//! Which addresses belong to the public internet. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that are not public: IANA's special-purpose registry, multicast, and one address that Azure answers at
/// inside its machines only.
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's platform"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "kept for protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// Blocks of IPv6 that are not public; the first that holds an address names it.
const V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "unique-local"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "kept for protocols"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "a relay"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

/// The block that global unicast addresses are given out from.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks of IPv6 whose last four bytes are the IPv4 address that is meant: mapped ones, and those of NAT64.
const V4_INSIDE: &[(Ipv6Addr, u32)] =
    &[(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96)];

/// What keeps an address from being public; `None` for a public one.
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            V4.iter().find(|(block, prefix, _)| holds_v4(*block, *prefix, address)).map(|(.., what)| *what)
        }
        IpAddr::V6(address) => {
            if V4_INSIDE.iter().any(|(block, prefix)| holds_v6(*block, *prefix, address)) {
                return not_public(Ipv4Addr::from_bits(address.to_bits() as u32).into());
            }
            let named = V6.iter().find(|(block, prefix, _)| holds_v6(*block, *prefix, address)).map(|(.., what)| *what);
            named.or_else(|| (!holds_v6(GLOBAL_V6.0, GLOBAL_V6.1, address)).then_some("not global"))
        }
    }
}

fn holds_v4(block: Ipv4Addr, prefix: u32, address: Ipv4Addr) -> bool {
    (block.to_bits() ^ address.to_bits()).leading_zeros() >= prefix
}

fn holds_v6(block: Ipv6Addr, prefix: u32, address: Ipv6Addr) -> bool {
    (block.to_bits() ^ address.to_bits()).leading_zeros() >= prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_public() {
        let cases = [
            ("8.8.8.8", None),
            ("93.184.216.34", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("172.15.255.255", None),
            ("172.32.0.1", None),
            ("168.63.129.17", None),
            ("223.255.255.255", None),
            ("2606:4700:4700::1111", None),
            ("2a00:1450:4001::200e", None),
            ("::ffff:8.8.8.8", None),
            ("64:ff9b::8.8.8.8", None),
            ("0.0.0.0", Some("this network")),
            ("0.1.2.3", Some("this network")),
            ("10.1.2.3", Some("private")),
            ("100.64.0.1", Some("shared by a carrier")),
            ("100.127.255.255", Some("shared by a carrier")),
            ("127.0.0.1", Some("loopback")),
            ("127.255.0.1", Some("loopback")),
            ("168.63.129.16", Some("a cloud's platform")),
            ("169.254.169.254", Some("link-local")),
            ("172.16.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("192.0.0.192", Some("kept for protocols")),
            ("192.0.2.1", Some("documentation")),
            ("192.88.99.1", Some("a relay")),
            ("192.168.1.1", Some("private")),
            ("198.19.0.1", Some("benchmarking")),
            ("198.51.100.1", Some("documentation")),
            ("203.0.113.1", Some("documentation")),
            ("224.0.0.1", Some("multicast")),
            ("239.255.255.255", Some("multicast")),
            ("255.255.255.255", Some("reserved")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::7f00:1", Some("not global")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("::ffff:169.254.169.254", Some("link-local")),
            ("64:ff9b::10.0.0.1", Some("private")),
            ("64:ff9b:1::8.8.8.8", Some("not global")),
            ("fc00::1", Some("unique-local")),
            ("fd00:ec2::254", Some("unique-local")),
            ("fe80::1", Some("link-local")),
            ("febf::1", Some("link-local")),
            ("fec0::1", Some("not global")),
            ("ff02::1", Some("multicast")),
            ("100::1", Some("not global")),
            ("2001::1", Some("kept for protocols")),
            ("2001:db8::1", Some("documentation")),
            ("2002:7f00:1::", Some("a relay")),
            ("3fff::1", Some("documentation")),
            ("5f00::1", Some("not global")),
        ];
        for (address, want) in cases {
            assert_eq!(not_public(address.parse().unwrap()), want, "{address}");
        }
    }
}
