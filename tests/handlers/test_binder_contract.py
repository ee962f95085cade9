"""BinderHub's ``/build`` held against what BinderHub answers: the order of its checks, and every text that it says, by section of the facts.

The sections are: 1 requests, 2 events, 6 launches, 9 metrics. Section 5, registries, is in `test_registry.py`; what is not as in BinderHub on
purpose is in docs/binderhub.md.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from binderhub_service.builds.launch_places import LaunchPlaces
from binderhub_service.builds.launch_quota import HubServer, LaunchLimits
from binderhub_service.context import AppContext
from binderhub_service.errors import Unavailable
from binderhub_service.launches.launches import Launches
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service
from tests.handlers.test_binder_build import STARTED, let_start
from tests.launches.test_build_tokens import signed
from tests.launches.test_rates import public, served

__all__ = ["hub_auth", "service"]  # fixtures
ALICE = {"Authorization": "token token-of-alice"}

# Every check in its order, with what is said where it is the first that fails.
CHECKS = {
    "network": {"status_code": 403, "message": "Requests from a crawler are not allowed\n"},
    "accept": {"status_code": 400, "message": "Missing Accept header: this address answers with text/event-stream only.\n"},
    "login": {"status_code": 403, "message": "Forbidden\n"},
    "token": {"status_code": 403, "message": "Invalid build token\n"},
    "rate": {"status_code": 429, "message": "Rate limit exceeded. Try again in ..."},
    "provider": {"message": "No provider found for prefix nix\n"},
    "spec": {"message": 'Spec is not of the form "repository/ref", provided: "o". Did you mean "o/HEAD"?\n'},
    "banned": {"message": "Sorry, o/gone is not allowed to launch. Please contact admins for more info!"},
    "ref": {"message": "Could not resolve ref for git:o/gone. Double check your URL and that your repo is public.\n"},
    "build_only": {"status_code": 400, "message": "Building but not launching is not permitted ..."},
    "quota": {"message": "Too many users on this BinderHub! Try again soon.\n"},
}


def faulty(service: Service, faults: set[str]) -> tuple[AppContext, str, dict[str, str]]:
    """Return the service's parts, a link and headers with some of the faults that `CHECKS` names."""
    context = replace(public(service, per_address=2), banned={ip_network("127.0.0.1/32"): "a crawler"} if "network" in faults else {})
    if "quota" in faults:
        places = LaunchPlaces(LaunchLimits(total=0), nobody)
        context = replace(context, launches=Launches(service.hub.api_url, "/hub/", [service.provider], places=places))
    service.provider.banned_specs = ["o/"] if "banned" in faults else []
    spec = "o" if "spec" in faults else "o/gone" if "ref" in faults else "o/main"
    query = [*(["build_token=x"] if "token" in faults else []), *(["build_only=true"] if "build_only" in faults else [])]
    link = f"{PREFIX}build/{'nix' if 'provider' in faults else 'git'}/{spec}?{'&'.join(query)}"
    login = {"Authorization": "token nobody's"} if "login" in faults else {}
    return context, link, {"Accept": "text/html" if "accept" in faults else "text/event-stream", **login}


async def nobody() -> list[HubServer]:
    return []


async def told(context: AppContext, link: str, headers: Mapping[str, str], method: str = "GET", times: int = 1) -> list[dict[str, Any]]:
    """Return the events of the last of some equal requests, whose status has to be 200 whatever happens."""
    async with served(context) as client:
        for _ in range(times):
            reply = await client.request(method, link, headers=headers)
    assert (reply.status_code, reply.headers["Content-Type"].split(";")[0], reply.headers["Cache-Control"]) == (200, "text/event-stream", "no-cache")
    return [json.loads(line.removeprefix("data: ")) for line in reply.text.splitlines() if line.startswith("data: ")]


def says(text: str, expected: str) -> bool:
    """Say whether a text is what is expected; that may end with ``...``."""
    return text.startswith(expected.removesuffix("...")) if expected.endswith("...") else text == expected


