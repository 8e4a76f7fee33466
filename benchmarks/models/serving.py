"""llama.cpp's server with real weights, for as long as a context lasts."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_CONTEXT_TOKENS = 8192
_READY_S = 120.0
_IN_PYTHON = """
import sys, time, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.hostnames, settings.port = sys.argv[1], ["127.0.0.1"], int(sys.argv[2])
settings.n_parallel, settings.n_ctx, settings.n_gpu_layers = 1, int(sys.argv[3]), 0
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = int(sys.argv[4])
server = xllamacpp.Server(settings)
while True:
    time.sleep(3600)
"""


class ServingError(Exception):
    """The weights cannot be had or are not served; the message says what to do."""


@contextlib.contextmanager
def serving(weights: str, directory: Path, port: int, program: str = "") -> Iterator[str]:
    """The `--model` of a server with the weights that scripts/fetch-weights calls so: `program`, a llama-server, or the one in
    the wheel xllamacpp. Its output is kept in `directory`. Raises ServingError."""
    path = fetched(weights, directory)
    with socket.socket() as other:
        if other.connect_ex(("127.0.0.1", port)) == 0:  # its answers would count as this model's
            raise ServingError(f"something listens on port {port}: name another with --port")
    context, threads = str(_CONTEXT_TOKENS), str(os.cpu_count() or 1)
    if program:
        words = [program, "-m", str(path), "--port", str(port), "--parallel", "1", "--ctx-size", context]
        words += ["--threads", threads]
    else:
        words = [sys.executable, "-c", _IN_PYTHON, str(path), str(port), context, threads]
    log = directory / f"{weights}.log"
    with log.open("w") as out:
        try:
            server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        except OSError as error:
            raise ServingError(f"{words[0]}: {error.strerror}") from error
        try:
            _wait(server, f"http://127.0.0.1:{port}/health", log)
            yield f"openai:http://127.0.0.1:{port}/v1#{path.stem}"
        finally:
            server.terminate()
            server.wait()


def fetched(weights: str, directory: Path) -> Path:
    """The GGUF file, fetched if it is not there yet. Raises ServingError."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "fetch-weights"), weights, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServingError(f"the weights '{weights}' cannot be had: fetch-weights ended with {done.returncode}")
    return Path(done.stdout.strip())


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until the model is loaded. Raises ServingError."""
    end_s = time.monotonic() + _READY_S
    while time.monotonic() < end_s:
        if server.poll() is not None:
            raise ServingError(f"the server ended with {server.returncode}; its output is in {log}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.3)
    raise ServingError(f"the server is not ready after {_READY_S:g} s; its output is in {log}")
