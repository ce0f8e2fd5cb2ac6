"""The guard against IANA's registries of special-purpose addresses, row by row, both families (as of 2026).

Each row: the prefix, the registry's name for it, and whether the registry calls it globally reachable. What is
reachable by its own row may still lie in a wider row that is not: those anycast addresses are refused too, because no
receiver lives there. Reachable alone are rows that lie in no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.webhooks.guard import embedded, is_allowed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
YES, NO = True, False

IPV4_SPECIAL = [
    ("0.0.0.0/8", "This network", NO),
    ("0.0.0.0/32", "This host on this network", NO),
    ("10.0.0.0/8", "Private-Use", NO),
    ("100.64.0.0/10", "Shared Address Space", NO),
    ("127.0.0.0/8", "Loopback", NO),
    ("169.254.0.0/16", "Link Local", NO),
    ("172.16.0.0/12", "Private-Use", NO),
    ("192.0.0.0/24", "IETF Protocol Assignments", NO),
    ("192.0.0.0/29", "IPv4 Service Continuity Prefix", NO),
    ("192.0.0.8/32", "IPv4 dummy address", NO),
    ("192.0.0.9/32", "Port Control Protocol Anycast", YES),
    ("192.0.0.10/32", "Traversal Using Relays around NAT Anycast", YES),
    ("192.0.0.170/32", "NAT64/DNS64 Discovery", NO),
    ("192.0.0.171/32", "NAT64/DNS64 Discovery", NO),
    ("192.0.2.0/24", "Documentation (TEST-NET-1)", NO),
    ("192.31.196.0/24", "AS112-v4", YES),
    ("192.52.193.0/24", "AMT", YES),
    ("192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", NO),
    ("192.88.99.2/32", "6a44-relay anycast address", NO),
    ("192.168.0.0/16", "Private-Use", NO),
    ("192.175.48.0/24", "Direct Delegation AS112 Service", YES),
    ("198.18.0.0/15", "Benchmarking", NO),
    ("198.51.100.0/24", "Documentation (TEST-NET-2)", NO),
    ("203.0.113.0/24", "Documentation (TEST-NET-3)", NO),
    ("240.0.0.0/4", "Reserved", NO),
    ("255.255.255.255/32", "Limited Broadcast", NO),
]
IPV6_SPECIAL = [
    ("::1/128", "Loopback Address", NO),
    ("::/128", "Unspecified Address", NO),
    ("::ffff:0:0/96", "IPv4-mapped Address", NO),
    ("64:ff9b::/96", "IPv4-IPv6 Translat.", YES),
    ("64:ff9b:1::/48", "IPv4-IPv6 Translat.", NO),
    ("100::/64", "Discard-Only Address Block", NO),
    ("100:0:0:1::/64", "Dummy IPv6 Prefix", NO),
    ("2001::/23", "IETF Protocol Assignments", NO),
    ("2001::/32", "TEREDO", NO),
    ("2001:1::1/128", "Port Control Protocol Anycast", YES),
    ("2001:1::2/128", "Traversal Using Relays around NAT Anycast", YES),
    ("2001:1::3/128", "DNS-SD Service Registration Protocol Anycast", YES),
    ("2001:2::/48", "Benchmarking", NO),
    ("2001:3::/32", "AMT", YES),
    ("2001:4:112::/48", "AS112-v6", YES),
    ("2001:10::/28", "Deprecated (previously ORCHID)", NO),
    ("2001:20::/28", "ORCHIDv2", YES),
    ("2001:30::/28", "Drone Remote ID Protocol Entity Tags", YES),
    ("2001:db8::/32", "Documentation", NO),
    ("2002::/16", "6to4", NO),
    ("2620:4f:8000::/48", "Direct Delegation AS112 Service", YES),
    ("3fff::/20", "Documentation", NO),
    ("5f00::/16", "Segment Routing (SRv6) SIDs", NO),
    ("fc00::/7", "Unique-Local", NO),
    ("fe80::/10", "Link-Local Unicast", NO),
]
MULTICAST = [("224.0.0.0/4", "Multicast Address Space", NO), ("ff00::/8", "Multicast", NO)]
RETURNED = [("3ffe::/16", "returned by the 6bone (RFC 3701)", NO)]
"""In no registry of special addresses; nobody has been given any of it again."""
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""Of ipv6-address-space: the only range that IANA gives out for hosts of the Internet."""
STANDS_FOR_IPV4 = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
"""Judged as the IPv4 address that they stand for, which is where the request would arrive."""


