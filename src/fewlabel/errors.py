"""The exceptions that fewlabel raises on purpose.

Every message names the parameter, or the file and line, says what was expected and what
was found, and gives the next step. The command line prints the message as one line and
exits with ``exit_code``.
"""

from __future__ import annotations


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
