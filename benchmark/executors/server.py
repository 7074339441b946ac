"""A fork server of our own: a small process with the heavy imports done, which forks one child a job.

    python -m benchmark.executors.server benchmark.worker

It starts with a cleaned environment, from the snapshot of the code, before its parent has opened any label, and never
runs a job in itself. Requests are JSON lines on standard input, `{"id", "job", "log", "scratch", "env"}`; answers are
JSON lines on standard output, `{"id", "pid"}` and then `{"id", "status", "cpu_seconds", "max_rss_mib"}`. When its input
ends, because the parent closed it or died, it kills every child and leaves. Without fork it starts an interpreter a job.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

CAN_FORK = hasattr(os, "fork") and sys.platform != "win32"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent(parent: int, number: int | None = None) -> None:
    """Asks the kernel (Linux) to signal this process when its parent goes; leaves at once if it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number or signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Asks the kernel (Linux) to make this process the parent of its descendants' orphans, so that it can end them."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_job(module: str, request: dict[str, Any]) -> int:
    """Runs one job in this process: own environment, folder and log, then `module.main(job)`."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.update(request["env"])
    tempfile.tempdir = None  # the server has looked it up already, with its own environment
    os.chdir(request["scratch"])
    return int(importlib.import_module(module).main(json.loads(Path(request["job"]).read_text(encoding="utf-8"))))


def _child(module: str, request: dict[str, Any], server: int) -> None:
    code = 1
    try:
        os.setsid()
        die_with_parent(server)
        adopt_orphans()  # so that what it starts stays below it, is counted with it and ends with it
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        code = run_job(module, request)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def kill_group(pid: int) -> None:
    """Kills a child and everything in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _living(process: psutil.Process, *, recursive: bool = True) -> list[psutil.Process]:
    """Descendants, or children, of a process that have not ended."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in process.children(recursive=recursive):
            with contextlib.suppress(psutil.Error):
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
    return found


def kill_until_none(processes: Callable[[], list[psutil.Process]], seconds: float = 5) -> None:
    """Kills processes and looks again until there are none: one may fork while it is being killed."""
    end = time.monotonic() + seconds
    while (found := processes()) and time.monotonic() < end:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.002)


class Server:
    """The loop: read requests, fork, reap, answer."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.running: dict[int, str] = {}
        self.answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # nothing a library prints may get between the answers

    def answer(self, **message: Any) -> None:
        """Sends one answer."""
        self.answers.write(json.dumps(message) + "\n")
        self.answers.flush()

    def start(self, request: dict[str, Any]) -> None:
        """Forks a child for a request."""
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(self.answers.fileno())
            _child(self.module, request, server)
        self.running[pid] = request["id"]
        self.answer(id=request["id"], pid=pid)

    def reap(self) -> None:
        """Answers for every child that has ended; what is left of its session ends with it."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.running.pop(pid, None)
            if name is None:
                continue
            kill_group(pid)
            self.kill_strays()
            scale = 1024 if sys.platform == "linux" else 2**20
            self.answer(
                id=name,
                status=os.waitstatus_to_exitcode(status),
                cpu_seconds=usage.ru_utime + usage.ru_stime,
                max_rss_mib=usage.ru_maxrss / scale,
            )

    def kill_strays(self) -> None:
        """Kills what jobs that ended left behind in sessions of their own."""
        me = psutil.Process()

        def strays() -> list[psutil.Process]:
            found = [child for child in _living(me, recursive=False) if child.pid not in self.running]
            return [below for stray in found for below in (*_living(stray), stray)]

        kill_until_none(strays)

    def loop(self) -> None:
        """Serves until the input ends."""
        wake_in, wake_out = os.pipe()
        os.set_blocking(wake_in, False)
        os.set_blocking(wake_out, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(wake_out, warn_on_full_buffer=False)
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(wake_in, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    chunk = os.read(key.fd, 1 << 16)
                    if key.fd == wake_in:
                        continue
                    if not chunk:
                        self.stop()
                    pending += chunk
                *lines, pending = pending.split(b"\n")
                for line in lines:
                    self.start(json.loads(line))
                self.reap()

    def stop(self) -> None:
        """Kills every descendant and leaves."""
        for pid in self.running:
            kill_group(pid)
        kill_until_none(lambda: _living(psutil.Process()))
        os._exit(0)


def serve_by_spawning(module: str) -> None:
    """The same service where there is no fork: a fresh interpreter a job, one thread a child."""
    import threading

    lock, running = threading.Lock(), {}

    def say(**message: Any) -> None:
        with lock:
            print(json.dumps(message), flush=True)

    def one(request: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "benchmark.executors.server", module, json.dumps(request)]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        running[request["id"]] = child
        say(id=request["id"], pid=child.pid)
        say(id=request["id"], status=child.wait(), cpu_seconds=None, max_rss_mib=None)

    for line in sys.stdin:
        threading.Thread(target=one, args=(json.loads(line),), daemon=True).start()
    for child in running.values():
        child.kill()
    os._exit(0)


def main(arguments: list[str]) -> int:
    """`server MODULE` serves; `server MODULE REQUEST` runs one job and leaves."""
    module = arguments[0]
    if len(arguments) > 1:
        return run_job(module, json.loads(arguments[1]))
    if not CAN_FORK:
        serve_by_spawning(module)
        return 0
    die_with_parent(os.getppid(), signal.SIGTERM)  # caught by the loop: a killed server could not end its jobs' own children
    adopt_orphans()
    importlib.import_module(module).preload()
    Server(module).loop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
