"""Several labels an image: the digit-and-letter data, its preprocessing and augmentation."""

from __future__ import annotations

from fewlabel.multilabel.augment import CHARACTERS, PUBLISHED, CopyPolicy, changed_copies
from fewlabel.multilabel.combo import Combo, ComboSplit, make_combo
from fewlabel.multilabel.combo_files import targets_to_texts, write_combo
from fewlabel.multilabel.combo_settings import ComboLayout, ComboNoise, ComboSettings
from fewlabel.multilabel.competition import CompetitionData, load_competition, write_submission
from fewlabel.multilabel.figure import steps_figure
from fewlabel.multilabel.glyphs import LABELS, SPLITS, Glyphs, load_glyphs
from fewlabel.multilabel.preprocess import Preprocessed, PreprocessSettings, preprocess_images

__all__ = [
    "CHARACTERS",
    "LABELS",
    "PUBLISHED",
    "SPLITS",
    "Combo",
    "ComboLayout",
    "ComboNoise",
    "ComboSettings",
    "ComboSplit",
    "CompetitionData",
    "CopyPolicy",
    "Glyphs",
    "PreprocessSettings",
    "Preprocessed",
    "changed_copies",
    "load_competition",
    "load_glyphs",
    "make_combo",
    "preprocess_images",
    "steps_figure",
    "targets_to_texts",
    "write_combo",
    "write_submission",
]
