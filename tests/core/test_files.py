"""JSON that carries its own hash: nothing that was changed is read, whatever was changed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import Damaged, DeepmineError
from tasks.core.files import encode, read_json, write_json

VALUE: dict[str, Any] = {"b": [1, 2.5, None, True], "a": {"ü": "text", "x": [{"y": 1}]}, "empty": {}, "none": []}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    for value in (VALUE, {}, {"one": 1}):
        write_json(path, value)
        assert read_json(path) == value
        known = json.loads(path.read_bytes())  # plain JSON for anybody else
        assert {k: v for k, v in known.items() if k != "sha256"} == value
    assert encode({"x": 1, "y": 2}, "a") == encode({"y": 2, "x": 1}, "a")
    write_json(path, {"gap": float("nan"), "more": [float("inf"), (1.0, float("-inf"))]})
    assert read_json(path) == {"gap": None, "more": [None, [1.0, None]]}
    with pytest.raises(ValueError, match="taken"):
        write_json(path, {"sha256": "mine"})


def test_every_flipped_bit_and_every_cut_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    sound = encode(VALUE, "a.json")
    damaged = [sound[:n] for n in range(len(sound))]
    for place in range(len(sound)):
        broken = bytearray(sound)
        broken[place] ^= 1 << (place * 5 % 8)
        damaged.append(bytes(broken))
    damaged += [b"\0" * len(sound), sound + b" ", sound + sound, b" " + sound, sound.replace(b"\n", b"\r\n")]
    damaged += [encode(VALUE, "b.json")]  # a sound file in the place of another
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(Damaged, match=r"a\.json: damaged: .*deepmine doctor --mend"):
            read_json(path)
    path.write_bytes(sound)
    assert read_json(path) == VALUE


def forged(body: bytes) -> bytes:
    """A file whose hash is right, made up by somebody."""
    return b'{\n "sha256": ["%s"]' % hashlib.sha256(b"a.json\n" + body).hexdigest().encode() + body


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b'{"a": 1}', b'{"sha256": "x"}', "{\"a\": \"ü\"}".encode("latin-1"),
        forged(b""), forged(b',\n "a": NaN\n}\n'), forged(b',\n "a": Infinity\n}\n'), forged(b',\n "a": 1, "a": 2\n}\n'),
        forged(b',\n "sha256": 1\n}\n'), forged(b',\n "a": "\xff"\n}\n'), forged(b"} {}"),
        forged(b',\n "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"\n}\n"),
        forged(b',\n "a": ' + b'{"b": ' * 100_000 + b"1" + b"}" * 100_000 + b"\n}\n"),
    ],
)  # fmt: skip
def test_what_deepmine_never_wrote_is_refused_in_words(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(Damaged, match=r"a\.json: damaged"):
        read_json(tmp_path / "a.json")


def test_a_file_that_is_not_there_or_none(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"a\.json: not there.*deepmine run"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DeepmineError, match="cannot be read"):
        read_json(tmp_path)


def test_text_that_no_other_reader_would_take(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    value = {"".join(map(chr, rng.integers(1, 0xD7FF, 20))): "".join(map(chr, rng.integers(0, 0xD7FF, 200)))}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
