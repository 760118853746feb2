"""Whether what `pyproject.toml` declares holds: the oldest dependencies, and other Pythons.

    python benchmarks/versions.py --lowest          every dependency at its lower bound
    python benchmarks/versions.py --python 3.13     another Python, the newest dependencies
    python benchmarks/versions.py --lowest --torch 2.13.0

An environment is made with uv, the only installer that can resolve to lower bounds; the wheel is
installed with every extra, and the quick tests run from it. Counts and failures are added to
results/versions.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "versions.json"
# What leans on other packages most, of every layer: two minutes where nothing else runs.
TESTS = [
    *(f"tests/{folder}" for folder in ("persist", "graph/test_propagation.py")),
    *(f"tests/data/test_{name}.py" for name in ("sheets", "images", "formats", "npz")),
    *("tests/cluster/test_neighbors.py", "tests/evaluate/test_crossfit.py"),
    *("tests/nets/test_network.py", "tests/features/test_backbone.py"),
    *(f"tests/explain/test_{name}.py" for name in ("lime", "superpixels")),
    *(f"tests/labelling/test_{name}.py" for name in ("store", "database", "agreement")),
    *("tests/runs/test_folder.py", "tests/report/test_tensorboard.py"),
    *("tests/web/test_service.py", "tests/cli/test_predict.py", "tests/cli/test_messages.py"),
]
# The tools of developers; and export, whose bounds are the versions that `make test` runs with: it
# would lift torch for all the others.
NOT_HERE = {"dev", "docs", "bench", "onnx"}
# Their own versions are not what is tested.
TOOLS = ["pytest>=9", "hypothesis>=6.150", "httpx>=0.28", "httpx2>=2", "pandas>=2.2", "odfpy"]


def install(
    folder: Path, env: Path, python: str, *, lowest: bool, torch: str | None
) -> dict[str, str]:
    """Make an environment, and return the versions of what the wheel asks for in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = sorted({*project["optional-dependencies"]} - NOT_HERE)
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "build", "-q", "--wheel", "-o", str(folder), str(ROOT)], check=True)
    if not env.exists():
        subprocess.run([*uv, "venv", "-q", "-p", python, str(env)], check=True)
    [wheel] = folder.glob("*.whl")
    command = [*uv, "pip", "install", "-q", "-p", str(env)]
    # Of the project itself, since lower bounds are taken of what is asked for directly alone.
    needed = ["-r", str(ROOT / "pyproject.toml"), *(f"--extra={extra}" for extra in extras)]
    needed += TOOLS + ([f"torch=={torch}"] if torch else [])
    resolution = ["--resolution", "lowest-direct"] if lowest else []
    subprocess.run([*command, *resolution, *needed], check=True)
    subprocess.run([*command, "--no-deps", "--reinstall", str(wheel)], check=True)
    listed = [*uv, "pip", "list", "-p", str(env), "--format", "json"]
    found = json.loads(subprocess.run(listed, capture_output=True, check=True).stdout)
    wanted = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[\[>=]", text)[0].lower() for texts in wanted for text in texts}
    return {p["name"]: p["version"] for p in found if p["name"].lower() in names}


def main() -> None:
    """Test one environment, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=f"{sys.version_info.major}.{sys.version_info.minor}")
    parser.add_argument("--lowest", action="store_true")
    parser.add_argument("--torch", help="a version that lies here, in place of what is resolved")
    parser.add_argument("--env", type=Path, help="keep the environment here for the next time")
    options = parser.parse_args()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FEWLABEL_"))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = options.env or folder / "env"
        versions = install(
            folder, place, options.python, lowest=options.lowest, torch=options.torch
        )
        start = time.perf_counter()
        # What is old warns of what was to come, and what is new of what will: neither is a fault.
        command = [str(place / "bin" / "python"), "-m", "pytest", "-p", "no:cacheprovider"]
        command += ["-o", "filterwarnings=ignore", "--durations=5", "--tb=short", *TESTS]
        lines = []
        with subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                lines.append(line)
    record = {
        "versions": versions,
        "seconds": round(time.perf_counter() - start),
        "counts": lines[-1].strip("= \n"),
        "failed": [line.split()[1] for line in lines if line.startswith(("FAILED", "ERROR"))],
    }
    records = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    key = f"Python {options.python}, {'lowest' if options.lowest else 'newest'}"
    RESULT.write_text(json.dumps(records | {key: record}, indent=1) + "\n")
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
