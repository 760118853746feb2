"""Parameters that several commands share, parsed strictly."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

import typer

from fewlabel.cli.choices import METHODS, STRATEGIES, Choices
from fewlabel.runs.project import PROJECT

# The largest that scikit-learn takes.
_MAX_SEED = 2**32 - 1
AUTO = "auto"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
Devices = Literal["auto", "cpu", "cuda", "mps"]
_Engines = Literal["local", "ray"]
_Letters = Literal["emnist", "chars74k"]
_Case = Literal["any", "upper"]
_Noise = Literal["standard", "strong"]


def whole_number(
    text: str, *, least: int = 0, most: int | None = None, option: str | None = None
) -> int:
    """Return a whole number that is written in digits only.

    Typer names the option of a parser in a message; elsewhere ``option`` does.
    """
    text = str(text)
    found = f"got {text!r}"
    # int() would take 1_000, blanks and other scripts' digits; 18 digits fit 64 bits.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        wanted = f"such as {max(least, 1)}"
    elif int(text) < least:
        wanted, found = f"of at least {least}", f"got {int(text)}"
    elif most is not None and int(text) > most:
        wanted, found = f"of at most {most}", f"got {int(text)}"
    else:
        return int(text)
    raise typer.BadParameter(f"expected a whole number {wanted}, {found}", param_hint=option)


def whole_numbers(
    text: str, *, least: int = 0, most: int | None = None, option: str | None = None
) -> list[int]:
    """Return whole numbers with commas between them; none may come twice."""
    numbers = [
        whole_number(part.strip(), least=least, most=most, option=option)
        for part in text.split(",")
    ]
    twice = next((n for i, n in enumerate(numbers) if n in numbers[:i]), None)
    if twice is not None:
        raise typer.BadParameter(f"{twice} is given twice in {text!r}", param_hint=option)
    return numbers


def seeds_of(text: str) -> list[int]:
    """Return the numbers of the option ``--seeds``."""
    return whole_numbers(text, most=_MAX_SEED, option="--seeds")


def duration(text: str) -> float:
    """Return the seconds of a time such as ``90s``, ``30m`` or ``2h``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip().lower())
    if match is None or not 0 < float(match[1]) < 1e6:
        raise typer.BadParameter(f"{text!r} is not a time: give 90s, 30m or 2h.")
    return float(match[1]) * _SECONDS[match[2]]


def auto_or_number(text: str) -> int | None:
    """Return a whole number; ``auto`` is None."""
    return None if text == AUTO else whole_number(text)


def argument(metavar: str, text: str) -> Any:
    """Return an argument of a command."""
    return typer.Argument(metavar=metavar, help=text)


def option(name: str, metavar: str, text: str) -> Any:
    """Return an option that takes a text, such as the name of a file."""
    return typer.Option(name, metavar=metavar, help=text)


def number(name: str, text: str, *, least: int = 0, most: int | None = None) -> Any:
    """Return an option that takes a whole number."""
    return typer.Option(
        name,
        metavar="N",
        parser=lambda text: whole_number(text, least=least, most=most),
        help=text,
    )


def fraction(name: str, text: str, *, is_open: bool = False) -> Any:
    """Return an option that takes a part of 1, such as ``0.3``; neither 0 nor 1 if ``is_open``."""
    return typer.Option(name, metavar="PART", parser=_open_part if is_open else _part, help=text)


def _open_part(text: str | float) -> float:
    found = _part(text)
    if not 0 < found < 1:
        raise typer.BadParameter(f"{str(text)!r} is all or nothing: give 0.02 or 2%.")
    return found


def _part(text: str | float) -> float:
    number = str(text).strip()
    try:
        found = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise typer.BadParameter(f"{number!r} is not a part of all: give 0.3 or 30%.")
    return found


def one_of(name: str, names: Any, text: str, **more: Any) -> Any:
    """Return an option that takes one of the names of a ``Literal``."""
    return typer.Option(name, metavar="|".join(get_args(names)), help=text, **more)


def flag(name: str, text: str) -> Any:
    """Return an option that is given or not."""
    return typer.Option(name, help=text)


