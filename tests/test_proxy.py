"""The nginx of the documentation, in front of a server: what is left to a proxy is done by the one that is shown."""

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.client import Reply, basic
from tests.server import CODE, PASSWORD, TIMEOUT_S, USER, Server, free_port

NAME = "tickets.example.org"
GUEST = "127.0.0.9"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ELSEWHERE = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "Forwarded": "for=127.0.0.1"}

# What nginx needs beside what is shown, so that it runs as anybody and in a folder of its own.
AROUND = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/errors info;
events {{}}
http {{
access_log {folder}/requests;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{shown}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx, its ports and its certificate, and the server behind it."""

    server: Server
    folder: Path
    http: int
    https: int

    def ask(
        self, request: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *, tls: bool = True
    ) -> Reply:
        """Send a request as a guest, by https unless told otherwise."""
        method, target = request.split(" ", 1)
        connection = (
            http.client.HTTPSConnection(
                "127.0.0.1", self.https, timeout=TIMEOUT_S, source_address=(GUEST, 0), context=self.context()
            )
            if tls
            else http.client.HTTPConnection("127.0.0.1", self.http, timeout=TIMEOUT_S, source_address=(GUEST, 0))
        )
        try:
            connection.request(method, target, body or None, {"Host": NAME, **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def context(self) -> ssl.SSLContext:
        """What a client goes by that trusts the certificate, whatever else it takes."""
        context = ssl.create_default_context(cafile=self.folder / "certificate")
        context.check_hostname = False
        return context

    def greet(self, context: ssl.SSLContext) -> tuple[str | None, str]:
        """The version of TLS and the cipher that a client gets. Raises SSLError."""
        with (
            socket.create_connection(("127.0.0.1", self.https), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as safe,
        ):
            cipher = safe.cipher()
            return safe.version(), cipher[0] if cipher else ""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    certify(folder)
    settings = {"PORT": str(free_port()), "PUBLIC_URL": f"https://{NAME}", "TRUSTED_PROXIES": "127.0.0.1"}
    with Server(folder / "server", **settings) as server:
        proxy = Proxy(server, folder, free_port(), free_port())
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, shown=adapted(shown(), proxy)))
        command = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
        running = subprocess.Popen([command, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "errors"])
        try:
            wait_for(proxy, running)
            yield proxy
        finally:
            running.terminate()
            running.wait()


def shown() -> str:
    """The configuration as the documentation has it."""
    (block,) = re.findall(r"^```nginx\n(.*?)^```$", (CODE / "docs/security.md").read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def adapted(text: str, proxy: Proxy) -> str:
    """The same with the ports and files of this test, and nothing else changed."""
    for there, here in {
        "listen 80;": f"listen 127.0.0.1:{proxy.http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{proxy.https} ssl;",
        "http://127.0.0.1:3000;": f"http://127.0.0.1:{proxy.server.port};",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": f"{proxy.folder}/certificate",
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": f"{proxy.folder}/key",
        "/var/log/nginx/fairlist.log": f"{proxy.folder}/errors",
    }.items():
        assert there in text
        text = text.replace(there, here)
    return text


def certify(folder: Path) -> None:
    """A key, and a certificate that says it is the name's."""
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    files = ("-keyout", folder / "key", "-out", folder / "certificate", "-subj", f"/CN={NAME}")
    subprocess.run(["openssl", *made, *files], check=True, capture_output=True)


def wait_for(proxy: Proxy, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + TIMEOUT_S
    while running.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", proxy.https), TIMEOUT_S).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError((proxy.folder / "errors").read_text())


def test_the_proxy_speaks_only_what_is_safe(proxy: Proxy) -> None:
    assert proxy.greet(proxy.context()) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    without_1_3 = proxy.context()
    without_1_3.maximum_version = ssl.TLSVersion.TLSv1_2
    version, cipher = proxy.greet(without_1_3)
    assert version == "TLSv1.2"
    assert re.fullmatch(r"ECDHE-.*(GCM|POLY1305).*", cipher)


def test_the_proxy_refuses_what_is_not(proxy: Proxy) -> None:
    old = proxy.context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    weak = proxy.context()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256")
    for context, alert in ((old, "PROTOCOL_VERSION"), (weak, "HANDSHAKE_FAILURE")):
        with pytest.raises(ssl.SSLError, match=alert):  # which the server has sent
            proxy.greet(context)


def test_pages_lead_to_https_and_programs_are_refused_in_the_clear(proxy: Proxy) -> None:
    for target, leads in {"/": "/ui", "/ui": "/ui", "/ui/sign-in?next=/ui": "/ui/sign-in?next=/ui"}.items():
        reply = proxy.ask(f"GET {target}", tls=False)
        assert (reply.status, reply.headers["Location"]) == (308, f"https://{NAME}{leads}")
    for request in ("POST /auth/token", "POST /book", "GET /api/v1/events", "GET /metrics"):
        assert proxy.ask(request, {"Authorization": basic(USER, PASSWORD)}, tls=False).status == 403


def test_behind_the_proxy_cookies_and_browsers_stay_with_https(proxy: Proxy) -> None:
    form = f"user={USER}&password={PASSWORD}".encode()
    reply = proxy.ask("POST /ui/sign-in", FORM | {"Origin": f"https://{NAME}"}, form)
    assert reply.status == 303
    assert re.match(r"__Host-fairlist-session=.*; Secure", reply.headers["Set-Cookie"])
    assert reply.headers.get_all("Strict-Transport-Security") == ["max-age=31536000; includeSubDomains"]


def test_nobody_can_say_through_the_proxy_that_he_is_somebody_else(proxy: Proxy) -> None:
    reply = proxy.ask("GET /metrics", ELSEWHERE)
    assert reply.status == 401
    line = proxy.server.logged(lambda line: line.get("request_id") == reply.headers["X-Request-ID"])
    assert line["address"] == GUEST


def test_the_proxy_keeps_no_addresses_of_orders(proxy: Proxy) -> None:
    key = "a-key-that-nobody-must-know"
    assert proxy.ask(f"GET /ui/orders/0123456789abcdef0123/{key}").status == 404
    assert proxy.ask(f"GET /ui/orders/0123456789abcdef0123/{key}", tls=False).status == 308
    kept = [path for path in proxy.folder.iterdir() if path.is_file() and key in path.read_text(errors="replace")]
    assert kept == []
