"""boatyard's API on a real hub, engine and registry: images are built, pushed and deleted."""

from __future__ import annotations

import base64
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.archives import archive_of
from tests.harness.boatyard import BUILD_SECONDS, FILE_BYTES, PASSWORD, archives_of_boatyard, begun, ended, is_pushed, logs_of
from tests.harness.hub import HubProcess
from tests.harness.waiting import wait_for
from tests.legacy.conftest import KEY, Api

pytestmark = [pytest.mark.skipif(bool(reason_to_skip(registry=True)), reason=reason_to_skip(registry=True))]
TOO_LITTLE = "Insufficient Information.  Must provide at least an Image Name and a Dockerfile/Tarurl."


@pytest.fixture
def image(test_registry: str, session_engine: TestEngine, request: pytest.FixtureRequest) -> str:
    """The name of an image in the registry."""
    return f"{test_registry}/{session_engine.mark}-pushed:{abs(hash(request.node.name))}"


def test_a_dockerfile_is_built_pushed_and_deleted(boatyard: Api, image: str, session_engine: TestEngine) -> None:
    asked = {"Image_Name": image, "username": "me", "password": PASSWORD, "email": "", "dockerfile": "FROM debian:12\nRUN echo built by text\n"}
    job = begun(boatyard, content=json.dumps(asked), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert ended(boatyard, job) == "Finished", logs_of(boatyard, job)
    assert "built by text" in logs_of(boatyard, job)
    assert is_pushed(image)
    wait_for(lambda: not [one for one in session_engine.client.images(filters={"reference": f"{session_engine.mark}-context*"})], "its end", 20)
    assert not session_engine.has_image(image)


def test_an_archive_is_built_however_it_comes_and_pushed_for_all_who_want_it(boatyard: Api, base: str, web: str, image: str) -> None:
    archive = archives_of_boatyard(base)["/context.tar.xz"]
    file = ("a.tar", archive)

    def forms(target: str) -> dict[str, dict[str, Any]]:
        manifest = {"image_name": target}
        text = (None, json.dumps(manifest))
        return {
            "by-name": {"files": [("TarFile", file), ("Json", text)]},
            "by-position": {"files": [("one", file), ("two", text)]},
            "by-name-the-other-way-round": {"files": [("json", text), ("tarfile", file)]},
            "in-json": {"json": manifest | {"TarFile": base64.b64encode(archive).decode()}},
            "by-address": {"json": manifest | {"tar_url": f"{web}/context.tar.xz"}},
            "on-github": {"json": manifest | {"github_username": "u", "github_reponame": "r", "github_tag": "v1.0"}},
        }

    jobs = {f"{image}-{form}": begun(boatyard, **forms(f"{image}-{form}")[form]) for form in forms("")}
    for target, job in jobs.items():
        assert ended(boatyard, job) == "Finished", logs_of(boatyard, job)
        assert "cat /data.txt" in logs_of(boatyard, job)
        assert is_pushed(target)


@pytest.mark.parametrize("sent_bytes", [FILE_BYTES + 1, 5 * FILE_BYTES])
def test_an_upload_that_is_too_large_is_refused_and_nothing_is_left(boatyard: Api, legacy_hub: HubProcess, sent_bytes: int) -> None:
    before = kept(legacy_hub)
    reply = boatyard.ask("POST", "/api/v1/build", KEY, files={"TarFile": b"x" * sent_bytes, "Json": b'{"image_name": "a"}'})
    assert reply.status_code == 413
    wait_for(lambda: not kept(legacy_hub) - before, "the removal of what came of it", 20, every_seconds=0.05)


def test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing(boatyard: Api, legacy_hub: HubProcess) -> None:
    before = kept(legacy_hub)
    address = urlsplit(legacy_hub.service_url)
    head = f"POST {address.path}/boatyard/api/v1/build HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY}\r\nContent-Length: 900000\r\n"
    form = 'Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name="TarFile"\r\n\r\n'
    with socket.create_connection((str(address.hostname), address.port)) as connection:
        connection.sendall((head + form).encode() + b"x" * 100_000)
        wait_for(lambda: kept(legacy_hub) - before, "a part of the upload", 20, every_seconds=0.05)
    wait_for(lambda: not kept(legacy_hub) - before, "the removal of what came of it", 20, every_seconds=0.05)


def kept(legacy_hub: HubProcess) -> set[str]:
    """Return the names of the files that the service keeps."""
    folder = legacy_hub.state / "contents"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_what_cannot_be_built_fails_with_its_reason_in_status_and_log(boatyard: Api, base: str, image: str) -> None:
    sources = {
        "Failed: ": {"dockerfile": f"FROM {base}\nRUN exit 3\n"},
        "Failed in the ReaderForInputType.  Got to default case.": {"github_reponame": "r"},
        "Failed response from Tarball Url.": {"tar_url": "http://127.0.0.1:9/a.tar.gz"},
        "Failed: The archive cannot be used": {"TarFile": base64.b64encode(archive_of({"../x": ""})).decode()},
        "Failed: There is no Dockerfile.": {"TarFile": base64.b64encode(archive_of({"data.txt": ""})).decode()},
    }
    jobs = {status: begun(boatyard, json={"image_name": image} | source) for status, source in sources.items()}
    for status, job in jobs.items():
        assert ended(boatyard, job).startswith(status)
        assert logs_of(boatyard, job) != "Fetching logs..."
        assert boatyard.ask("DELETE", f"/api/v1/{job}/image", KEY).status_code == 404
    assert not is_pushed(image)


def test_an_image_that_could_not_be_pushed_stays_until_it_is_deleted(boatyard: Api, legacy_hub: HubProcess, base: str) -> None:
    job = begun(boatyard, json={"image_name": "127.0.0.1:9/nobody/here", "dockerfile": f"FROM {base}\nRUN echo kept\n"})
    assert ended(boatyard, job).startswith("Failed: ")
    assert [image for image in legacy_hub.service("GET", "/api/images", legacy_hub.admin_token).json() if "context" in image["name"]]
    reply = boatyard.ask("DELETE", f"/api/v1/{job}/image", KEY)
    assert (reply.status_code, reply.json()) == (200, {"Status": "Deleted"})
    assert not [image for image in legacy_hub.service("GET", "/api/images", legacy_hub.admin_token).json() if "context" in image["name"]]


def test_a_name_that_the_engine_has_is_not_pushed(boatyard: Api, session_engine: TestEngine) -> None:
    before = session_engine.client.inspect_image("debian:12")["Id"]
    job = begun(boatyard, json={"image_name": "debian:12", "dockerfile": "FROM debian:12\nRUN echo mine\n"})
    assert ended(boatyard, job) == "Failed: The engine has an image debian:12 already."
    assert session_engine.client.inspect_image("debian:12")["Id"] == before


def test_a_job_goes_on_when_the_service_is_killed_in_the_middle_of_its_build(legacy_hub: HubProcess, boatyard: Api, base: str, image: str) -> None:
    source = {"dockerfile": f"FROM {base}\nRUN echo begun && sleep 8 && echo {time.time_ns()}\n"}
    jobs = [
        begun(boatyard, json={"image_name": image + name} | source | login)
        for name, login in (("a", {}), ("b", {"username": "u", "password": PASSWORD}))
    ]
    wait_for(lambda: "begun" in logs_of(boatyard, jobs[0]), "the build to begin", BUILD_SECONDS)
    legacy_hub.wait_for_another_service(legacy_hub.kill_service())
    assert ended(boatyard, jobs[0]) == "Finished"
    assert is_pushed(image + "a")
    assert "keeps no passwords" in ended(boatyard, jobs[1])


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "error"),
    [
        ("POST", "/api/v1/build", {"json": {}}, 400, TOO_LITTLE),
        ("POST", "/api/v1/build", {"json": {"image_name": "a"}}, 400, TOO_LITTLE),
        ("POST", "/api/v1/build", {"json": {"dockerfile": "FROM x"}}, 400, TOO_LITTLE),
        ("POST", "/api/v1/build", {"json": {"image_name": "A B", "dockerfile": "FROM x"}}, 400, None),
        ("POST", "/api/v1/build", {"json": {"image_name": 1, "dockerfile": "FROM x"}}, 400, None),
        ("POST", "/api/v1/build", {"content": b"{"}, 400, None),
        ("POST", "/api/v1/build", {"content": b""}, 400, None),
        ("POST", "/api/v1/build", {"files": {"TarFile": b"x"}}, 500, "Internal Server Error"),
        ("POST", "/api/v1/build", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 500, "Internal Server Error"),
        ("GET", "/api/v1/nobody/status", {}, 404, "Jobid doesn't exist in the cache.  Bad request."),
        ("GET", "/api/v1/nobody/logs", {}, 404, "Jobid doesn't exist in the cache.  Bad request."),
        ("DELETE", "/api/v1/nobody/image", {}, 404, "Jobid doesn't exist in the cache.  Bad request."),
        ("GET", "/api/v1/build", {}, 405, "Method not allowed"),
        ("POST", "/api/v1/nobody/status", {}, 405, "Method not allowed"),
        ("GET", "/api/v1/nobody/status/", {}, 404, "Resource not found"),
        ("GET", "/api/v1/x", {}, 404, "Resource not found"),
    ],
)
def test_what_makes_no_sense_is_refused_as_the_original_did(
    boatyard: Api, method: str, path: str, options: dict[str, Any], status: int, error: str | None
) -> None:
    reply = boatyard.ask(method, path, KEY, **options)
    assert (reply.status_code, reply.headers["Content-Type"], set(reply.json())) == (status, "application/json", {"Error"}), reply.text
    assert error in {None, reply.json()["Error"]}


