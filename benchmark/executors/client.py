"""The parent's side of the fork server: start it clean, send jobs, hold each to its limits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmark.executors.meter import LOG, Limits, Meter, cap_log, has_ended, oom_kills
from benchmark.ground.errors import UserError

POLL_SECONDS = 0.2
ANSWER_SECONDS = 10.0  # within which a server must see that a job has ended


@dataclass(frozen=True)
class Exit:
    """How a job ended.

    status: exit code, negative for a signal. limit: which limit killed it, or None. oom: whether the kernel killed a process
    for want of memory meanwhile, None where it doesn't say.
    """

    status: int
    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    limit: str | None = None
    oom: bool | None = None


class Stopped(Exception):
    """The run is being stopped; no record is owed."""


class ServerGone(UserError):
    """The process that forks jobs ended by itself. begun: whether this job had been forked by then."""

    def __init__(self, module: str, code: int | None, *, begun: bool) -> None:
        super().__init__(f"the process that forks {module} ended with {code}; its last words stand above. Run again to go on")
        self.module, self.code, self.begun = module, code, begun


class _Call:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.pid: int | None = None
        self.started = time.monotonic()  # set again at the fork: the server may still be importing when a job comes
        self.answer: dict[str, Any] = {}


class ForkServer:
    """A started fork server for one module's `main(job)`; safe to call from several threads.

    code: the folder it runs from. env: its whole environment. gone: whether it has ended. Use as a context manager.
    """

    def __init__(self, module: str, *, code: Path, env: dict[str, str]) -> None:
        self.module = module
        self._calls: dict[str, _Call] = {}
        self._lock = threading.Lock()
        self.stopped = self.gone = False
        command = [sys.executable, "-m", "benchmark.executors.server", module]
        self._process = subprocess.Popen(
            command, cwd=code, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server and every job in it."""
        self.stopped = True
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=10)
        if self._process.stdout:
            self._process.stdout.close()
        for call in list(self._calls.values()):
            call.done.set()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            call = self._calls.get(message["id"])
            if call is None:
                continue
            if "pid" in message:
                call.started = time.monotonic()
                call.pid = message["pid"]
            else:
                call.answer = message
                call.done.set()
        self.gone = True
        for call in list(self._calls.values()):
            call.done.set()

    def run(
        self, job: dict[str, Any], *, folder: Path, scratch: Path, limits: Limits, on_poll: Callable[[], None] | None = None
    ) -> Exit:
        """Runs one job to its end or to a limit. Writes `job.json` and `log.txt` into folder.

        Raises Stopped when the server is closed meanwhile, ServerGone when it ended by itself.
        """
        name, kills = uuid.uuid4().hex, oom_kills()
        path = folder / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        env = {"HOME": str(scratch), "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
        request = {"id": name, "job": str(path), "log": str(folder / LOG), "scratch": str(scratch), "env": env}
        call = self._calls[name] = _Call()
        try:
            with self._lock:
                assert self._process.stdin is not None
                self._process.stdin.write((json.dumps(request) + "\n").encode())
                self._process.stdin.flush()
            limit = self._watch(call, limits, meter := Meter(folder, scratch), on_poll)
        except (BrokenPipeError, ValueError):
            raise self._gone(call) from None
        finally:
            self._calls.pop(name, None)
        cap_log(folder / LOG)
        if not call.answer and limit:
            return Exit(-signal.SIGKILL, time.monotonic() - call.started, meter.cpu, meter.peak, limit)
        if not call.answer:
            meter.kill_all()
            raise self._gone(call)
        return Exit(
            status=call.answer["status"],
            wall_seconds=time.monotonic() - call.started,
            cpu_seconds=call.answer["cpu_seconds"] or meter.cpu,
            peak_mib=max(meter.peak, call.answer["max_rss_mib"] or 0.0),
            limit=limit,
            oom=None if kills is None else (oom_kills() or 0) > kills,
        )

    def _gone(self, call: _Call) -> Exception:
        """Stopped where this side closed the server, else what became of it."""
        if self.stopped:
            return Stopped()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        return ServerGone(self.module, self._process.returncode, begun=call.pid is not None)

    def _watch(self, call: _Call, limits: Limits, meter: Meter, on_poll: Callable[[], None] | None) -> str | None:
        """Waits for the job's end; kills it at a limit, and returns which."""
        ended: float | None = None
        while not call.done.wait(POLL_SECONDS):
            if on_poll:
                on_poll()
            if call.pid is None:
                continue
            if has_ended(call.pid):  # and nobody says so: the server may be stopped
                ended = ended or time.monotonic()
                if time.monotonic() - ended > ANSWER_SECONDS:
                    self._process.kill()
                continue
            meter.read(call.pid)
            if limit := meter.over(limits, time.monotonic() - call.started):
                kill_tree(call.pid)
                if not call.done.wait(ANSWER_SECONDS):  # the server doesn't answer: its jobs are better off with another
                    self._process.kill()
                return limit
        return None


def kill_tree(pid: int) -> None:
    """Kills a process, its session and all its descendants."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.Error):
                process.kill()
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def clean_environment(threads: int) -> dict[str, str]:
    """The whole environment of a fork server: an allow-list, fixed thread counts, no data path, no user's home."""
    allowed = (
        "PATH",
        "LANG",
        "LC_ALL",
        "SYSTEMROOT",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "VIRTUAL_ENV",
        "CUDA_VISIBLE_DEVICES",
    )
    env = {name: os.environ[name] for name in allowed if name in os.environ}
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")
    env.update(dict.fromkeys(counts, str(threads)))
    env.update(PYTHONHASHSEED="0", PYTHONUNBUFFERED="1", CUBLAS_WORKSPACE_CONFIG=":4096:8")
    return env
