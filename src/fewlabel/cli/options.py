"""Parameters that several commands share, parsed strictly."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

MAX_SEED = 2**32 - 1
AUTO = "auto"


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Method(StrEnum):
    """How ``fit`` learns."""

    auto = "auto"
    graph = "graph"
    student = "student"
    blend = "blend"
    supervised = "supervised"
    network = "network"
    self_training = "self-training"
    consistency = "consistency"
    fine_tuning = "fine-tuning"
    experts = "experts"


class SelectMethod(StrEnum):
    """How ``select`` chooses."""

    representatives = "representatives"
    medoids = "medoids"
    typiclust = "typiclust"
    random = "random"


def whole_number(
    text: str, *, least: int = 0, most: int | None = None, option: str | None = None
) -> int:
    """Read a whole number written in digits only.

    Parameters
    ----------
    text : str
        What was typed.
    least : int
        Smallest number accepted.
    most : int, optional
        Largest number accepted.
    option : str, optional
        Option to name in the message; Typer names that of a parser by itself.

    Returns
    -------
    int
        The number.

    Raises
    ------
    typer.BadParameter
        If it is not such a number.

    Examples
    --------
    >>> whole_number("50", least=1)
    50
    """
    text = str(text)
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise typer.BadParameter(
            f"expected a whole number such as {max(least, 1)}, got {text!r}", param_hint=option
        )
    number = int(text)
    if number < least:
        raise typer.BadParameter(
            f"expected a whole number of at least {least}, got {number}", param_hint=option
        )
    if most is not None and number > most:
        raise typer.BadParameter(
            f"expected a whole number of at most {most}, got {number}", param_hint=option
        )
    return number


def whole_numbers(
    text: str, *, least: int = 0, most: int | None = None, option: str | None = None
) -> list[int]:
    """Read whole numbers with commas between them; none may come twice.

    Parameters
    ----------
    text : str
        What was typed, such as ``20,50``.
    least : int
        Smallest number accepted.
    most : int, optional
        Largest number accepted.
    option : str, optional
        Option to name in the message; Typer names that of a parser by itself.

    Returns
    -------
    list of int
        The numbers in the order given.

    Raises
    ------
    typer.BadParameter
        If one is not a whole number, or comes twice.

    Examples
    --------
    >>> whole_numbers("0,1,2")
    [0, 1, 2]
    """
    numbers = [
        whole_number(part.strip(), least=least, most=most, option=option)
        for part in text.split(",")
    ]
    twice = next((n for i, n in enumerate(numbers) if n in numbers[:i]), None)
    if twice is not None:
        raise typer.BadParameter(f"{twice} is given twice in {text!r}", param_hint=option)
    return numbers


_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Read a time such as ``90s``, ``30m`` or ``2h`` as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip().lower())
    if match is None or not 0 < float(match[1]) < 1e6:
        raise typer.BadParameter(f"{text!r} is not a time: give 90s, 30m or 2h.")
    return float(match[1]) * _SECONDS[match[2]]


def at_least(least: int) -> Callable[[str], int]:
    """Give a parser of whole numbers that are not below ``least``."""
    return lambda text: whole_number(text, least=least)


def auto_or_number(text: str) -> int | None:
    """Read a whole number; ``auto`` is None."""
    return None if text == AUTO else whole_number(text)


def _seed(text: str) -> int:
    return whole_number(text, most=MAX_SEED)


ImagesArgument = Annotated[
    str,
    typer.Argument(
        metavar="IMAGES",
        help="Folder, .npz, idx file, CSV manifest, or the name of a benchmark.",
        show_default=False,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Folder that `fewlabel fit` wrote.", show_default=False),
]
FeaturesOption = Annotated[
    str,
    typer.Option(
        "--features",
        "--backbone",
        metavar="NAME",
        help="auto, patches, pixels, or a pretrained backbone by its timm name "
        "(needs the extra `backbones`).",
    ),
]
TimeOption = Annotated[
    float | None,
    typer.Option(
        "--time",
        metavar="TIME",
        parser=duration,
        help="Time to spend, such as 5m, 30m or 2h: from five minutes on, --method auto also "
        "trains networks, as far as the time allows, and keeps them if they do as well.",
        show_default=False,
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Weights of the backbone, a .safetensors file, instead of a download.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", metavar="N", parser=_seed, help="Seed of every random choice."),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute.")]
CacheOption = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        help="Keep features on disk, so that the next run on the same images starts at once.",
    ),
]
ProbabilitiesOption = Annotated[
    bool,
    typer.Option("--probabilities", help="Add one column of probabilities a class."),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON on stdout."),
]
