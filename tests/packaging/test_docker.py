"""The Dockerfile and compose.yaml, without a daemon: linted, and in agreement with the commands."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest
import yaml

from fewlabel.cli import app
from tests.packaging.venvs import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "fewlabel"}


def check(program, *words):
    """Run a linter that was installed beside this Python."""
    found = shutil.which(program, path=Path(sys.executable).parent) or shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: `make` installs it where its wheel exists")
    result = subprocess.run([found, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_dockerfile_passes_hadolint():
    check("hadolint", "Dockerfile")


def test_the_compose_file_is_one():
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


@pytest.mark.parametrize("name", OURS)
def test_a_service_calls_a_command_that_exists(name):
    import typer

    command, *words = OURS[name]["command"]
    words = [re.sub(r"\$\{\w+:[-?](.*)\}", r"\1", word) for word in words]
    # In resilient mode nothing is run, but unknown options and wrong values are found.
    group = typer.main.get_command(app)
    group.commands[command].make_context(command, words)
    assert OURS[name]["read_only"]
    assert OURS[name]["user"] != "root"


@pytest.mark.parametrize(("status", "code"), [(200, 0), (401, 0), (503, 1)])
def test_the_health_check_tells_a_server_that_answers(status, code):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/healthz" else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    words = json.loads(re.search(r"^    CMD (\[\"python\".+\])$", DOCKERFILE, re.MULTILINE)[1])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        env = os.environ | {"FEWLABEL_PORT": str(server.server_port)}
        result = subprocess.run([sys.executable, *words[1:]], env=env, check=False)
        server.shutdown()
    assert result.returncode == code


def test_the_image_installs_what_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"^ARG EXTRAS=(\S+)", DOCKERFILE, re.MULTILINE)[1].split(",")
    assert {*extras} <= {*project["optional-dependencies"]}
    assert {"web", "postgres", "photos"} <= {*extras}
    python = re.search(r"^ARG PYTHON=(\d+\.\d+)\.\d+-slim", DOCKERFILE, re.MULTILINE)[1]
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]


def test_what_is_built_is_what_is_sent():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for line in copied for name in line.split()} == sent
    assert all((ROOT / name).exists() for name in sent)
