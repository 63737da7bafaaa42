"""An SSO issuer of the tests' own: real keys, and a real HTTP server that can misbehave."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings

SILENT_SECONDS = 60
Answer = Callable[[BaseHTTPRequestHandler], None]


@cache
def private_key(name: str) -> Any:
    """A key by name, made once a run. A name that begins with `ec` is a P-256 key, others are RSA."""
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(name: str, **changes: Any) -> dict[str, Any]:
    """The public half, as an issuer publishes it."""
    algorithms = jwt.algorithms
    kind = algorithms.ECAlgorithm if name.startswith("ec") else algorithms.RSAAlgorithm
    jwk = kind.to_jwk(private_key(name).public_key(), as_dict=True)
    return {**jwk, "kid": name, "use": "sig", "alg": "ES256" if name.startswith("ec") else "RS256", **changes}


def public_pem(name: str) -> bytes:
    return (
        private_key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def claims_of(user_id: Any = "usr_1", **changes: Any) -> dict[str, Any]:
    """The claims of a good token; a change to None takes one out."""
    now = int(time.time())
    full = {
        "sub": user_id,
        "iss": settings.SSO_ISSUER,
        "aud": settings.SSO_AUDIENCE,
        "iat": now,
        "exp": now + 600,
    } | changes
    return {name: value for name, value in full.items() if value is not None}


def signed(key: str, *, key_id: str | None = "", algorithm: str = "", **claims: Any) -> str:
    """A token signed with a named key, and naming it unless told otherwise."""
    algorithm = algorithm or ("ES256" if key.startswith("ec") else "RS256")
    headers = {} if key_id is None else {"kid": key_id or key}
    return jwt.encode(claims_of(**claims), private_key(key), algorithm=algorithm, headers=headers)


class Issuer:
    """Publishes keys at `url`, counts who asks, and answers as it is told."""

    def __init__(self) -> None:
        self.requests = 0
        self.answer: Answer = published("rsa-1")
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/jwks.json"

    def start(self) -> None:
        """Listen; after `stop`, at the same address as before."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests += 1
                with suppress(ConnectionError):  # The client may have hung up.
                    issuer.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def stop(self) -> None:
        """Be gone: connections are refused."""
        self._server.shutdown()
        self._server.server_close()


# --- Ways to answer ---------------------------------------------------------------------------------


def body(content: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def published(*names: str) -> Answer:
    """These keys, as they should be."""
    return key_set(*(public_jwk(name) for name in names))


def key_set(*jwks: Any) -> Answer:
    return body(json.dumps({"keys": jwks}).encode())


def late(until: threading.Event, answer: Answer) -> Answer:
    def later(handler: BaseHTTPRequestHandler) -> None:
        until.wait(SILENT_SECONDS)
        answer(handler)

    return later


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(SILENT_SECONDS)