@pytest.mark.parametrize("first", CHECKS)
async def test_of_many_faults_the_first_in_binderhubs_order_is_told_and_nothing_is_begun(service: Service, first: str) -> None:
    faults = set(list(CHECKS)[list(CHECKS).index(first) :])
    context, link, headers = faulty(service, faults)
    events = await told(context, link, headers, times=3 if first == "rate" else 1)
    expected, message = {"phase": "failed", **CHECKS[first]}, str(CHECKS[first]["message"])
    assert [event | {"message": message if says(event["message"], message) else event["message"]} for event in events] == [expected]
    assert service.builder.runs == []
    assert service.hub.asked == []
    assert bool(service.provider.asked) is (first in {"ref", "build_only", "quota"})


async def test_a_request_without_a_fault_passes_all_checks(service: Service) -> None:
    context, link, headers = faulty(service, set())
    assert (await told(context, link, headers))[0] == {"phase": "waiting", "message": "Waiting for build to start...\n"}


# Section 1: method, path, as whom, status, the beginning of the type or of the place that it leads to.
LOGIN = "/hub/api/oauth2/authorize?client_id=service-binder&"
ADDRESSES = [
    ("GET", "versions", "", 200, "application/json"),
    ("GET", "health", "", 200, "application/json"),
    ("HEAD", "health", "", 200, "application/json"),
    ("GET", "metrics", "", 200, "text/plain; version="),
    ("GET", "api/repoproviders", "", 200, "application/json"),
    ("OPTIONS", "versions", "", 200, ""),
    ("POST", "versions", "", 405, ""),
    ("GET", "", "", 302, LOGIN),
    ("GET", "v2/git/o/main", "", 302, LOGIN),
    ("GET", "repo/o/r", "", 302, LOGIN),
    ("GET", "", "alice", 200, "text/html"),
    ("GET", "about", "alice", 200, "text/html"),
    ("GET", "v2/git/o/main", "alice", 200, "text/html"),
    ("GET", "v2/git/o/main", "eve", 403, "text/html"),
    ("GET", "repo/o/r", "alice", 302, f"{PREFIX}v2/gh/o/r/master"),
    ("GET", "repo/o/r/notebooks/index.ipynb", "alice", 302, f"{PREFIX}v2/gh/o/r/master?urlpath=%2Fnotebooks%2Findex.ipynb"),
    ("GET", "assets/images/badge.svg", "", 200, "image/svg+xml"),
    ("GET", "badge.svg", "", 200, "image/svg+xml"),
    ("GET", "badge_logo.svg", "", 200, "image/svg+xml"),
    ("GET", "logo_social.png", "", 200, "image/png"),
    ("GET", "oauth_callback", "", 400, ""),
]


async def test_every_address_answers_as_binderhubs_does(service: Service) -> None:
    for method, path, who, status, begins in ADDRESSES:
        reply = await service.client.request(method, f"{PREFIX}{path}", headers={"Authorization": f"token token-of-{who}"} if who else {})
        found = reply.headers.get("Location" if status == 302 else "Content-Type", "")
        assert (reply.status_code, found.startswith(begins)) == (status, True), (method, path, who, reply.status_code, found)
        assert method != "HEAD" or not reply.content


# Section 9: names, types and labels.
METRICS = {
    "binderhub_build_time_seconds": ("histogram", {"status"}),
    "binderhub_launch_time_seconds": ("histogram", {"status", "retries"}),
    "binderhub_build_count": ("counter", {"status", "provider", "repo"}),
    "binderhub_launch_count": ("counter", {"status", "provider", "repo"}),
    "binderhub_inprogress_builds": ("gauge", set()),
    "binderhub_inprogress_launches": ("gauge", set()),
}
BUCKETS = {
    "binderhub_build_time_seconds": [60, 120, 300, 600, 1800, 3600, 7200, math.inf],
    "binderhub_launch_time_seconds": [2, 5, 10, 20, 30, 60, 120, 300, 600, math.inf],
}


