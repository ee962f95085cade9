"""GitHub's REST API, asked for what Git servers do not say: abbreviated SHAs and gists.

https://docs.github.com/en/rest: an answer with an ETag that has not changed costs nothing of the hourly limit.
"""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import quote

import httpx
from cachetools import LRUCache, TTLCache

from ..errors import NotFound, TooMany, Unavailable
from .web_api import WebApi

log = logging.getLogger("binderhub_service")
_KNOWN = 1024
_MISSING_SECONDS = 300
_STEP_MINUTES = 5
_DIGITS = 12
_MISSING = {404, 409, 422}  # not there; a repository without a commit; not the name of one


class GitHubApi(WebApi):
    """Asks GitHub, within its limits.

    Attributes:
        remaining: how many questions it answers before its limit is reached; None before the first answer.

    Args:
        url: e.g. ``https://api.github.com``.
        token: sent with every question; empty for none.
        client: identifier and secret of an OAuth application; used without a token.
    """

    def __init__(self, url: str, token: str = "", client: tuple[str, str] = ("", "")) -> None:
        headers = {"Accept": "application/vnd.github+json"} | ({"Authorization": f"token {token}"} if token else {})
        super().__init__(url, headers, client if all(client) and not token else None)
        self.remaining: int | None = None
        self._known: LRUCache[str, tuple[str, dict[str, Any]]] = LRUCache(_KNOWN)
        self._missing: TTLCache[str, bool] = TTLCache(_KNOWN, _MISSING_SECONDS)

    async def commit(self, owner: str, repository: str, ref: str) -> str:
        """Return the commit that a name or an abbreviated SHA means.

        Raises:
            NotFound: there is none.
            TooMany, Unavailable: GitHub does not say.
        """
        found = await self._ask(f"/repos/{quote(owner)}/{quote(repository)}/commits/{quote(ref, safe='')}", ("sha",))
        if found is None:
            raise NotFound(f"The repository {owner}/{repository} has no commit {ref!r}.", code="ref_not_found", hint="Check the spelling.")
        return self.commit_in(found.get("sha"))

    async def gist(self, gist_id: str, revision: str = "") -> dict[str, Any] | None:
        """Return ``public``, ``history`` and ``owner`` of a gist, or of one revision of it; None if it is not there.

        Raises:
            TooMany, Unavailable: GitHub does not say.
        """
        return await self._ask(f"/gists/{quote(gist_id)}" + (f"/{quote(revision)}" if revision else ""), ("public", "history", "owner"))

    async def _ask(self, path: str, keys: tuple[str, ...]) -> dict[str, Any] | None:
        """Return some values of the object at a path; None if it is not there."""
        if path in self._missing:
            return None
        etag, known = self._known.get(path, ("", {}))
        response = await self.get(path, {"If-None-Match": etag} if etag else None)
        self._note_limit(response)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return known
        if response.status_code in _MISSING:
            self._missing[path] = True
            self._known.pop(path, None)
            return None
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        answer = self.json_of(response)
        found = {key: answer[key] for key in keys if key in answer}
        if "etag" in response.headers:
            self._known[path] = (response.headers["etag"], found)
        return found

    def _note_limit(self, response: httpx.Response) -> None:
        text = response.headers.get("x-ratelimit-remaining", "")
        if _is_number(text):
            self.remaining = int(text)

    def _refusal(self, response: httpx.Response) -> TooMany | Unavailable:
        limited = response.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in response.headers
        if response.status_code in {httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS} and limited:
            seconds = _seconds_to_wait(response.headers)
            minutes = _STEP_MINUTES * max(1, -(-seconds // (60 * _STEP_MINUTES)))
            log.warning("GitHub's rate limit is reached; a token in GitHubProvider.access_token raises it")
            return TooMany(
                f"GitHub rate limit exceeded. Try again in {minutes} minutes.", code="provider_rate_limit", retry_after_seconds=max(1, seconds)
            )
        if response.status_code == httpx.codes.UNAUTHORIZED:
            log.error("GitHub does not accept GitHubProvider.access_token, or client_id and client_secret")
        return self.trouble(f"answered {response.status_code}")


def _seconds_to_wait(headers: httpx.Headers) -> int:
    """Return the seconds until GitHub answers again, as it says."""
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if _is_number(after):
        return int(after)
    return max(0, int(reset) - int(time.time())) if _is_number(reset) else 60 * _STEP_MINUTES


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _DIGITS
