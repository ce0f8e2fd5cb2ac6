import pytest

from worker.interest import Interest, Topic, objection, unwanted

TOPIC = Topic("notification.created", "books", "TransferDomain", "new")


@pytest.mark.parametrize(
    ("interest", "topic", "filtered_by"),
    [
        (Interest("erp"), TOPIC, None),
        (Interest("erp"), Topic("source.failing", "books"), "types"),
        (Interest("erp", types=("source.*", "*.created")), TOPIC, None),
        (Interest("erp", types=()), TOPIC, "types"),
        (Interest("erp", sources=("books", "mail")), TOPIC, None),
        (Interest("erp", sources=("mail",)), TOPIC, "sources"),
        (Interest("erp", ("tocsin.*",), sources=("mail",)), Topic("tocsin.test"), None),
        (Interest("erp", kinds=("Renew*", "Transfer*")), TOPIC, None),
        (Interest("erp", kinds=("transfer*",)), TOPIC, "kinds"),
        (Interest("erp", kinds=("[A-S]*",)), TOPIC, "kinds"),
        (Interest("erp", kinds=("Transfer?omain",)), TOPIC, None),
        (Interest("erp", kinds=("*",)), Topic("notification.created"), None),
        (Interest("erp", kinds=("?*",)), Topic("notification.created"), "kinds"),
        (Interest("erp", statuses=("new", "resolved")), TOPIC, None),
        (Interest("erp", statuses=("resolved",)), TOPIC, "statuses"),
        (Interest("erp", ("source.*",), ("mail",), ("x",), ("read",)), TOPIC, "types"),
        (Interest("erp", ("source.*",), ("books",), ("x",), ("read",)), Topic("source.failing", "books"), None),
        (Interest("erp", ("source.*",), ("mail",)), Topic("source.failing", "books"), "sources"),
    ],
)
def test_a_message_is_wanted_when_every_filter_lets_it_pass(
    interest: Interest, topic: Topic, filtered_by: str | None
) -> None:
    assert unwanted(interest, topic) == filtered_by


@pytest.mark.parametrize(
    ("interest", "kind", "words"),
    [
        (Interest("erp"), "RenewDomain", None),
        (
            Interest("erp", kinds=("Transfer*", "é")),
            "RenewDomain",
            'kinds = ["Transfer*", "é"] doesn\'t match "RenewDomain"',
        ),
        (Interest("erp", kinds=("?*",)), None, 'kinds = ["?*"] doesn\'t match a message without a kind'),
        (Interest("erp", sources=("mail",)), "x", 'sources = ["mail"] doesn\'t match "books"'),
    ],
)
def test_an_objection_names_the_filter_as_it_is_written(
    interest: Interest, kind: str | None, words: str | None
) -> None:
    assert objection(interest, Topic("notification.created", "books", kind, "new")) == words
