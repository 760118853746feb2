"""Classes by folders: class folders, splits of the data above them, and what wraps them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

NOT_IMAGES = frozenset(
    {"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "recycler", "__pycache__"}
    | {"#snapshot", "lost+found", "system volume information"}
)
"""Folders that systems add, in lower case: copies, thumbnails and what was thrown away."""

_WORD = (
    r"train|training|val|valid|validation|validate|dev|devel|development|eval|evaluation|test"
    r"|testing|hold[ _-]?out|held[ _-]?out|labell?ed|(un|not?[ _-]?|non[ _-]?)label(l?ed)?"
    r"|unsup|unsupervised"
)
_FILLER = "set|sets|data|dataset|split|images?|imgs?|pictures?|pics?|photos?|samples?|files"
# Such as train, TRAIN, train2017, training_set, test images, images-val, 1_train and fold_3.
_SPLIT = re.compile(
    rf"_*(\d+[ _.-]+)?((images?|imgs?|photos?|data|dataset)[ _.-]*)?(?P<word>{_WORD})"
    rf"([ _.-]*({_FILLER}))?[ _.-]*\d*|(?P<fold>fold[ _.-]*\d+)"
)
# Such as seg_train beside seg_test: the same around another word.
_AFFIXED = re.compile(rf"(?P<before>.+[ _.-])?(?P<word>{_WORD})(?P<after>[ _.-].+)?")
_MASKS = re.compile("ground[ _-]?truths?|gt|masks?|annotations?|segmentations?")
_NAMED = 5

_Path = tuple[str, ...]


@dataclass(frozen=True)
class _FolderClasses:
    """What folders say of the classes of images; ``notes`` warn, or say why there are none."""

    labels: list[str] | None
    notes: tuple[str, ...] = ()


def _folder_classes(
    names: Sequence[str], folders: Iterable[str] = (), *, split: str | None = None
) -> _FolderClasses:
    """Find the class of each image by its folders: at one level, the first or below splits."""
    paths = [tuple(name.split("/")) for name in names]
    tree = _Tree(paths, split)
    labels = [tree.class_of(path) for path in paths]
    stray = [name for name, label in zip(names, labels, strict=True) if label is None]
    if stray or not any(labels):
        return _FolderClasses(None, _why_none(stray, len(names), tree))
    found = [label or "" for label in labels]
    empty = {tree.class_of((*folder.split("/"), "")) or "" for folder in folders}
    notes = (*tree.notes(paths, found), *_empty_note(sorted(empty - {"", *found})))
    return _FolderClasses(found, notes)


@dataclass
class _Tree:
    """How the folders of a tree are to be understood, found from the images in them."""

    paths: list[_Path]
    asked: str | None
    root: _Path = ()
    splits: set[str] = field(default_factory=set)
    # How many folders lie between the root and the classes of a split; 0 if splits hold none.
    depth: int = 0
    classes: set[str] = field(default_factory=set)
    # First-level folders with others in them than one called such as images or test.
    holding: set[str] = field(default_factory=set)
    # What all first-level folders hold, where they are the classes.
    shared: set[str] = field(default_factory=set)
    # Class folders such as train_cat beside test_cat.
    odd: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        asked = () if self.asked is None else (self.asked,)
        self.root = (*asked, *_wrapper(self.below(asked)))
        rests = self.below(self.root)
        firsts = {rest[0] for rest in rests if len(rest) > 1}
        self.splits = _splits_among(firsts)
        labeled = {name for name in self.splits if not _is_unlabeled(name)}
        within = [rest[1:] for rest in rests if rest[0] in labeled and len(rest) > 1]
        self.depth = 1 + _common_depth(within)
        self.classes = {rest[self.depth - 1] for rest in within if len(rest) > self.depth}
        beside = firsts - self.splits
        second = {rest[1] for rest in rests if rest[0] in beside and len(rest) > 2}
        if not self.classes or not (
            len(self.splits) > 1
            or len(self.classes) > 1
            or len(beside) < 2
            or self.classes & (beside | second)
        ):
            self.depth, self.classes = 0, set()
            self.odd = sorted(name for name in self.splits if not _is_split(name))
            self.splits -= set(self.odd)
        inner, level = dict[str, set[str]](), max(1, self.depth)
        for rest in rests:
            if len(rest) > level + 1:
                inner.setdefault(rest[0], set()).add(rest[level])
        self.holding = {f for f, names in inner.items() if not all(map(_is_no_class, names))}
        if not self.depth and len(inner) == len(firsts) > 1:
            self.shared = set.intersection(*inner.values())

    def below(self, root: _Path) -> list[_Path]:
        """Return the paths of images in a folder, as seen from there."""
        return [path[len(root) :] for path in self.paths if path[: len(root)] == root]

    def class_of(self, path: _Path) -> str | None:
        """Return the class of an image, blank for none, None if it lies beside the folders."""
        if path[: len(self.root)] != self.root:
            return None
        rest = path[len(self.root) :]
        if len(rest) < 2:
            return None
        first, inner = rest[0], rest[self.depth :]
        if not self.depth:
            return "" if first in self.splits else first
        if _MASKS.fullmatch(first.casefold()) and first not in self.classes:
            return ""
        if first not in self.splits:
            # Folders beside splits: the same classes once more, or images without a label.
            return next((name for name in rest[:-1] if name in self.classes), "")
        if _is_unlabeled(first):
            return ""
        if len(inner) < 2:
            return None if first in self.holding else ""
        return "" if _is_unlabeled(inner[0]) or first not in self.holding else inner[0]

    def notes(self, paths: Sequence[_Path], labels: Sequence[str]) -> Iterable[str]:
        """Say how the tree was understood, where that is not beyond doubt."""
        if any(not _is_split(name) and name != self.asked for name in self.root):
            folder = "/".join(self.root)
            yield f"All images lie in the folder {folder}, so it is not taken for a class."
        if len(self.shared - _splits_among(self.shared)) > 1:
            yield (
                f"The folders {_listed(sorted(self.shared))} lie in each of the class folders: if "
                "they are the classes, move them to the first level."
            )
        if self.odd:
            yield (
                f"The folders {_listed(self.odd)} are taken for classes, although they are named "
                "like splits of the data: give a label table if they are none."
            )
        rests = [path[len(self.root) :] for path in paths]
        # What is called unlabeled is beyond doubt.
        blank = Counter(
            rest[0]
            for rest, label in zip(rests, labels, strict=True)
            if not label and not any(map(_is_unlabeled, rest[:-1]))
        )
        for name, count in blank.items():
            if not self.depth:
                yield (
                    f"The folder {name} is named like a split of the data, so it is no class: its "
                    f"{count:,} image(s) count as unlabeled. If it is a class, rename it."
                )
            else:
                yield (
                    f"The folders {_listed(sorted(self.splits))} are named like splits of the "
                    f"data, so the folders in them are the classes, and the {count:,} image(s) in "
                    f"{name} count as unlabeled. To read one split alone, give its folder."
                )


def _wrapper(paths: Sequence[_Path]) -> _Path:
    """Return the folders that hold everything, from the outermost to where folders branch."""
    chain: _Path = ()
    while True:
        rests = [path[len(chain) :] for path in paths if path[: len(chain)] == chain]
        deeper = [rest[0] for rest in rests if len(rest) > 1]
        if len(set(deeper)) != 1:
            break
        chain = (*chain, deeper[0])
    # One class folder may hold others. What the images lie in is no wrapper.
    if len(set(deeper)) > 1 and 2 * len(deeper) >= len(rests):
        return chain
    last = max((i for i, name in enumerate(chain) if _is_split(name)), default=-1)
    return chain[: last + 1]


def _common_depth(paths: Sequence[_Path]) -> int:
    """Return how many folders lie between splits and classes, such as ``images`` in each."""
    depth = 0
    while True:
        names = {path[depth] for path in paths if len(path) > depth + 1}
        below = [path[depth + 1] for path in paths if len(path) > depth + 2]
        alike = len(names) == 1 or (len(names) > 1 and names == _splits_among(names))
        if not alike or len(set(below)) < 2 or 2 * len(below) < len(paths):
            return depth
        depth += 1


def _splits_among(names: Iterable[str]) -> set[str]:
    """Return the names that are those of splits, alone or beside each other."""
    names = set(names)
    around: dict[tuple[str | None, str | None], set[str]] = {}
    for name in names:
        if parts := _AFFIXED.fullmatch(name.casefold()):
            around.setdefault((parts["before"], parts["after"]), set()).add(name)
    pairs = [group for group in around.values() if len(group) > 1]
    found = {name for name in names if _is_split(name)}.union(*pairs)
    # Valid and invalid are classes.
    lower = {name.casefold() for name in names}
    return {name for name in found if f"in{name.casefold()}" not in lower}


def _is_split(name: str) -> bool:
    return _SPLIT.fullmatch(name.casefold().strip()) is not None


def _is_unlabeled(name: str) -> bool:
    found = _SPLIT.fullmatch(name.casefold().strip())
    return found is not None and (found["word"] or "").startswith(("un", "no"))


def _is_no_class(name: str) -> bool:
    return _is_split(name) or re.fullmatch(_FILLER, name.casefold().strip()) is not None


def _why_none(stray: Sequence[str], n_images: int, tree: _Tree) -> tuple[str, ...]:
    """Say why images have no classes by folder, unless they lie in no folders at all."""
    if tree.root and len(stray) == n_images:
        return (f"the folder {'/'.join(tree.root)} holds no class folders",)
    if len(stray) < n_images:
        if not stray:
            folders = _listed(sorted(tree.splits) or ["/".join(tree.root)])
            return (f"folders named like splits of the data ({folders}) hold no class folders",)
        lie = "lies in no class folder" if len(stray) == 1 else "lie in no class folder"
        of = "" if len(stray) == 1 else f"{len(stray):,} of {n_images:,} images, such as "
        return (f"{of}{_listed(stray, 3)} {lie} (move what has no class out of the folder)",)
    return ()


def _empty_note(empty: Sequence[str]) -> tuple[str, ...]:
    if not empty:
        return ()
    return (f"Folders without an image that can be read are no classes: {_listed(empty)}.",)


def _listed(names: Sequence[str], most: int = _NAMED) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
