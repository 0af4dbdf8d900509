"""One HTTP server on loopback for all cases that are run side by side: each *lane* has the suite's tools at
`/LANE/mcp` and the model at `/LANE/v1`, and is given one case after the other."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import model_server
import suite_server
from cases import Case


class Loopback:
    """The server, while it is entered. `server` is the name by which the tools' MCP server is known."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._lanes: dict[str, tuple[Case, model_server.ObedientModel]] = {}
        handler = type("Handler", (_Handler,), {"loopback": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True

    def __enter__(self) -> "Loopback":
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def put(self, lane: str, case: Case) -> None:
        """Puts a case on a lane, in place of the one before."""
        self._lanes[lane] = (case, model_server.ObedientModel(case, self._server))

    def mcp_url(self, lane: str) -> str:
        return f"{self._base(lane)}/mcp"

    def model_url(self, lane: str) -> str:
        return f"{self._base(lane)}/v1"

    def on(self, lane: str) -> tuple[Case, model_server.ObedientModel]:
        return self._lanes[lane]

    def _base(self, lane: str) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/{lane}"


class _Handler(BaseHTTPRequestHandler):
    loopback: Loopback
    protocol_version = "HTTP/1.1"
    # Head and body leave in one write: with two, Nagle's algorithm and delayed acknowledgements cost 40 ms a request.
    wbufsize = -1

    def do_POST(self) -> None:  # noqa: N802  The name is http.server's.
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lane, _, path = self.path.lstrip("/").partition("/")
        try:
            case, model = self.loopback.on(lane)
            message = json.loads(body)
            if path == "mcp":
                self._mcp(case, message)
            elif path == "v1/chat/completions":
                self._model(model, message)
            else:
                self._send(404)
        except (KeyError, ValueError) as error:
            self._send(400, {"error": {"message": f"{type(error).__name__}: {error}"}})

    def do_GET(self) -> None:  # noqa: N802
        if self.path.endswith("/v1/models"):
            self._send(200, {"object": "list", "data": []})
        else:
            # There is no stream of the server's own messages: it has none.
            self._send(405)

    def do_DELETE(self) -> None:  # noqa: N802
        self._send(405)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _mcp(self, case: Case, message: dict[str, Any]) -> None:
        reply = suite_server.answer(case, message)
        self._send(202 if reply is None else 200, reply)

    def _model(self, model: model_server.ObedientModel, request: dict[str, Any]) -> None:
        message = model.reply(request)
        if request.get("stream"):
            self._send(200, model_server.stream(message, request), "text/event-stream")
        else:
            self._send(200, model_server.completion(message, request))

    def _send(self, status: int, body: Any = None, kind: str = "application/json") -> None:
        data = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        if data:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
