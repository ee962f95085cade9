"""How many servers there may be, and how they are launched."""

from __future__ import annotations

import hmac
import importlib
import os
import re
from typing import Any

from traitlets import Bool, Callable, Float, Integer, TraitError, Unicode, Union, validate
from traitlets.config import Configurable

from ..builds.launch_quota import LaunchLimits
from ..builds.rates import RateLimits
from ..errors import Unavailable
from ..launches.build_tokens import SECRET_BYTES, BuildTokens
from ..launches.launches import ANSWER_SECONDS, Attempts

_VARIABLE = "BINDERHUB_BUILD_TOKEN_SECRET"


class LaunchQuota(Configurable):
    """How many servers there may be at a time."""

    total_quota = Integer(
        None,
        min=0,
        allow_none=True,
        help="""How many servers there may be of everybody, those that start included.

        Another launch is refused. 0 launches nothing. Default: none, no limit. Example: 100.
        """,
    ).tag(config=True)
    per_repo_quota = Integer(
        0,
        min=0,
        help="""How many servers there may be of one repository, at any commit.

        Another launch of it is refused. `Provider.spec_config` can say another number for single repositories. Default: 0, no limit.
        Example: 20.
        """,
    ).tag(config=True)
    per_repo_quota_higher = Integer(
        0,
        min=0,
        help="""How many servers there may be of a repository that matches `Provider.high_quota_specs`.

        Default: 0, no limit. Example: 200.
        """,
    ).tag(config=True)

    wait_seconds = Float(
        0,
        min=0,
        help="""How long a launch by BinderHub's ``/build`` waits in the visible queue for a place when a quota is reached.

        Then it is refused. Other launches are refused at once, whatever is set here. In seconds. Default: 0, refused at once, as BinderHub does.
        Example: ``600``.
        """,
    ).tag(config=True)

    person_bytes = Integer(
        0,
        min=0,
        help="""How much a person's files in `BinderService.state_dir` may take before no new working copy is made for them, in embedded mode.

        A start that would make one is refused with 429; in working copies that are there, servers start whatever they take. What counts are the
        sizes that were measured last, every `Cleaning.interval_seconds`, so it is no hard bound of the disk. Homes of other accounts of this machine,
        volumes and claims are bounded by what keeps them. ``megabytes-of-person`` makes exceptions. In bytes, in whole megabytes.
        Default: 0, no bound. Example: ``10 * 1024**3``.
        """,
    ).tag(config=True)

    def quota(self) -> LaunchLimits:
        """Return the settings as `builds.launch_quota` takes them."""
        return LaunchLimits(total=self.total_quota, per_repo=self.per_repo_quota, per_repo_higher=self.per_repo_quota_higher)


class RateLimiter(Configurable):
    """How often BinderHub's ``/build`` may be asked."""

    limit = Integer(
        10,
        min=0,
        help="""How often visitors of one address may ask in a period, without a build token.

        The addresses of one network of IPv6 (/64) count as one. A client that comes back to its own launch is not counted, and people and
        programs with a login or a token of the hub are not. Behind a proxy that `Server.trusted_proxies` does not name, everybody has one address. 0
        is no limit. Default: 10.
        """,
    ).tag(config=True)
    token_limit = Integer(
        0,
        min=0,
        help="""How often one token may be used in a period: a build token, or the tokens and the login of one user or service of the hub together.

        Default: 0, no limit. Example: ``60``.
        """,
    ).tag(config=True)
    period_seconds = Float(
        3600,
        min=1,
        help="""How long a period is, which begins when a client asks first.

        In seconds. Default: 3600.
        """,
    ).tag(config=True)

    def limits(self) -> RateLimits:
        """Return the settings as `builds.rates` takes them."""
        return RateLimits(self.limit, self.token_limit, self.period_seconds)


