"""What the drivers beside this have in common. Each says what it saw, one JSON line each; the test looks at those."""

import json
import os

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
WEATHER = "rain"


def env(name):
    return os.environ[name]


def base(face):
    return f"{env('GATEWAY')}/{face}"


def tell(what, seen):
    print(json.dumps({"what": what, "seen": seen}), flush=True)
