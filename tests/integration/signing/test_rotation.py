"""Rotation over real sockets, by receivers with libraries of their own, through a clock that is turned by hand."""

import base64
from collections.abc import Sequence
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from tests.integration.signing.house import MINUTE, Yard, verifies, verifies_by_public_key
from tests.integration.webhooks.receivers import Request
from worker.errors import ConfigurationError
from worker.webhooks import signature
from worker.wiring import House

OVERLAP = 3 * MINUTE  # libraries refuse what is five minutes off


def receiver_verifies(request: Request, known: Sequence[str]) -> bool:
    """A receiver that knows these secrets, and takes a message that one of them verifies."""
    return any(verifies(request, secret) for secret in known)


def test_whatever_a_receiver_knows_it_verifies_throughout_the_overlap(yard: Yard) -> None:
    worker, operator = yard.house(), yard.house()
    [old] = worker.signing.secrets("erp")
    yard.sent_by(worker)
    until = operator.signing.rotate("erp", OVERLAP)
    new, *rest = operator.signing.secrets("erp")
    assert (rest, until) == ([old], yard.clock() + OVERLAP)
    yard.clock.turn(seconds=2)
    while yard.clock() < until:
        request = yard.sent_by(worker)
        assert [receiver_verifies(request, known) for known in ([old], [new], [old, new], [new, old])] == [True] * 4
        yard.clock.turn(seconds=min(30, max(1, (until - yard.clock()).total_seconds() - 1)))


def test_after_the_overlap_the_old_secret_signs_nothing(yard: Yard) -> None:
    worker = yard.house()
    [old] = worker.signing.secrets("erp")
    yard.sent_by(worker)
    worker.signing.rotate("erp", OVERLAP)
    yard.clock.turn(seconds=2)
    new, _ = worker.signing.secrets("erp")
    assert len(yard.sent_by(worker).headers["webhook-signature"].split(" ")) == 2
    yard.clock.turn(seconds=OVERLAP.total_seconds() - 2)
    request = yard.sent_by(worker)
    assert (verifies(request, old), verifies(request, new)) == (False, True)
    assert worker.signing.secrets("erp") == (new,)


def test_a_running_process_signs_with_the_new_secret_within_two_seconds(yard: Yard) -> None:
    worker, operator = yard.house(), yard.house()
    yard.sent_by(worker)
    operator.signing.rotate("erp", OVERLAP)
    new, old = operator.signing.secrets("erp")
    yard.clock.turn(seconds=2)
    request = yard.sent_by(worker)
    assert (verifies(request, new), verifies(request, old)) == (True, True)


def test_without_an_overlap_the_old_secret_signs_nothing_two_seconds_later(yard: Yard) -> None:
    worker, operator = yard.house(), yard.house()
    [leaked] = worker.signing.secrets("erp")
    yard.sent_by(worker)
    operator.signing.rotate("erp", timedelta())
    yard.clock.turn(seconds=2)
    assert not verifies(yard.sent_by(worker), leaked)


def test_a_clock_that_is_set_back_does_not_keep_the_old_secrets(yard: Yard) -> None:
    worker = yard.house()
    yard.sent_by(worker)
    yard.clock.turn(seconds=-120)
    worker.signing.rotate("erp", OVERLAP)
    new, _ = worker.signing.secrets("erp")
    assert verifies(yard.sent_by(worker), new)


def test_a_connection_is_kept_where_the_secrets_stay(yard: Yard) -> None:
    worker = yard.house()
    for _ in range(4):
        yard.sent_by(worker)
        yard.clock.turn(seconds=3)
    assert yard.receiver.connections == 1


def test_public_keys_are_rotated_alike(yard: Yard) -> None:
    yard.write(signing="ed25519")
    worker, operator = yard.house(), yard.house()
    [old] = map(signature.for_receiver, worker.signing.secrets("erp"))
    assert verifies_by_public_key(yard.sent_by(worker), old)
    until = operator.signing.rotate("erp", OVERLAP)
    new, _ = map(signature.for_receiver, operator.signing.secrets("erp"))
    yard.clock.turn(seconds=2)
    request = yard.sent_by(worker)
    assert [verifies_by_public_key(request, key) for key in (old, new)] == [True, True]
    yard.clock.turn(seconds=(until - yard.clock()).total_seconds())
    request = yard.sent_by(worker)
    assert [verifies_by_public_key(request, key) for key in (old, new)] == [False, True]


def test_a_private_key_is_made_once_and_does_not_stand_in_the_database(yard: Yard) -> None:
    yard.write(signing="ed25519")
    [text] = yard.house().signing.secrets("erp")
    assert yard.house().signing.secrets("erp") == (text,)
    stored = b"".join(path.read_bytes() for path in yard.folder.glob("tocsin.db*"))
    written = text.removeprefix("whsk_")
    assert (written.encode() in stored, base64.b64decode(written) in stored) == (False, False)


def test_another_kind_of_signing_has_its_own_key_and_the_first_comes_back(yard: Yard) -> None:
    [shared] = yard.house().signing.secrets("erp")
    yard.write(signing="ed25519")
    [private] = yard.house().signing.secrets("erp")
    yard.write()
    assert (private[:5], yard.house().signing.secrets("erp")) == ("whsk_", (shared,))


def test_a_configured_private_key_signs(yard: Yard) -> None:
    text = signature.new_key("ed25519")
    yard.write(signing="ed25519", secret=text)
    assert verifies_by_public_key(yard.sent_by(yard.house()), signature.for_receiver(text))


def test_several_configured_secrets_all_sign_the_newest_first(yard: Yard) -> None:
    new, old = signature.new_secret(), signature.new_secret()
    yard.write(secret=[new, old])
    worker = yard.house()
    request = yard.sent_by(worker)
    assert (worker.signing.secrets("erp"), verifies(request, new), verifies(request, old)) == ((new, old), True, True)


def test_a_configured_secret_is_rotated_where_it_stands(yard: Yard) -> None:
    yard.write(secret=signature.new_secret())
    how = "put the new one before it, secret = [new, old], and take the old one away after the overlap"
    expected = f"endpoints.erp.secret: stands in the configuration; to rotate it, {how}"
    with pytest.raises(ConfigurationError) as refused:
        yard.house().signing.rotate("erp", OVERLAP)
    assert refused.value.problems == (expected,)


def other_key(yard: Yard, *keys: str) -> House:
    """A process that was given other keys than those before."""
    yard.environ["TOCSIN_KEY"] = ",".join(keys)
    return yard.house()


def test_a_secret_that_this_process_cannot_open_leaves_the_old_one_signing(yard: Yard) -> None:
    """Another process was given a new key first: messages go out, and the log says what to mend."""
    key, new_key = (Fernet.generate_key().decode() for _ in range(2))
    worker = other_key(yard, key)
    [old] = worker.signing.secrets("erp")
    yard.sent_by(worker)
    other_key(yard, new_key, key).signing.rotate("erp", OVERLAP)
    yard.clock.turn(seconds=2)
    assert verifies(yard.sent_by(worker), old)
    yard.clock.turn(seconds=OVERLAP.total_seconds())
    assert verifies(yard.sent_by(worker), old)


def test_a_process_without_the_right_key_says_so_at_its_start(yard: Yard) -> None:
    yard.house()
    stranger = other_key(yard, Fernet.generate_key().decode())
    expected = "key: the stored secret of endpoint erp was sealed with another key; add that key too"
    for asked in (stranger.signing.require, lambda: stranger.signing.secrets("erp")):
        with pytest.raises(ConfigurationError) as refused:
            asked()
        assert refused.value.problems == (expected,)
