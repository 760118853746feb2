"""Names of classes as people write them: one spelling of a name, and names that look alike."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping

from fewlabel.data.missing import _warn_of_labels

# Joiners stay inside a name: they are part of Persian and Indian words, and of emoji.
_JOINERS = "\u200c\u200d"
_BLANKS = dict.fromkeys(map(ord, "\u00a0\u2007\u202f"), " ")
# Of no category that says so: the grapheme joiner, and what makes text or emoji of a sign.
_INVISIBLE = "\u034f\ufe0e\ufe0f"
# Cyrillic letters that look like Latin ones, and what word processors make of marks.
_TWINS = str.maketrans(
    "АВЕКМНОРСТХІаеорсухі’‘′“”‐‑–—−", "ABEKMHOPCTXIaeopcyxi'''\"\"-----", _JOINERS
)
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?")
_SHOWN = 5


def _label_name(text: str) -> str:
    """Return the one spelling of a label: accents composed, nothing that nobody sees."""
    if text.isascii() and text.isprintable():
        return text.strip()
    seen = (c for c in text.translate(_BLANKS) if c.isspace() or not _is_invisible(c))
    composed = unicodedata.normalize("NFC", "".join(seen))
    return composed.strip().strip(_JOINERS).strip()


def _is_invisible(char: str) -> bool:
    # Above are the tags that tell the flags of regions apart.
    is_format = unicodedata.category(char) in ("Cc", "Cf") and char < "\U000e0000"
    return char in _INVISIBLE or (is_format and char not in _JOINERS)


def _look(name: str) -> str:
    """Return what names have in common that differ by case, blanks, or as 1 and 1.0 do."""
    text = unicodedata.normalize("NFKC", _label_name(name).translate(_TWINS)).casefold()
    if _NUMBER.fullmatch(text):
        return repr(float(text.replace(",", ".")))
    # Between figures a mark counts: 1-1 is not 11.
    return re.sub(r"(?<=[^\W\d_])[\s_-]+(?=\w)|(?<=\w)[\s_-]+(?=[^\W\d_])", "", text)


def _warn_of_look_alikes(counts: Mapping[str, int], source: str) -> None:
    """Warn of classes that look alike; ``counts`` says how many labels each has."""
    alike = defaultdict(list)
    for name in counts:
        alike[_look(name)].append(f"{name!r} ({counts[name]:,})")
    groups = [" and ".join(names) for names in alike.values() if len(names) > 1]
    if groups:
        _warn_of_labels(
            f"{source}: these labels look alike and are different classes: {_listed(groups)}. "
            "Spell them alike if they are one class."
        )


def _listed(parts: list[str]) -> str:
    more = f"; and {len(parts) - _SHOWN:,} more" if len(parts) > _SHOWN else ""
    return "; ".join(parts[:_SHOWN]) + more
