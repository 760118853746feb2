from typing import get_args

import pytest
import typer

from fewlabel.cli.options import Devices, duration, whole_number, whole_numbers
from fewlabel.compute import DEVICES


def test_the_devices_are_those_of_the_code():
    assert get_args(Devices) == DEVICES


def test_times_have_a_unit():
    texts = ("90s", "30m", "2h", " 1.5H ")
    assert [duration(text) for text in texts] == [90, 1_800, 7_200, 5_400]


@pytest.mark.parametrize("text", ["30", "m", "-5m", "0m", "5 days", "1e3s", "99999999h"])
def test_other_times_are_refused(text):
    with pytest.raises(typer.BadParameter, match="is not a time: give 90s, 30m or 2h"):
        duration(text)


@pytest.mark.parametrize("text", ["", " 5", "5.0", "1e3", "1_000", "٣", "five", "0x10", "--1"])
def test_only_digits_are_a_number(text):
    with pytest.raises(typer.BadParameter, match="expected a whole number such as 1, got"):
        whole_number(text)


def test_numbers_have_bounds():
    assert whole_number("1", least=1, most=1) == 1
    with pytest.raises(typer.BadParameter, match="at least 1, got 0"):
        whole_number("0", least=1)
    with pytest.raises(typer.BadParameter, match="at most 5, got 6"):
        whole_number("6", most=5)


@pytest.mark.parametrize(
    ("text", "match"), [("1,,2", "got ''"), ("1,2,", "got ''"), ("1,1", "1 is given twice")]
)
def test_lists_keep_their_order_and_are_strict(text, match):
    assert whole_numbers("50, 20") == [50, 20]
    with pytest.raises(typer.BadParameter, match=match):
        whole_numbers(text)
