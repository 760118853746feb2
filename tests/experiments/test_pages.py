"""The studies' pages say what stands in ``ours.csv``, and nothing else."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from fewlabel_experiments import registry

ROOT = Path(__file__).parents[2]
STUDIES = list(registry.STUDIES)


MAKER = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "make_studies.py")))


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_holds_what_was_measured_and_shows_every_figure(name, tmp_path):
    text = MAKER.page_of(name).read_text(encoding="utf-8")
    assert text.count(MAKER.BEGIN) == text.count(MAKER.END) == 1
    assert MAKER.renewed(text, MAKER.measured(name)) == text, "run `make docs` and commit the page"
    shown = re.findall(r"\(\.\./images/([\w.-]+)\)", text)
    drawn = MAKER.draw(name, tmp_path)
    names = [path.name for path in drawn]
    assert sorted([*names, *registry.find_study(name).pictures]) == sorted(shown)
    first = [path.read_bytes() for path in drawn]
    assert [path.read_bytes() for path in MAKER.draw(name, tmp_path)] == first
    index = (ROOT / "docs" / "studies" / "README.md").read_text(encoding="utf-8")
    assert f"({name}.md)" in index