@pytest.mark.parametrize("key", [None, "", "token wrong", "Bearer wrong"])
def test_without_a_key_there_is_nothing(boatyard: Api, key: str | None) -> None:
    for method, path in (("POST", "/api/v1/build"), ("GET", "/api/v1/x/status"), ("GET", "/api/v1/x/logs"), ("DELETE", "/api/v1/x/image")):
        reply = boatyard.ask(method, path, key)
        assert (reply.status_code, set(reply.json())) == (401, {"Error"})


def test_a_job_is_its_owners(legacy_hub: HubProcess, boatyard: Api, image: str) -> None:
    alice, bob = legacy_hub.token("alice"), legacy_hub.token("bob")
    reply = boatyard.ask("POST", "/api/v1/build", f"token {alice}", json={"image_name": image, "dockerfile": "FROM nothing-there\n"})
    job = reply.json()["JobIdentifier"]
    assert boatyard.ask("GET", f"/api/v1/{job}/status", f"Bearer {alice}").status_code == 200
    assert boatyard.ask("GET", f"/api/v1/{job}/status", f"token {bob}").status_code == 404
    assert boatyard.ask("GET", f"/api/v1/{job}/logs", f"token {bob}").status_code == 404
    assert ended(boatyard, job).startswith("Failed: ")
