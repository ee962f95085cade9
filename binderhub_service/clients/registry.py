"""The OCI distribution API (version 2), as a client that proves who it is in whatever way a registry asks for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from cachetools import TLRUCache

from ..common.json_object import json_object
from ..errors import Unavailable
from .credentials import DOCKER_HUB, Credentials, Login
from .reference import Reference
from .trust import trusted

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_LONG = httpx.Timeout(300.0, connect=5.0)
_POOL = httpx.Limits(max_connections=20, keepalive_expiry=60)
_RETRY_SECONDS = (0.2, 1.0)
_ANSWER_BYTES = 16 * 2**20  # a list of 100,000 tags has a quarter of it
_PASSING = {429, 500, 502, 503, 504}
_TOKEN_SECONDS = 60.0  # what a token that does not say is good for
_TOKEN_SPARE_SECONDS = 10.0
_LOGIN_SECONDS = 3600.0  # what a name and a password are good for until they are looked up again
_KEPT_PROOFS = 2000
_CHALLENGE = re.compile(r"""\s*(?P<scheme>[A-Za-z]+)\s+(?P<parameters>.*)""", re.DOTALL)
_PARAMETER = re.compile(r"""(?<!\w)(\w++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]++))""")


Body = Callable[[], bytes | AsyncIterable[bytes]]


@dataclass(frozen=True)
class Challenge:
    """What a registry asks for in ``WWW-Authenticate``."""

    scheme: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> Challenge | None:
        """Return the challenge, or None if there is none that makes sense."""
        match = _CHALLENGE.match(header)
        if match is None:
            return None
        found = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(match["parameters"])}
        return cls(match["scheme"].lower(), found)


@dataclass(frozen=True)
class Proof:
    """What a registry is shown.

    Attributes:
        header: the value of ``Authorization``; holds a secret.
        seconds: for how long it is good.
    """

    header: str = field(repr=False)
    seconds: float


class RegistryClient:
    """Asks registries; one pool of connections for all.

    Args:
        plain_http: registries (host and port) that speak no TLS; those on loopback may always.
        endpoints: the address at which a registry is asked, by the host and port in images' names, where the two differ.
        transport: what carries requests, for tests.
        waits_seconds: how long to wait before each further try of what failed for a passing reason; by default not long.
    """

    def __init__(
        self,
        credentials: Credentials,
        plain_http: Sequence[str] = (),
        transport: httpx.AsyncBaseTransport | None = None,
        waits_seconds: Sequence[float] = (),
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        self._credentials = credentials
        self._endpoints = dict(endpoints or {})
        self._plain_http = frozenset(plain_http)
        self._waits_seconds = waits_seconds or _RETRY_SECONDS
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, limits=_POOL, transport=transport, verify=trusted())
        self._proofs: TLRUCache[tuple[str, str, str], Proof] = TLRUCache(_KEPT_PROOFS, lambda _key, proof, moment: moment + proof.seconds)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def ask(self, method: str, reference: Reference, path: str, accept: Sequence[str] = ()) -> httpx.Response:
        """Return a registry's answer, whatever its status is, unless it is no answer to the question.

        Args:
            path: what follows ``/v2/``.

        Raises:
            Unavailable: the registry could not be asked, or does not let us in.
        """
        headers = {"Accept": ", ".join(accept)} if accept else {}
        kind = method if method == "DELETE" else "GET"
        answer = await self._proven(kind, method, self._address(reference, path), reference, headers)
        if answer.status_code == 401 or answer.status_code == 403:
            await self._refused(reference, answer)
        return answer

    async def write(
        self, method: str, reference: Reference, path: str, *, kind: str = "PUSH", headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> httpx.Response:
        """Return a registry's answer to a part of a push, refusals as well; its token is kept for all parts of the same kind.

        Args:
            path: what follows ``/v2/``, or an address that the registry gave.
            body: makes what is sent, anew for every try.

        Raises:
            Unavailable: the registry could not be asked, or we have no login that it would take.
        """
        return await self._proven(kind, method, self._address(reference, path), reference, headers or {}, body)

    async def blob(self, reference: Reference, digest: str) -> AsyncIterator[bytes]:
        """Yield a blob's content as it arrives.

        Raises:
            Unavailable: it cannot be had.
        """
        url = self._address(reference, f"{reference.repository}/blobs/{digest}")
        headers = self._kept_proof((reference.host, reference.repository, "GET"))
        try:
            async with self._client.stream("GET", url, headers=headers, follow_redirects=True, timeout=_LONG) as answer:
                if answer.status_code != 200:
                    raise unavailable(reference, f"it answers {answer.status_code}")
                async for chunk in answer.aiter_bytes():
                    yield chunk
        except httpx.HTTPError as error:
            raise unavailable(reference, f"it cannot be reached ({type(error).__name__})") from error

    def _address(self, reference: Reference, path: str) -> str:
        try:
            return urljoin(f"{self._endpoint(reference.host)}/v2/", path)
        except ValueError as error:  # the registry's own idea of an address
            raise unavailable(reference, "it names an address that makes no sense") from error

    async def _proven(
        self, kind: str, method: str, url: str, reference: Reference, headers: Mapping[str, str], body: Body | None = None
    ) -> httpx.Response:
        """Send a request with a proof of who we are, if the registry wants one."""
        key = (reference.host, reference.repository, kind)
        answer = await self._send(method, url, reference, {**headers, **self._kept_proof(key)}, body)
        if answer.status_code == 401:
            fresh = await self._prove(key, reference, answer)
            answer = await self._send(method, url, reference, {**headers, "Authorization": fresh}, body)
        return answer

    def _endpoint(self, host: str) -> str:
        if host in self._endpoints:
            return self._endpoints[host]
        name = urlsplit(f"//{host}").hostname or ""
        plain = host in self._plain_http or name in {"localhost", "::1"} or name.startswith("127.")
        return f"{'http' if plain else 'https'}://{host}"

    async def _send(
        self, method: str, url: str, reference: Reference, headers: Mapping[str, str], body: Body | None = None, **more: Any
    ) -> httpx.Response:
        """Send a request, again if it fails for a passing reason; credentials do not follow redirects to other hosts."""
        for seconds in (*self._waits_seconds, None):
            content = {"content": body(), "timeout": _LONG} if body else {"follow_redirects": True}
            try:
                async with self._client.stream(method, url, headers=headers, **content, **more) as stream:
                    answer = await _read(stream, reference)
            except httpx.HTTPError as error:
                if seconds is None:
                    raise unavailable(reference, f"it cannot be reached ({type(error).__name__})") from error
            except (httpx.InvalidURL, ValueError) as error:  # of an address or a token that it gave
                raise unavailable(reference, "it sent something that cannot be sent back") from error
            else:
                if answer.status_code not in _PASSING:
                    return answer
                if seconds is None:
                    raise unavailable(reference, f"it answers {answer.status_code}")
            await asyncio.sleep(seconds)
        raise AssertionError("the last try returns or raises")

    # --- who we are --------------------------------------------------------------------------------------------------

    def _kept_proof(self, key: tuple[str, str, str]) -> dict[str, str]:
        """Return the header that shows who we are, as far as one is known to be good."""
        proof = self._proofs.get(key)
        return {"Authorization": proof.header} if proof else {}

    async def _prove(self, key: tuple[str, str, str], reference: Reference, answer: httpx.Response) -> str:
        """Return the ``Authorization`` header that a registry asked for, and keep it while it is good."""
        login = await asyncio.to_thread(self._credentials.login_for, reference.registry)
        challenges = [found for header in answer.headers.get_list("www-authenticate") if (found := Challenge.parse(header))]
        bearer = next((challenge for challenge in challenges if challenge.scheme == "bearer"), None)
        if bearer and bearer.parameters.get("realm"):
            token, seconds = await self._token(bearer, reference, login)
            proof = Proof(f"Bearer {token}", seconds)
        elif any(challenge.scheme == "basic" for challenge in challenges) and login and login.password:
            proof = Proof(f"Basic {login.basic()}", _LOGIN_SECONDS)
        else:
            raise _login_failed(reference, login)
        self._proofs[key] = proof
        return proof.header

    async def _token(self, challenge: Challenge, reference: Reference, login: Login | None) -> tuple[str, float]:
        """Ask the server that the registry names for a token; return it and for how many seconds to use it."""
        realm = challenge.parameters["realm"]
        asked: dict[str, Any] = {name: challenge.parameters[name] for name in ("service", "scope") if challenge.parameters.get(name)}
        asked.setdefault("scope", f"repository:{reference.repository}:pull")
        if not realm.lower().startswith("https:") and self._endpoint(reference.host).startswith("https:"):
            raise unavailable(reference, "it wants the login sent unencrypted")
        if login and login.identity_token:
            form = asked | {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": "binderhub-service"}
            answer = await self._send("POST", realm, reference, {}, data=form)
        else:
            several = asked | {"scope": asked["scope"].split()}
            answer = await self._send("GET", realm, reference, {"Authorization": f"Basic {login.basic()}"} if login else {}, params=several)
        if answer.status_code in {400, 401, 403}:
            raise _login_failed(reference, login)
        content = _json(answer)
        token = content.get("token") or content.get("access_token")
        if answer.status_code != 200 or not isinstance(token, str):
            raise unavailable(reference, f"its token server answers {answer.status_code} and no token")
        seconds = content.get("expires_in")
        return token, min(seconds if isinstance(seconds, int | float) else _TOKEN_SECONDS, _LOGIN_SECONDS) - _TOKEN_SPARE_SECONDS

    async def _refused(self, reference: Reference, answer: httpx.Response) -> None:
        """Raise, unless this is Docker Hub's way of saying to a known user that a repository is not there."""
        for key in [key for key in self._proofs if key[:2] == (reference.host, reference.repository)]:
            self._proofs.pop(key, None)
        login = await asyncio.to_thread(self._credentials.login_for, reference.registry)
        if not (reference.registry == DOCKER_HUB and login and answer.status_code == 401):
            raise _login_failed(reference, login)


