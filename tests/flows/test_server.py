"""The Prefect server that deepmine starts: who is refused, who is let in, and which server is used at all."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, PREFECT_SERVER_API_HOST, temporary_settings

from flows import server, serving
from flows.rest import Server
from flows.server import login_url, run_url
from tasks.core.errors import DeepmineError
from tasks.core.files import write_json
from tests.fixtures.browser import CHROMIUM, browser
from tests.flows.conftest import Project, Stranger, free_port, listening, new_project, post

#: What another site's page may try: with a body as JSON, which a browser asks leave for, and as plain text, which it
#: sends at once; to read, to make and to delete; with a token that it made up.
ATTACK = """
(async () => {
  const made = JSON.stringify({name: "evil"});
  const tries = [
    fetch(API + "/flows/", {method: "POST", headers: {"Content-Type": "application/json"}, body: made}),
    fetch(API + "/flows/", {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body: made}),
    fetch(API + "/flows/", {method: "POST", mode: "no-cors", credentials: "include", body: made}),
    fetch(API + "/flows/", {method: "POST", body: made, headers: {
      "Content-Type": "application/json", "Prefect-Csrf-Token": "x", "Prefect-Csrf-Client": "y"}}),
    fetch(API + "/flows/KEPT", {method: "DELETE"}),
    fetch(API + "/csrf-token?client=evil"),
    fetch(API + "/admin/settings"),
    fetch(API + "/health"),
  ];
  const ends = await Promise.allSettled(tries);
  return ends.map(e => e.status == "rejected" ? "refused" : e.value.type == "opaque" ? "unread" : "read");
})()
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[tuple[Project, Server]]:
    """A project that has not run, with its server."""
    project = new_project(tmp_path_factory.mktemp("served") / "project", images)
    project.run("deepmine", "server")
    yield project, project.server()
    project.run("deepmine", "stop")


def refusal(server: Server, path: str, body: dict | None = None, headers: dict | None = None) -> int:
    """The status with which the server refuses."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.call(path, body, headers)
    return caught.value.code


def test_nobody_is_let_in_without_password_and_token(served: tuple[Project, Server]) -> None:
    _, server = served
    stranger = Server(server.api)
    assert refusal(stranger, "/admin/version") == 401
    assert refusal(Server(server.api, "deepmine:guess"), "/admin/version") == 401
    assert refusal(stranger, "/csrf-token?client=x") == 401
    assert refusal(server, "/flows/", {"name": "evil"}) == 403
    assert server.call("/admin/version").startswith("3.")
    assert post(server, "/flows/filter", {}) == []


def test_other_origins_get_no_leave(served: tuple[Project, Server]) -> None:
    _, server = served
    asked = {"Origin": "http://127.0.0.1:1", "Access-Control-Request-Method": "POST"}
    for origin, allowed in (("http://127.0.0.1:1", None), (server.api.removesuffix("/api"), "own")):
        reply = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "-i", "-X", "OPTIONS", f"{server.api}/flows/",
             *(f"-H{k}: {v}" for k, v in (asked | {"Origin": origin}).items())],
            capture_output=True, text=True, check=True,
        ).stdout.lower()  # fmt: skip
        found = re.search(r"access-control-allow-origin: (\S+)", reply)
        assert (found and found[1]) == (origin if allowed else None)


def test_it_listens_on_loopback_only(served: tuple[Project, Server]) -> None:
    project, server = served
    pid = json.loads((project.path / "data/records/server.json").read_text())["pid"]
    port = int(server.api.split(":")[2].removesuffix("/api"))
    listening = {s.laddr for p in tree(pid) for s in p.net_connections("tcp") if s.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", port)}
    text = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[3] for line in text.splitlines()] == [f"127.0.0.1:{port}"]


def test_the_password_stands_in_its_file_alone(served: tuple[Project, Server]) -> None:
    project, server = served
    records = project.path / "data/records"
    secret = server.password.partition(":")[2]
    assert len(secret) >= 32
    for name in ("server.auth", "server.log", "prefect.db"):
        assert stat.S_IMODE((records / name).stat().st_mode) == 0o600, name
    assert [p.name for p in records.iterdir() if p.is_file() and secret.encode() in p.read_bytes()] == ["server.auth"]
    assert [p.pid for p in psutil.process_iter(["cmdline"]) if secret in " ".join(p.info["cmdline"] or [])] == []
    output = project.run("deepmine", "server")
    assert secret not in output
    # and the lines, read by a shell, hold it
    shell = (
        'eval "$(deepmine server)"; printf "%s %s %s" "$PREFECT_API_URL" "$PREFECT_API_AUTH_STRING" "$DEEPMINE_PROJECT"'
    )
    name = serving.project_name(project.path)
    assert project.run("sh", "-c", shell) == f"{server.api} {server.password} {name}"
    subprocess.run(["git", "add", "-A"], cwd=project.path, check=True)
    assert "records/server" not in project.run("git", "status", "--short")


@pytest.mark.slow
def test_a_copy_of_the_project_has_a_server_of_its_own(served: tuple[Project, Server], tmp_path: Path) -> None:
    """It has the first one's note and password with it, and uses and stops neither that server nor its port."""
    project, server = served
    shutil.copytree(project.path, tmp_path / "copy", ignore=shutil.ignore_patterns("prefect.db*", ".prefect-home"))
    copy = Project(tmp_path / "copy")
    copy.env["PREFECT_SERVER_API_PORT"] = project.env["PREFECT_SERVER_API_PORT"]
    assert "no Prefect server of ours" in copy.run("deepmine", "stop")
    copy.run("deepmine", "server")
    try:
        assert copy.server().api != server.api
        post(copy.server(), "/flows/", {"name": "of the copy"})
        assert post(server, "/flows/filter", {}) == []
    finally:
        copy.run("deepmine", "stop")
    assert server.call("/admin/version")


