"""The `deepmine` command. Everything heavy is imported where it is used, so that `--help` answers at once."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Deep features from your own data, mined, evaluated and explained.",
)  # fmt: skip
Names = Annotated[list[str] | None, typer.Argument(metavar="[DATASET]...", help="Names from params.yaml; none: all.")]


@app.command()
def run(
    datasets: Names = None,
    force: Annotated[bool, typer.Option(help="Run every stage again, changed or not.")] = False,
    server: Annotated[
        bool, typer.Option("--server/--no-server", help="Record the run in Prefect; a server is started if none is up.")
    ] = True,
) -> None:
    """Bring datasets up to date: run the stages that changed, record them in Prefect, version them with DVC."""
    from flows import run as runs

    raise typer.Exit(runs.run(list(datasets or []), force, server))


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Your name for it: lower-case letters, digits, '-' and '_'.")],
    path: Annotated[
        str,
        typer.Argument(
            help="A folder of images, recordings or texts, a table (CSV, TSV, Parquet, JSON Lines), or baskets one a line."
        ),
    ],
    label: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
    split: Annotated[str | None, typer.Option(help="Column that holds train, val or test.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows stay together (patient, speaker).")] = None,
    id: Annotated[
        str | None, typer.Option(help="Column that names the rows, or the series or basket that each belongs to.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column that orders the rows.")] = None,
    items: Annotated[
        str | None, typer.Option(help="Column that holds an item of a basket; the rows of one --id form a basket.")
    ] = None,
    root: Annotated[str | None, typer.Option(help="Folder that a table's paths are relative to.")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Regular expression with groups that say what the names of files mean.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Start from an entry of tasks/config/recipes.yaml.")] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="The data has no label.")] = False,
) -> None:
    """Inspect a folder or table, describe it, and add an entry to params.yaml."""
    from flows import add as adding

    options = {"label": label, "split": split, "group": group, "id": id, "time": time, "root": root, "pattern": pattern}
    adding.add(name, path, {k: v for k, v in options.items() if v}, recipe, unlabelled, items or "")


@app.command()
def plan(datasets: Names = None) -> None:
    """Show what would run and why, without running it."""
    from flows import look

    raise typer.Exit(look.show_plan(list(datasets or [])))


@app.command()
def status(datasets: Names = None) -> None:
    """Show what is up to date, stale and quarantined."""
    from flows import look

    raise typer.Exit(look.show_status(list(datasets or [])))


@app.command()
def like(
    dataset: Annotated[str, typer.Argument(help="A name from params.yaml.")],
    row: Annotated[str, typer.Argument(metavar="ROW_ID", help="The id of one of its rows.")],
    top: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 8,
) -> None:
    """Show the nearest neighbours of one row, by deep features."""
    from flows import like as liking

    liking.like(dataset, row, top)


@app.command()
def server() -> None:
    """Start the project's Prefect server if it is not up, and print what a shell needs to reach it: eval "$(deepmine server)"."""
    from flows import server as servers

    found = servers.obtain(lambda line: print(line, file=sys.stderr))
    print(servers.exports(found))


@app.command()
def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Remove damaged files; the next run recreates them.")] = False,
) -> None:
    """Check the installation, DVC's locks and cache, and every file that deepmine wrote against its hash."""
    from flows import doctor as doctors

    raise typer.Exit(doctors.doctor(mend))


@app.command()
def stop() -> None:
    """End the Prefect server that `deepmine run` started."""
    from flows import server

    print("stopped the Prefect server" if server.stop() else "no Prefect server of this project is running")


@app.command()
def check(datasets: Names = None) -> None:
    """Check entries of params.yaml; prints nothing if they are valid. Runs before each plan."""
    from flows import project
    from tasks.core.errors import DeepmineError

    # dvc.yaml names the DVC stage, `plan@NAME`
    _, wrong = project.pick([name.partition("plan@")[2] or name for name in datasets or []])
    if wrong:
        raise DeepmineError("\n".join(wrong.values()))


@app.command()
def stage(
    name: Annotated[str, typer.Argument(metavar="STAGE", help="plan, ingest, validate, ... report")],
    dataset: Annotated[str, typer.Argument(help="A name from params.yaml.")],
) -> None:
    """Run one stage of one dataset, as dvc.yaml does. By hand, use `deepmine run` instead."""
    from flows import project, stages
    from tasks.config.loader import check_name
    from tasks.core.errors import DeepmineError, nearest

    if name not in project.STAGES:
        raise DeepmineError(f"no stage '{name}'.{nearest(name, project.STAGES)}")
    stages.run_stage(name, check_name(dataset, "command line"))


def main() -> None:
    """Entry point: whatever goes wrong ends in plain words and exit code 1, not in a traceback."""
    # Prefect puts a flow's folder first on sys.path; the project's own root is what we want there
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).parent]
    try:
        if not {"--help", "-h"} & set(sys.argv) and len(sys.argv) > 1:
            from flows.project import find_root

            os.environ["DEEPMINE_FROM"] = os.getcwd()
            os.chdir(find_root())
        from tasks.core.faults import machine_faults

        with machine_faults("deepmine"):
            app()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the last one who can say it in words)
        sys.exit(show_error(error))


def show_error(error: BaseException) -> int:
    """Say what went wrong in plain words on standard error; the exit code."""
    from tasks.core.printable import visible_lines

    if isinstance(error, KeyboardInterrupt):
        print("deepmine: stopped", file=sys.stderr)
        return 130
    from flows.redact import redact
    from tasks.core.errors import DeepmineError

    if isinstance(error, DeepmineError):
        text = redact(str(error))
    else:
        from flows.crash import crash_line

        text = crash_line(error)
    for line in visible_lines(text):
        print(f"deepmine: error: {line}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
