import pytest
import typer

from fewlabel.cli.options import Devices, at_least, duration, whole_number, whole_numbers
from fewlabel.compute import DEVICES


def test_the_devices_are_those_of_the_code():
    assert [device.value for device in Devices] == list(DEVICES)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("2h", 7_200), (" 1.5H ", 5_400)]
)
def test_times_have_a_unit(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "m", "-5m", "0m", "5 days", "1e3s", "99999999h"])
def test_other_times_are_refused(text):
    with pytest.raises(typer.BadParameter, match="is not a time: give 90s, 30m or 2h"):
        duration(text)


@pytest.mark.parametrize("text", ["", " 5", "5.0", "1e3", "1_000", "٣", "five", "0x10", "--1"])
def test_only_digits_are_a_number(text):
    with pytest.raises(typer.BadParameter, match="expected a whole number such as 1, got"):
        whole_number(text)


def test_numbers_have_bounds():
    assert at_least(1)("1") == 1
    with pytest.raises(typer.BadParameter, match="at least 1, got 0"):
        at_least(1)("0")
    with pytest.raises(typer.BadParameter, match="at most 5, got 6"):
        whole_number("6", most=5)


def test_lists_keep_their_order():
    assert whole_numbers("50, 20") == [50, 20]


@pytest.mark.parametrize(
    ("text", "match"), [("1,,2", "got ''"), ("1,2,", "got ''"), ("1,1", "1 is given twice")]
)
def test_lists_are_strict(text, match):
    with pytest.raises(typer.BadParameter, match=match):
        whole_numbers(text)
