"""An OpenAI-compatible endpoint (vLLM, SGLang, llama.cpp's server, Ollama, `transformers serve`, hosted ones).

What it sends is not trusted: bytes and time are bounded where they arrive, below the client, so that neither an endless
stream nor one huge line nor a server that drips can hold a run up. Answers are streamed, one request an answer: several
servers ignore `n`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from compiler_ai.models.base import Answer, Message, ModelError, Sampling
from compiler_ai.models.spec import ModelLimits, ModelSpec

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_FRAMING = 16  # times as many bytes on the wire as in the answer: each token comes in a JSON object of its own
_FATAL = {
    400: "it refuses the request (is the prompt longer than its context?)",
    401: "it refuses the key: set AICC_MODEL_KEY",
    403: "it refuses the key: set AICC_MODEL_KEY",
    404: "it does not know the model or the address: check the URL (it usually ends in /v1) and the model's name",
    422: "it refuses the request",
}


class _ExceededError(Exception):
    """The answer passed a limit of bytes or time; the message says which."""


class EndpointModel:
    """One model behind one endpoint. Raises ModelError when the openai package is not installed."""

    def __init__(self, spec: ModelSpec, limits: ModelLimits, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            import openai
        except ImportError:
            raise ModelError(f"{spec.text}: the openai package is missing: pip install 'aicc[openai]'") from None
        self.name = spec.model
        self._openai = openai
        self._where = f"openai:{spec.location}#{spec.model}"
        self._limits = limits
        self._sleep = sleep
        self._slots = threading.Semaphore(limits.concurrency)
        self._given_up = ""  # an error that every further request would meet too
        base: Any = openai.DefaultHttpxClient.__mro__[1]
        transport = _bounded_transport(base, limits)
        self._client: Any = openai.OpenAI(
            base_url=spec.location,
            api_key=_key(spec.location),
            max_retries=0,
            timeout=limits.deadline_s,
            http_client=base(transport=transport, timeout=limits.deadline_s, follow_redirects=False),
        )

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        """The answers that arrived; a ModelError only when none did."""
        if self._given_up:
            raise ModelError(self._given_up)
        with ThreadPoolExecutor(max_workers=min(sampling.count, self._limits.concurrency)) as pool:
            work = [pool.submit(self._one, messages, sampling, number) for number in range(sampling.count)]
        answers: list[Answer] = []
        errors: list[ModelError] = []
        for future in work:
            try:
                answers.append(future.result())
            except ModelError as error:
                errors.append(error)
        if not answers:
            raise errors[0]
        return answers

    def _one(self, messages: Sequence[Message], sampling: Sampling, number: int) -> Answer:
        """One answer, asked for again after what may pass. Raises ModelError."""
        reason, wait_s = "", 0.0
        for attempt in range(self._limits.attempts):
            if attempt:
                self._sleep(wait_s)
            try:
                with self._slots:
                    return self._ask(messages, sampling, number)
            except self._openai.APIStatusError as error:
                status = error.status_code
                reason = f"it answers {status}"
                if status in _FATAL:
                    self._fail(f"{reason}: {_FATAL[status]}{_said(error)}", for_all=status in (401, 403, 404))
                wait_s = _wait_s(attempt, error.response.headers.get("retry-after"))
                continue
            except self._openai.APITimeoutError:
                self._fail(f"no answer within {self._limits.deadline_s:g} s: see -faicc-model-timeout=")
            except self._openai.APIConnectionError as error:
                exceeded = _cause(error)
                if exceeded:
                    self._fail(exceeded)
                reason = "it cannot be reached or breaks off: is the server running?"
            except self._openai.OpenAIError as error:
                reason = f"it answers with an error: {_one_line(str(error))}"
            except _ExceededError as error:
                self._fail(str(error))
            except Exception as error:  # half an answer: what the HTTP library or the JSON decoder makes of it
                exceeded = _cause(error)
                if exceeded:
                    self._fail(exceeded)
                reason = f"its answer breaks off or is none: {type(error).__name__}: {_one_line(str(error))}"
            wait_s = _wait_s(attempt, None)
        self._fail(f"{reason} ({self._limits.attempts} attempts)", for_all="reached" in reason)
        raise AssertionError  # _fail raises

    def _fail(self, reason: str, for_all: bool = False) -> None:
        message = f"{self._where}: {reason}"
        if for_all:
            self._given_up = message
        raise ModelError(message) from None

    def _ask(self, messages: Sequence[Message], sampling: Sampling, number: int) -> Answer:
        started_s = time.monotonic()
        deadline_s = started_s + self._limits.deadline_s
        stream = self._client.chat.completions.create(
            model=self.name,
            messages=[{"role": message.role, "content": message.content} for message in messages],
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed + number,
            max_tokens=sampling.most_tokens,
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces: list[str] = []
        size = chunks = 0
        reason, usage = None, None
        with stream:
            for chunk in stream:
                chunks += 1
                usage = getattr(chunk, "usage", None) or usage
                for choice in (getattr(chunk, "choices", None) or [])[:1]:
                    text = getattr(choice.delta, "content", None) or "" if choice.delta else ""
                    reason = choice.finish_reason or reason
                    pieces.append(text)
                    size += len(text)
                if size > self._limits.answer_bytes:
                    raise _ExceededError(f"its answer is longer than {self._limits.answer_bytes} bytes")
                if time.monotonic() > deadline_s:
                    raise _ExceededError(f"its answer took more than {self._limits.deadline_s:g} s")
        if reason is None:
            raise ValueError("the stream ended without a finish reason")
        estimate = (sum(len(message.content) for message in messages) // 3, chunks)
        return Answer(
            "".join(pieces),
            int(getattr(usage, "prompt_tokens", 0) or estimate[0]),
            int(getattr(usage, "completion_tokens", 0) or estimate[1]),
            truncated=reason == "length",
            seconds=round(time.monotonic() - started_s, 3),
        )


def _key(base_url: str) -> str:
    """AICC_MODEL_KEY; OpenAI's own variable only for OpenAI's own host, so that it reaches nobody else."""
    own = os.environ.get("OPENAI_API_KEY") if urlsplit(base_url).hostname == "api.openai.com" else None
    return os.environ.get("AICC_MODEL_KEY") or own or "none"


def _wait_s(attempt: int, retry_after: str | None) -> float:
    """Exponential back-off with jitter (RFC 9110 section 10.2.3 for Retry-After)."""
    try:
        asked_s = float(retry_after) if retry_after else 0.0
    except ValueError:
        asked_s = 0.0
    return float(min(_LONGEST_WAIT_S, max(asked_s, _FIRST_WAIT_S * 2**attempt * random.uniform(0.75, 1.25))))


def _bounded_transport(client: Any, limits: ModelLimits) -> Any:
    """A transport for this HTTP client class that ends a response at its limits, whatever the layers above make of it.

    The openai package names its HTTP library differently from version to version; all have httpx's interface.
    """
    import sys

    library: Any = sys.modules[client.__module__.partition(".")[0]]

    class Stream(library.SyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __iter__(self) -> Iterator[bytes]:
            most_bytes, deadline_s = limits.answer_bytes * _FRAMING, time.monotonic() + limits.deadline_s
            size_bytes = 0
            for piece in self._inner:
                size_bytes += len(piece)
                if size_bytes > most_bytes:
                    raise _ExceededError(f"its answer is longer than {most_bytes} bytes on the wire")
                if time.monotonic() > deadline_s:
                    raise _ExceededError(f"its answer took more than {limits.deadline_s:g} s")
                yield piece

        def close(self) -> None:
            self._inner.close()

    class Transport(library.BaseTransport):  # type: ignore[misc]
        def __init__(self) -> None:
            self._inner = library.HTTPTransport()

        def handle_request(self, request: Any) -> Any:
            request.headers["accept-encoding"] = "identity"
            response = self._inner.handle_request(request)
            if response.headers.get("content-encoding", "identity") != "identity":
                response.close()
                raise _ExceededError("its answer is compressed although that was not asked for")
            response.stream = Stream(response.stream)
            return response

        def close(self) -> None:
            self._inner.close()

    return Transport()


def _cause(error: BaseException) -> str:
    """What limit was passed, where the client has wrapped our exception into its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, _ExceededError):
            return str(seen)
        seen = seen.__cause__ or seen.__context__
    return ""


def _said(error: Any) -> str:
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    return f" ({_one_line(message)})" if isinstance(message, str) and message else ""


def _one_line(text: str) -> str:
    """A server's words on our terminal: one line, printable, short."""
    printable = "".join(c if c.isprintable() else " " for c in text[:1000])
    return " ".join(printable.split())[:200]
