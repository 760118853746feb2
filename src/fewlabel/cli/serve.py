"""``fewlabel serve``: predictions by HTTP."""

import contextlib
import json
import re
import signal
import sys
import warnings
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from fewlabel.cli import options
from fewlabel.cli.console import ProgressBars, one_line, say
from fewlabel.errors import UsageError
from fewlabel.extras import check_installed
from fewlabel.texts import _counted

_RATE = 20
_MB = 1_000_000
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

HELP = """Predict images that are sent by HTTP.

POST an image to /predict, or several as a form, and get JSON: labels, calibrated confidences, and
with `--max-error 2%` no label where the model is not sure enough. Several models are asked by
name, /models/NAME/predict. Requests that come at the same time are predicted together. A run folder
that is replaced is loaded beside the old model and takes its place without a dropped request; so
does SIGHUP. /readyz, /healthz and /metrics (Prometheus) are for those who watch it, /openapi.json
describes it. Only this machine can ask unless --host says otherwise; then requests need the printed
token. Ctrl-C ends.

\b
Examples:
  fewlabel serve run
  fewlabel serve run --max-error 2% --json 2> requests.jsonl
  fewlabel serve birds=run-a leaves=run-b --host 0.0.0.0 --token SECRET
  curl -F images=@photo.jpg http://127.0.0.1:8080/predict
"""


def serve(
    ctx: typer.Context,
    runs: Annotated[
        list[str],
        options.argument("RUN...", "Run folders, or NAME=RUN; the first answers /predict."),
    ],
    max_error: Annotated[
        float | None,
        options.fraction(
            "--max-error",
            "Give no label where the model is not sure enough that at most this part is wrong.",
            is_open=True,
        ),
    ] = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 8080,
    token: options.Token = None,
    names: Annotated[
        str | None, options.option("--names", "A,B,…", "More host names under which it is asked.")
    ] = None,
    rate: Annotated[
        int | None,
        options.number(
            "--rate",
            f"Requests with images a second of one address, 0 for any number. By default {_RATE}, "
            "and any number where only this machine can ask.",
        ),
    ] = None,
    max_mb: Annotated[
        int, options.number("--max-mb", "Megabytes of a request.", least=1, most=1_000)
    ] = 32,
    max_megapixels: Annotated[
        int, options.number("--max-megapixels", "Megapixels of an image.", least=1, most=100)
    ] = 50,
    max_images: Annotated[
        int, options.number("--max-images", "Images of a request.", least=1, most=10_000)
    ] = 64,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="TIME", parser=options.duration, help="Time of a request."
        ),
    ] = "30s",  # type: ignore[assignment]
    drain: Annotated[
        float,
        typer.Option(
            "--drain",
            metavar="TIME",
            parser=options.duration,
            help="Time from SIGTERM on in which new requests are answered, while /readyz says 503.",
        ),
    ] = "1s",  # type: ignore[assignment]
    as_json: Annotated[bool, options.flag("--json", "Write the log as JSON, a line each.")] = False,
) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        check_installed(package, "`fewlabel serve`")
    named = _named(runs)
    # Imported late: a mistake in the names is said before torch is loaded.
    from fewlabel.web.limits import _Limits
    from fewlabel.web.models import _Models
    from fewlabel.web.security import _is_loopback, _token_for
    from fewlabel.web.server import _listen, _serve, _url_of
    from fewlabel.web.service import _Service

    token = _token_for(host, token)
    limits = _Limits(
        max_body=max_mb * _MB,
        max_bytes=max(8 * max_mb, 256) * _MB,
        max_pixels=max_megapixels * _MB,
        max_images=max_images,
        max_waiting=max(256, 4 * max_images),
        rate=(0 if _is_loopback(host) else _RATE) if rate is None else rate,
        seconds=timeout,
    )

    log = partial(_log, as_json=as_json)
    with _listen(host, port) as listening:
        with ProgressBars(enabled=not as_json) as progress:
            progress("loading", 0, len(named))
            models = _Models(named, max_error=max_error, log=log)
            progress("loading", len(named), len(named))
        more = [name.strip() for name in (names or "").split(",") if name.strip()]
        service = _Service(models, limits, log, host=host, token=token, names=more)
        for name in models.names:
            loaded = models[name]
            n = len(loaded.model.classes)
            say(f"Model {name} ({loaded.id}): {n} classes, from {one_line(str(named[name]))}")
        say(f"Predicting at {_url_of(listening, host)}predict (Ctrl-C ends)")
        if token:
            say(f"Requests need the header: Authorization: Bearer {token}")
        # What Pillow and odd pixel values are warned of is nobody's to act on here.
        warnings.simplefilter("ignore")
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: models.reload_all())
        with service:
            _serve(
                service.app, listening, log=log, grace_s=timeout, drain=service.end, drain_s=drain
            )


def _named(runs: list[str]) -> dict[str, Path]:
    """Return the run folders by name."""
    found: dict[str, Path] = {}
    for run in runs:
        name, given, path = run.partition("=")
        if not given or Path(run).exists():
            # A link keeps its name, wherever it leads to later on.
            name, path = Path(run).name.strip(".") or Path(run).resolve().name, run
        if not path or not _PLAIN.fullmatch(name):
            raise UsageError(
                f"{run!r} gives no name for a model: give NAME=RUN, where NAME has letters, "
                "digits, '_', '-' and '.'."
            )
        if name in found:
            raise UsageError(f"Two models are named {name}: give one another name, NAME=RUN.")
        found[name] = Path(path)
    return found


def _log(fields: dict[str, Any], *, as_json: bool) -> None:
    """Write a line of the log to stderr."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if as_json:
        line = json.dumps({"time": now} | fields)
    elif fields["event"] == "request":
        words = [fields["method"], fields["path"], fields["status"], f"{fields['seconds']:.3f} s"]
        words += [_counted(fields["images"])] if "images" in fields else []
        line = " ".join(map(str, [now, fields["client"], *words]))
    else:
        rest = ", ".join(f"{key} {value}" for key, value in fields.items() if key != "event")
        line = f"{now} {fields['event']}: {one_line(rest)}"
    with contextlib.suppress(OSError, ValueError):
        # A log that cannot be written must not end the service.
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
