"""The command line: ``fewlabel COMMAND``. It parses, calls the pipeline and prints; no logic."""

from fewlabel.cli.commands import app, main

__all__ = ["app", "main"]
