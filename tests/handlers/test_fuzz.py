"""Whatever is sent to the native API: the answer is what its own description announces, and never a 500.

BINDER_TEST_EXAMPLES=500 sends more than the few of every run.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from binderhub_service.handlers.system import openapi
from tests.handlers.test_api import API, Service, hub_auth, service

__all__ = ["hub_auth", "service"]  # fixtures

EXAMPLES = int(os.environ.get("BINDER_TEST_EXAMPLES", "40"))
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,  # the last one
]
ANSWER_SECONDS = 60
OPERATIONS = {
    f"{method.upper()} {path}": bool(
        item.get("parameters") or operation.get("parameters") or operation.get("requestBody") or operation.get("security") != []
    )
    for path, item in openapi()["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}
"""The operations, each with whether there is anything in it that can be said otherwise than it is described."""
MODES = {GenerationMode.POSITIVE: "as described", GenerationMode.NEGATIVE: "as not described"}
CASES = [
    pytest.param(label, mode, id=f"{label}-{name}")
    for label, varies in OPERATIONS.items()
    for mode, name in MODES.items()
    if varies or mode is GenerationMode.POSITIVE
]
TOKENS = ["token-of-root-admin", "token-of-alice", "token-of-visitor", "nobody's", ""]


@pytest.mark.parametrize(("label", "mode"), CASES)
async def test_every_answer_is_one_that_is_described(service: Service, label: str, mode: GenerationMode) -> None:
    service.hub.answers["GET", "/users"] = (200, {"items": []})  # who sets a quota of servers has them counted
    known = {"build_id": [(await service.finished("root-admin", ref=f"r{number}"))["id"] for number in (1, 2)]}
    known["image"] = list(service.images.there)
    seen = await asyncio.to_thread(send_whatever, f"{str(service.client.base_url).rstrip('/')}{API}", label, mode, known)
    assert sum(seen.values()) >= min(EXAMPLES, 2)
    assert not any(status >= 500 and status != 503 for status in seen), seen


def send_whatever(url: str, label: str, mode: GenerationMode, known: dict[str, list[str]]) -> Counter[int]:
    """Send requests of one operation, some about things that are there; return how often each status came."""
    schema = schemathesis.openapi.from_dict(openapi())
    operation = next(found for result in schema.get_all_operations() if (found := result.ok()).label == label)
    seen: Counter[int] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), token=st.sampled_from(TOKENS), number=st.integers(0, 3))
    def send(case: schemathesis.Case, token: str, number: int) -> None:
        for name in case.path_parameters or {}:
            if number < len(known.get(name, ())):
                case.path_parameters[name] = known[name][number]
        with requests.Session() as session:
            session.trust_env = False  # it would look for proxies and logins each time
            reply = case.call(url, session, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=ANSWER_SECONDS)
        seen[reply.status_code] += 1
        is_stream = reply.headers.get("content-type", [""])[0].startswith("text/event-stream")  # read as OpenAPI 3.2 describes it; ours is 3.1
        case.validate_response(reply, checks=CHECKS[:-1] if is_stream else CHECKS)

    send()
    return seen
