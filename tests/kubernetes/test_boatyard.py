"""boatyard's suite with builds in pods."""

from __future__ import annotations

import secrets

import pytest

from tests.docker.servers.test_boatyard import (  # noqa: F401  # pytest collects them here, with the fixtures below
    test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing,
    test_a_job_goes_on_when_the_service_is_killed_in_the_middle_of_its_build,
    test_an_archive_is_built_however_it_comes_and_pushed_for_all_who_want_it,
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
