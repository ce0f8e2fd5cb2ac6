"""What a Prometheus would read."""

from collections.abc import Mapping
from http.client import HTTPConnection

from prometheus_client.parser import text_string_to_metric_families

Samples = Mapping[tuple[str, ...], float]


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values, in the labels' order."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(port: int, path: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, str, str]:
    """Status, content type and body of one request."""
    connection = HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type") or "", answer.read().decode()
    finally:
        connection.close()


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """All samples."""
    status, _, text = get(port, "/metrics")
    assert status == 200
    return samples(text)
