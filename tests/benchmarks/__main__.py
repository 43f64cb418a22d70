"""`python -m tests.benchmarks`: measure, print a table, write the figures as JSON.

With `--device cuda` those that use a GPU; they need torch, scikit-learn, pandas, pyarrow, pillow and safetensors.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.benchmarks.measure import Result, machine, table


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", choices=("training", "extraction", "decode", "store", "runs"), help="one of them")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go")
    given = parser.parse_args()
    facts = machine(given.device)
    print(f"{facts['gpu'] or facts['cpu']}, {facts['cores']} cores, load {facts['load_before']:.1f}, {facts['date']}")
    results: list[Result] = []
    for name, run in chosen(given.device).items():
        if given.only in (None, name):
            print(f"{name} ...", flush=True)
            results += run()
    print("\n" + table(results))
    given.json.write_text(json.dumps({**facts, "results": [asdict(r) for r in results]}, indent=1) + "\n")


def chosen(device: str) -> dict[str, Callable[[], list[Result]]]:
    """The benchmarks of a device; imported here, as not every machine has what all of them need."""
    from tests.benchmarks.networks import extraction, training

    found = {"training": partial(training, device), "extraction": partial(extraction, device)}
    if device == "cpu":
        from tests.benchmarks.files import decode, store
        from tests.benchmarks.runs import runs

        found |= {"decode": decode, "store": store, "runs": runs}
    return found


if __name__ == "__main__":
    main()
