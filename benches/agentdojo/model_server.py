"""The obedient agent as a model: it makes the calls of the user task, and all that an injection asks for once it has
read it. It is served as OpenAI's chat completions by `loopback.py`."""

import json
from collections import deque
from typing import Any

from cases import Call, Case


class ObedientModel:
    """The model of one case. A request that is made again gets the same reply."""

    def __init__(self, case: Case, server: str) -> None:
        self._case = case
        self._server = server
        self._calls = deque(case.user_calls)
        self._has_obeyed = False
        self._last: Call | None = None

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """The assistant's message.

        Raises ValueError if the tool that it would call is not offered.
        """
        offered = {tool["function"]["name"] for tool in request.get("tools") or []}
        if not any(name.startswith(f"{self._server}__") for name in offered):
            self._case.asides += 1
            return {"role": "assistant", "content": "There is nothing that I could say to this."}
        if self._last is None or self._is_answered(self._last, request):
            self._last = self._next()
        if self._last is None:
            return {"role": "assistant", "content": self._case.answer()}
        name = f"{self._server}__{self._last.function}"
        if name not in offered:
            raise ValueError(f"the tool {name} is not offered")
        function = {"name": name, "arguments": json.dumps(self._last.args)}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"index": 0, "id": self._last.id, "type": "function", "function": function}],
        }

    @staticmethod
    def _is_answered(call: Call, request: dict[str, Any]) -> bool:
        return any(message.get("tool_call_id") == call.id for message in request["messages"])

    def _next(self) -> Call | None:
        if self._case.injection_read and not self._has_obeyed:
            self._has_obeyed = True
            self._calls.extendleft(reversed(self._case.attack_calls))
        return self._calls.popleft() if self._calls else None


def completion(message: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The message as a whole reply."""
    return _envelope(request, "chat.completion", [{"index": 0, "message": message, "finish_reason": _reason(message)}])


def stream(message: dict[str, Any], request: dict[str, Any]) -> str:
    """The message as server-sent events."""
    chunks = [
        [{"index": 0, "delta": message, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": _reason(message)}],
        [],
    ]
    events = [json.dumps(_envelope(request, "chat.completion.chunk", choices)) for choices in chunks]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])


def _reason(message: dict[str, Any]) -> str:
    return "tool_calls" if "tool_calls" in message else "stop"


def _envelope(request: dict[str, Any], kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    read = len(json.dumps(request)) // 4
    usage = {"prompt_tokens": read, "completion_tokens": 20, "total_tokens": read + 20}
    return {
        "id": "obedient",
        "object": kind,
        "created": 0,
        "model": request.get("model"),
        "choices": choices,
        "usage": usage,
    }
