"""The formats of tables, by the suffix of their names."""

from pathlib import Path

#: suffix -> the function that opens a table of this format: (path, `ReadOptions`) -> `TableFile`
READERS = {
    ".csv": "tasks.sources.delimited:open_delimited",
    ".tsv": "tasks.sources.delimited:open_delimited",
    ".tab": "tasks.sources.delimited:open_delimited",
    ".txt": "tasks.sources.delimited:open_delimited",
    ".parquet": "tasks.sources.parquet:open_parquet",
    ".pq": "tasks.sources.parquet:open_parquet",
    ".jsonl": "tasks.sources.json_lines:open_lines",
    ".ndjson": "tasks.sources.json_lines:open_lines",
    ".json": "tasks.sources.json_lines:open_lines",
}
#: suffix of a compressed file -> its codec, as Arrow calls it. What is below it says the format: `rows.csv.gz`.
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


def format_of(path: Path) -> str:
    """The suffix that says what a table is, without that of its compression.

    >>> format_of(Path("rows.CSV.gz"))
    '.csv'
    """
    return (path.with_suffix("") if path.suffix.lower() in CODECS else path).suffix.lower()


def is_delimited(path: Path) -> bool:
    """Whether the name says that the file is text in lines."""
    return READERS.get(format_of(path), "").endswith(":open_delimited")
