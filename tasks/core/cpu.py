"""How many processor cores this process may use; asked in one place, as sums and their low bits depend on it."""

import os


def cores() -> int:
    """Cores that the scheduler grants (fewer than the machine's in a container or under taskset)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
