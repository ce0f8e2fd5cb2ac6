"""Ways around the guard, each with a socket that listens where nothing may arrive, and must stay untouched."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Self

import pycurl
import pytest

from tests.integration.webhooks.receivers import Receiver, answering, http2
from tests.integration.webhooks.sending import PATIENCE, SHORT, all_finished, due, now, outcome_of, sender, target
from worker.delivery import Outcome, Wire
from worker.webhooks.bell import Bell
from worker.webhooks.exchange import Exchange
from worker.webhooks.lane import Lane, Surroundings
from worker.webhooks.sockets import Sockets

Receive = Callable[..., Receiver]
NAME = "receiver.example"
ALLOWED, FORBIDDEN = "127.0.0.1", "127.0.0.2"
ONLY_ALLOWED = (ip_network(f"{ALLOWED}/32"),)


@dataclass
class Untouched:
    """Listens on a port of several addresses, over TCP and UDP."""

    port: int
    addresses: Sequence[str]
    _stack: ExitStack = field(default_factory=ExitStack)
    _sockets: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        for address in self.addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                listening = self._stack.enter_context(socket.socket(family, kind))
                listening.bind((address, self.port))
                if kind == socket.SOCK_STREAM:
                    listening.listen()
                listening.settimeout(0)
                self._sockets.append(listening)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def touched(self) -> list[str]:
        """What came after all."""
        found = []
        for one in self._sockets:
            with suppress(BlockingIOError):
                if one.type == socket.SOCK_STREAM:
                    accepted, peer = one.accept()
                    accepted.close()
                    found.append(f"connection from {peer}")
                else:
                    found.append(f"datagram {one.recv(100)!r}")
        return found


@contextmanager
def listening(*addresses: str) -> Iterator[Untouched]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Untouched(port, addresses or ("127.0.0.1", "::1")) as made:
        yield made


class Rebound(Lane):
    """A lane whose resolver answers differently each time: what libcurl believes of the name is set per request."""

    def __init__(self, url: str, port: int, answers: Sequence[str], **more: Any) -> None:
        self._sockets = Sockets[Lane | Bell]()
        self._answers = [f"+{NAME}:{port}:{answer}" for answer in answers]
        surroundings = Surroundings(sockets=self._sockets, user_agent="T", clock=now, limit=9, failures=[])
        super().__init__(target(url, **more), surroundings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._sockets.close()

    def _new_exchange(self) -> Exchange:
        made = super()._new_exchange()
        made.curl.setopt(
            pycurl.RESOLVE, [f"-{self._answers[0].removeprefix('+').rpartition(':')[0]}", self._answers[0]]
        )
        made.curl.setopt(pycurl.FORBID_REUSE, 1)
        return made

    def send(self) -> Outcome:
        """One request, with the next of the answers."""
        self._spare.clear()
        assert self.begin(due(), now()) is None
        self.act()
        until = now() + PATIENCE
        while now() < until:
            for _, fd, events in self._sockets.ready(0.02):
                self.act(fd, events)
            self.act()
            for _, outcome in self.ended():
                self._answers.pop(0)
                return outcome
        raise TimeoutError


def test_a_name_that_resolves_to_something_else_the_second_time_gains_nothing(receive: Receive) -> None:
    receiver = receive(answering(204))
    url = f"http://{NAME}:{receiver.port}/"
    answers = [ALLOWED, FORBIDDEN, "[::1]", "[::ffff:127.0.0.2]", ALLOWED]
    with (
        Untouched(receiver.port, [FORBIDDEN, "::1"]) as untouched,
        Rebound(url, receiver.port, answers, allow_networks=ONLY_ALLOWED) as lane,
    ):
        wires = [lane.send().wire for _ in range(5)]
        assert (untouched.touched, receiver.connections) == ([], 2)
    assert wires == [Wire.ANSWERED, Wire.BLOCKED, Wire.BLOCKED, Wire.BLOCKED, Wire.ANSWERED]


@pytest.mark.parametrize("answer", [f"{FORBIDDEN},{ALLOWED}", f"{ALLOWED},{FORBIDDEN}", f"[::1],{FORBIDDEN},{ALLOWED}"])
def test_of_a_mixed_answer_only_the_allowed_addresses_are_tried(receive: Receive, answer: str) -> None:
    receiver = receive(answering(204))
    with (
        Untouched(receiver.port, [FORBIDDEN, "::1"]) as untouched,
        Rebound(f"http://{NAME}:{receiver.port}/", receiver.port, [answer], allow_networks=ONLY_ALLOWED) as lane,
    ):
        assert (lane.send().status_code, untouched.touched) == (204, [])


def test_an_allowed_address_that_refuses_leads_to_no_forbidden_one() -> None:
    with listening(FORBIDDEN, "::1") as untouched:
        url = f"http://{NAME}:{untouched.port}/"
        with Rebound(url, untouched.port, [f"{ALLOWED},{FORBIDDEN},[::1]"], allow_networks=ONLY_ALLOWED) as lane:
            outcome = lane.send()
        assert (outcome.wire in {Wire.REFUSED, Wire.BLOCKED}, untouched.touched) == (True, [])


NOWHERE = "0.0.0.0"  # noqa: S104  # an address to be refused
HOSTS = [
    NOWHERE,
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0X7F.0x0.0X0.0x1",
    "0177.0.0.1", "0177.1", "00000177.0.0.1", "017700000001", "0", "%31%32%37.0.0.1", "127%2e0%2e0%2e1",
    "user@127.0.0.1", "user:password@127.0.0.1", "host.invalid@127.0.0.1", "host.invalid%40127.0.0.1", "a@b@127.0.0.1",
    "localhost", "LOCALHOST", "localhost.", "a.localhost",
    "[::1]", "[::1%25lo]", "[::1%lo]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[::127.0.0.1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:FFFF:127.0.0.1]", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[2001::80ff:fffe]",
    "[fe80::1%25lo]", "[fe80::1]", "::1", "[127.0.0.1]",
]  # fmt: skip
UNICODE_HOSTS = {
    "full-width digits": "\uff11\uff12\uff17.0.0.1",
    "circled digits": "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
    "ideographic full stops": "127\u30020\u30020\u30021",
    "full-width full stops": "127\uff0e0\uff0e0\uff0e1",
    "half-width full stops": "127\uff610\uff610\uff611",
    "a full-width letter": "\uff4cocalhost",
}


def test_what_listens_does_notice() -> None:
    with listening() as noticing:
        outcome_of(f"http://127.0.0.1:{noticing.port}/", timeout=SHORT)
        assert [text[:10] for text in noticing.touched] == ["connection"]


@pytest.mark.parametrize("host", [*HOSTS, *UNICODE_HOSTS.values()], ids=[*HOSTS, *UNICODE_HOSTS])
def test_no_spelling_of_an_address_reaches_what_listens_there(host: str) -> None:
    with listening() as untouched:
        outcome = outcome_of(f"http://{host}:{untouched.port}/", allow_networks=())
        assert (untouched.touched, outcome.wire in {Wire.BLOCKED, Wire.FAILED, Wire.UNRESOLVED}) == ([], True)


@pytest.mark.parametrize(
    "url",
    [
        "HTTP://127.0.0.1:{}/", "hTTps://127.0.0.1:{}/", "http:127.0.0.1:{}/", "http:/127.0.0.1:{}/",
        "http:///127.0.0.1:{}/", "http:////127.0.0.1:{}/", "http:\\\\127.0.0.1:{}\\", "http://127.0.0.1:{}\\@host.invalid/",
        "http://127.0.0.1:{}#@host.invalid/", "http://127.0.0.1:{}?@host.invalid/", "127.0.0.1:{}", "//127.0.0.1:{}/",
        " http://127.0.0.1:{}/", "http://127.0.0.1:{}/\r\n", "http://127.0.0.1:0{}/", "http://127.0.0.1\t:{}/",
    ],
)  # fmt: skip
def test_no_spelling_of_a_url_reaches_what_listens_there(url: str) -> None:
    with listening() as untouched:
        outcome = outcome_of(url.format(untouched.port), allow_networks=())
        assert (untouched.touched, outcome.status_code) == ([], None)


@pytest.mark.parametrize(
    "scheme",
    [
        "dict", "file", "ftp", "ftps", "gopher", "gophers", "imap", "imaps", "ldap", "ldaps", "mqtt", "mqtts", "pop3",
        "rtmp", "rtsp", "scp", "sftp", "smb", "smtp", "telnet", "tftp", "ws", "wss", "unix", "socks5", "javascript",
    ],
)  # fmt: skip
def test_no_other_scheme_is_spoken_even_to_an_allowed_address(scheme: str) -> None:
    with listening() as untouched:
        outcome = outcome_of(f"{scheme}://127.0.0.1:{untouched.port}/x")
        assert (outcome.wire, untouched.touched) == (Wire.FAILED, [])


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 201])
@pytest.mark.parametrize(
    "place", ["http://127.0.0.2:{}/", "//127.0.0.2:{}/", "gopher://127.0.0.2:{}/", "http://2130706434:{}"]
)
def test_no_answer_leads_elsewhere(receive: Receive, status: int, place: str) -> None:
    with listening(FORBIDDEN) as untouched:
        there = place.format(untouched.port)
        receiver = receive(answering(status, Location=there, Refresh=f"0; url={there}", Content_Location=there))
        outcome = outcome_of(receiver.url, allow_networks=ONLY_ALLOWED)
        assert (outcome.status_code, untouched.touched, len(receiver.requests)) == (status, [], 1)


@pytest.mark.parametrize("service", ["http/1.1", "h2", "h3", "h2c"])
def test_an_alternative_service_moves_nothing(receive: Receive, authority: Any, service: str) -> None:
    with listening(ALLOWED, FORBIDDEN) as untouched:
        places = f'{service}="{FORBIDDEN}:{untouched.port}"; ma=99, {service}=":{untouched.port}"; ma=99'
        receiver = receive(answering(204, Alt_Svc=places, Connection="close"), tls=authority.server(ALLOWED))
        with sender({"erp": target(receiver.url, ca=authority.file)}) as sending:
            for _ in range(3):
                sending.begin([due()])
                all_finished(sending)
        assert (untouched.touched, len(receiver.requests)) == ([], 3)


PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.mark.parametrize("kind", ["http", "https", "socks4", "socks4a", "socks5", "socks5h"])
def test_no_proxy_of_the_environment_is_asked(
    receive: Receive, authority: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    plain, encrypted = receive(answering(204)), receive(answering(204), tls=authority.server(ALLOWED))
    with listening() as untouched:
        for name in PROXIES:
            monkeypatch.setenv(name, f"{kind}://127.0.0.1:{untouched.port}")
        monkeypatch.setenv("no_proxy", "")
        statuses = [outcome_of(each.url, ca=authority.file).status_code for each in (plain, encrypted)]
        blocked = outcome_of(plain.url, allow_networks=()).wire
        assert (statuses, blocked, untouched.touched) == ([204, 204], Wire.BLOCKED, [])


def test_no_proxy_in_the_environment_opens_no_way_around_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    with listening() as untouched:
        outcome = outcome_of(f"http://127.0.0.1:{untouched.port}/", allow_networks=())
        assert (outcome.wire, untouched.touched) == (Wire.BLOCKED, [])


def test_a_kept_connection_serves_no_endpoint_that_may_not_open_it(receive: Receive, authority: Any) -> None:
    bodies: list[bytes] = []
    server = authority.server(ALLOWED)
    server.set_alpn_protocols(["h2"])
    receiver = receive(answering(500), tls=server, instead=http2(bodies))
    inside = target(receiver.url, ca=authority.file)
    outside = target(receiver.url, ca=authority.file, allow_networks=())
    with sender({"inside": inside, "outside": outside}) as sending:
        for name in ("inside", "outside", "inside"):
            sending.begin([due(name, name.encode())])
            all_finished(sending)
    assert (bodies, receiver.connections) == ([b"inside", b"inside"], 1)


def test_an_endpoint_that_was_narrowed_keeps_no_connection_from_before(receive: Receive) -> None:
    receiver = receive(answering(204))
    targets = {"erp": target(receiver.url)}
    wires = []
    with sender(targets) as sending:
        for networks in (targets["erp"].allow_networks, ()):
            targets["erp"] = target(receiver.url, allow_networks=networks)
            sending.begin([due()])
            wires += [outcome.wire for _, outcome in all_finished(sending)]
    assert (wires, len(receiver.requests)) == ([Wire.ANSWERED, Wire.BLOCKED], 1)


def test_each_endpoint_shows_its_own_certificate_at_one_and_the_same_receiver(receive: Receive, authority: Any) -> None:
    server = authority.server(ALLOWED)
    server.verify_mode = 2
    server.load_verify_locations(authority.file)
    names: list[str] = []

    def tell(visit: Any) -> bool:
        try:
            shown = visit.socket.getpeercert()
        except AttributeError:  # what Python says of a socket that was shut down meanwhile
            return False
        names.append(dict(pair[0] for pair in shown["subject"]).get("commonName", "") or shown["subjectAltName"][0][1])
        return answering(204)(visit)

    receiver = receive(tell, tls=server)
    erp, crm = authority.issue("erp.example"), authority.issue("crm.example")
    targets = {
        name: target(receiver.url, ca=authority.file, client_certificate=certificate)
        for name, certificate in (("erp", erp), ("crm", crm), ("none", None))
    }
    wires = []
    with sender(targets) as sending:
        for name in ("erp", "crm", "none", "erp", "crm"):
            sending.begin([due(name)])
            wires += [outcome.wire for _, outcome in all_finished(sending)]
    assert names == ["erp.example", "crm.example", "erp.example", "crm.example"]
    assert (wires.count(Wire.ANSWERED), wires[2] is Wire.ANSWERED) == (4, False)


def test_an_authority_that_one_endpoint_trusts_is_trusted_by_no_other(receive: Receive, authority: Any) -> None:
    receiver = receive(answering(204), tls=authority.server(ALLOWED))
    targets = {"trusting": target(receiver.url, ca=authority.file), "usual": target(receiver.url)}
    wires = []
    with sender(targets) as sending:
        for name in ("trusting", "usual"):
            sending.begin([due(name)])
            wires += [outcome.wire for _, outcome in all_finished(sending)]
    assert (wires, len(receiver.requests)) == ([Wire.ANSWERED, Wire.BAD_CERTIFICATE], 1)
