"""A digest of a table's rows that is equal for equal rows in any order, in whole columns at a time."""

import hashlib
import json
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Words of 64 bits in the hash of a row.
LANES = 4
#: Rows that are hashed at a time.
ROWS = 2048
#: Items longer than this count by their sha256, so that one long item does not widen all.
LONG = 1024
#: The length of what is not there, and where the mixing starts, as it leaves zero alone.
NULL, START = np.uint64(2**32 - 1), np.uint64(0x9E3779B97F4A7C15)


def row_digests(table: pa.Table) -> int:
    """Sum over the rows of a 256-bit hash of the row, modulo 2^256, so that digests of parts add up.

    It tells tables apart that differ by chance or by a fault; against a forger stands the sha256 of each file. A row's
    hash is the multilinear one (Carter and Wegman 1979; keys by Philox, so that they are the same everywhere) of its
    bytes and lengths, mixed as in splitmix64, as sums of what is linear would not see two rows exchange a value.
    """
    # in parts that stay in a core's cache: of 65,536 rows of text as a whole ten times slower, and a gigabyte
    return sum(_digests(table.slice(i, ROWS)) for i in range(0, table.num_rows, ROWS)) % 2**256


def _digests(table: pa.Table) -> int:
    lanes = np.full((table.num_rows, LANES), START, np.uint64)
    for name in sorted(table.column_names):
        words = _words(table.column(name).combine_chunks())
        lanes += words @ _keys(name, words.shape[1])
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        lanes = (lanes ^ (lanes >> np.uint64(shift))) * np.uint64(factor)
    lanes ^= lanes >> np.uint64(31)
    # in two halves, as a sum of whole words would overflow
    high, low = (lanes >> np.uint64(32)).sum(0), (lanes & np.uint64(0xFFFFFFFF)).sum(0)
    sums = [(int(h) << 32) + int(v) for h, v in zip(high, low, strict=True)]
    return sum(value << 64 * lane for lane, value in enumerate(sums)) % 2**256


@cache
def _keys(name: str, words: int) -> np.ndarray:
    """(words, LANES) odd uint64 of a column; fewer words have the first of the same keys."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])
    return np.random.Philox(key=seed).random_raw(words * LANES).reshape(words, LANES) | np.uint64(1)


def _words(column: pa.Array) -> np.ndarray:
    """(N, words) uint64: the length of each item (`NULL` for none) and its bytes, zeros after them."""
    count = len(column)
    if pa.types.is_fixed_size_list(column.type) and _of_numbers(column.type) and not column.null_count:
        data = _numbers(column.flatten()).view(np.uint8).reshape(count, -1)
        lengths = np.full(count, data.shape[1], np.uint64)
    elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_timestamp(column.type):
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        # "unsafe": unsigned numbers may be larger than 64 signed bits, and keep theirs
        whole = column.cast(pa.float64() if pa.types.is_floating(column.type) else pa.int64(), safe=False)
        data = whole.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint8).reshape(count, -1)
        lengths = np.where(valid, np.uint64(data.shape[1]), NULL)
    else:
        column = _as_bytes(column)
        sizes = pc.fill_null(pc.binary_length(column), 0).to_numpy()
        lengths = np.where(column.is_valid().to_numpy(zero_copy_only=False), sizes.astype(np.uint64), NULL)
        data = _padded(column, sizes)
    data = np.pad(data, ((0, 0), (0, -data.shape[1] % 8)))
    return np.concatenate([lengths[:, None], data.view(np.uint64)], axis=1)


def _as_bytes(column: pa.Array) -> pa.Array:
    """A column of text or bytes that are equal where the items of ``column`` are, whatever these are."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return column
    if pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.binary())
    if (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)) and _of_numbers(kind):
        return _list_bytes(column)
    if pa.types.is_nested(kind):
        items = (None if item is None else json.dumps(item, default=str) for item in column.to_pylist())
        return pa.array(items, pa.string())
    return column.cast(pa.string())


def _of_numbers(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)


def _numbers(values: pa.Array) -> np.ndarray:
    """Numbers inside lists, whose bytes say all of them; what is missing is NaN, or the number at the far end."""
    if pa.types.is_integer(values.type):
        ends = np.iinfo(values.type.to_pandas_dtype())
        values = values.fill_null(ends.min or ends.max)
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False))


def _list_bytes(column: pa.Array) -> pa.Array:
    """Lists of numbers as the bytes of these."""
    lists = column.cast(pa.list_(column.type.value_type))
    values = _numbers(lists.values)
    offsets = (lists.offsets.to_numpy() * values.itemsize).astype(np.int32)
    valid = lists.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False)
    bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), len(lists), [bits, pa.py_buffer(offsets), pa.py_buffer(values)])


def _padded(column: pa.Array, sizes: np.ndarray) -> np.ndarray:
    """(N, longest) uint8 of a column of text or bytes, zeros where an item has ended; of long items their sha256."""
    if sizes.max(initial=0) > LONG:
        items = (item or b"" for item in column.cast(pa.binary()).to_pylist())
        short = [item if len(item) <= LONG else hashlib.sha256(item).digest() for item in items]
        values, sizes = b"".join(short), np.fromiter(map(len, short), np.int64, len(short))
        starts = np.cumsum(sizes) - sizes
    else:
        _, offsets, values = column.buffers()
        starts = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column)]
        if sizes.min(initial=LONG) == sizes.max(initial=0) > 0:  # all equally long, none absent: as they lie there
            return np.frombuffer(values, np.uint8)[starts[0] :][: sizes.sum()].reshape(len(column), -1)
    source = np.append(np.frombuffer(values or b"", np.uint8), np.uint8(0))  # the last stands for "has ended"
    places = np.arange(sizes.max(initial=0))
    return source[np.where(places < sizes[:, None], starts[:, None] + places, len(source) - 1)]