async def _read(stream: httpx.Response, reference: Reference) -> httpx.Response:
    """Return an answer with its content, decoded, as far as that has any end."""
    content = bytearray()
    async for chunk in stream.aiter_bytes():
        content += chunk
        if len(content) > _ANSWER_BYTES:
            raise unavailable(reference, f"its answer has more than {_ANSWER_BYTES // 2**20} MiB")
    headers = [(name, value) for name, value in stream.headers.multi_items() if name != "content-encoding"]
    return httpx.Response(stream.status_code, headers=headers, content=bytes(content), request=stream.request)


def error_codes(answer: httpx.Response) -> set[str]:
    """Return the codes in a registry's error answer."""
    errors = _json(answer).get("errors")
    return {str(error.get("code")) for error in errors if isinstance(error, dict)} if isinstance(errors, list) else set()


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        return json_object(answer.content)
    except ValueError:
        return {}


def unavailable(reference: Reference, why: str) -> Unavailable:
    """Return the error of a registry that could not be asked."""
    return Unavailable(
        f"The registry {reference.registry} could not be asked for the image: {why}.",
        code="registry_unavailable",
        hint="Try again in a moment; if it stays so, ask an administrator to look at the registry.",
    )


def _login_failed(reference: Reference, login: Login | None) -> Unavailable:
    who = "the login that it was given" if login else "anybody without a login"
    return Unavailable(
        f"The registry {reference.registry} refuses {who} for {reference.repository}.",
        code="registry_login_failed",
        hint="Ask an administrator to correct the registry's credentials of this hub.",
    )
