"""Sign one person in on their own machine by a link that works once, the way Jupyter's ``?token=`` link does.

The hub reads only the SHA-256 of the link's token, from a file. A user who may write that file makes a new link:

    python -m binderhub_service.common.one_time_token STATE/signin        prints a token; the link is http://HOST/hub/login?token=TOKEN

Using the token removes the file, so the link works once and only the newest link works at all.
"""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler
from traitlets import Unicode, default

from binderhub_service.common.one_time_token import redeem

REFUSED = "This link or token has been used already, or a newer one has replaced it."

SIGN_IN_FORM = """
<form action="{{ authenticator_login_url | e }}" method="post" role="form">
  <div class="auth-form-header"><h1>Sign in</h1></div>
  <div class="auth-form-body m-auto">
    {% if login_error %}<p class="login_error" role="alert">{{ login_error | e }}</p>{% endif %}
    <p>Open the link that was printed in the terminal when this hub started. It works once;
      <code>make link</code> prints a new one.</p>
    <input type="hidden" name="_xsrf" value="{{ xsrf | e }}" />
    <label for="token_input">Or paste the link or its token here:</label>
    <input id="token_input" name="token" type="text" class="form-control" required autofocus
           autocomplete="off" autocapitalize="off" spellcheck="false" />
    <div class="feedback-container">
      <input id="login_submit" type="submit" class="btn btn-jupyter form-control" value="Sign in" />
      <div class="feedback-widget hidden"><i class="fa fa-spinner"></i></div>
    </div>
  </div>
</form>
"""


def person() -> str:
    """Return a hub user name for the user of this process: the login name, as far as the hub allows it."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # no such user in the password database, as in some containers
        login = ""
    return re.sub(r"[^a-z0-9._-]+", "-", login.lower()).strip("-._") or "person"


def _token_in(pasted: str) -> str:
    """Return the token in what somebody pasted: the token itself, or a link with ``?token=``."""
    pasted = pasted.strip()
    return parse_qs(urlsplit(pasted).query).get("token", [""])[0] if "token=" in pasted else pasted


class OneTimeLinkHandler(LoginHandler):
    """``/hub/login``: a token in the address or the form signs in; without one the page says how to get one."""

    def set_default_headers(self) -> None:
        """Keep the address, which may hold a token, out of Referer headers and caches."""
        super().set_default_headers()
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    def append_query_parameters(self, url: str, exclude: list[str] | None = None) -> str:
        """Carry the query on to where the person lands, except the token."""
        with_query: str = super().append_query_parameters(url, exclude=[*(exclude or ["next"]), "token"])
        return with_query

    async def get(self) -> None:
        """Sign in by ``?token=``, or show the page."""
        token = self.get_query_argument("token", "")
        if not token:
            await super().get()
        elif self.current_user:
            # Signed in already: the link is used up all the same, so that nobody finds it in the history and uses it.
            redeem(Path(self.authenticator.token_file), _token_in(token))
            await super().get()
        else:
            await self._sign_in(token)

    async def post(self) -> None:
        """Sign in by the form's field `token`."""
        await self._sign_in(self.get_body_argument("token", ""))

    async def _sign_in(self, token: str) -> None:
        user = await self.login_user({"token": token})
        if user:
            self._jupyterhub_user = user
            self.redirect(self.get_next_url(user))
            return
        self.set_status(403)
        self.finish(await self._render(login_error=REFUSED))


class OneTimeLinkAuthenticator(Authenticator):
    """One person, an admin, who proves to be at this machine by a link printed there."""

    token_file = Unicode(
        "signin",
        help=(
            "File with the SHA-256 of the token that signs in, written by `python -m binderhub_service.common.one_time_token FILE` "
            "and removed when the token is used."
        ),
    ).tag(config=True)

    username = Unicode(help="The hub's name for the person; by default the login name of the hub's user.").tag(config=True)

    @default("username")
    def _default_username(self) -> str:
        return person()

    @default("allowed_users")
    def _default_allowed_users(self) -> set[str]:
        return {self.username}

    @default("admin_users")
    def _default_admin_users(self) -> set[str]:
        return {self.username}

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """Return the person's name if `data` holds the token, None otherwise; the token is used up."""
        token = _token_in(data.get("token", ""))
        return self.username if redeem(Path(self.token_file), token) else None

    def get_handlers(self, app: Any) -> list[tuple[str, type[LoginHandler]]]:
        """Return the sign-in page."""
        return [("/login", OneTimeLinkHandler)]

    def get_custom_html(self, base_url: str) -> str:
        """Return the sign-in form; the hub renders it as a Jinja template."""
        return SIGN_IN_FORM
