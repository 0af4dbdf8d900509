"""Puts a token on the requests of a program that knows of none: python bearer.py BASE TOKEN. Says where it listens."""

import http.client
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

host, token = sys.argv[1].removeprefix("http://"), sys.argv[2]


class Bearer(BaseHTTPRequestHandler):
    def forward(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        headers["authorization"] = f"Bearer {token}"
        behind = http.client.HTTPConnection(host)
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("content-type", answer.getheader("content-type", "text/plain"))
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = forward

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Bearer)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
