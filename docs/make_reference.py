"""Write ``docs/reference/command-line.md`` from the commands: ``make docs``."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import typer

from fewlabel.cli import app, failures
from fewlabel.cli.choices import choices_of

PAGE = Path(__file__).parent / "reference" / "command-line.md"
START = """# The command line

<!-- Written by `make docs` from the commands themselves: change those, not this page. -->

`fewlabel COMMAND --help` prints the same. Results go to stdout, everything else to stderr; with
`--json`, stdout holds nothing but JSON. Progress bars appear on a terminal after two seconds;
elsewhere a line on stderr says every five seconds how far it is.
"""
_NOT_RUN = "<!-- not run: other pages run such commands; here options are checked -->"
EXIT_CODES = """
## Exit codes

{table}

A mistake is one line `error: …` that names what is wrong and the next step. A warning is one line
`warning: …` and does not change the exit code.

## Environment

| variable | meaning |
|---|---|
| `FEWLABEL_DATA` | folder with the benchmark data sets, looked into first |
| `FEWLABEL_CACHE` | where `fewlabel data get` puts what it fetches |
| `OMP_NUM_THREADS` | threads; unset: one for each core that this process may use, at most 16 |
| `FEWLABEL_MATMUL` | type of matrix products, `float32` or `bfloat16`; unset: what suits the CPU |
"""


def commands() -> dict[str, Any]:
    """Return every command by its full name, groups opened.

    Returns
    -------
    dict of str to command
        Such as ``"fewlabel data list"``.
    """
    found = {}

    def walk(name: str, command: Any) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[name] = command
            return
        for child_name, child in children.items():
            walk(f"{name} {child_name}", child)

    walk("fewlabel", typer.main.get_command(app))
    return found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        flag = "" if parameter.is_flag else f" {parameter.metavar}"
        names = (*parameter.opts, *parameter.secondary_opts)
        name = ", ".join(f"`{option}{flag}`" for option in names)
    default = parameter.default
    if parameter.required:
        shown = "required"
    elif default is None or default is False:
        shown = ""
    elif default is True:
        shown = f"`{parameter.opts[0]}`"
    else:
        shown = f"`{default}`"
    return f"| {_cell(name)} | {_cell(parameter.help or '')} | {shown} |"


def _section(name: str, command: Any) -> str:
    text = inspect.cleandoc(command.help)
    body, _, examples = text.partition("\b\nExamples:\n")
    lines = [f"## {name}", "", body.strip(), ""]
    lines += ["| parameter | meaning | default |", "|---|---|---|"]
    lines += [_parameter(p) for p in command.params if p.name != "help"]
    for choices in choices_of(command):
        lines += ["", f"| {choices.metavar} | |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(summary)} |" for name, summary in choices.rows()]
    if examples:
        lines += ["", _NOT_RUN, "```sh", inspect.cleandoc("\n" + examples), "```"]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the text of the page.

    Returns
    -------
    str
        Markdown.
    """
    table = "\n".join(line for line in failures.__doc__.splitlines() if line.startswith("|"))
    sections = [_section(name, command) for name, command in commands().items()]
    return "\n".join([START, *sections]) + EXIT_CODES.replace("{table}", table.replace("``", "`"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
