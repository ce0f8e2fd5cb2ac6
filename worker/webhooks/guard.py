"""Which addresses may be connected to: public ones, and what an endpoint allows by name (DELIVERY, section 2).

IANA's registries of special-purpose addresses are written out here, because `ipaddress.is_global` differs between
Python releases and takes no account of IPv4 inside IPv6.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; its anycast addresses are our own NAT's, though they count as global
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, limited broadcast
    )
)
_UNICAST_6 = IPv6Network("2000::/3")
"""All that IANA gives out; whatever is outside is loopback, local, multicast, a translation prefix or reserved."""
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, withdrawn
        "3ffe::/16",  # the former 6bone
        "3fff::/20",  # documentation
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ALL_32 = 0xFFFF_FFFF


def is_allowed(address: Address, allow_networks: Iterable[Network]) -> bool:
    """Whether a request may go to this address.

    An IPv6 address that only stands for an IPv4 address (mapped, NAT64) is judged as that one. Other IPv4 inside IPv6
    is refused unless allowed by name: the address itself, or every IPv4 address in it. Of local NAT64 (64:ff9b:1::/48)
    nobody can tell where the IPv4 address stands, so only the address itself counts.
    """
    allowed = tuple(allow_networks)
    if _is_listed(address, allowed):
        return True
    if isinstance(address, IPv4Address):
        return not _is_listed(address, _NOT_PUBLIC_4)
    inside = embedded(address)
    if inside and (address in _MAPPED or address in _NAT64):
        return is_allowed(inside[0], allowed)
    if inside:
        return all(_is_listed(part, allowed) for part in inside)
    return address in _UNICAST_6 and not _is_listed(address, _NOT_PUBLIC_6)


def embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses inside an IPv6 address: none, one, or a Teredo address's server and client."""
    number = int(address)
    if address in _MAPPED or address in _NAT64 or address in _COMPATIBLE:
        return (IPv4Address(number & _ALL_32),)
    if address in _SIX_TO_FOUR:
        return (IPv4Address(number >> 80 & _ALL_32),)
    if address in _TEREDO:
        return (IPv4Address(number >> 64 & _ALL_32), IPv4Address(~number & _ALL_32))
    return ()


def _is_listed(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