@pytest.fixture
def foreign() -> Iterator[int]:
    """The port of a stranger's server on loopback."""
    Stranger.seen.clear()
    with listening(Stranger) as port:
        yield port


def test_a_foreign_server_on_the_port_is_neither_used_nor_told_the_password(project: Project, foreign: int) -> None:
    project.env["PREFECT_SERVER_API_PORT"] = str(foreign)
    records = project.path / "data/records"
    records.mkdir(parents=True)
    (records / "server.auth").write_text("deepmine:known to this project")
    # as if a server of ours had ended and somebody else had taken its port, and its number
    note = {"api": f"http://127.0.0.1:{foreign}/api", "port": foreign, "pid": os.getpid(), "project": str(project.path)}
    write_json(records / "server.json", {**note, "created": psutil.Process().create_time() - 5})
    output = project.run("deepmine", "server")
    try:
        assert f":{foreign}/" not in output
        assert project.server().api != note["api"]
        assert Stranger.seen == []
    finally:
        project.run("deepmine", "stop")


@pytest.mark.parametrize("note", ["[]", "{", '{"api": 3, "pid": "x"}', "null"])
def test_a_note_that_is_none(project: Project, note: str) -> None:
    records = project.path / "data/records"
    records.mkdir(parents=True)
    (records / "server.json").write_text(note)
    assert "no Prefect server of this project is running" in project.run("deepmine", "stop")