def choice(name: str, choices: Choices, text: str) -> Any:
    """Return an option that takes a name from a registry."""
    return typer.Option(
        name,
        metavar=choices.metavar,
        parser=choices.parse,
        autocompletion=choices.complete,
        help=text,
    )


def _present(device: Devices) -> Devices:
    """Raise if a device is not there, before any image is read."""
    if device not in (AUTO, "cpu"):
        from fewlabel.compute import _pick_device

        _pick_device(device)
    return device


IMAGES = "Folder, .npz, .npy or idx file, CSV manifest, or the name of a benchmark."
Images = Annotated[str, argument("IMAGES", IMAGES)]
ImagesOrProject = Annotated[
    str | None, argument("[IMAGES]", f"{IMAGES} By default what {PROJECT} names.")
]
Run = Annotated[str, argument("RUN", "Folder that `fewlabel fit` wrote.")]
Table = Annotated[str, option("--out", "FILE", "CSV table to write.")]
Method = Annotated[
    str, choice("--method", METHODS, "How to learn; auto tries those that suit and keeps the best.")
]
_STRATEGY_HELP = (
    "How to choose the images to label; by default representatives, and herding from 200 labels on"
)
Features = Annotated[
    str,
    typer.Option(
        "--features",
        "--backbone",
        metavar="NAME",
        help="auto, patches, pixels, or a pretrained backbone by its timm name, or several joined: "
        "a,b; a@160 reads 160 pixels a side (needs the extra `photos`: `fewlabel weights list`).",
    ),
]
Time = Annotated[
    float | None,
    typer.Option(
        "--time",
        metavar="TIME",
        parser=duration,
        help="Time to spend, such as 90s, 30m or 2h: other patch features are tried, and from five "
        "minutes on --method auto also trains networks, as far as the time allows. What does best "
        "is kept.",
    ),
]
Weights = Annotated[
    str | None,
    option(
        "--weights",
        "FILE",
        "Weights of the backbone, a .safetensors file, instead of those of an installed package, "
        "of timm's cache or of the hub.",
    ),
]
Seed = Annotated[int, number("--seed", "Seed of every random choice.", most=_MAX_SEED)]
Host = Annotated[str, option("--host", "HOST", "Address to listen on; 0.0.0.0 for all networks.")]
Port = Annotated[int, number("--port", "Port to listen on; 0 for any that is free.", most=65_535)]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TEXT",
        envvar="FEWLABEL_TOKEN",
        help="Ask for this token; beyond this machine one is made.",
    ),
]
Letters = Annotated[
    _Letters | None,
    one_of(
        "--letters",
        _Letters,
        "Letters of combo: of emnist-letters, split at random, by default where they are on "
        "this machine; or of the benchmark letters, whose test writers wrote nothing else.",
    ),
]
Case = Annotated[
    _Case | None,
    one_of("--case", _Case, "Case of the letters of combo; upper is for emnist. Default: any."),
]
Noise = Annotated[_Noise | None, one_of("--noise", _Noise, "Noise of combo. Default: standard.")]
Device = Annotated[Devices, one_of("--device", Devices, "Where to compute.", callback=_present)]
Cache = Annotated[
    bool,
    flag(
        "--cache/--no-cache",
        "Keep features on disk, so that the next run on the same images starts at once.",
    ),
]
EngineName = Annotated[
    _Engines,
    one_of(
        "--engine",
        _Engines,
        "Where the large steps run: local is this process; ray the workers of a Ray cluster, or "
        "of this machine (needs the extra `ray`).",
    ),
]
RayAddress = Annotated[
    str | None,
    option(
        "--ray-address",
        "ADDRESS",
        "Address of the Ray cluster, such as auto on one of its machines; by default one is "
        "started on this machine.",
    ),
]
Probabilities = Annotated[bool, flag("--probabilities", "Add one column of probabilities a class.")]
Json = Annotated[bool, flag("--json", "Print the result as JSON on stdout.")]
Strategy = Annotated[
    str | None,
    choice("--method", STRATEGIES, f"{_STRATEGY_HELP}, or with --run."),
]
Selection = Annotated[str | None, choice("--selection", STRATEGIES, f"{_STRATEGY_HELP}.")]
