import csv
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fewlabel.errors import UsageError
from fewlabel_experiments import protocol, runner
from fewlabel_experiments.protocol import Settings
from tests.experiments.examples import Coin

ROOT = Path(__file__).parents[2]


@pytest.fixture
def coin(tmp_path):
    return Coin(tmp_path / "coin")


def test_every_row_is_run_once_a_seed(coin, tmp_path):
    logged = []
    result = runner.run_study(coin, Settings(), tmp_path / "run", log=logged.append)
    names = ("one", "two", "default-100")
    assert coin.computed == [(name, seed) for seed in (0, 1) for name in names]
    assert logged[0].startswith("coin, seed 0: one 50.00 %")
    assert [(r.goal.row, r.bound, r.reached) for r in result.goals] == [
        ("two", 61.0, True), ("two", 5.0, False),
    ]  # fmt: skip
    lines = list(csv.DictReader((tmp_path / "run" / "ours.csv").read_text().splitlines()))
    assert [line["row"] for line in lines] == list(names)
    assert (lines[0]["accuracy_mean"], lines[0]["accuracy_sd"]) == ("51.00", "1.41")
    assert (lines[0]["published"], lines[0]["seeds"], lines[0]["flips"]) == ("50.00", "0 1", "10")
    assert float(lines[0]["peak_mb"]) > 10
    page = (tmp_path / "run" / "tables.md").read_text()
    assert "| setting one | coin | 100 | 50 | 49.5 | 51.0 ± 1.4 | yes | +1.0 | 91.0 ± 1.4 |" in page


def test_files_of_a_row_lie_in_the_folder(coin, monkeypatch, tmp_path):
    outcome = protocol.Outcome(0.5, files={"heads.txt": b"heads"})
    row = replace(coin.rows({})[0], compute=lambda session: outcome)
    monkeypatch.setattr(coin, "rows", lambda config: [row])
    monkeypatch.setattr(coin, "pictures", ("heads.txt", "tails.txt"))
    result = runner.run_study(coin, Settings(), tmp_path / "run")
    assert (tmp_path / "run" / "heads.txt").read_bytes() == b"heads"
    assert [file.name for file in result.files] == ["ours.csv", "tables.md", "heads.txt"]


def test_a_quick_run_takes_its_own_settings_and_has_no_goals(coin, tmp_path):
    result = runner.run_study(coin, Settings(quick=True), tmp_path / "run")
    assert {seed for _, seed in coin.computed} == {0}
    assert result.goals == []
    assert "reached" not in (tmp_path / "run" / "tables.md").read_text()


def test_a_finished_run_loads_no_data_again_but_for_more_seeds(coin, tmp_path):
    first = runner.run_study(coin, Settings(), tmp_path / "run")
    coin.opened.clear()
    assert runner.run_study(coin, Settings(), tmp_path / "run").to_dict() == first.to_dict()
    assert coin.opened == []
    more = runner.run_study(coin, Settings(seeds=(0, 5)), tmp_path / "run")
    assert coin.opened == [5]
    assert more.summaries[0].seeds == (0, 5)


def test_quick_and_whole_runs_do_not_share_a_folder(coin, tmp_path):
    runner.run_study(coin, Settings(quick=True), tmp_path / "run")
    with pytest.raises(UsageError, match="quick is True there and False here"):
        runner.run_study(coin, Settings(), tmp_path / "run")


def test_models_are_not_saved_and_loaded_at_once(coin, tmp_path):
    settings = Settings(save_models=tmp_path / "m", from_models=tmp_path / "m")
    with pytest.raises(UsageError, match="give --save-models or --from-models"):
        runner.run_study(coin, settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_commit_is_that_of_the_clone():
    assert re.fullmatch(r"[0-9a-f]{10}\+?|v\d+\.\d+\.\d+", runner.commit())


KILLED = """
import os, signal, sys
from pathlib import Path
from fewlabel_experiments.protocol import Settings
from fewlabel_experiments.runner import run_study
from tests.experiments.examples import Coin

folder = Path(sys.argv[1])
coin = Coin(folder / "coin")
log = lambda text: os.kill(os.getpid(), signal.SIGKILL) if "seed 1: two" in text else None
run_study(coin, Settings(), folder / "run", log=log)
"""


def test_kill_9_loses_no_row_that_ended(tmp_path):
    paths = os.pathsep.join(str(ROOT / part) for part in ("src", "experiments", "."))
    environment = os.environ | {"PYTHONPATH": paths}
    code = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False
    ).returncode
    assert code == -signal.SIGKILL
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    assert [(json.loads(line)["row"], json.loads(line)["seed"]) for line in lines][-1] == ("two", 1)
    coin = Coin(tmp_path / "again")
    runner.run_study(coin, Settings(), tmp_path / "run")
    assert coin.computed == [("default-100", 1)]