class BuildToken(Configurable):
    """By what a page of the service asks BinderHub's ``/build``."""

    secret = Unicode(
        help="""What build tokens are signed with, in hexadecimal digits, at least 64.

        Services that share it take each other's. Default: the environment's ``BINDERHUB_BUILD_TOKEN_SECRET``; else one of the state directory's,
        which stays the same when the service is started again. Example: what ``openssl rand -hex 32`` prints.
        """,
    ).tag(config=True)
    expires_seconds = Float(
        300,
        min=1,
        help="""How long a build token lasts.

        It is made when a page ``/v2/...`` is opened. In seconds. Default: 300.
        """,
    ).tag(config=True)
    check_origin = Bool(
        True,
        help="""Whether a build token is good for the host alone at which it was made.

        Default: true.
        """,
    ).tag(config=True)
    required = Bool(
        False,
        help="""Whether a visitor's request to ``/build`` needs a build token, which only pages of this service have.

        Then links and badges work, and clients of other sites, such as thebe, do not. People and programs with a login or a token of the hub need
        none. Default: false.
        """,
    ).tag(config=True)

    @validate("secret")
    def _check_secret(self, proposal: Any) -> str:
        try:
            _secret_of(proposal["value"])
        except ValueError as error:
            raise TraitError(f"BuildToken.secret: {error}") from error
        return str(proposal["value"])

    def tokens(self, state_secret: bytes) -> BuildTokens:
        """Return what makes and checks build tokens; raises `Unavailable` if the secret in the environment is none.

        Args:
            state_secret: what the secret is made of where none is set.
        """
        try:
            own = _secret_of(self.secret or os.environ.get(_VARIABLE, ""))
        except ValueError as error:
            hint = "Correct it, then start the hub again."
            raise Unavailable(f"{_VARIABLE}: {error} {hint}", code="service_starting", hint=hint) from error
        own = own or hmac.digest(state_secret, b"build token", "sha256")
        return BuildTokens(own, seconds=self.expires_seconds, checks_origin=self.check_origin, required=self.required)


def _secret_of(text: str) -> bytes:
    """Return the secret that a text of hexadecimal digits is; empty if that is empty. Raises `ValueError`."""
    if text and not re.fullmatch(rf"([0-9a-fA-F]{{2}}){{{SECRET_BYTES},1024}}", text):
        raise ValueError(f"A secret has at least {2 * SECRET_BYTES} hexadecimal digits, an even number of them, and nothing else.")
    return bytes.fromhex(text)


class Launcher(Configurable):
    """How servers are launched."""

    retries = Integer(
        4,
        min=1,
        help="""How often BinderHub's ``/build`` tries to start a server before it gives up; refusals are not tried again.

        Default: 4.
        """,
    ).tag(config=True)
    retry_delay = Float(
        4,
        min=0,
        help="""How long it waits before it tries the second time; then twice as long each time.

        In seconds. Default: 4.
        """,
    ).tag(config=True)
    launch_timeout = Float(
        600,
        min=1,
        help="""How long it waits for a server that was started.

        The hub has its own limit, `Spawner.start_timeout`, and goes on meanwhile. In seconds. Default: 600.
        """,
    ).tag(config=True)
    answer_seconds = Float(
        ANSWER_SECONDS,
        min=0,
        help="""How long a launch waits for the hub's own answer before it is answered that the server is on its way.

        The hub waits for quick starts itself, as long as its ``slow_spawn_timeout`` says (10 seconds). A start that is refused later
        says why on the page that waits for it, and in its progress. In seconds. Default: 2. Example: ``0.5``.
        """,
    ).tag(config=True)
    abandoned_seconds = Float(
        60,
        min=1,
        help="""How long a visitor's launch is kept when the client has gone away before the server was ready.

        A client that comes back in time goes on with it; then server and temporary user are removed. In seconds. Default: 60. Example: ``300``.
        """,
    ).tag(config=True)
    pre_launch_hook = Union(
        [Callable(), Unicode()],
        allow_none=True,
        default_value=None,
        help="""A function that is called before a server is launched through the service, and may refuse it.

        It is called as ``hook(launcher, image, username, server_name, repo_url)`` and may be a coroutine; ``image`` is empty where the image
        is found by the start itself. It refuses by raising ``tornado.web.HTTPError(status, sentence)``. Starts by the hub's own form do not
        come by here; for them JupyterHub has `Spawner.pre_spawn_hook`. A function in a file of the service's own, or where it can be imported
        from as ``package.module.function``. Default: none. Example: ``"our_hub.rules.check_launch"``.
        """,
    ).tag(config=True)

    def attempts(self) -> Attempts:
        """Return the settings as `handlers` take them."""
        return Attempts(self.retries, self.retry_delay, self.launch_timeout)

    @validate("pre_launch_hook")
    def _import_hook(self, proposal: Any) -> Any:
        name = proposal["value"]
        if not isinstance(name, str):
            return name
        module, _, attribute = name.rpartition(".")
        try:
            hook = getattr(importlib.import_module(module), attribute) if module else None
        except (ImportError, AttributeError) as error:
            raise TraitError(f"Launcher.pre_launch_hook: {name!r} cannot be imported: {error}.") from error
        if not callable(hook):
            raise TraitError(f"Launcher.pre_launch_hook: there is no function {name!r}; name it as package.module.function.")
        return hook
