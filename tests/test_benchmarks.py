"""The benchmark room works: its smallest benchmarks, at sizes that say nothing of speed."""

from tests.benchmarks.files import decode, store
from tests.benchmarks.measure import Result, table
from tests.benchmarks.networks import extraction, training


def lines(results: list[Result]) -> list[str]:
    """Names of results that are sound: a rate, a ratio, a place in the table."""
    assert all(r.ours > 0 and r.reference and r.ratio and r.low <= r.ratio <= r.high for r in results)  # type: ignore[operator]
    text = table(results)
    assert len(text.splitlines()) == len(results) + 2
    assert all(r.name in text for r in results)
    return [r.name for r in results]


def test_files() -> None:
    assert lines(decode(small=12, large=4, repeats=1)) == ["ingest, JPEG 32 x 32", "ingest, JPEG 256 x 256"]
    assert lines(store(rows=64, width=8, repeats=2)) == ["store, write", "store, read"]


def test_networks() -> None:
    assert lines(training("cpu", rows=64, repeats=1)) == ["training", "training, operations"]
    names = [f"extraction, {net}, {what}" for net in ("vgg", "cnn") for what in ("deep", "everything", "forward")]
    assert lines(extraction("cpu", rows=160, repeats=1)) == names
