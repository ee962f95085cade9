"""Addresses of requests that no handler sees."""

from __future__ import annotations

import pytest

from binderhub_service.handlers.guard import refusal_of


@pytest.mark.parametrize("raw", ["%00", "%ff", "%c0%af", "%ed%a0%80", "%0d%0aX:1", "%7f"])
@pytest.mark.parametrize("place", ["/static/{}", "/builds/{}", "/v2/git/{}/main", "/api/images/{}"])
def test_an_address_that_is_no_plain_text_is_refused(place: str, raw: str) -> None:
    refused = refusal_of(place.format(raw), "")
    assert refused
    assert refused.status == 400


@pytest.mark.parametrize("query", ["repo=%ff", "repo=https://a:S@h/x", "repo=https%3A%2F%2Fa%3AS%40h", "repo=https://a:S&T@h/x"])
def test_a_query_that_is_unreadable_or_holds_a_credential_is_refused(query: str) -> None:
    assert refusal_of("/api/builds", query)


@pytest.mark.parametrize("query", ["", "before=&repo=https%3A%2F%2Fh%2Fo%2Fr", "code=abc&state=eyJ", "labpath=a%20b.ipynb"])
def test_an_ordinary_address_is_not_refused(query: str) -> None:
    assert refusal_of("/v2/git/https%3A%2F%2Fh%2Fo%2Fr/feature%2Fx", query) is None
