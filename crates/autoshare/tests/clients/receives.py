"""A collector of traces and a receiver of alerts, with the packages that such programs are written with: OpenTelemetry's
messages (`opentelemetry-proto`) and the library of Standard Webhooks (`standardwebhooks`). Each thing that comes is one
JSON line. The first request of each kind is answered with 429 or 503, and is to come again."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from standardwebhooks import Webhook, WebhookVerificationError

from said import env, tell

webhook = Webhook(env("SECRET"))
seen = set()


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    return getattr(value, kind)


def pairs(attributes):
    return {pair.key: plain(pair.value) for pair in attributes}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        first = self.path not in seen
        seen.add(self.path)
        answer = self.traces if self.path == "/v1/traces" else self.hook
        status, said = answer(body, first)
        self.send_response(status)
        if status in (429, 503):
            self.send_header("retry-after", "1")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def traces(self, body, first):
        if first:
            tell("traces put off", [self.headers["content-type"], self.headers["authorization"]])
            return 429, b""
        # What is no such message, or not in UTF-8, is an error here.
        request = ExportTraceServiceRequest.FromString(body)
        # What this package does not know is not left over either.
        assert request.SerializeToString(deterministic=True) == body or len(request.SerializeToString()) == len(body)
        for of_resource in request.resource_spans:
            resource = pairs(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    told = {
                        "resource": resource,
                        "schema": of_scope.schema_url,
                        "scope": of_scope.scope.name,
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "flags": span.flags,
                        "name": span.name,
                        "kind": MessageToDict(span).get("kind"),
                        "ms": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
                        "status": span.status.code,
                        "attributes": pairs(span.attributes),
                    }
                    tell("span", told)
        tell("bytes of traces", body.decode("latin-1"))
        return 200, ExportTraceServiceResponse().SerializeToString()

    def hook(self, body, first):
        headers = dict(self.headers.items())
        told = {"id": headers["webhook-id"], "message": webhook.verify(body, headers)}
        for changed in ({"webhook-id": "msg_other"}, {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}):
            try:
                webhook.verify(body, headers | changed)
                told["forged"] = changed
            except WebhookVerificationError:
                pass
        tell("alert put off" if first else "alert", told)
        tell("bytes of alerts", body.decode("latin-1"))
        return (503, b"") if first else (204, b"")

    def log_message(self, *args):
        pass


def listen(certificate, key):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


tell("ports", [listen(env("CERTIFICATE"), env("KEY")), listen(None, None)])
threading.Event().wait()
