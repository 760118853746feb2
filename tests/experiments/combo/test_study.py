"""The study of two characters: its rows, images and pictures."""

from functools import partial

import numpy as np
import pytest

from fewlabel.data import MultiLabel
from fewlabel.errors import DataError, UsageError
from fewlabel_experiments import registry
from fewlabel_experiments.combo import learners, measured, pictures, recipes, session
from fewlabel_experiments.combo.generator import make_combo
from fewlabel_experiments.combo.glyphs import LABELS
from fewlabel_experiments.protocol import Settings

STUDY = registry.find_study("combo")
CONFIG = STUDY.config(Settings())


def _truth(*texts):
    return np.array([[int(label in text) for label in LABELS] for text in texts])


@pytest.fixture
def printed(monkeypatch, glyphs):
    """Printed characters in place of handwriting."""
    monkeypatch.setattr(session, "make_combo", partial(make_combo, glyphs=glyphs))


def test_rows_follow_from_the_sizes_and_the_passes_of_resnet_50():
    config = STUDY.config(Settings(own={"n_labeled": 800, "n_test": 50}))
    assert (config["n_labeled"], config["n_test"], config["few"]) == (800, 50, 0)
    assert not [row.id for row in STUDY.rows(config) if row.id.startswith("few")]
    networks = CONFIG["networks"]
    for passes in (0, 10):
        given = networks | {"resnet50": networks["resnet50"] | {"passes": passes}}
        ids = [row.id for row in STUDY.rows(CONFIG | {"networks": given})]
        assert ("resnet50" in ids) == bool(passes)
    for n_labeled, asked, run in ((9_999, [], 0), (10_000, [], 3), (800, ["whole-alone"], 1)):
        config = CONFIG | {"n_labeled": n_labeled, "rows": asked}
        assert sum(row.id.startswith("whole") for row in STUDY.rows(config)) == run
    some = STUDY.config(Settings(own={"rows": ["best", "cnn"]}))
    assert [row.id for row in STUDY.rows(some)] == ["cnn", "best"]
    with pytest.raises(UsageError, match=r"--rows are some of cnn, residual, .* Got 'cmn' instead"):
        STUDY.rows(some | {"rows": ["cmn"]})
    assert STUDY.config(Settings(own={"letters": "chars74k"}))["letters"] == "chars74k"
    with pytest.raises(UsageError, match=r"study photos are as many .* leave out --labeled"):
        registry.find_study("photos").config(Settings(own={"n_test": 50}))


def test_each_character_counts_by_itself():
    truth, predicted = _truth("1A", "2B", "3C"), _truth("1A", "2C", "4C").astype(float)
    digit, letter = measured.parts_right(truth, predicted)
    assert digit.tolist() == [True, True, False]
    assert letter.tolist() == [True, False, True]


def test_mistakes_are_counted_and_drawn_even_where_all_or_nothing_is_right(monkeypatch):
    found = pictures.mistakes(_truth("1I", "1I", "2Q"), _truth("7L", "1L", "2Q"))
    assert found == [("I", "L", 2), ("1", "7", 1)]
    images = np.zeros((3, 56, 56), dtype=np.uint8)
    truth = _truth("1A", "2B", "3C")
    monkeypatch.setattr(pictures, "_COLUMNS", 3)
    for predicted in (truth, _truth("2B", "3C", "1A")):
        assert pictures.right_and_wrong(images, truth, predicted)[1:4] == b"PNG"
        assert pictures.mistakes_figure(pictures.mistakes(truth, predicted))[1:4] == b"PNG"
    assert pictures.mistakes(truth, truth) == []


