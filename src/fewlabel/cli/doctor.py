"""``fewlabel doctor``: what this machine can do, what is missing and how to get it."""

import os
import platform
import shutil
from pathlib import Path
from typing import Any

from fewlabel import __version__
from fewlabel.cli.console import say, show_json, show_table
from fewlabel.cli.options import Json
from fewlabel.cli.weights import weights_at_hand
from fewlabel.extras import _installed_version
from fewlabel.reading import _from_home
from fewlabel.threads import _lines_of, _memory_bytes, _processor_name

HELP = """Show what this machine can do, and how to get what is missing.

Measures the rate of matrix products (two seconds), and lists the processor's instruction sets,
the devices, the packages, the pretrained weights, the benchmark data and the free room. Put its
output into a bug report.

\b
Examples:
  fewlabel doctor
  fewlabel doctor --json
"""

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "Pillow", "pyarrow", "matplotlib")
# Private functions of torch, which some versions lack.
_INSTRUCTION_SETS = {
    "AMX (bfloat16)": "_is_amx_tile_supported",
    "AVX512-BF16": "_is_avx512_bf16_supported",
    "AVX512": "_is_avx512_supported",
    "AVX2": "_is_avx2_supported",
}


def doctor(as_json: Json = False) -> None:
    """Look at the machine and print what was found."""
    found = _examine()
    if as_json:
        show_json(found)
        return
    show_table(("", ""), list(_lines(found)))
    say()
    for advice in found["advice"]:
        say(advice)


def _examine() -> dict[str, Any]:
    """Return what ``--json`` prints of this machine; ``advice`` holds what to do."""
    found = {
        "fewlabel": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "devices": _devices(),
        "packages": {name: _installed_version(name) for name in _PACKAGES},
        "optional": _optional(),
        "weights": weights_at_hand(),
        "data": _data(),
        "room": _room(),
    }
    return found | {"advice": _advice(found)}


def _processor() -> dict[str, Any]:
    import torch

    from fewlabel.compute import _gemm_rates, matmul_dtype
    from fewlabel.data.parallel import _worker_count

    rates = _gemm_rates()
    sets = {name: getattr(torch.cpu, test, None) for name, test in _INSTRUCTION_SETS.items()}
    return {
        "model": _processor_name(),
        "cores": os.cpu_count(),
        "usable_cores": _worker_count(),
        "torch_threads": torch.get_num_threads(),
        "instruction_sets": [name for name, test in sets.items() if test is not None and test()],
        "gflop_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "matmul_dtype": str(matmul_dtype("cpu")).removeprefix("torch."),
    }


def _devices() -> dict[str, Any]:
    import torch

    from fewlabel.compute import _pick_device

    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    mps = bool(torch.backends.mps.is_available())
    return {"auto": str(_pick_device("auto")), "cuda": cuda, "mps": mps}


def _optional() -> dict[str, dict[str, str | None]]:
    from fewlabel.extras import EXTRA_OF, is_installed

    return {
        package: {
            "version": (_installed_version(package) or "unknown")
            if is_installed(package)
            else None,
            "install": f"pip install 'fewlabel[{extra}]'",
        }
        for package, extra in EXTRA_OF.items()
    }


def _data() -> dict[str, Any]:
    from fewlabel.data import cache_folder, list_benchmarks

    where = {info.name: info.where for info in list_benchmarks()}
    return {
        "FEWLABEL_DATA": os.environ.get("FEWLABEL_DATA"),
        "cache": str(cache_folder()),
        "benchmarks": {name: None if at is None else str(at) for name, at in where.items()},
    }


def _room() -> dict[str, float | None]:
    """Return room in GB; only Linux has the free memory without a package."""
    sizes = {name: 1024 * int(value.split()[0]) for name, value in _lines_of("/proc/meminfo")}
    total, free = _memory_bytes(), sizes.get("MemAvailable")
    found = {
        "free_disk_gb": shutil.disk_usage(Path.cwd()).free,
        "memory_gb": total,
        "free_memory_gb": free,
    }
    return {name: None if size is None else round(size / 1e9, 1) for name, size in found.items()}


def _advice(found: dict[str, Any]) -> list[str]:
    advice = [
        f"{package} is not installed: run `{what['install']}` to use it."
        for package, what in found["optional"].items()
        if what["version"] is None
    ]
    advice += [weights["where"] for weights in found["weights"] if weights["refused"]]
    if found["optional"]["timm"]["version"] and not any(w["at_hand"] for w in found["weights"]):
        install = found["optional"]["timm"]["install"]
        advice.append(f"No pretrained network is at hand: run `{install}` for photos.")
    own = found["data"]["FEWLABEL_DATA"]
    readable = own is not None and os.access(_from_home(own), os.R_OK | os.X_OK)
    if own is not None and not (readable and _from_home(own).is_dir()):
        advice.append(f"FEWLABEL_DATA names {own}, which is not a folder that can be read.")
    if (found["room"]["free_memory_gb"] or 4) < 3:
        advice.append("Less than 3 GB of memory is free: close something before a large fit.")
    if found["room"]["free_disk_gb"] < 1:
        advice.append("Less than 1 GB of disk is free in this folder.")
    return advice


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    processor, devices, room, data = (found[k] for k in ("processor", "devices", "room", "data"))
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in processor["gflop_per_s"].items())
    cuda = ", ".join(devices["cuda"]) or "none"
    memory = "unknown" if room["memory_gb"] is None else f"{room['memory_gb']} GB"
    if room["free_memory_gb"] is not None:
        memory += f", {room['free_memory_gb']} GB of it free"
    lines = [
        ("fewlabel", f"{found['fewlabel']} on Python {found['python']}, {found['system']}"),
        ("processor", f"{processor['model']}, {processor['usable_cores']} usable cores"),
        ("instruction sets", ", ".join(processor["instruction_sets"]) or "none of note"),
        ("matrix products", f"{rates} GFLOP/s; {processor['matmul_dtype']} is used"),
        ("devices", f"{devices['auto']} is used; CUDA: {cuda}"),
        ("memory", memory),
        ("free disk here", f"{room['free_disk_gb']} GB"),
        ("packages", ", ".join(f"{n} {v}" for n, v in found["packages"].items())),
    ]
    for package, what in found["optional"].items():
        # How to get it stands below.
        lines.append((f"{package} (optional)", what["version"] or "missing"))
    lines += [(f"weights {w['name']}", w["where"]) for w in found["weights"]]
    lines.append(("FEWLABEL_DATA", data["FEWLABEL_DATA"] or "not set"))
    lines.append(("downloads go to", data["cache"]))
    for name, where in data["benchmarks"].items():
        lines.append((f"data {name}", where or f"missing: fewlabel data get {name}"))
    return lines
