"""What docs/how-to/cluster-of-machines.md gives to copy."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "docs/how-to/cluster-files"


def test_the_launcher_takes_its_file() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util")
    config = yaml.safe_load((FOLDER / "launcher.yaml").read_text())
    prepared = util.prepare_config(config)
    util.validate_config(prepared)
    assert prepared["max_workers"] == len(config["provider"]["worker_ips"])


def test_the_job_of_kuberay_runs_a_command_that_there_is(tmp_path: Path) -> None:
    job = yaml.safe_load((FOLDER / "kuberay.yaml").read_text())["spec"]
    program, *words = shlex.split(job["entrypoint"].replace("/data/", f"{tmp_path}/"))
    assert program == "fewlabel"
    # Whatever is wrong with an option is said before the run is looked for.
    done = subprocess.run(
        [sys.executable, "-m", "fewlabel", *words], capture_output=True, text=True
    )
    assert f"{tmp_path}/run is not a run folder" in done.stderr
    cluster = job["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = {mount["name"] for each in pod["containers"] for mount in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
