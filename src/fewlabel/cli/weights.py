"""``fewlabel weights``: pretrained networks, what they are good for and how fast they are here."""

from typing import Annotated, Any

from fewlabel.cli import options
from fewlabel.cli.choices import group
from fewlabel.cli.console import ProgressBars, note, say, show_json, show_table
from fewlabel.extras import is_installed

HELP = """Find pretrained networks for photos that need no download.

A network is named with --backbone NAME; its weights come from --weights FILE, else from an
installed package, else from what timm has fetched before, else from the hub.

\b
Examples:
  fewlabel weights list
  fewlabel weights list --no-measure --json
"""

LIST_HELP = """List pretrained networks, and what suits this machine.

Prints the published accuracy on ImageNet, the size, the license, and how many images a second
each network computes here (a second for each; decoding comes on top).

\b
Examples:
  fewlabel weights list
  fewlabel weights list --no-measure
"""

# For all networks together.
_SECONDS = 6.0

app = group("weights", HELP)


@app.command("list", help=LIST_HELP)
def list_(
    measure: Annotated[
        bool, options.flag("--measure/--no-measure", "Measure the speed on this machine.")
    ] = True,
    as_json: options.Json = False,
) -> None:
    """List pretrained networks."""
    found = weights_at_hand()
    if measure and is_installed("timm"):
        with ProgressBars(enabled=not as_json) as progress:
            for i, one in enumerate(found):
                progress("measure", i, len(found))
                one |= _measured(one["name"], min(1.0, _SECONDS / len(found)))
    if as_json:
        show_json(found)
        return
    headings = ("name", "ImageNet", "MB", "side", "images/s here", "license", "where")
    rows = [
        (
            one["name"],
            f"{one['top1']:.1f} %" if one["top1"] else "",
            f"{one['megabytes']:,.0f}",
            str(one.get("side") or ""),
            f"{one['images_per_s']:,.0f}" if one.get("images_per_s") else "",
            one["license"] or "",
            one["where"],
        )
        for one in found
    ]
    show_table(headings, rows, right=(1, 2, 3, 4))
    usable = [one for one in found if one["at_hand"] and one["top1"]]
    if usable:
        best = max(usable, key=lambda one: one["top1"])
        speed = best.get("images_per_s")
        pace = f": 1,000 photos in about {1000 / speed:,.0f} s here" if speed else ""
        say()
        say(f"The most accurate at hand: --backbone {best['name']}{pace}.")


def weights_at_hand() -> list[dict[str, Any]]:
    """Return the networks that packages bring or timm has fetched, as ``--json`` prints them."""
    from fewlabel.errors import DataError
    from fewlabel.nets.weight_packages import PACKAGES, _known_version, cached_by_timm

    found = []
    for known in PACKAGES:
        version, refused = None, ""
        try:
            version = _known_version(known)
        except DataError as error:
            refused = str(error)
        missing = refused or f"not here: {known.install}"
        found.append(
            {
                "name": known.name,
                "top1": known.top1,
                "megabytes": known.megabytes,
                "license": known.license,
                "at_hand": version is not None,
                "refused": bool(refused),
                "where": missing if version is None else f"{known.package} {version}",
            }
        )
    for name, file in sorted(cached_by_timm().items()):
        about = {"top1": None, "megabytes": file.stat().st_size / 1e6, "license": None}
        place = {"at_hand": True, "refused": False, "where": "timm's cache"}
        found.append({"name": name, **about, **place})
    return found


def _measured(name: str, seconds: float) -> dict[str, Any]:
    """Return the side of the images that a network takes, and how many it computes a second."""
    from fewlabel.errors import FewLabelError
    from fewlabel.features.backbone import Backbone

    # What the weights are is of no account here.
    network = Backbone(name, pretrained=False)
    try:
        speed = network._images_per_second(seconds)
    except FewLabelError as error:
        note(f"warning: {name} was not measured: {error}")
        return {}
    return {"side": network.network_.size[0], "images_per_s": round(speed, 1)}
