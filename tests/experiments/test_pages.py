"""The studies' pages say what stands in ``ours.csv``, and nothing else."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fewlabel_experiments import protocol, registry

ROOT = Path(__file__).parents[2]
STUDIES = list(registry.STUDIES)


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "make_studies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER: Any = _maker()


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_holds_what_was_measured(name: str) -> None:
    text = MAKER.page_of(name).read_text(encoding="utf-8")
    assert text.count(MAKER.BEGIN) == text.count(MAKER.END) == 1
    assert MAKER.renewed(text, MAKER.measured(name)) == text, "run `make docs` and commit the page"


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_shows_every_figure(name: str, tmp_path: Path) -> None:
    shown = re.findall(r"\(\.\./images/([\w.-]+)\)", MAKER.page_of(name).read_text("utf-8"))
    drawn = [path.name for path in MAKER.draw(name, tmp_path)]
    pictures = registry.find_study(name).pictures
    assert sorted([*drawn, *pictures]) == sorted(shown)


def test_every_model_of_study_b_stands_in_the_table_of_names() -> None:
    study = registry.find_study("clusters-b")
    rows = study.rows(study.config(protocol.Settings()))
    text = MAKER.page_of("clusters-b").read_text(encoding="utf-8").split("## Saved models")[1]
    named = set(re.findall(r"`([\w-]+)-seedS`", text))
    for row in rows:
        general = re.sub(r"-(500|1000|2000)-", "-N-", row.id)
        in_a_span = re.match(r"(lr|network)-2000-nearest|default-", row.id)
        assert {row.id, general} & named or in_a_span, row.id


def test_the_page_of_studies_names_them_all() -> None:
    text = (ROOT / "docs" / "studies" / "README.md").read_text(encoding="utf-8")
    assert [name for name in STUDIES if f"({name}.md)" not in text] == []
