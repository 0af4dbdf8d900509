"""The control: an agent with no gate. It shows that the tasks can be done and that the attacks work."""

import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from agents import Person, Run

_MAX_TURNS = 200


class Bare:
    """Calls the model, performs what it calls, and so on until it answers."""

    def __init__(self, server: str, mcp_url: str, model_url: str) -> None:
        self._server = server
        self._mcp = _Client(mcp_url)
        self._model = _Client(model_url + "/chat/completions")

    def run(self, goal: str, tools: list[str], person: Person) -> Run:
        self._rpc(
            "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "bare", "version": "1"}
        )
        offered = [self._offer(tool) for tool in self._rpc("tools/list")["tools"]]
        messages: list[dict[str, Any]] = [{"role": "user", "content": goal}]
        for _ in range(_MAX_TURNS):
            message = self._think(messages, offered)
            messages.append(message)
            if "tool_calls" not in message:
                return Run(answer=message["content"])
            for call in message["tool_calls"]:
                messages.append(
                    {"role": "tool", "tool_call_id": call["id"], "content": self._perform(call["function"])}
                )
        return Run(fault=f"no answer after {_MAX_TURNS} turns")

    def _offer(self, tool: dict[str, Any]) -> dict[str, Any]:
        function = {
            "name": f"{self._server}__{tool['name']}",
            "description": tool["description"],
            "parameters": tool["inputSchema"],
        }
        return {"type": "function", "function": function}

    def _think(self, messages: list[dict[str, Any]], offered: list[dict[str, Any]]) -> dict[str, Any]:
        reply = self._model.post({"model": "obedient", "messages": messages, "tools": offered})
        return reply["choices"][0]["message"]

    def _perform(self, function: dict[str, Any]) -> str:
        name = function["name"].removeprefix(f"{self._server}__")
        result = self._rpc("tools/call", name=name, arguments=json.loads(function["arguments"]))
        return "\n".join(block["text"] for block in result["content"])

    def _rpc(self, method: str, **params: Any) -> dict[str, Any]:
        reply = self._mcp.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        return reply["result"]


class _Client:
    """Posts JSON to one URL."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        with closing(http.client.HTTPConnection(self._url.netloc)) as connection:
            connection.request("POST", self._url.path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        if response.status != 200:
            raise RuntimeError(f"{self._url.path} answers {response.status}: {text.decode()}")
        return json.loads(text)