def test_the_steps_of_preprocessing_are_drawn(printed, tmp_path):
    STUDY.show_preprocessing(CONFIG, tmp_path / "steps.png")
    assert (tmp_path / "steps.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(UsageError, match="experts does not preprocess its images"):
        registry.find_study("experts").show_preprocessing({}, tmp_path / "no.png")


def test_training_images_are_those_of_the_recipe(printed):
    config = CONFIG | {"n_labeled": 40, "n_unlabeled": 4, "n_test": 4, "few": 20}
    opened = session.ComboSession(config, Settings(), 0, lambda *done: None)
    # What unlabeled images show is not even kept.
    assert set(vars(opened.data)) == {
        "labeled", "targets", "unlabeled", "test", "test_targets", "unseen",
    }  # fmt: skip
    assert len(opened.data.unlabeled) == 4
    known = recipes.recipes(config)
    images, targets = opened.training_set(known["plain"])
    assert np.shares_memory(images, opened.data.labeled)
    assert targets.shape == (40, 36)
    copied, more = opened.training_set(known["flips"])
    assert len(copied) == len(more) == 50
    assert (more[:40] == targets).all()
    assert not np.array_equal(copied[:40], images)
    assert opened.training_set(known["structure"])[0].shape == (50, 28, 56)
    assert len(opened.training_set(known["few"])[0]) == 20
    assert opened.network("cnn", known["plain"]).task == MultiLabel()
    assert opened.network("pair", known["best"]).task == session.ONE_OF_EACH


def test_an_interrupted_row_goes_on_with_the_members_that_are_trained(printed, tmp_path):
    network = CONFIG["networks"]["cnn"] | {"widths": [2, 2]}
    sizes = {"n_labeled": 240, "n_unlabeled": 4, "n_test": 4, "few": 0, "passes": 1}
    config = CONFIG | sizes | {"networks": {"cnn": network}, "single_members": 2}
    trained = []

    def stop(stage, done, total):
        trained.append(stage)
        if len(set(trained)) == 2:
            raise KeyboardInterrupt

    settings, recipe = Settings(unfinished=tmp_path / "work"), recipes.recipes(config)["single"]
    with pytest.raises(KeyboardInterrupt):
        session.ComboSession(config, settings, 0, stop).taught("single", recipe, 0)
    later = []
    opened = session.ComboSession(config, settings, 0, lambda stage, *done: later.append(stage))
    opened.taught("single", recipe, 0)
    assert trained[0] not in later
    assert trained[-1] in later


def test_whole_images_are_learned_as_they_are_and_taught(printed):
    network = CONFIG["networks"]["spotter"] | {"widths": [2, 2], "blocks": 1}
    sizes = {"n_labeled": 240, "n_unlabeled": 40, "n_test": 8, "few": 0, "passes": 1}
    config = CONFIG | sizes | {"networks": {"spotter": network}, "student_passes": 1}
    opened = session.ComboSession(config, Settings(), 0, lambda *done: None)
    recipe = recipes.recipes(config)["whole"]
    np.testing.assert_array_equal(opened.training_set(recipe)[0], opened.data.labeled)
    student = opened.taught("whole", recipe, 1)
    proba = student.predict_proba(opened.data.test)
    # One digit and one letter.
    np.testing.assert_allclose(proba[:, :10].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(proba[:, 10:].sum(axis=1), 1, atol=1e-6)


def test_rows_say_how_long_they_were_trained_and_whether_it_was_enough(printed, monkeypatch):
    network = CONFIG["networks"]["cnn"] | {"widths": [2, 2]}
    sizes = {"n_labeled": 240, "n_unlabeled": 4, "n_test": 8, "few": 0, "passes": 4, "rounds": 1}
    networks = dict.fromkeys(("cnn", "resnet"), network)
    config = CONFIG | sizes | {"networks": networks, "several_members": ["cnn", "resnet"]}
    opened = session.ComboSession(config, Settings(), 0, lambda *done: None)
    known = recipes.recipes(config)
    found = learners.alone(opened, known["prepared"]).extra
    assert (found["steps"], found["passes"]) == (32, 4)
    assert abs(found["last_doubling"]) <= 100
    alone = learners.untaught(opened, known["single"], "single").extra
    several = learners.ensemble(opened, known["several"], "several").extra
    # The same network on the same images is trained as long.
    assert several["last_doubling"] == alone["last_doubling"]
    assert "steps" not in several
    opened = session.ComboSession(config, Settings(), 1, lambda *done: None)
    assert "last_doubling" not in learners.alone(opened, known["prepared"]).extra


def test_a_part_of_the_competition_is_held_out(competition):
    config = STUDY.config(Settings(data=str(competition)))
    assert (config["n_labeled"], config["n_unlabeled"], config["few"]) == (40, 6, 0)
    data = session.load_data(config, 0)
    assert (len(data.labeled), len(data.test), len(data.unseen)) == (40, 10, 2)
    everything = session.competition(str(competition)).images
    used = np.concatenate([data.labeled, data.test])
    assert sorted(used.sum(axis=(1, 2))) == sorted(everything.sum(axis=(1, 2)))
    with pytest.raises(UsageError, match="leave out --letters, --case and --noise"):
        STUDY.config(Settings(data=str(competition), own={"noise": "strong"}))
    with pytest.raises(DataError, match=r"lacks images_l\.pkl"):
        STUDY.config(Settings(data=str(competition / "none")))
