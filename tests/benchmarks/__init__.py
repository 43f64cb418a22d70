"""The benchmark room: `python -m tests.benchmarks` (see `__main__.py`). Scripts, not tests.

Every figure compares us with something plain on the same machine in the same run, turn by turn, so that a machine
that is busy or throttled slows both down.
"""