async def test_dashboards_find_binderhubs_metrics(service: Service) -> None:
    let_start(service)
    await told(service.context, f"{PREFIX}build/git/o/main", {"Accept": "text/event-stream", **ALICE})
    text = (await service.client.get(f"{PREFIX}metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, (kind, labels) in METRICS.items():
        samples = [sample for sample in families[name].samples if not sample.name.endswith("_created")]
        assert samples, name
        assert (families[name].type, {label for sample in samples for label in sample.labels} - {"le"}) == (kind, labels)
        assert name not in BUCKETS or [float(sample.labels["le"]) for sample in samples if "le" in sample.labels] == BUCKETS[name]


@dataclass
class Said:
    """What is said of a request.

    Attributes:
        arrange: makes the service and the hub as they are then.
        last: the last event, whose texts are as `says` takes them.
        before: messages that come before it, in this order.
        ready: whether the image is there already.
    """

    arrange: Callable[[Service], AppContext | None]
    last: dict[str, Any]
    before: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=lambda: dict(ALICE))
    query: str = ""
    method: str = "GET"
    ready: bool = True


def as_it_is(service: Service) -> None:
    """Let everything go well."""
    let_start(service)


def api_only(service: Service) -> AppContext:
    return replace(service.context, is_api_only=True)


def git_server_away(service: Service) -> None:
    service.provider.error = Unavailable("It timed out.", code="git_server_timeout")


def starting(status: int, message: str) -> Callable[[Service], None]:
    """Let the hub answer like this to the request for a server."""

    def arrange(service: Service) -> None:
        let_start(service)
        service.hub.answers["POST", STARTED] = (status, {"status": status, "message": message})

    return arrange


def progress(*events: dict[str, Any]) -> Callable[[Service], None]:
    """Let the hub tell this of the server that starts."""
    return lambda service: let_start(service, *events)


def no_users(service: Service) -> AppContext:
    return public(service)


def repo_quota(service: Service) -> AppContext:
    async def look() -> list[HubServer]:
        return [HubServer("bob", "x", frozenset({"o"}))]

    places = LaunchPlaces(LaunchLimits(per_repo=1), look)
    return replace(service.context, launches=Launches(service.hub.api_url, "/hub/", [service.provider], places=places))


FOUND, LAUNCHING = "Found built image, launching...\n", "Launching server...\n"
TRIED = [LAUNCHING, *(f"Launch attempt {number} failed, retrying...\n" for number in (1, 2, 3))]
IMAGE = "IMAGE"  # stands for the image's name
SAID = {
    "1: another method": Said(as_it_is, {"status_code": 405, "message": "Method Not Allowed\n"}, method="POST"),
    "1: a scope that is missing": Said(
        as_it_is, {"status_code": 403, "message": "user eve is not allowed.\n"}, headers={"Authorization": "token token-of-eve"}
    ),
    "1: a token of a login that has ended": Said(as_it_is, {"status_code": 403, "message": "Forbidden\n"}, headers={"Authorization": "Bearer x"}),
    "1: a build token for something else": Said(
        as_it_is, {"status_code": 403, "message": "Invalid build token\n"}, query=f"build_token={signed(SECRET, aud='git/o/main/')}"
    ),
    "2: a cached image": Said(as_it_is, {"phase": "ready", "message": "server running at ..."}, [FOUND, LAUNCHING, "Spawning\n"]),
    "2: a fresh build": Said(
        as_it_is,
        {"phase": "ready", "message": "server running at ..."},
        ["Waiting for build to start...\n", "one\n", "Built image, launching...\n", LAUNCHING],
        ready=False,
    ),
    "2: a cached image alone": Said(
        api_only, {"phase": "ready", "message": "Done! Found built image\n", "imageName": IMAGE}, query="build_only=TRUE"
    ),
    "2: a fresh build alone": Said(
        api_only,
        {"phase": "ready", "message": "Done! Image built\n", "imageName": IMAGE},
        ["Waiting for build to start...\n", "one\n"],
        query="build_only=true",
        ready=False,
    ),
    "2: an error of the Git server": Said(git_server_away, {"message": "Error resolving ref for git:o/main: It timed out.\n"}, ready=False),
    "2, 4: the quota of a repository": Said(repo_quota, {"message": "Too many users running o! Try again soon.\n"}, [FOUND]),
    "6: a server that fails": Said(progress({"failed": True, "message": "No place"}), {"status_code": 500, "message": "No place\n"}, TRIED),
    "6: a server that fails without a word": Said(
        progress({"failed": True}), {"status_code": 500, "message": f"Image {IMAGE} for user alice failed to launch\n"}, TRIED
    ),
    "6: a hub that stops telling": Said(
        progress({"progress": 1}), {"status_code": 500, "message": f"Image {IMAGE} for user alice failed to launch\n"}, TRIED
    ),
    "6: a hub that cannot start it": Said(starting(500, "Boom"), {"status_code": 500, "message": f"Failed to launch image {IMAGE}: ..."}, TRIED),
    "6: a hub that is away": Said(starting(503, "Away"), {"status_code": 500, "message": f"Failed to launch image {IMAGE}: ..."}, TRIED),
    "6: too many named servers": Said(
        starting(400, "User alice already has the maximum of 2 named servers.  One must be deleted before a new server can be created"),
        {
            "status_code": 409,
            "message": "User alice already has the maximum of 2 named servers.  One must be deleted before a new server can be created\n",
        },
        [FOUND, LAUNCHING],
    ),
    "6: no temporary user": Said(no_users, {"status_code": 500, "message": f"Failed to create temporary user for {IMAGE}: ..."}, TRIED, headers={}),
}


@pytest.mark.parametrize("case", SAID)
async def test_what_binderhub_says_is_said(service: Service, case: str) -> None:
    said = SAID[case]
    if said.ready:
        await service.finished(repo="o", ref="main")
        service.builder.runs.clear()
    context = said.arrange(service) or service.context
    events = await told(context, f"{PREFIX}build/git/o/main?{said.query}", {"Accept": "text/event-stream", **said.headers}, said.method)
    image = next((image.reference for image in service.images.there.values()), "")
    for name, value in ({"phase": "failed"} | said.last).items():
        assert says(str(events[-1][name]), str(value).replace(IMAGE, image)), events
    assert "status_code" in said.last or "status_code" not in events[-1]
    messages = iter(event["message"] for event in events)
    assert all(message in messages for message in said.before), (said.before, events)
    assert all(event["phase"] and isinstance(event["message"], str) for event in events)
    assert [event["phase"] in {"ready", "failed"} for event in events].count(True) == 1, "one end"
    if "retrying" not in str(said.before):
        assert "retrying" not in str(events)


async def test_a_launch_waits_for_the_image_and_not_for_its_trial(service: Service) -> None:
    service.builder.tries, service.builder.gate = True, asyncio.Event()
    let_start(service)
    events = await told(service.context, f"{PREFIX}build/git/o/main", {"Accept": "text/event-stream", **ALICE})
    assert [event["phase"] for event in events if event["phase"] in {"pushing", "built", "ready", "failed"}] == ["built", "ready"]
    service.builder.gate.set()


async def test_a_build_that_cannot_be_followed_is_told_in_binderhubs_words(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(service.context.builds, "follow", broken)
    events = await told(service.context, f"{PREFIX}build/git/o/main", {"Accept": "text/event-stream", **ALICE})
    assert events[-1] == {
        "phase": "failed",
        "status_code": 500,
        "message": "Unhandled error watching for build events. Please try again.\n",
    }


@pytest.mark.parametrize(
    ("case", "status"),
    [("2: a cached image", "success"), ("6: a server that fails", "failure"), ("6: too many named servers", "failure"),
     ("2, 4: the quota of a repository", "repo_quota"), ("6: no temporary user", "failure")],
)  # fmt: skip
async def test_a_launch_is_counted_under_binderhubs_names(service: Service, case: str, status: str) -> None:
    """Section 9."""
    await test_what_binderhub_says_is_said(service, case)
    text = service.context.metrics.exposition()[1].decode()
    assert f'binderhub_launch_count_total{{provider="git",repo="o",status="{status}"}} 1.0' in text
    assert "binderhub_inprogress_launches 0.0" in text
    retried = 3.0 if SAID[case].before == TRIED else None
    counted = f'binderhub_launch_time_seconds_count{{retries="-1",status="retry"}} {retried}'
    assert (counted in text) is (retried is not None)
