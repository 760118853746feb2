"""The studies' pages say what stands in ``ours.csv``, and nothing else."""

import importlib.util
import re
from pathlib import Path

import pytest

from fewlabel_experiments import registry

ROOT = Path(__file__).parents[2]
STUDIES = list(registry.STUDIES)


def _maker():
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "make_studies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_holds_what_was_measured_and_shows_every_figure(name, tmp_path):
    text = MAKER.page_of(name).read_text(encoding="utf-8")
    assert text.count(MAKER.BEGIN) == text.count(MAKER.END) == 1
    assert MAKER.renewed(text, MAKER.measured(name)) == text, "run `make docs` and commit the page"
    shown = re.findall(r"\(\.\./images/([\w.-]+)\)", text)
    drawn = [path.name for path in MAKER.draw(name, tmp_path)]
    assert sorted([*drawn, *registry.find_study(name).pictures]) == sorted(shown)


def test_the_page_of_studies_names_them_all():
    text = (ROOT / "docs" / "studies" / "README.md").read_text(encoding="utf-8")
    assert [name for name in STUDIES if f"({name}.md)" not in text] == []
