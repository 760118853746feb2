"""``python -m fewlabel``: the command line without its script on the path."""

from __future__ import annotations

from fewlabel.cli import main

# A bench run starts in a fresh process, which imports this module again.
if __name__ == "__main__":
    main()
