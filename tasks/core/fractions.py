"""A share as a person reads it, and how sure an interval is where nobody says."""

#: Coverage of intervals: the default of `evaluate.confidence`. Here, as no stage reads `config` when it runs.
CONFIDENCE = 0.95


def percent(share: float) -> str:
    """0.98123 -> "98.1 %", 0.00193 -> "0.19 %"; never "100.0 %" for less than all, nor "0.0 %" for some."""
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    if 0 < share < 0.00005:
        return "under 0.01 %"
    if 0.99995 <= share < 1:
        return "over 99.99 %"
    return f"{share * 100:.{2 if share < 0.01 or share >= 0.9995 else 1}f} %"
