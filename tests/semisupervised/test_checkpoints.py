"""Checkpoints: whole or absent, of one run, and nothing of anybody else is touched."""

import numpy as np

from fewlabel.persist import save_bundle
from fewlabel.semisupervised.checkpoints import _Checkpoints, _digest_of

PROBA = np.array([[0.9, 0.1], [0.2, 0.8]])


def test_what_is_kept_comes_back_to_the_same_run_only(tmp_path):
    kept = _Checkpoints(tmp_path, ["run", 1])
    kept.put("round-1", {"proba": PROBA}, {"note": "first"})
    found = _Checkpoints(tmp_path, ["run", 1]).get("round-1")
    np.testing.assert_array_equal(found.arrays["proba"], PROBA)
    assert found.meta == {"note": "first"}
    assert _Checkpoints(tmp_path, ["run", 2]).get("round-1") is None
    assert kept.get("round-2") is None


def test_a_run_takes_the_place_of_others_and_leaves_what_is_not_its_own(tmp_path):
    _Checkpoints(tmp_path, "old").put("round-7", {"proba": PROBA})
    save_bundle(tmp_path / "model", kind="classifier", arrays={}, meta={})
    _Checkpoints(tmp_path / "nested", "other").put("round-1", {"proba": PROBA})
    (tmp_path / "photos").mkdir()
    new = _Checkpoints(tmp_path, "new")
    new.put("round-0", {"proba": PROBA})
    names = {place.name for place in tmp_path.iterdir()}
    assert names == {"round-0", "model", "nested", "photos"}
    new.file("round-1").write_bytes(b"state")
    new.clear()
    assert {place.name for place in tmp_path.iterdir()} == names - {"round-0"}
    assert (tmp_path / "nested" / "round-1").is_dir()


def test_what_is_damaged_counts_as_absent(tmp_path):
    kept = _Checkpoints(tmp_path, "run")
    kept.put("a", {"proba": PROBA})
    (tmp_path / "a" / "arrays.safetensors").write_bytes(b"damaged")
    assert kept.get("a") is None
    for damaged in (b"[1]", b'{"kind": "checkpoint"}', b'{"kind": "checkpoint", "meta": 1}'):
        (tmp_path / "a" / "manifest.json").write_bytes(damaged)
        assert kept.get("a") is None
        kept = _Checkpoints(tmp_path, "run")
        # It is replaced as well.
        kept.put("a", {"proba": PROBA})
        assert kept.get("a") is not None


def test_a_flipped_bit_is_found_in_what_is_said_beside_the_numbers(tmp_path):
    kept = _Checkpoints(tmp_path, "run")
    kept.put("steps", {}, {"n_steps": 800, "rates": (0.5, float("1e-3"))})
    assert kept.get("steps").meta == {"n_steps": 800, "rates": [0.5, 1e-3]}
    file = tmp_path / "steps" / "manifest.json"
    file.write_bytes(file.read_bytes().replace(b"800", b"900"))
    assert kept.get("steps") is None


def test_digests_tell_data_and_settings_apart():
    base = _digest_of(PROBA, {"a": 1})
    assert base == _digest_of(PROBA.copy(), {"a": 1})
    others = _digest_of(PROBA + 1, {"a": 1}), _digest_of(PROBA, {"a": 2}), _digest_of(PROBA.ravel())
    assert base not in others
