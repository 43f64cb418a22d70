"""A real project in a temporary folder: the repository's own files over 240 small generated images."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from ruamel.yaml import YAML

from flows.rest import Server

ROOT = Path(__file__).parents[2]
#: Small enough that a whole run takes as long as its processes take to start.
SMALL = {
    "ingest": {"shard_rows": 32},
    "train": {"epochs": 4, "batch": 32, "encoders": {"image": {"name": "vgg", "channels": [8, 16]}}},
    "extract": {"components": 16, "batch": 32},
    "report": {"map_points": 60},
}


def make_images(folder: Path, classes: int = 3, each: int = 80, side: int = 12, seed: int = 0) -> Path:
    """Class folders of images that a network can tell apart: a bright bar at a place of each class's own."""
    rng = np.random.default_rng(seed)
    for c in range(classes):
        (folder / f"class{c}").mkdir(parents=True)
        for i in range(each):
            pixels = rng.integers(0, 120, (side, side, 3), dtype=np.uint8)
            pixels[:, c * side // classes : c * side // classes + 2] += 100
            Image.fromarray(pixels).save(folder / f"class{c}" / f"{i:03d}.png")
    return folder


def free_port() -> int:
    """A port that nothing listens on, so that no server of this machine is mistaken for the test's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(server: Server, path: str, body: dict[str, Any]) -> Any:
    """What the server answers to a POST with its password and the token that it asks for."""
    token = server.call("/csrf-token?client=test")["token"]
    return server.call(path, body, {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"})


class Project:
    """A clone's folder, and commands run in it as a person would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[subprocess.Popen[str]] = []
        bin_folder = str(Path(sys.executable).parent)
        hidden = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT", "DEEPMINE"))}
        self.env = {
            **hidden, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(path),
            "DVC_NO_ANALYTICS": "1", "PREFECT_SERVER_API_PORT": str(free_port()), 
            "PREFECT_HOME": str(path / ".prefect-home"), "NO_COLOR": "1", "COLUMNS": "160",
        }  # fmt: skip

    def run(self, *command: str, code: int | None = 0, timeout: int = 600) -> str:
        """Output of a command; fails with it when the exit code is another than ``code`` (None: any)."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        text = done.stdout + done.stderr
        assert code is None or done.returncode == code, text
        return text

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A command in the background, its output at `output.txt`."""
        with (self.path / "output.txt").open("w") as out:
            child = subprocess.Popen(
                command, cwd=self.path, env=self.env, stdout=out, stderr=out, text=True, stdin=subprocess.DEVNULL
            )
        self.started.append(child)
        return child

    def server(self) -> Server:
        """The Prefect server that a command started."""
        records = self.path / "data/records"
        note = json.loads((records / "server.json").read_text())
        return Server(note["api"], (records / "server.auth").read_text().strip())

    def end(self) -> None:
        """Kill what a failed test left behind."""
        for child in self.started:
            if child.poll() is None:
                child.kill()
                child.wait()

    def edit(self, change: Callable[[dict], None]) -> None:
        """Change params.yaml as data."""
        yaml = YAML()
        yaml.preserve_quotes = True  # DVC's reader of YAML needs some that this one does not
        data = yaml.load(self.path / "params.yaml")
        change(data)
        yaml.dump(data, self.path / "params.yaml")

    def results(self) -> dict[str, bytes]:
        """Every file that sameness is defined over: manifests, states, models, metrics."""
        kept = ("_manifest.json", "_state.json", "metrics.json", "evaluation.json", "history.json")
        files = [p for p in (self.path / "data").rglob("*") if p.is_file() and "scratch" not in p.parts]
        return {
            str(p.relative_to(self.path)): p.read_bytes()
            for p in files
            if p.name in kept or p.suffix in (".skops", ".safetensors", ".parquet")
            if "plan" not in p.parts  # holds file times
        }


def copy_code(path: Path) -> None:
    """What a clone holds, less what the temporary project does not need."""
    for name in ("flows", "tasks"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", "prefect.yaml", "pyproject.toml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, path / name)
    (path / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", path / ".dvc" / "config")
    shutil.copy(ROOT / ".dvc" / ".gitignore", path / ".dvc" / ".gitignore")
    (path / "data").mkdir()
    shutil.copy(ROOT / "data" / ".gitignore", path / "data" / ".gitignore")


def new_project(path: Path, images: Path) -> Project:
    """A fresh project whose one dataset is ``images``."""
    path.mkdir(parents=True)
    copy_code(path)
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    project = Project(path)

    def small(data: dict) -> None:
        data["datasets"] = {"small": {"source": str(images), **SMALL}}

    project.edit(small)
    return project


def shared(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one of the test processes makes, and all read."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    place = base / name
    with FileLock(base / f"{name}.lock"):
        if not (place / "made").is_file():
            shutil.rmtree(place, ignore_errors=True)  # of a process that failed at it
            place.mkdir()
            make(place)
            (place / "made").touch()
    return place


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 images in 3 class folders, one of them unreadable, one a copy."""

    def make(place: Path) -> None:
        folder = make_images(place / "images")
        (folder / "class0" / "broken.png").write_bytes(b"no image at all")
        shutil.copy(folder / "class1" / "000.png", folder / "class1" / "copy.png")

    return shared(tmp_path_factory, "source", make) / "images"


@pytest.fixture
def project(tmp_path: Path, images: Path) -> Iterator[Project]:
    """A project that has not run yet."""
    made = new_project(tmp_path / "project", images)
    yield made
    made.end()


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Project:
    """A project that bare `dvc repro` has brought up to date. Tests copy it (see `finished`)."""

    def make(place: Path) -> None:
        new_project(place / "project", images).run("dvc", "repro", timeout=900)

    return Project(shared(tmp_path_factory, "reproduced", make) / "project")


@pytest.fixture
def finished(tmp_path: Path, reproduced: Project) -> Iterator[Project]:
    """A copy of the finished project, to change."""
    made = copied(reproduced, tmp_path / "project")
    yield made
    made.end()


def copied(project: Project, to: Path) -> Project:
    """A copy of a project with all that it holds."""
    shutil.copytree(project.path, to, symlinks=True)
    return Project(to)


class Stranger(BaseHTTPRequestHandler):
    """A server that says yes to everything, is none of Prefect's, and keeps the passwords that it is told."""

    body = b"true"
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(str(self.headers.get("Authorization")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def listening(stranger: type[Stranger]) -> Iterator[int]:
    """The port on loopback on which ``stranger`` answers."""
    server = HTTPServer(("127.0.0.1", 0), stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
