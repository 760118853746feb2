"""The study of photos: its settings and pictures, and ``--quick`` on Grocery and on Food-11."""

import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fewlabel.errors import UsageError
from fewlabel.semisupervised import PseudoLabelLedger
from fewlabel_experiments import registry, runner, summary
from fewlabel_experiments.photos import curves, pictures, session
from fewlabel_experiments.protocol import Settings
from tests.experiments.examples import summaries

STUDY = registry.find_study("photos")
ROWS = STUDY.rows(STUDY.config(Settings()))

DATA = os.environ.get("FEWLABEL_DATA")
CONFIG = STUDY.config(Settings(quick=True))


def test_five_per_cent_of_the_grocery_photos_are_labeled():
    assert {row.n_labeled for row in ROWS} == {271}
    assert [row.id for row in ROWS if row.published] == [
        "fine-tuned-random", "self-training-random",
    ]  # fmt: skip


def test_published_figures_stand_beside_food_11_alone(photo_folder):
    assert not STUDY.is_comparable(Settings())
    assert STUDY.is_comparable(Settings(data=str(photo_folder)))
    measured = summary.read_ours(STUDY, ROWS)
    assert {s.published for s in measured} == {None}


def test_a_folder_of_food_11_is_counted_without_its_evaluation(photo_folder):
    config = STUDY.config(Settings(data=str(photo_folder)))
    assert config["n_images"] == 44
    assert {row.n_labeled for row in STUDY.rows(config)} == {2}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("digits", "digits is a benchmark of another kind: give --data the folder of Food-11"),
        ("no-such", "no-such is no folder: give --data the folder of Food-11"),
    ],
)
def test_other_data_are_refused(data, message):
    with pytest.raises(UsageError, match=message):
        STUDY.config(Settings(data=data))


def test_too_few_photos_are_refused(photo_folder):
    with pytest.raises(UsageError, match=r"holds 4 photos .* the study needs at least 40"):
        STUDY.config(Settings(data=str(photo_folder / "validation")))


def test_the_most_frequent_classes_are_taken_for_a_quick_run(photo_folder):
    images = session.load_photos(str(photo_folder))
    few = session.chosen_photos(images, {"n_classes": 1, "per_class": 5})
    assert len(few) == 5
    assert set(few.truth) == {"Bread"}


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


def test_rounds_say_what_was_accepted_and_how_much_of_it_is_right():
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
    assert curves.read_means(file, "loss") == {"scratch": [(1.0, 3.0), (2.0, 1.0)]}
    assert curves.gather(tmp_path) == file
    assert curves.read_means(file, "loss") == {"scratch": [(1.0, 3.0), (2.0, 1.0)]}
    measured = summaries(STUDY, {"scratch": {"accuracy": 8.0, "final_loss": 3.5}})
    first = [path.read_bytes() for path in STUDY.figures(measured, tmp_path)]
    assert [path.read_bytes() for path in STUDY.figures(measured, tmp_path)] == first


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
    rng = np.random.default_rng(0)
    folder = tmp_path / "food11"
    names = [f"training/{k % 2}_{k}.jpg" for k in range(40)]
    names += [f"validation/0_{k}.jpg" for k in range(4)]
    for name in [*names, "evaluation/0_0.jpg", "evaluation/1_0.jpg"]:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(file)
    return folder


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    if DATA is None or session.weights_file(CONFIG) is None:
        pytest.skip("FEWLABEL_DATA is not set, or no weights are in the folder models beside it")
    out = tmp_path_factory.mktemp("photos") / "run"
    return runner.run_study(STUDY, Settings(quick=True), out)


# Twenty photos are held out: a photo is five points.
@pytest.mark.data
@pytest.mark.parametrize(
    ("row", "least", "most"),
    [
        ("scratch", 0, 55),
        ("probe", 40, 100),
        ("default-random", 30, 100),
        *[(f"{name}-random", 40, 100) for name in ("fine-tuned", "self-training")],
        *[
            (f"{name}-selected", 40, 100)
            for name in ("fine-tuned", "self-training", "default", "best")
        ],
    ],
)
def test_a_row_is_where_it_should_be(result, row, least, most):
    means = {s.row.id: s.mean for s in result.summaries}
    assert least <= means[row] <= most


@pytest.mark.data
def test_a_run_leaves_its_pictures_and_curves(result):
    names = {file.name for file in result.files}
    assert {"photos-rows.svg", "photos-curves.svg", *pictures.FILES} <= names
    assert all(file.is_file() for file in result.files)
    folder = result.files[0].parent
    assert curves.read_means(folder / "training.csv", "loss").keys() >= {"scratch"}
