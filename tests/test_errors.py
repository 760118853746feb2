import errno
import os

import pytest

import fewlabel
from fewlabel.data import image_set_from_array, load_images, read_labels
from fewlabel.errors import (
    FewLabelError,
    UsageError,
    _is_about_users_path,
    _path_errors,
    _reason_of,
    _refusal,
)
from fewlabel.persist import load_bundle
from fewlabel.runs.model import load_run

LONG = "n" * 300
DEEP = "d/" * 3000


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "/x cannot be read: there is no permission."),
        (errno.ENAMETOOLONG, "/x cannot be read: its name is longer than the system allows."),
        (errno.EMFILE, "/x cannot be read: Too many open files."),
    ],
)
def test_a_refusal_is_a_sentence(number, text):
    assert _refusal(OSError(number, os.strerror(number), "/x")) == text
    assert _refusal(OSError(number, "", "/x"), "written").endswith(
        "; give another place with --out."
    )


def test_whose_path_it_is():
    assert _is_about_users_path(PermissionError(13, "No", b"photos"))
    for other in (None, 3, fewlabel.__file__, os.__file__, pytest.__file__):
        assert not _is_about_users_path(PermissionError(13, "No", other))
    assert _reason_of(OSError("odd.")) == "odd"


def test_only_refusals_of_paths_are_errors_of_the_user():
    @_path_errors(UsageError)
    def fail(error):
        raise error

    with pytest.raises(UsageError, match="photos cannot be read: it is a folder"):
        fail(IsADirectoryError(errno.EISDIR, "Is a directory", "photos"))
    for error in (OSError("odd"), FewLabelError("mine"), ValueError("no")):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert caught.value is error


def _labels(path):
    return read_labels(path, image_set_from_array([[[0]], [[1]]]))


@pytest.mark.parametrize("name", [LONG, DEEP, "loop", "loop/x"])
@pytest.mark.parametrize("open_", [load_images, _labels, load_run, load_bundle])
def test_paths_that_cannot_be(name, open_, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError):
        open_(tmp_path / name)


@pytest.mark.parametrize("open_", [load_images, _labels, load_run, load_bundle])
def test_no_permission(open_, tmp_path, monkeypatch):
    # Whoever runs the tests may have every permission.
    def refuse(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for name in ("stat", "scandir", "open", "listdir"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(UsageError, match="cannot be read: there is no permission"):
        open_(tmp_path)
