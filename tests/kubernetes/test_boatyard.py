"""What of boatyard's suite is not the same in every mode, with builds in pods; `test_end_to_end` builds and pushes there, and kills a service."""

from __future__ import annotations

import secrets

import pytest

from tests.docker.servers.test_boatyard import (  # noqa: F401  # pytest collects them here, with the fixtures below
    test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing,
    test_an_upload_that_is_too_large_is_refused_and_nothing_is_left,
    test_what_cannot_be_built_fails_with_its_reason_in_status_and_log,
    test_what_makes_no_sense_is_refused_as_the_original_did,
    test_without_a_key_there_is_nothing,
)
from tests.harness.hub import HubProcess
from tests.kubernetes.images import registry
from tests.kubernetes.kubectl import reason_to_skip
from tests.legacy.conftest import Api

pytestmark = [pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())]


@pytest.fixture
def legacy_hub(kubernetes_hub: HubProcess) -> HubProcess:
    """The hub, in Kubernetes mode."""
    return kubernetes_hub


@pytest.fixture
def boatyard(kubernetes_hub: HubProcess) -> Api:
    """boatyard's API in Kubernetes mode."""
    return Api(kubernetes_hub, "boatyard")


@pytest.fixture
def image() -> str:
    """The name of an image in the registry."""
    return f"{registry()}/pushed-{secrets.token_hex(4)}:1"