def test_another_address_than_loopback_needs_a_password(project: Project) -> None:
    project.env["PREFECT_SERVER_API_HOST"] = "0.0.0.0"
    output = project.run("deepmine", "server", code=1)
    assert "PREFECT_SERVER_API_HOST=0.0.0.0 would open the Prefect server to other machines" in output
    with temporary_settings({PREFECT_SERVER_API_HOST: "0.0.0.0", PREFECT_SERVER_API_AUTH_STRING: "me:a word"}):
        assert serving.host() == "0.0.0.0"
    for name, own in (("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("evil", False)):
        assert serving.is_loopback(name) == own


def test_guards_go_before_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS", "*")
    monkeypatch.setenv("PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED", "false")
    made = serving.environment("127.0.0.1", 4444, "deepmine:x")
    assert {v for k, v in made.items() if "CORS_ALLOWED_ORIGINS" in k} == {"http://127.0.0.1:4444"}
    assert {v for k, v in made.items() if "CSRF_PROTECTION" in k} == {"true"}


def test_a_configured_server_that_is_down_or_refuses_has_its_password_masked(
    served: tuple[Project, Server], project: Project
) -> None:
    project.env["PREFECT_API_URL"] = f"http://me:hushhush@127.0.0.1:{free_port()}/api"
    output = project.run("deepmine", "run", code=1)
    assert "the configured Prefect server http://***@127.0.0.1:" in output
    assert "does not answer" in output
    assert "hushhush" not in output
    project.env["PREFECT_API_URL"] = served[1].api.replace("//", "//me:hushhush@")
    output = project.run("deepmine", "run", code=1)
    assert "refused the connection (401 Unauthorized)" in output
    assert "hushhush" not in output


@pytest.mark.parametrize("text", ["abc", "", "0", "70000", "42 00"])
def test_a_port_that_is_none(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "start", lambda: pytest.fail("one was started"))
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", text)
    with pytest.raises(DeepmineError, match=r"PREFECT_SERVER_API_PORT=.* is not a port"):
        server.obtain(print)


def test_a_server_that_cannot_be_noted_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def sleeping(command: list[str], **how: Any) -> Any:
        children.append(popen([sys.executable, "-c", "import time; time.sleep(60)"], **how))
        return children[0]

    def full(path: Path, value: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    popen = subprocess.Popen
    monkeypatch.chdir(tmp_path)
    Path(server.LOG).parent.mkdir(parents=True)
    monkeypatch.setattr(server.subprocess, "Popen", sleeping)
    monkeypatch.setattr(server, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        server.start()
    assert children[0].returncode is not None


def test_names_differ_from_clone_to_clone(tmp_path: Path) -> None:
    names = [serving.project_name(tmp_path / part / "My pets!") for part in ("a", "b")]
    assert all(re.fullmatch(r"my-pets-[0-9a-f]{8}", name) for name in names)
    assert names[0] != names[1]


@pytest.mark.slow
def test_two_clones_deploy_to_one_server_without_overwriting(
    served: tuple[Project, Server], images: Path, tmp_path: Path
) -> None:
    _, server = served
    deploy = 'eval "$(deepmine server)" && prefect work-pool create "$DEEPMINE_PROJECT" --type process && prefect deploy --all'
    made = []
    for part in ("one", "two"):
        clone = new_project(tmp_path / part / "pets", images)
        # without the name nothing is deployed
        clone.env |= {"PREFECT_API_URL": server.api, "PREFECT_API_AUTH_STRING": server.password}
        assert "does not exist" in clone.run("prefect", "deploy", "--all", code=1)
        clone.run("sh", "-c", deploy)
        made.append(f"nightly-{serving.project_name(clone.path)}")
    assert {d["name"] for d in post(server, "/deployments/filter", {})} == set(made)
    assert made[0] != made[1]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_page_of_another_site_can_do_nothing(served: tuple[Project, Server], tmp_path: Path, foreign: int) -> None:
    _, server = served
    kept = post(server, "/flows/", {"name": "kept"})["id"]
    before = post(server, "/flows/filter", {})
    with browser(tmp_path / "chromium") as page:
        page.open(f"http://127.0.0.1:{foreign}/")
        ends = page.run(ATTACK.replace("API", json.dumps(server.api)).replace("KEPT", kept))
    # `unread`: sent without asking leave, as any form of any page can, and refused by the server
    assert ends == ["refused", "unread", "unread", "refused", "refused", "refused", "refused", "refused"]
    assert post(server, "/flows/filter", {}) == before


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_person_opens_the_pages_with_the_line_of_the_file(
    served: tuple[Project, Server], tmp_path: Path, host: str
) -> None:
    _, server = served
    post(server, "/flows/", {"name": "shown-to-a-person"})
    with browser(tmp_path / "chromium") as page:
        flows = f"{server.api.removesuffix('/api').replace('127.0.0.1', host)}/flows"
        page.open(flows)
        page.wait("document.querySelector('input[type=password]')")
        page.run("document.querySelector('input').focus()")
        page.type("deepmine:wrong")
        page.wait("document.body.innerText.includes('Authentication failed')")
        page.run("document.querySelector('input').focus(), document.querySelector('input').select()")
        page.type(server.password)
        page.wait("!location.href.includes('/login') && !document.querySelector('input[type=password]')")
        page.open(flows)  # anew: what was refused before may still stand there
        page.wait("document.body.innerText.includes('shown-to-a-person')")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_link_that_a_run_prints_leads_a_newcomer_to_it(served: tuple[Project, Server], tmp_path: Path) -> None:
    """Without a login the page of a run itself is told to be "not found"."""
    _, server = served
    flow = post(server, "/flows/", {"name": "linked"})["id"]
    run = post(server, "/flow_runs/", {"flow_id": flow, "name": "the-run-of-the-link"})["id"]
    with browser(tmp_path / "chromium") as page:
        page.open(login_url(run_url(server.api, run)))
        page.wait("document.querySelector('input[type=password]')")
        page.run("document.querySelector('input').focus()")
        page.type(server.password)
        page.wait("document.body.innerText.includes('the-run-of-the-link')")


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def test_a_free_port_is_on_this_machine() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serving.free_port("127.0.0.1", port) != port
    with pytest.raises(DeepmineError, match="not an address of this machine"):
        serving.free_port("203.0.113.7", 4200)
