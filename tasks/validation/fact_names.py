"""What a person calls a measured fact of an item."""

FACT_NAMES = {
    "width": "width", "height": "height", "mode": "colour mode", "bytes": "size in bytes", "suffix": "file extension",
    "brightness": "brightness", "rate": "sampling rate", "channels": "number of channels", "seconds": "length in seconds",
    "samples": "number of samples", "clipped": "share of clipped samples", "level": "loudness",
    "characters": "number of characters", "words": "number of words", "nul": "number of NUL characters",
    "cut": "cut at the largest length", "length": "number of steps", "missing": "share of missing values",
    "minimum": "smallest value", "maximum": "largest value", "items": "number of items", "repeated": "number of repeated items",
    "mended": "number of repaired names",
}  # fmt: skip
