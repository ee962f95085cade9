"""A container engine's HTTP API: the few calls that image store and builder need.

Blocking, so that the build process uses it as it is and the service in threads; safe to share between threads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote

from ..errors import BinderError, Unavailable
from .engine_wire import PROBLEMS, Answer, Wire, lines_of

_ANSWER_SECONDS = 60.0
_LONG_SECONDS = 600.0


@dataclass(frozen=True)
class EngineAddress:
    """How the engine is reached, as Docker's own programs say it.

    Attributes:
        host: ``unix:///path`` or ``tcp://host:port``.
        certificates: the directory with ca.pem, cert.pem and key.pem if the engine asks for TLS; else empty.
    """

    host: str = "unix:///var/run/docker.sock"
    certificates: str = ""

    def variables(self) -> dict[str, str]:
        """Return the address as environment variables for Docker's programs."""
        tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": self.certificates} if self.certificates else {}
        return {"DOCKER_HOST": self.host, **tls}


class EngineError(BinderError):
    """The engine answered, and the answer is no.

    Attributes:
        answer: the HTTP status of the answer.
    """

    code = "engine_error"

    def __init__(self, message: str, answer: int) -> None:
        super().__init__(message, hint="Ask an administrator to look at the container engine.")
        self.answer = answer


class Engine:
    """One container engine."""

    def __init__(self, address: EngineAddress) -> None:
        self._address = address
        self._wire = Wire(address.host, address.certificates)

    def version(self) -> str:
        """Return the engine's version; raises `Unavailable` if there is none."""
        return str(self._call("GET", "/version").json()["Version"])

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows about an image, or None if it has none of this name."""
        answer = self._call("GET", f"/images/{quote(name)}/json", allowed=(404,))
        return dict(answer.json()) if answer.status == 200 else None

    def images(self, label: str) -> list[dict[str, Any]]:
        """Return all images that carry a label, with their sizes, shared and alone."""
        listed = self._call("GET", "/system/df", params={"type": "image"}, timeout_seconds=_LONG_SECONDS).json()["Images"] or []
        return [image for image in listed if label in (image.get("Labels") or {})]

    def labelled(self, label: str, value: str) -> list[dict[str, Any]]:
        """Return all images in which a label has a value, without their sizes."""
        wanted = json.dumps({"label": [f"{label}={value}"]})
        listed: list[dict[str, Any]] = self._call("GET", "/images/json", params={"filters": wanted}).json()
        return listed

    def names(self, repository: str) -> list[str]:
        """Return the names of all images of a repository, as ``repository:tag``."""
        listed = self._call("GET", "/images/json", params={"filters": json.dumps({"reference": [repository]})}).json()
        return [name for image in listed for name in image.get("RepoTags") or () if name.startswith(f"{repository}:")]

    def containers(self, **filters: str) -> list[dict[str, Any]]:
        """Return all containers that match, running or not; e.g. ``label="a=b"``, ``ancestor="image"``."""
        wanted = json.dumps({name: [value] for name, value in filters.items()})
        listed: list[dict[str, Any]] = self._call("GET", "/containers/json", params={"all": "1", "filters": wanted}).json()
        return listed

    def tag(self, image: str, name: str) -> None:
        """Give an image another name."""
        repository, _, tag = name.rpartition(":")
        self._call("POST", f"/images/{quote(image)}/tag", params={"repo": repository, "tag": tag})

    def remove_image(self, name: str) -> None:
        """Take a name from an image, and remove the image if that was the last; raises `EngineError` (409) while it is used."""
        self._call("DELETE", f"/images/{quote(name)}", allowed=(404,), timeout_seconds=_LONG_SECONDS)

    def push(self, name: str, login: str) -> Iterator[dict[str, Any]]:
        """Push an image and yield what the engine tells meanwhile; an ``error`` in it is for the caller to see."""
        repository, _, tag = name.rpartition(":")
        return self._stream("POST", f"/images/{quote(repository)}/push", params={"tag": tag}, headers={"X-Registry-Auth": login})

    def pull(self, name: str, login: str) -> Iterator[dict[str, Any]]:
        """Pull an image and yield what the engine tells meanwhile; an ``error`` in it is for the caller to see."""
        repository, _, tag = name.rpartition(":")
        return self._stream("POST", "/images/create", params={"fromImage": repository, "tag": tag}, headers={"X-Registry-Auth": login})

    def create_container(self, name: str, content: Mapping[str, Any]) -> str:
        """Make a container and return its id; it does not run yet."""
        return str(self._call("POST", "/containers/create", params={"name": name}, content=content).json()["Id"])

    def start_container(self, container: str) -> None:
        """Let a container run."""
        self._call("POST", f"/containers/{quote(container)}/start")

    def wait_for_container(self, container: str, seconds: float) -> int | None:
        """Return the exit status of a container when it ends, or None if it does not in time."""
        try:
            answer = self._wire.ask("POST", f"/containers/{quote(container)}/wait", timeout_seconds=seconds)
        except TimeoutError:
            return None
        except PROBLEMS as error:
            raise self._unavailable() from error
        return int(_checked(answer).json()["StatusCode"])

    def container_output(self, container: str) -> str:
        """Return the end of what a container with a terminal printed."""
        answer = self._call("GET", f"/containers/{quote(container)}/logs", params={"stdout": "1", "stderr": "1", "tail": "20"})
        return answer.content.decode(errors="replace")

    def remove_container(self, container: str) -> None:
        """End and remove a container with its volumes; nothing happens if there is none."""
        self._call("DELETE", f"/containers/{quote(container)}", params={"force": "1", "v": "1"}, allowed=(404, 409))

    def put_archive(self, container: str, folder: str, archive: IO[bytes]) -> None:
        """Unpack a tar file in a folder of a container, keeping the owners that it names."""
        path = f"/containers/{quote(container)}/archive"
        params = {"path": folder, "copyUIDGID": "1"}
        self._call("PUT", path, params=params, body=archive, headers={"Content-Type": "application/x-tar"}, timeout_seconds=_LONG_SECONDS)

    def commit(self, container: str, name: str, comment: str, labels: Mapping[str, str]) -> None:
        """Make an image of a container."""
        repository, _, tag = name.rpartition(":")
        params = {"container": container, "repo": repository, "tag": tag, "comment": comment, "pause": "0"}
        self._call("POST", "/commit", params=params, content={"Labels": dict(labels)}, timeout_seconds=_LONG_SECONDS)

    # --- calls -------------------------------------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: str,
        *,
        allowed: tuple[int, ...] = (),
        content: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: IO[bytes] | None = None,
        params: Mapping[str, str] | None = None,
        timeout_seconds: float = _ANSWER_SECONDS,
    ) -> Answer:
        if content is not None:
            headers = {"Content-Type": "application/json"}
        text = json.dumps(content).encode() if content is not None else body
        try:
            answer = self._wire.ask(method, path, timeout_seconds=timeout_seconds, params=params, headers=headers, body=text)
        except PROBLEMS as error:
            raise self._unavailable() from error
        return _checked(answer, allowed)

    def _stream(self, method: str, path: str, *, params: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        try:
            with self._wire.open(method, path, timeout_seconds=_LONG_SECONDS, params=params, headers=headers) as response:
                if response.status >= 400:
                    yield {"error": _message(Answer(response.status, response.read()))}
                    return
                yield from (json.loads(line) for line in lines_of(response) if line.strip())
        except PROBLEMS as error:
            raise self._unavailable() from error

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            f"The container engine at {self._address.host} does not answer.",
            code="engine_unavailable",
            hint="Ask an administrator to start it, or to correct the setting engine_host.",
        )


def _checked(answer: Answer, allowed: tuple[int, ...] = ()) -> Answer:
    """Return the answer, or raise `EngineError` if it is a refusal that is not expected."""
    if answer.status >= 400 and answer.status not in allowed:
        raise EngineError(_message(answer), answer.status)
    return answer


def _message(answer: Answer) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.content.decode(errors="replace").strip()[:500] or f"The container engine answered {answer.status}."
