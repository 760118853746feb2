"""A process of its own that answers calls: what takes long never holds up who waits for a page."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from fewlabel.errors import FewLabelError, UsageError
from fewlabel.threads import _usable_cores

Progress = Callable[[str, int, int], None]
Calls = Mapping[str, Callable[..., Any]]
# Between two reports of progress.
_REPORT_SECONDS = 0.2
_POLL_SECONDS = 0.1
# Given to the process to end by itself.
_END_SECONDS = 2.0


class _WorkerError(FewLabelError):
    """What the process could not do, or that it has ended."""


@dataclass(frozen=True)
class _Stage:
    """What the process is at."""

    name: str = ""
    done: int = 0
    total: int = 0


class _Worker:
    """A child process with state, for one call after the other; one that dies is started again."""

    def __init__(self, build: Callable[..., Calls], *args: Any) -> None:
        self._build, self._args = build, args
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[str, tuple[Any, ...], Future[Any]]] = {}
        self._wake = threading.Condition()
        self._stopping, self._stage = False, _Stage()
        self._thread = threading.Thread(target=self._serve, name="worker", daemon=True)

    @property
    def stage(self) -> _Stage:
        """What the process is at."""
        return self._stage

    def call(self, name: str, *args: Any) -> Future[Any]:
        """Ask for a call."""
        future: Future[Any] = Future()
        with self._wake:
            if self._stopping:
                raise _WorkerError("The process has been stopped.")
            self._waiting[next(self._numbers)] = (name, args, future)
            if not self._thread.is_alive() and self._thread.ident is None:
                self._thread.start()
            self._wake.notify_all()
        return future

    def stop(self) -> None:
        """End the process; calls that wait are canceled."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout=2 * _END_SECONDS)

    def _serve(self) -> None:
        """Pass calls on until the end."""
        while self._await_call():
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process(
                target=_run, args=(theirs, self._build, self._args), daemon=True
            )
            process.start()
            theirs.close()
            try:
                while self._await_call():
                    self._pass_on(ours)
            except (EOFError, OSError):
                process.join(_END_SECONDS)
                self._fail_first(process.exitcode)
            finally:
                self._stage = _Stage()
                ours.close()
                process.terminate()
                process.join(_END_SECONDS)
        for _, _, future in self._waiting.values():
            future.cancel()

    def _await_call(self) -> bool:
        """Wait for a call; False at the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._stopping or self._waiting)
            return not self._stopping

    def _pass_on(self, pipe: Connection) -> None:
        """Make the first call that waits, and deliver what comes back."""
        number, (name, args, future) = next(iter(self._waiting.items()))
        pipe.send((name, args))
        while True:
            while not pipe.poll(_POLL_SECONDS):
                if self._stopping:
                    return
            kind, content = pipe.recv()
            if kind == "stage":
                self._stage = _Stage(*content)
                continue
            self._stage = _Stage()
            with self._wake:
                del self._waiting[number]
            if kind == "done":
                future.set_result(content)
            else:
                future.set_exception(content)
            return

    def _fail_first(self, exit_code: int | None) -> None:
        """Say of the call that the process died of that it failed."""
        with self._wake:
            if self._stopping or not self._waiting:
                return
            name, _, future = self._waiting.pop(next(iter(self._waiting)))
        why = "killed, perhaps for memory" if exit_code == -9 else f"exit code {exit_code}"
        future.set_exception(
            _WorkerError(f"The process that learns ended while it was at {name!r} ({why}).")
        )


def _run(pipe: Connection, build: Callable[..., Calls], args: tuple[Any, ...]) -> None:
    """Answer calls in the child process."""
    # Ctrl-C reaches the whole group; the parent ends this process in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The page shows what it is at, and the command has named the images that were set aside.
    warnings.simplefilter("ignore")
    # The page must stay fast, and the person's other programs too.
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)
    import threadpoolctl
    import torch

    n_threads = max(1, min(_usable_cores() - 1, torch.get_num_threads()))
    torch.set_num_threads(n_threads)
    calls: Calls | None = None
    with threadpoolctl.threadpool_limits(n_threads), contextlib.suppress(EOFError, OSError):
        while True:
            name, given = pipe.recv()
            try:
                calls = build(*args, progress=_reporter(pipe)) if calls is None else calls
                answer = ("done", calls[name](*given))
            except FewLabelError as error:
                answer = ("failed", UsageError(str(error)))
            except BrokenPipeError:
                return
            except Exception as error:
                answer = ("failed", _WorkerError(f"{type(error).__name__}: {error}"))
            pipe.send(answer)


def _reporter(pipe: Connection) -> Progress:
    """Return a progress callback that sends a stage now and then."""
    last: dict[str, Any] = {"stage": "", "at": 0.0}

    def report(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != last["stage"] or now - last["at"] > _REPORT_SECONDS:
            last.update(stage=stage, at=now)
            pipe.send(("stage", (stage, done, total)))

    return report
