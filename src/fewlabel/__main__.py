"""``python -m fewlabel``: the command line without its script on the path."""

from fewlabel.cli import main

# A bench run starts in a fresh process, which imports this module again.
if __name__ == "__main__":
    main()
