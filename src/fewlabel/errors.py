"""What goes wrong: the exceptions of fewlabel, and what the operating system refuses.

Every message names the parameter, or the file and line, says what was expected and what
was found, and gives the next step. The command line prints the message as one line and
exits with ``exit_code``.
"""

import errno
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the errors that say that there is no room left, or that a file gets too long."""

_REASONS = {
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
    errno.EROFS: "the disk can only be read",
    errno.ENAMETOOLONG: "its name is longer than the system allows",
    errno.ELOOP: "its links lead round in a circle",
    errno.ENOENT: "it is not there (any more)",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EISDIR: "it is a folder",
    errno.EIO: "the disk reports an error",
}

_P = ParamSpec("_P")
_R = TypeVar("_R")


class FewLabelError(Exception):
    """Base of every exception that fewlabel raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message; a file may hold a name of many megabytes."""
        text = super().__str__()
        return text if len(text) <= 1_800 else f"{text[:1_300]} … {text[-400:]}"


class UsageError(FewLabelError, ValueError):
    """A mistake in what the caller asked for; the command line exits with code 2."""

    exit_code = 2


class DataError(UsageError):
    """Images that cannot be found, read or used."""


class LabelError(UsageError):
    """A label table that contradicts itself or the images."""


class RunFolderError(UsageError):
    """A run folder that exists already, is missing, or is not a run folder."""


class ModelFormatError(UsageError):
    """A saved model that is damaged, tampered with, or newer than this version."""


class MissingExtraError(FewLabelError, ImportError):
    """An optional package that is not installed."""

    exit_code = 2


class DownloadError(FewLabelError):
    """A file that could not be fetched, or whose checksum does not match."""


class FetchNotice(UserWarning):
    """What is being fetched from the network; no mistake, but nobody should be surprised."""


class StorageError(FewLabelError, OSError):
    """An output that could not be written, a full disk above all."""

    exit_code = 2


class TrainingError(FewLabelError):
    """A training run that cannot go on, such as one whose loss is no longer a number."""


def _damaged(what: str) -> ModelFormatError:
    """Return the error for a saved model that is not as it was written."""
    return ModelFormatError(f"{what}: the model is damaged; save it again or copy it anew.")


def _reason_of(error: OSError) -> str:
    """Return why the operating system refused something, without a full stop."""
    known = _REASONS.get(error.errno or 0)
    return known or str(error.strerror or error).rstrip(".")


def _is_about_users_path(error: OSError) -> bool:
    """Return whether a path of the user's is the matter; one of an installed file is a bug."""
    # A file may be given by its number.
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return False
    # Imported late: what is seldom needed must not hold up every command.
    import sysconfig

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = [Path(__file__).parent, *(Path(sysconfig.get_path(name)) for name in names)]
    path = Path(os.fsdecode(error.filename))
    return not any(path.is_relative_to(place) for place in installed)


def _path_errors(
    kind: type[UsageError], done: str = "read"
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function raise an error of the project where a path of the user's is refused."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return function(*args, **kwargs)
            except FewLabelError:
                raise
            except OSError as error:
                if not _is_about_users_path(error):
                    raise
                raise kind(_refusal(error, done)) from error

        return guarded

    return decorate


def _refusal(error: OSError, done: str = "read") -> str:
    """Return the message for a path that cannot be read or written, or otherwise used."""
    name = os.fsdecode(error.filename)
    step = "; give another place with --out" if done == "written" else ""
    return f"{name} cannot be {done}: {_reason_of(error)}{step}."
