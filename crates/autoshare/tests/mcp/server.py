"""An MCP server of the tests' own. Usage: server.py FOLDER [--http TOKEN]

What it says lies in FOLDER/tools.json, read anew for each list: tools with their descriptions, and for each name, in
`does`, what a call of it does, and in `meta`, what its result is labelled with,
and in `structured`, its structured content. With `resources`, `templates` or `prompts`
it says that it has such. Over HTTP it prints its port, wants TOKEN, and appends each request's path to FOLDER/asked, and keeps
the features that the last one asked for in FOLDER/features.
"""

import http.server
import json
import os
import pathlib
import socket
import sys
import urllib.request

FOLDER = pathlib.Path(sys.argv[1])


def tools():
    return json.loads((FOLDER / "tools.json").read_text())


def does(what, arguments):
    if what == "echo":
        return json.dumps(arguments, sort_keys=True)
    if what == "die":
        print("last words", file=sys.stderr, flush=True)
        os._exit(3)
    if what == "flood":
        while True:
            sys.stdout.write('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n')
    if what == "giant":
        while True:
            sys.stdout.write("{" + "x" * 1_000_000)
    if what.startswith("fetch "):
        _, url, variable = what.split(" ")
        head = {"Authorization": f"Bearer {os.environ[variable]}"}
        return f"{variable}={os.environ[variable]}\n" + urllib.request.urlopen(urllib.request.Request(url, headers=head)).read().decode()
    if what.startswith("look "):
        _, port, path = what.split(" ", 2)
        return "\n".join(look(path, int(port)))
    return what


def look(path, port):
    """What can be seen from here: a file, its folder, the network, this machine's loopback, the environment."""

    def tried(name, attempt):
        try:
            return f"{name}: {attempt()}"
        except OSError as error:
            return f"{name}: {type(error).__name__}"

    yield tried("file", lambda: pathlib.Path(path).read_text())
    yield tried("folder", lambda: len(os.listdir(os.path.dirname(path))))
    yield tried("loopback", lambda: socket.create_connection(("127.0.0.1", port), 2).close())
    yield tried("page", lambda: urllib.request.urlopen("http://198.51.100.1/", timeout=2).status)
    yield f"environment: {sorted(name for name in os.environ if 'KEY' in name or 'HOME' in name)}"


def answer(message):
    known = tools()
    method, params = message.get("method"), message.get("params") or {}
    if "id" not in message:
        return None
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    if method == "initialize":
        reply["result"] = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}} | {kind: {} for kind in ("resources", "prompts") if kind in known},
            "serverInfo": {"name": "test", "version": "1"},
            "instructions": known.get("instructions", ""),
        }
    elif method == "tools/list":
        reply["result"] = {"tools": known["tools"]}
    elif method == "tools/call":
        text = does(known["does"].get(params["name"], "nothing"), params.get("arguments") or {})
        reply["result"] = {"content": [{"type": "text", "text": text}]}
        if params["name"] in known.get("structured", {}):
            reply["result"]["structuredContent"] = known["structured"][params["name"]]
        if params["name"] in known.get("meta", {}):
            reply["result"]["_meta"] = known["meta"][params["name"]]
    elif method == "resources/list":
        reply["result"] = {"resources": known["resources"]}
    elif method == "resources/templates/list" and "templates" in known:
        reply["result"] = {"resourceTemplates": known["templates"]}
    elif method == "resources/read":
        reply["result"] = {"contents": [{"uri": params["uri"], "text": f"what {params['uri']} holds"}]}
    elif method == "prompts/list":
        reply["result"] = {"prompts": known["prompts"]}
    elif method == "prompts/get":
        text = f"{params['name']} with {json.dumps(params.get('arguments'))}"
        reply["result"] = {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}
    else:
        reply["error"] = {"code": -32601, "message": "no such method"}
    return reply


def over_streams():
    for line in sys.stdin:
        reply = answer(json.loads(line))
        if reply is not None:
            print(json.dumps(reply), flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(405, b"")

    def do_DELETE(self):
        self.reply(204, b"")

    def do_POST(self):
        with open(FOLDER / "asked", "a") as asked:
            asked.write(f"{self.path} {self.headers.get('Authorization')}\n")
        (FOLDER / "features").write_text(str(self.headers.get("X-MCP-Features")))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/elsewhere":
            return self.reply(307, b"", ("Location", "/mcp"))
        if self.headers.get("Authorization") != f"Bearer {sys.argv[3]}":
            return self.reply(401, b"")
        # What it was shown, it shows again.
        reply = answer(json.loads(body))
        if reply is None:
            return self.reply(202, b"")
        text = json.dumps(reply).replace("@token@", sys.argv[3])
        self.reply(200, text.encode(), ("Content-Type", "application/json"))

    def reply(self, status, body, *headers):
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if len(sys.argv) > 2:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
else:
    over_streams()
