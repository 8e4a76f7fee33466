"""A real HTTP server on the loopback interface that speaks the OpenAI chat protocol, well and badly."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[list[dict[str, str]]], str]


@dataclass
class Server:
    """`url` is the base URL; `requests` what was asked, in order; `reply` makes the answer of the model "good"."""

    url: str
    reply: Reply
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def serving(reply: Reply = lambda _messages: "```assembly\nret\n```") -> Iterator[Server]:
    """The server, until the context ends. What a model does is in its name; see `_Handler._answer`."""
    state = Server("", reply)

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        state = self.server_state
        state.requests.append(request)
        state.keys.append(self.headers.get("authorization", ""))
        with contextlib.suppress(OSError):
            self._answer(request)

    def _answer(self, request: dict[str, Any]) -> None:
        model, state = request["model"], self.server_state
        statuses = {"unauthorised": 401, "unknown": 404, "broken": 500, "busy": 429}
        if model in statuses:
            return self._error(statuses[model])
        if model == "busy-once" and sum(one["model"] == model for one in state.requests) == 1:
            return self._error(429)
        if model == "page":
            return self._whole(200, b"<html>hello</html>", "text/html")
        self._head()
        if model == "half":
            self._piece(_chunk("```assembly\nmovl"))
            return self._break_off()
        if model == "silent":
            state.stopping.wait(60)
            return None
        if model == "huge":
            for _ in range(160):
                self._piece(_chunk("a" * 65536))
        elif model == "huge-line":
            for _ in range(160):
                self._raw(b"a" * 65536)
        elif model == "endless":
            while not state.stopping.wait(0.002):
                self._piece(_chunk("ret\n"))
        elif model == "drip":
            while not state.stopping.wait(0.02):
                self._raw(b"a")
        else:
            text = state.reply(request["messages"])
            for start in range(0, len(text), 40):
                self._piece(_chunk(text[start : start + 40]))
            cut = model == "cut"
            self._piece(_chunk("", "length" if cut else "stop"))
            self._piece({**_chunk(""), "choices": [], "usage": _usage(len(text))})
        self._raw(b"data: [DONE]\n\n")
        self._raw(b"")
        return None

    def _error(self, status: int) -> None:
        body = json.dumps({"error": {"message": f"status {status}\n\x1b[31mred", "type": "x"}}).encode()
        self._whole(status, body, "application/json")

    def _whole(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if status == 429:
            self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(body)

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _piece(self, value: dict[str, Any]) -> None:
        self._raw(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _raw(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.flush()

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.close()


def _chunk(text: str, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": "m",
        "choices": [choice],
    }


def _usage(length: int) -> dict[str, int]:
    return {"prompt_tokens": 100, "completion_tokens": length // 4, "total_tokens": 100 + length // 4}