@dataclass(frozen=True)
class Row:
    network: Network
    name: str
    reachable: bool


ROWS = [Row(ip_network(prefix), name, ok) for prefix, name, ok in IPV4_SPECIAL + IPV6_SPECIAL + MULTICAST + RETURNED]
REFUSED: list[Network] = [row.network for row in ROWS if not row.reachable]


def public(address: Address) -> bool:
    """What the registries say; written as a reader of theirs would, not as the guard does it."""
    if isinstance(address, IPv6Address):
        if any(address in network for network in STANDS_FOR_IPV4):
            return public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in GLOBAL_UNICAST:
            return False
    return not any(address in network for network in REFUSED)


def borders(network: Network) -> Iterator[Address]:
    """The first and the last address, the one before and the one after."""
    first, last = network.network_address, network.broadcast_address
    yield from (first, last)
    if int(first):
        yield first - 1
    if int(last) + 1 < 1 << network.max_prefixlen:
        yield last + 1


def name(row: Row) -> str:
    return f"{row.network} {row.name}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_at_the_borders_of_every_row_the_guard_says_what_the_registries_say(row: Row) -> None:
    for address in borders(row.network):
        assert (address, public(address)) == (address, is_allowed(address, ()))


@pytest.mark.parametrize("row", [row for row in ROWS if not row.reachable], ids=name)
@given(chosen=st.data())
def test_nowhere_in_a_row_that_is_not_reachable_is_an_address_allowed(row: Row, chosen: st.DataObject) -> None:
    address = chosen.draw(st.ip_addresses(network=str(row.network)))
    assert is_allowed(address, ()) == (row.network == STANDS_FOR_IPV4[0] and public(address))
    assert is_allowed(address, [row.network])


@given(chosen=st.data())
def test_anywhere_near_a_row_the_guard_says_what_the_registries_say(chosen: st.DataObject) -> None:
    network = chosen.draw(st.sampled_from(ROWS)).network
    limit = (1 << network.max_prefixlen) - 1
    near = chosen.draw(st.integers(-(2**20), 2**20)) + int(chosen.draw(st.sampled_from(list(borders(network)))))
    address = type(network.network_address)(min(max(near, 0), limit))
    assert is_allowed(address, ()) == public(address)


@given(st.ip_addresses())
def test_anywhere_at_all_the_guard_says_what_the_registries_say(address: Address) -> None:
    assert is_allowed(address, ()) == public(address)


FORMS = {
    "compatible": "::{high:x}:{low:x}",
    "mapped": "::ffff:{high:x}:{low:x}",
    "translated": "::ffff:0:{high:x}:{low:x}",
    "NAT64": "64:ff9b::{high:x}:{low:x}",
    "local NAT64": "64:ff9b:1::{high:x}:{low:x}",
    "6to4": "2002:{high:x}:{low:x}::1",
    "Teredo, its server": "2001:0:{high:x}:{low:x}::",
    "Teredo, its client": "2001::{not_high:x}:{not_low:x}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row.network, IPv4Network)], ids=name)
def test_no_way_of_writing_ipv4_inside_ipv6_leads_where_that_ipv4_address_may_not(row: Row, form: str) -> None:
    for inside in borders(row.network):
        high, low = divmod(int(inside), 1 << 16)
        written = form.format(high=high, low=low, not_high=high ^ 0xFFFF, not_low=low ^ 0xFFFF)
        assert public(inside) or not is_allowed(ip_address(written), ())


@given(st.ip_addresses(v=6))
def test_whatever_holds_ipv4_is_refused_or_stands_for_a_public_one(address: IPv6Address) -> None:
    if inside := embedded(address):
        assert not is_allowed(address, ()) or (len(inside) == 1 and public(inside[0]))


@given(st.ip_addresses(), st.sampled_from(ROWS))
def test_allowing_a_row_allows_nothing_outside_of_it(address: Address, row: Row) -> None:
    inside = [address, *(embedded(address) if isinstance(address, IPv6Address) else ())]
    if not any(part in row.network for part in inside):
        assert is_allowed(address, [row.network]) == is_allowed(address, ())
