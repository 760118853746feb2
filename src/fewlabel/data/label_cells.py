"""The cells of a column of labels: which are unlabeled, and which spell one class differently."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from fewlabel.data.label_names import _label_name, _listed, _warn_of_look_alikes
from fewlabel.data.label_texts import BAR, UNKNOWN
from fewlabel.data.missing import _unlabeled_words, _warn_of_labels

_WHOLE = re.compile(r"[+-]?\d+([.,]0*)?")


def _label_cells(
    texts: Sequence[str], source: str, classes: Sequence[str] | None = None
) -> list[str]:
    """Return labels of a table, folders or an array, each class in one spelling; "" unlabeled."""
    names = {text: BAR.join(map(_label_name, text.split(BAR))) for text in set(texts)}
    mark = UNKNOWN if any(BAR in name for name in names.values()) else ""
    counts: Counter[str] = Counter()
    for text, n in Counter(texts).items():
        for part in names[text].split(BAR):
            counts[part.removeprefix(mark).strip()] += n
    known = {_label_name(name) for name in classes or ()}
    replaced = dict.fromkeys(_unlabeled_words(counts, source, known), "")
    if classes is None:
        kept = {name: n for name, n in counts.items() if name not in replaced}
        replaced |= _whole_numbers(kept, source)
        _warn_of_look_alikes({n: kept[n] for n in kept if n not in replaced}, source)
    final = {text: _replace(name, replaced) for text, name in names.items()}
    return [final[text] for text in texts]


def _whole_numbers(counts: Mapping[str, int], source: str) -> dict[str, str]:
    """Return what to replace where all are whole numbers, and some also stand as fractions."""
    if not all(_WHOLE.fullmatch(name) for name in counts):
        return {}
    spellings = defaultdict(list)
    for name in sorted(counts, key=len):
        spellings[re.sub("[.,]0*$", "", name)].append(name)
    found = {name: same[0] for same in spellings.values() for name in same[1:]}
    if found:
        pairs = [f"{a!r} ({counts[a]:,}) as {b!r} ({counts[b]:,})" for a, b in found.items()]
        _warn_of_labels(f"{source}: numbers written in two ways are one class: {_listed(pairs)}.")
    return found


def _replace(text: str, names: Mapping[str, str]) -> str:
    """Return a text with other names; blank if none of several is left."""
    if BAR not in text:
        return names.get(text, text)
    new = []
    for part in text.split(BAR):
        name = part.removeprefix(UNKNOWN).strip()
        kept = names.get(name, name)
        new.append(part.replace(name, kept) if kept or not name else "")
    # A bar alone says that there is none; where nothing is left, nothing was said.
    return BAR.join(new) if any(new) or not text.strip(BAR) else ""
