"""An HTTPS server of files and git repositories, which writes down what it was asked.

usage: origin.py FOLDER CERTIFICATE KEY LOG [ADDRESS [PORT]]   (prints its port)

/git/NAME/...   git over HTTP, of the repositories in FOLDER/git
/echo           repeats the head of the request
/to?URL         a redirect there
anything else   a file of FOLDER; a folder is answered with its index.html
"""

import http.server
import json
import os
import ssl
import subprocess
import sys

folder, certificate, key, log = sys.argv[1:5]
address = sys.argv[5] if len(sys.argv) > 5 else "127.0.0.1"
port = int(sys.argv[6]) if len(sys.argv) > 6 else 0


class Origin(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, *args):
        super().__init__(*args, directory=folder)

    def log_message(self, *args):
        pass

    def parse_request(self):
        well = super().parse_request()
        if well:
            line = {"method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
            with open(log, "a") as out:
                out.write(json.dumps(line) + "\n")
        return well

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/git/"):
            return self.git()
        if self.path == "/echo":
            return self.answer(200, [], str(self.headers).encode())
        if self.path.startswith("/to?"):
            return self.answer(302, [("Location", self.path[4:])], b"")
        return super().do_GET()

    def do_POST(self):
        if self.path.startswith("/git/"):
            return self.git()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200, [], b"taken")

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return parts

    def git(self):
        if not self.headers.get("Authorization"):
            return self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": os.path.join(folder, "git"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REMOTE_USER": "somebody",
            "PATH_INFO": path[len("/git"):],
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=self.body(), stdout=subprocess.PIPE, env=env)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.answer(status, [pair for pair in headers if pair[0] != "Status"], body)


server = http.server.ThreadingHTTPServer((address, port), Origin)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
