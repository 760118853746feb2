import re

import pytest

from fewlabel.fit_checks import _NO_AUDIT
from fewlabel.report.card import _render_card
from tests.report.examples import ONE, SEVERAL, fit_result, images


def card_of(result, **changes):
    given = {"command": "fewlabel fit photos", "created": "2026-01-31T12:00", "run": "run"}
    return _render_card(result, images(len(result.proba)), result.summary(), **given | changes)


@pytest.mark.parametrize("task", [ONE, SEVERAL], ids=str)
def test_it_says_what_the_report_says_on_a_page(task):
    result = fit_result(task)
    text = card_of(result)
    summary = result.summary()
    for expected in (
        f"| {task.metric} | 95 % interval |", "| class 0 |", "not promised", "fewlabel rerun run",
        summary["rests_on"], "No pretrained weights", "`fewlabel fit photos`",
        "not known to be drawn at random", "60 chosen in a way that is not known",
    ):  # fmt: skip
        assert expected in text
    assert len(text.splitlines()) < 100
    # Tables are whole: a row has as many cells as its heading.
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({re.sub(r"\\\|", "", row).count("|") for row in table.splitlines()}) == 1


def test_that_no_label_is_random_is_said_where_it_matters_and_once():
    result = fit_result(ONE, warnings=[_NO_AUDIT, "Shift: see `fewlabel check --help` and `d_e`."])
    text = card_of(result)
    _, limits = text.split("## Limits")
    assert limits.count("drawn at random") == 1
    assert "`fewlabel select --audit 50`" in limits
    # Once in the table as what the figure rests on, once as what a promise would take.
    assert text.count("drawn at random") == 3
    assert r"see `fewlabel check --help` and \`d\_e\`." in limits


def test_names_are_text_and_weights_are_named_with_their_license():
    hostile = ("<b>|a", "# b\n# c", "`d`")
    reason = "A network. Its weights are from the package p (75.1 % on ImageNet, Apache-2.0)."
    result = fit_result(ONE, classes=hostile)
    result.features = type(result.features)(result.features.extractor, result.features.rows, reason)
    text = card_of(result, command="fewlabel fit `x`\n```\n# y")
    assert "| \\<b\\>\\|a |" in text
    assert "\n# c" not in text
    assert "\n# y" not in text
    assert "Apache-2.0" in text
    assert "the license that is named with them" in text


def test_many_classes_keep_to_a_page():
    assert "10 more classes are in `metrics.json`." in card_of(fit_result(ONE, n_classes=50))


def test_its_figures_are_those_that_fit_prints():
    result = fit_result(ONE)
    result.scores["expected_calibration_error"], result.scores["calibration_error"] = 0.123, 0.045
    text = card_of(result)
    assert "The calibration error on tested labels is 12.3 %." in text
    gain = result.summary()["unlabeled_gain"]
    assert f"where {gain['method']} reaches {100 * gain['accuracy']:.1f} %" in text
    assert f"**Did the unlabeled images help?** {gain['in_words'].split(':')[0]}" in text


def test_what_is_promised_nowhere_is_said_once():
    text = card_of(fit_result(ONE))
    assert text.count("not promised") == 1
    assert "| at most wrong |" not in text
