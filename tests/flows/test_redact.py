"""Passwords do not leave: not in addresses, queries, headers, nor where they stand alone."""

import pytest

from flows.redact import redact, redact_address
from flows.server import login_url, run_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pw@host:4200/api", "http://***@host:4200/api"),
        ("no server at https://me:p@w@host/api.", "no server at https://***@host/api."),
        ("postgresql+asyncpg://u:s3cret@db/prefect", "postgresql+asyncpg://***@db/prefect"),
        ("ssh://u:a/b#c@host/path", "ssh://***@host/path"),
        ("two: http://a:b@x/1, http://c:d@y/2", "two: http://***@x/1, http://***@y/2"),
        ("'s3://key:secret@bucket' is gone", "'s3://***@bucket' is gone"),
        ("https://token@host/x", "https://***@host/x"),
        ("https://host/x?X-Amz-Signature=abc&n=1", "https://host/x?X-Amz-Signature=***&n=1"),
        ("https://host/x?user=a&password=b c", "https://host/x?user=a&password=*** c"),
        ("Authorization: Basic ZGVlcG1pbmU6eA==", "Authorization: Basic ***"),
        # nothing to hide
        ("http://host:4200/a@2x.png", "http://host:4200/a@2x.png"),
        ("train@mnist, me@example.org, 3:4@5", "train@mnist, me@example.org, 3:4@5"),
        ("class0/bearer 12.png", "class0/bearer 12.png"),
        ("http://host/x?page=1", "http://host/x?page=1"),
    ],
)
def test_what_is_masked_and_what_is_left(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


def test_a_known_secret_is_masked_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "deepmine:abcdef")
    assert redact("headers={'x': 'deepmine:abcdef'}") == "headers={'x': '***'}"
    assert redact("401: 'abcdef' is not known") == "401: '***' is not known"


def test_an_address_without_a_scheme() -> None:
    assert redact_address("me:pw@host:4200/api") == "***@host:4200/api"


def test_the_link_to_a_run_has_no_password() -> None:
    assert run_url("http://me:pw@host:4200/api/", "1") == "http://host:4200/runs/flow-run/1"
    assert login_url("http://host:4200/runs/flow-run/1") == "http://host:4200/login?redirect=/runs/flow-run/1"
