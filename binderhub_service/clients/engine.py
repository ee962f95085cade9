"""A container engine, by the package `docker`: the few calls that image store and builder need.

Blocking, so that the build process uses it as it is and the service in threads; safe to share between threads. All that the package and what
it stands on may raise becomes `Unavailable` (could not be asked) or `EngineError` (the answer is no) here. The package is imported when an
engine is asked first: most steps of builds ask none, and it takes a good part of a second.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ..common.json_object import json_object
from ..errors import BinderError, Unavailable
from .credentials import Login, unusable

if TYPE_CHECKING:
    from docker import APIClient
    from requests import RequestException, Response

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
_LONG_SECONDS = 600.0
_NOT_FOUND, _CONFLICT = 404, 409
_LAST_LINES = 20
_LISTED = {"Id": str, "RepoTags": list, "Labels": dict}
# What registries answer to a push while another one writes the same layers (distribution 2.8), and now and then without one ("unknown blob":
# moby/moby#36823).
_PASSING_REFUSAL = re.compile(r"blob unknown to registry|unknown blob|blob upload unknown|digest invalid|unexpected HTTP status: 50[0234]")
_PUSH_WAITS_SECONDS = (1.0, 3.0, 9.0)


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
        self._version = ""  # of the API, as the engine says

    def version(self) -> str:
        """Return the engine's version; raises `Unavailable` if there is none."""
        with self._asking() as client:
            return str(client.version()["Version"])

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows about an image, or None if no image has this name."""
        with self._asking(allowed=(_NOT_FOUND,)) as client:
            return _sensible(client.inspect_image(name), {"Id": str, "Config": dict}, needed="Id")
        return None

    def images(self, label: str) -> list[dict[str, Any]]:
        """Return all images that carry a label, with their sizes, shared and alone."""
        with self._asking(_LONG_SECONDS) as client:  # `df` of the package asks for volumes and build caches as well, which takes long
            answer = client.get(_url(client, "/system/df"), params={"type": "image"}, timeout=client.timeout)
            answer.raise_for_status()
            images = [_sensible(image, {**_LISTED, "Size": int, "SharedSize": int, "Created": int}) for image in answer.json()["Images"] or []]
            return [image for image in images if label in (image.get("Labels") or {})]

    def labelled(self, label: str, value: str) -> list[dict[str, Any]]:
        """Return all images in which a label has a value, without their sizes."""
        with self._asking() as client:
            return [_sensible(image, _LISTED) for image in client.images(filters={"label": f"{label}={value}"})]

    def names(self, repository: str) -> list[str]:
        """Return the names of all images of a repository, as ``repository:tag``."""
        with self._asking() as client:
            listed = [_sensible(image, _LISTED) for image in client.images(filters={"reference": repository})]
            return [name for image in listed for name in image.get("RepoTags") or () if name.startswith(f"{repository}:")]

    def containers(self, **filters: str) -> list[dict[str, Any]]:
        """Return all containers that match, running or not; e.g. ``label="a=b"``, ``ancestor="image"``."""
        with self._asking() as client:
            shape = {**_LISTED, "Names": list, "ImageID": str}
            return [_sensible(found, shape, needed="Id") for found in client.containers(all=True, filters=filters)]

    def tag(self, image: str, name: str) -> None:
        """Give an image another name."""
        repository, _, tag = name.rpartition(":")
        with self._asking() as client:
            client.tag(image, repository, tag)

    def remove_image(self, name: str) -> None:
        """Take a name from an image, and remove the image if that was the last; raises `EngineError` (409) while it is used."""
        with self._asking(_LONG_SECONDS, allowed=(_NOT_FOUND,)) as client:
            client.remove_image(name)

    def push(self, name: str, login: Login | None) -> Iterator[dict[str, Any]]:
        """Push an image, again if that may help; yield what the engine tells meanwhile: an ``error`` in it is for the caller to see."""
        repository, _, tag = name.rpartition(":")
        for seconds in (*_PUSH_WAITS_SECONDS, None):
            refusal = None
            for line in self._stream(f"/images/{repository}/push", {"tag": tag}, login):
                if line.get("error"):
                    refusal = line
                else:
                    yield line
            if refusal is None:
                return
            if seconds is None or not _PASSING_REFUSAL.search(str(refusal["error"])):
                yield refusal
                return
            time.sleep(seconds)

    def pull(self, name: str, login: Login | None) -> Iterator[dict[str, Any]]:
        """Pull an image and yield what the engine tells meanwhile; an ``error`` in it is for the caller to see."""
        repository, _, tag = name.rpartition(":")
        return self._stream("/images/create", {"fromImage": repository, "tag": tag}, login)

    def create_container(self, name: str, content: Mapping[str, Any]) -> str:
        """Make a container and return its id; it does not run yet."""
        with self._asking() as client:
            return str(client.create_container_from_config(dict(content), name)["Id"])

    def start_container(self, container: str) -> None:
        """Let a container run."""
        with self._asking() as client:
            client.start(container)

    def wait_for_container(self, container: str, seconds: float) -> int | None:
        """Return the exit status of a container when it ends, or None if it does not in time."""
        from requests import RequestException

        with self._asking() as client:
            try:
                return int(client.wait(container, timeout=seconds)["StatusCode"])
            except RequestException as error:
                if not _is_late(error):
                    raise
        return None

    def container_output(self, container: str) -> str:
        """Return the end of what a container with a terminal printed."""
        with self._asking() as client:
            return bytes(client.logs(container, tail=_LAST_LINES)).decode(errors="replace")

    def remove_container(self, container: str) -> None:
        """End and remove a container with its volumes; nothing happens if there is none."""
        with self._asking(allowed=(_NOT_FOUND, _CONFLICT)) as client:
            client.remove_container(container, v=True, force=True)

    def put_archive(self, container: str, folder: str, archive: IO[bytes]) -> None:
        """Unpack a tar file in a folder of a container, keeping the owners that it names.

        With ``copyUIDGID``, the engine would give everything to the image's user, whose name it looks up on its own machine.
        """
        params = {"path": folder}
        with self._asking(_LONG_SECONDS) as client:
            address = _url(client, f"/containers/{container}/archive")
            client.put(address, params=params, data=archive, headers={"Content-Type": "application/x-tar"}, timeout=client.timeout).raise_for_status()

    def commit(self, container: str, name: str, comment: str, labels: Mapping[str, str]) -> None:
        """Make an image of a container."""
        repository, _, tag = name.rpartition(":")
        with self._asking(_LONG_SECONDS) as client:
            client.commit(container, repository, tag, comment, pause=False, conf={"Labels": dict(labels)})

    # --- calls -------------------------------------------------------------------------------------------------------

    def _stream(self, path: str, params: Mapping[str, str], login: Login | None) -> Iterator[dict[str, Any]]:
        """Yield the lines of an answer as they come; `pull` and `push` of the package wait for ever, and take a broken connection for the end."""
        try:
            with self._asking(_LONG_SECONDS) as client:
                headers = {"X-Registry-Auth": (login or Login("")).header()}
                with client.post(_url(client, path), params=params, headers=headers, stream=True, timeout=client.timeout) as answer:
                    if not answer.ok:
                        raise _refused(answer)
                    yield from (json_object(line) for line in answer.iter_lines() if line.strip())
        except EngineError as error:
            yield {"error": error.message}

    @contextlib.contextmanager
    def _asking(self, seconds: float = _ANSWER_SECONDS, allowed: tuple[int, ...] = ()) -> Iterator[APIClient]:
        """Yield a client for one question: it is not made for several threads. What it raises becomes ours.

        Args:
            seconds: how long the engine may say nothing.
            allowed: statuses of refusals that are passed over.

        Raises:
            Unavailable: there is no answer, or half of one.
            EngineError: the answer is no.
        """
        from docker.constants import DEFAULT_DOCKER_API_VERSION
        from docker.errors import DockerException, InvalidConfigFile
        from requests import HTTPError, RequestException
        from urllib3.exceptions import HTTPError as BrokenAnswer

        try:
            if not self._version:  # a client that looks for that itself heeds variables such as HTTP_PROXY meanwhile
                with self._client(DEFAULT_DOCKER_API_VERSION, seconds) as client:
                    self._version = client.version(api_version=False)["ApiVersion"]
            with self._client(self._version, seconds) as client:
                yield client
        except InvalidConfigFile as error:
            raise unusable("The logins in Docker's configuration file cannot be read.") from error
        except HTTPError as error:  # the package's errors are of this kind, too
            answer = error.response
            if answer is None or answer.status_code not in allowed:
                raise _refused(answer) from error
        except (LookupError, TypeError, AttributeError, RecursionError) as error:  # JSON of another shape
            raise Unavailable(
                f"What answers at {self._address.host} makes no sense for a container engine.",
                code="engine_unavailable",
                hint="Ask an administrator to correct the setting engine_host.",
            ) from error
        except (DockerException, RequestException, BrokenAnswer, OSError, ValueError) as error:
            raise Unavailable(
                f"The container engine at {self._address.host} does not answer.",
                code="engine_unavailable",
                hint="Ask an administrator to start it, or to correct the setting engine_host.",
            ) from error

    def _client(self, version: str, seconds: float) -> APIClient:
        from docker import APIClient
        from docker.tls import TLSConfig

        folder, host = self._address.certificates, self._address.host
        tls = TLSConfig((f"{folder}/cert.pem", f"{folder}/key.pem"), f"{folder}/ca.pem", verify=True) if folder else False
        client = APIClient(host, version, seconds if host.startswith("unix:") else (_CONNECT_SECONDS, seconds), tls)
        client.trust_env = False
        return client


def _sensible(found: Any, shape: Mapping[str, type], needed: str = "") -> dict[str, Any]:
    """Return what an engine says of an image or a container; what else it leaves out is left out, and lists hold text.

    Raises:
        TypeError: it is of another shape.
    """
    if not isinstance(found, dict) or (needed and not found.get(needed)):
        raise TypeError("not an image or a container")
    for name, kind in shape.items():
        value = found.get(name)
        is_wrong = value is not None and not isinstance(value, kind)
        if is_wrong or (kind is list and not all(isinstance(item, str) for item in value or ())):
            raise TypeError(f"{name} is no {kind.__name__}")
    return found


def _url(client: APIClient, path: str) -> str:
    return f"{client.base_url}/v{client.api_version}{path}"


def _is_late(error: RequestException) -> bool:
    """Say whether an answer, or the rest of one whose head came at once, did not come in time."""
    from requests import ReadTimeout
    from urllib3.exceptions import ReadTimeoutError

    return isinstance(error, ReadTimeout) or isinstance(next(iter(error.args), None), ReadTimeoutError)


def _refused(answer: Response | None) -> EngineError:
    """Return what the engine said, as far as it said something."""
    if answer is None:
        return EngineError("The container engine refused.", 500)
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = answer.text.strip()[:500] or f"The container engine answered {answer.status_code}."
    return EngineError(message, answer.status_code)
