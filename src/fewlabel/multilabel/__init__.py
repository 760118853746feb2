"""Several labels an image: the digit-and-letter data, its preprocessing and augmentation."""

from __future__ import annotations

from fewlabel.multilabel.combo import Combo, ComboSplit, make_combo
from fewlabel.multilabel.combo_files import targets_to_texts, write_combo
from fewlabel.multilabel.combo_settings import ComboLayout, ComboNoise, ComboSettings
from fewlabel.multilabel.competition import CompetitionData, load_competition, write_submission
from fewlabel.multilabel.glyphs import LABELS, SPLITS, Glyphs, load_glyphs

__all__ = [
    "LABELS",
    "SPLITS",
    "Combo",
    "ComboLayout",
    "ComboNoise",
    "ComboSettings",
    "ComboSplit",
    "CompetitionData",
    "Glyphs",
    "load_competition",
    "load_glyphs",
    "make_combo",
    "targets_to_texts",
    "write_combo",
    "write_submission",
]
