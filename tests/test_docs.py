"""The pages agree with the program: links, commands, help, and the bare install."""

from __future__ import annotations

import importlib.util
import re
import resource
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fewlabel
from fewlabel.cli.choices import choices_of
from fewlabel.cluster.strategies import strategy_names
from fewlabel.evaluate import candidate_names
from fewlabel.extras import EXTRA_OF
from tests.interpreter import run_code

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
HEAVY = ("torch", "sklearn", "scipy", "numpy", "PIL", "pyarrow", "matplotlib", "jinja2")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _script(name: str) -> ModuleType:
    # As where a script is run: it finds the others beside it.
    if str(ROOT / "docs") not in sys.path:
        sys.path.append(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMMANDS: dict[str, Any] = _script("make_reference").commands()


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def _shell_commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks that call fewlabel."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = "\n".join(body for kind, body in blocks if kind in ("sh", "bash"))
    return [
        line.split("#")[0].strip()
        for line in lines.replace("\\\n", " ").splitlines()
        if re.match(r"\s*(FEWLABEL_\w+=\S+ )?fewlabel ", line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    for line in _shell_commands(page):
        words = [w for w in shlex.split(line) if not w.startswith("FEWLABEL_")]
        name = next((n for n in sorted(COMMANDS, key=len)[::-1] if line_starts(words, n)), None)
        assert name or words[1].startswith("-"), f"{line}: no such command"
        if name is None:
            continue
        # In resilient mode nothing is run, but unknown options and wrong choices are found.
        arguments = words[len(name.split()) :]
        COMMANDS[name].make_context(name, arguments, help_option_names=["-h", "--help"])


def line_starts(words: list[str], name: str) -> bool:
    return words[: len(name.split())] == name.split()


def test_the_targets_that_the_pages_name_exist() -> None:
    code = re.compile(r"^```\w*\n.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
    found = "\n".join(c for page in PAGES for c in code.findall(page.read_text(encoding="utf-8")))
    named = set(re.findall(r"(?<!data )\bmake ([a-z]+)\b(?=[^a-z])", found))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named
    assert named <= set(targets)


def test_the_extras_that_the_pages_name_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = {
        extra
        for extras_of in re.findall(r"pip install '?(?:\.|fewlabel)\[([\w,]+)\]", found)
        for extra in extras_of.split(",")
    }
    assert named
    assert named <= set(extras["optional-dependencies"])


def test_the_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert written == _script("make_reference").page(), "run `make docs` and commit the page"


def test_figures_of_methods_are_those_of_the_records() -> None:
    script = _script("make_methods")
    pages = script.pages()
    assert len(pages) > 15
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text == script.renewed(text), f"{page.name}: run `make docs` and commit the page"


def test_each_method_and_each_public_name_has_its_page() -> None:
    methods = {page.stem for page in (ROOT / "docs" / "methods").glob("*.md")}
    assert {*candidate_names(), *strategy_names()} <= methods
    api = _anchors(ROOT / "docs" / "reference" / "api.md")
    assert {name.lower() for name in fewlabel.__all__ if not name.startswith("_")} <= api


def test_the_site_is_built_strictly_and_asks_no_other_server(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra `docs`")
    pytest.importorskip("mkdocstrings", reason="needs the extra `docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES) - 2
    loaded = re.compile(r"<(?:script|img|iframe|source)[^>]* src=[\"']?https?:|<link[^>]*https?:")
    assert [page.name for page in pages if loaded.search(page.read_text("utf-8"))] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = COMMANDS[name]
    summary, _, rest = command.help.partition("\n")
    assert summary.endswith("."), "the first line is the summary of the list of commands"
    assert not command.get_short_help_str(63).endswith("..."), "the list would cut it off"
    assert "Examples:\n" in rest
    assert f"{name} " in rest or f"{name}\n" in rest, "an example calls the command"
    undescribed = [p.name for p in command.params if p.name != "help" and not p.help]
    assert not undescribed


def test_every_command_stands_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if name not in text] == []


HELP_OF_ALL = """
import sys
for name in {missing!r}:
    sys.modules[name] = None  # an import of it fails
from typer.testing import CliRunner
from fewlabel.cli import app
from fewlabel.cli.choices import choices_of
for words in {commands!r}:
    if words and words[0] in {listing!r}:
        # Their help lists methods, so those are imported: none may need an optional package.
        loaded = [name for name in {heavy!r} if sys.modules.get(name) is not None]
        assert not loaded, loaded
    result = CliRunner().invoke(app, [*words, "--help"], prog_name="fewlabel")
    assert result.exit_code == 0, (words, result.output)
"""


def test_help_of_the_bare_install_imports_nothing_heavy() -> None:
    names = sorted(COMMANDS, key=lambda name: bool(choices_of(COMMANDS[name])))
    listing = [name.split()[1] for name in names if choices_of(COMMANDS[name])][:1]
    commands = [[], *(name.split()[1:] for name in names)]
    code = HELP_OF_ALL.format(
        missing=list(EXTRA_OF), commands=commands, listing=listing, heavy=HEAVY
    )
    result = run_code(code)
    assert result.returncode == 0, result.stderr


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_quick() -> None:
    # Processor time, the best of three: other work on the machine must not fail the test.
    seconds = []
    for _ in range(3):
        start = _seconds_of_children()
        result = run_code(
            "import sys; sys.argv = ['fewlabel', '--help']; from fewlabel.cli import main; main()"
        )
        seconds.append(_seconds_of_children() - start)
        assert result.returncode == 0
    assert min(seconds) < 0.5
