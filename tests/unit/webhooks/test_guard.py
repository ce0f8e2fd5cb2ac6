"""The ranges stand as IANA's registries of special-purpose addresses list them, both families (2026)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.webhooks.guard import embedded, is_allowed

NOT_PUBLIC = [
    # iana-ipv4-special-registry, where it is not globally reachable
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
    # iana-ipv6-special-registry, the same
    "::1/128",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    # multicast, site-local, compatible, translated and unassigned space
    "224.0.0.0/4",
    "ff00::/8",
    "fec0::/10",
    "::/96",
    "::ffff:0:0:0/96",
    "200::/7",
    "400::/6",
    "1000::/4",
    "4000::/3",
    "6000::/3",
    "8000::/3",
    "a000::/3",
    "c000::/3",
    "e000::/4",
    "f000::/5",
    "f800::/6",
    "fe00::/9",
    "3ffe::/16",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]
LOOPBACK = ip_network("127.0.0.0/8")
ADDRESSES_4 = st.ip_addresses(v=4)
ADDRESSES_6 = st.ip_addresses(v=6)


def wrapped(prefix: str, inside: IPv4Address, shift: int = 0) -> IPv6Address:
    return IPv6Address(int(IPv6Address(prefix)) | int(inside) << shift)


def teredo(server: IPv4Address, client: IPv4Address) -> IPv6Address:
    return IPv6Address(int(IPv6Address("2001::")) | int(server) << 64 | (int(client) ^ 0xFFFF_FFFF))


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_the_first_and_the_last_address_of_a_special_range_are_refused(network: str) -> None:
    ends = ip_network(network)
    assert [is_allowed(ends[0], ()), is_allowed(ends[-1], ())] == [False, False]


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_a_special_range_can_be_allowed(network: str) -> None:
    ends = ip_network(network)
    assert [is_allowed(ends[0], [ends]), is_allowed(ends[-1], [ends])] == [True, True]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(ip_address(address), ())


@given(ADDRESSES_4)
def test_what_python_calls_not_global_is_refused_in_ipv4(address: IPv4Address) -> None:
    assert address.is_global or not is_allowed(address, ())


@given(ADDRESSES_6)
def test_what_python_calls_not_global_is_refused_in_ipv6(address: IPv6Address) -> None:
    stands_for_ipv4 = address.ipv4_mapped or address in IPv6Network("64:ff9b::/96")
    assert stands_for_ipv4 or address.is_global or not is_allowed(address, ())


@pytest.mark.parametrize("prefix", ["::ffff:0:0", "64:ff9b::"])
@given(inside=ADDRESSES_4)
def test_an_address_that_only_stands_for_an_ipv4_address_is_judged_as_that(prefix: str, inside: IPv4Address) -> None:
    assert is_allowed(wrapped(prefix, inside), ()) == is_allowed(inside, ())


@pytest.mark.parametrize("inside", ["127.0.0.1", "8.8.8.8"])
def test_other_ipv4_inside_ipv6_is_refused_whatever_it_is(inside: str) -> None:
    address = IPv4Address(inside)
    forms = [
        wrapped("::", address),
        wrapped("2002::", address, 80),
        wrapped("64:ff9b:1::", address),
        teredo(address, IPv4Address("8.8.8.8")),
        teredo(IPv4Address("8.8.8.8"), address),
    ]
    assert [is_allowed(form, ()) for form in forms] == [False] * 5


@pytest.mark.parametrize(
    "address",
    [
        wrapped("::ffff:0:0", IPv4Address("127.0.0.1")),
        wrapped("64:ff9b::", IPv4Address("127.0.0.1")),
        wrapped("::", IPv4Address("127.0.0.1")),
        wrapped("2002::", IPv4Address("127.0.0.1"), 80),
        teredo(IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2")),
    ],
)
def test_allowing_an_ipv4_network_allows_it_inside_ipv6(address: IPv6Address) -> None:
    assert is_allowed(address, [LOOPBACK])


def test_a_teredo_address_needs_both_its_parts_allowed() -> None:
    inside, outside = IPv4Address("127.0.0.1"), IPv4Address("10.0.0.1")
    assert [is_allowed(teredo(*pair), [LOOPBACK]) for pair in ((inside, outside), (outside, inside))] == [False, False]


def test_a_local_nat64_address_is_allowed_by_its_own_network_alone() -> None:
    address = wrapped("64:ff9b:1::", IPv4Address("127.0.0.1"))
    assert is_allowed(address, [LOOPBACK]) is False
    assert is_allowed(address, [ip_network("64:ff9b:1::/48")]) is True


def test_a_link_local_address_with_a_zone_is_refused() -> None:
    assert is_allowed(ip_address("fe80::1%eth0"), ()) is False


def test_allowing_one_network_allows_no_other() -> None:
    assert is_allowed(IPv4Address("10.0.0.1"), [LOOPBACK, ip_network("fc00::/7")]) is False


@given(ADDRESSES_4 | ADDRESSES_6)
def test_whatever_is_allowed_by_name_is_allowed(address: IPv4Address | IPv6Address) -> None:
    assert is_allowed(address, [IPv4Network("0.0.0.0/0"), IPv6Network("::/0")])


def test_a_plain_ipv6_address_holds_no_ipv4_address() -> None:
    assert embedded(IPv6Address("2606:4700::1")) == ()
