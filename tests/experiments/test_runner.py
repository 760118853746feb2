import csv
import json
import re
import signal
from dataclasses import replace

import pytest

from fewlabel.errors import UsageError
from fewlabel_experiments import protocol, runner
from fewlabel_experiments.protocol import Settings
from tests.experiments.examples import Coin
from tests.interpreter import run_code


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
    assert re.fullmatch(r"[0-9a-f]{10}\+?|v\d+\.\d+\.\d+", lines[0]["commit"])
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


def test_a_quick_run_has_its_own_settings_and_folder_and_no_goals(coin, tmp_path):
    result = runner.run_study(coin, Settings(quick=True), tmp_path / "run")
    assert {seed for _, seed in coin.computed} == {0}
    assert result.goals == []
    assert "reached" not in (tmp_path / "run" / "tables.md").read_text()
    with pytest.raises(UsageError, match="quick is True there and False here"):
        runner.run_study(coin, Settings(), tmp_path / "run")


def test_a_finished_run_loads_no_data_again_but_for_more_seeds(coin, tmp_path):
    first = runner.run_study(coin, Settings(), tmp_path / "run")
    coin.opened.clear()
    assert runner.run_study(coin, Settings(), tmp_path / "run").to_dict() == first.to_dict()
    assert coin.opened == []
    more = runner.run_study(coin, Settings(seeds=(0, 5)), tmp_path / "run")
    assert coin.opened == [5]
    assert more.summaries[0].seeds == (0, 5)


def test_what_an_interrupted_row_goes_on_from_is_kept_until_its_seed_has_ended(
    coin, monkeypatch, tmp_path
):
    found = []

    def open_session(config, settings, seed, progress):
        found.append(settings.unfinished.is_dir())
        settings.unfinished.mkdir(exist_ok=True)
        return protocol.Session(config, settings, seed, progress)

    monkeypatch.setattr(coin, "session", open_session)
    coin.fail_at = ("two", 0)
    with pytest.raises(KeyboardInterrupt):
        runner.run_study(coin, Settings(), tmp_path / "run")
    coin.fail_at = None
    runner.run_study(coin, Settings(), tmp_path / "run")
    assert found == [False, True, False]
    assert not [path for path in (tmp_path / "run").iterdir() if path.is_dir()]


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
    killed = run_code(KILLED, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    assert [(json.loads(line)["row"], json.loads(line)["seed"]) for line in lines][-1] == ("two", 1)
    coin = Coin(tmp_path / "again")
    runner.run_study(coin, Settings(), tmp_path / "run")
    assert coin.computed == [("default-100", 1)]
