"""Serves the tools of a suite as an MCP server: names, schemas and descriptions as AgentDojo publishes them, no more.

Over HTTP it is part of `loopback.py`. Alone it serves one case over stdio:

    python suite_server.py SUITE USER_TASK [INJECTION_TASK]
"""

import json
import sys
from typing import Any

from cases import Case, Suite

_VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
_METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = -32602


def answer(case: Case, message: dict[str, Any]) -> dict[str, Any] | None:
    """The reply to a JSON-RPC message; None to a notification, which has none."""
    if "id" not in message:
        return None
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    params = message.get("params") or {}
    match message.get("method"):
        case "initialize":
            reply["result"] = _initialize(params)
        case "ping":
            reply["result"] = {}
        case "tools/list":
            reply["result"] = {"tools": _tools(case)}
        case "tools/call" if isinstance(params.get("name"), str):
            reply["result"] = _call(case, params["name"], params.get("arguments") or {})
        case "tools/call":
            reply["error"] = {"code": _INVALID_PARAMS, "message": "tools/call needs the name of a tool"}
        case method:
            reply["error"] = {"code": _METHOD_NOT_FOUND, "message": f"there is no method {method!r}"}
    return reply


def _initialize(params: dict[str, Any]) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in _VERSIONS else _VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "tools", "version": "1"},
    }


def _tools(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.parameters.model_json_schema(),
        }
        for tool in case.suite.tools
    ]


def _call(case: Case, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = case.perform(name, arguments)
    reply: dict[str, Any] = {"content": [{"type": "text", "text": result.text}], "isError": result.is_error}
    if result.structured is not None:
        reply["structuredContent"] = result.structured
    return reply


def main() -> None:
    case = Suite(sys.argv[1]).case(*sys.argv[2:])
    # What a tool prints must not come between the messages.
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        reply = answer(case, json.loads(line))
        if reply is not None:
            print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main()
