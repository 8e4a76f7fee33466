"""One process a run that holds the models, for all workers: weights are loaded once, the spending limit counts everything.

It ends with the process that started it, however that ends. Workers talk to it over a socket in the run's private directory.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from compiler_ai.driver.options import Options
from compiler_ai.models.base import Answer, Message, Model, ModelError, Sampling, SpentError
from compiler_ai.models.recording import RecordedModel, Recording, cache_path
from compiler_ai.models.spec import ModelLimits, limits_of, open_model, parse
from compiler_ai.models.spending import Ledger, MeteredModel

_SOCKET = "models"
_REASON = "models.error"
_START_S = 60.0


@dataclass(frozen=True)
class HostSettings:
    """What a host needs to know; `record` "" means that answers are kept in the cache only."""

    limits: ModelLimits
    weights: str  # how models in process hold them
    cache: Path
    record: str


@contextlib.contextmanager
def hosting(options: Options, cache: Path, shared: Path) -> Iterator[None]:
    """Hold the models that `options` name, reachable through `shared`, while the context lasts. Does nothing without any.

    Raises ModelError for a model that cannot be meant. A host that does not start is what its workers are told.
    """
    if not options.models:
        yield
        return
    for text in options.models:
        parse(text)
    values = options.values
    settings = HostSettings(limits_of(options), values["model-weights"], cache, values["model-record"])
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(str(shared / _SOCKET), settings, theirs), daemon=False)
    process.start()
    theirs.close()
    try:
        said = _started(ours)
        if said:
            (shared / _REASON).write_text(said)
        yield
    finally:
        ours.close()
        process.terminate()
        process.join(5.0)
        if process.is_alive():
            process.kill()
            process.join()
        for name in (_SOCKET, _REASON):
            (shared / name).unlink(missing_ok=True)


def _started(pipe: Connection) -> str:
    """Waits for the host; why it cannot be used, or ""."""
    try:
        return str(pipe.recv()) if pipe.poll(_START_S) else f"it did not start within {_START_S:g} s"
    except (EOFError, OSError):
        return "it ended while it started"


class HostedModel:
    """A model in the run's host, seen from a worker."""

    def __init__(self, shared: Path, text: str, patience_s: float = 0.0) -> None:
        """Raises ModelError when the model cannot be opened, or is not within `patience_s` (0: however long it takes)."""
        self._address = str(shared / _SOCKET)
        self._reason = shared / _REASON
        self._text = text
        self.name: str = self._ask(patience_s, "name")

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        found: list[Answer] = self._ask(sampling.patience_s, "complete", list(messages), sampling)
        return found

    def _ask(self, patience_s: float, *request: Any) -> Any:
        try:
            with Client(self._address, family="AF_UNIX") as connection:
                connection.send((self._text, *request))
                if patience_s and not connection.poll(patience_s):
                    raise ModelError(
                        f"{self._text}: no answer in the function's time; it goes to the cache for the next run, or give "
                        "more with --budget"
                    )
                kind, value = connection.recv()
        except (OSError, EOFError):
            raise ModelError(f"{self._text}: {self._why_gone()}") from None
        if kind == "spent":
            raise SpentError(value)
        if kind == "error":
            raise ModelError(value)
        return value

    def _why_gone(self) -> str:
        try:
            return f"the models' process cannot be used: {self._reason.read_text()}"
        except OSError:
            return "the models' process has ended (out of memory?)"


class _Models:
    """The open models by their spelling; one that could not be opened stays an error."""

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.limits)
        self._lock = threading.Lock()
        self._open: dict[str, Model | str] = {}
        self._copies = [Recording(Path(settings.record))] if settings.record else []

    def get(self, text: str) -> Model:
        with self._lock:
            if text not in self._open:
                try:
                    self._open[text] = self._make(text)
                except ModelError as error:
                    self._open[text] = str(error)
            found = self._open[text]
        if isinstance(found, str):
            raise ModelError(found)
        return found

    def _make(self, text: str) -> Model:
        spec = parse(text)
        model = open_model(spec, self._settings.limits, self._settings.weights)
        if spec.kind == "replay":
            return model
        cache = Recording(cache_path(self._settings.cache, text))
        return RecordedModel(MeteredModel(model, self._ledger), cache, self._copies)


def _serve(address: str, settings: HostSettings, parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # libraries draw progress bars
        os.dup2(quiet, descriptor)
    try:
        models = _Models(settings)
        listener = Listener(address, family="AF_UNIX", backlog=64)
    except (ModelError, OSError) as error:
        parent.send(str(error))
        return
    parent.send("")
    threading.Thread(target=_accept, args=(listener, models), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        parent.recv()  # never sent anything: returns when the parent is gone
    os._exit(0)


def _accept(listener: Listener, models: _Models) -> None:
    while True:
        try:
            connection = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, models), daemon=True).start()


def _answer(connection: Connection, models: _Models) -> None:
    with connection, contextlib.suppress(EOFError, OSError):
        text, verb, *arguments = connection.recv()
        try:
            model = models.get(text)
            value: Any = model.name if verb == "name" else model.complete(*arguments)
            reply: tuple[str, Any] = ("value", value)
        except SpentError as error:
            reply = ("spent", str(error))
        except ModelError as error:
            reply = ("error", str(error))
        except Exception as error:
            reply = ("error", f"{text}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        connection.send(reply)
