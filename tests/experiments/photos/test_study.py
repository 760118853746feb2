"""The study of photos: its settings, curves and pictures."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fewlabel.errors import UsageError
from fewlabel.semisupervised import PseudoLabelLedger
from fewlabel_experiments import registry, summary
from fewlabel_experiments.photos import curves, pictures, session
from fewlabel_experiments.protocol import Settings
from tests.experiments.photos.test_food11 import write

STUDY = registry.find_study("photos")
ROWS = STUDY.rows(STUDY.config(Settings()))


def test_food_11_is_counted_without_its_evaluation_and_compared(photo_folder):
    config = STUDY.config(Settings(data=str(photo_folder)))
    assert STUDY.is_comparable(Settings(data=str(photo_folder)))
    assert {s.published for s in summary.read_ours(STUDY, ROWS)} == {None}
    assert config["n_images"] == 44
    assert {row.n_labeled for row in STUDY.rows(config)} == {2}
    images = session.load_photos(str(photo_folder))
    # For a quick run the most frequent classes are taken.
    few = session.chosen_photos(images, {"n_classes": 1, "per_class": 5})
    assert len(few) == 5
    assert set(few.truth) == {"Bread"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("digits", "digits is a benchmark of another kind: give --data the folder of Food-11"),
        ("no-such", "no-such is no folder: give --data the folder of Food-11"),
        ("food11/validation", r"holds 4 photos .* the study needs at least 40"),
    ],
)
def test_other_data_are_refused(photo_folder, monkeypatch, data, message):
    monkeypatch.chdir(photo_folder.parent)
    with pytest.raises(UsageError, match=message):
        STUDY.config(Settings(data=data))


def _model(n_rounds):
    """Self-training that accepted all photos but 2, then took back photo 2."""
    ledger = PseudoLabelLedger()
    if n_rounds:
        ledger.enter(1, np.arange(2, 8), np.array([0, 0, 1, 1, 1, 0]), np.linspace(0.9, 0.5, 6))
        ledger.enter(2, np.arange(3, 8), np.array([0, 1, 1, 1, 0]), np.linspace(0.9, 0.5, 5))
    return SimpleNamespace(
        ledger=ledger,
        classes=np.array([3, 5]),
        records=[SimpleNamespace(round=number) for number in range(n_rounds + 1)],
        n_unlabeled=6,
    )


TRUTH = np.array([3, 5, 5, 3, 5, 5, 5, 5])


def test_rounds_give_what_was_accepted_and_how_much_of_it_is_right():
    points = {(p.measure, p.step): p.value for p in curves.rounds(_model(2), TRUTH)}
    assert (points[("share", 1)], points[("share", 2)]) == (1.0, pytest.approx(5 / 6))
    assert points[("precision", 1)] == pytest.approx(4 / 6)
    assert points[("precision", 2)] == pytest.approx(4 / 5)


def test_curves_of_all_seeds_are_gathered_and_averaged(tmp_path):
    assert curves.gather(tmp_path) is None
    for seed, loss in ((0, 2.0), (1, 4.0)):
        text = curves.to_csv("scratch", seed, curves.epochs([{"loss": loss}, {"loss": 1.0}]))
        (tmp_path / f"training-scratch-seed{seed}.csv").write_bytes(text)
    file = curves.gather(tmp_path)
    assert curves.gather(tmp_path) == file
    assert curves.read_means(file, "loss") == {"scratch": [(1.0, 3.0), (2.0, 1.0)]}


@pytest.mark.parametrize("n_rounds", [0, 2])
def test_the_gallery_is_a_small_jpeg(n_rounds):
    photos = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    fake = SimpleNamespace(photos=photos, y=TRUTH, classes=tuple("ABC$_$EF"))
    content = pictures.accepted(fake, _model(n_rounds))
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.width) == ("JPEG", 1000)
    assert (picture.height > 300) == bool(n_rounds)


@pytest.fixture
def photo_folder(tmp_path):
    """44 photos of two classes in Food-11's layout, and two that are not to be read."""
    names = [f"training/{k % 2}_{k}.jpg" for k in range(40)]
    names += [f"validation/0_{k}.jpg" for k in range(4)]
    write(tmp_path / "food11", *names, "evaluation/0_0.jpg", "evaluation/1_0.jpg")
    return tmp_path / "food11"
