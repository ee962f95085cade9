"""Hubs with all that an operator may have: a real login, a base URL, groups, a form, a culler and roles of their own; and repositories."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jupyterhub
import pytest

from tests.harness.git_server import GitServer
from tests.harness.hub import REPLY_SECONDS, HubProcess
from tests.harness.hub_config import PASSWORD, WITHOUT_LAB
from tests.harness.oauth_provider import OAuthProvider
from tests.spawner.fakes import make_environment

# NativeAuthenticator 1.3 cannot answer a login in JupyterHub 6: its handler uses `statsd`, which is gone.
LOGINS = ["oauth", *(["native"] if jupyterhub.version_info < (6,) else [])]
# Who may build is in the group "insiders"; what the harness gives to single people is taken back.
THEIRS = """
from jupyterhub.spawner import SimpleLocalProcessSpawner

class TheirSpawner(SimpleLocalProcessSpawner):
    def options_from_form(self, form):
        return {{"size": form["size"][0]}}

    def get_env(self):
        return {{**super().get_env(), "SIZE": (self.user_options or {{}}).get("size", "")}}

c.JupyterHub.spawner_class = TheirSpawner
c.JupyterHub.cleanup_servers = False
c.TheirSpawner.home_dir_template = "{homes}/{{username}}"
c.TheirSpawner.cmd = ["{program}"]
c.TheirSpawner.options_form = '<select name="size"><option>small<option>big</select>'
c.JupyterHub.services.append({{"name": "culler", "command": ["{python}", "-m", "jupyterhub_idle_culler", "--timeout=7200"]}})
culling = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
c.JupyterHub.load_roles.append({{"name": "culls", "scopes": culling, "services": ["culler"]}})
c.JupyterHub.load_roles.append({{"name": "lecturers", "scopes": ["list:users"], "groups": ["lecturers"]}})
insiders = next(role for role in c.JupyterHub.load_roles if role["name"] == "insiders")
insiders["users"] = []
"""
NATIVE = """
import nativeauthenticator, os
c.JupyterHub.authenticator_class = "native"
c.JupyterHub.template_paths = [os.path.join(os.path.dirname(nativeauthenticator.__file__), "templates")]
c.NativeAuthenticator.open_signup = True
c.JupyterHub.load_groups = {"insiders": {"users": ["alice"]}, "lecturers": {"users": []}}
"""
OAUTH = """
c.JupyterHub.authenticator_class = "generic-oauth"
c.JupyterHub.load_groups = {{}}
c.GenericOAuthenticator.client_id = {provider.client_id!r}
c.GenericOAuthenticator.client_secret = {provider.client_secret!r}
c.GenericOAuthenticator.authorize_url = "{provider.url}/authorize"
c.GenericOAuthenticator.token_url = "{provider.url}/token"
c.GenericOAuthenticator.userdata_url = "{provider.url}/about"
c.GenericOAuthenticator.username_claim = "name"
c.GenericOAuthenticator.manage_groups = True
c.GenericOAuthenticator.auth_state_groups_key = "oauth_user.groups"
"""


class CompleteHub:
    """A hub, and how people sign in to it."""

    def __init__(self, directory: Path, login: str, provider: OAuthProvider) -> None:
        program = make_environment(directory / "environment") / "bin" / "jupyterhub-singleuser"
        config = THEIRS.format(homes=directory / "homes", program=program, python=sys.executable)
        config += NATIVE if login == "native" else OAUTH.format(provider=provider)
        more = {"required": False, "service": WITHOUT_LAB}
        self.process = HubProcess(directory, config=config, base_url="/school/", outsiders={"eve"}, more=more)
        self._login = login
        self._provider = provider

    @contextmanager
    def browser(self, name: str) -> Iterator[httpx.Client]:
        """Give a browser in which a person has signed in."""
        headers = {"Sec-Fetch-Mode": "navigate"}
        with httpx.Client(follow_redirects=True, timeout=REPLY_SECONDS, headers=headers) as browser:
            if self._login == "native":
                self._sign_up_and_in(browser, name)
            else:
                self._provider.person = name
                browser.get(f"{self.process.url}/hub/oauth_login").raise_for_status()
            yield browser

    def _sign_up_and_in(self, browser: httpx.Client, name: str) -> None:
        browser.get(f"{self.process.url}/hub/signup").raise_for_status()
        own = {"username": name, "_xsrf": self.process.xsrf(browser, "/hub/")}
        signup = {**own, "signup_password": PASSWORD, "signup_password_confirmation": PASSWORD}
        browser.post(f"{self.process.url}/hub/signup", data=signup).raise_for_status()
        browser.post(f"{self.process.url}/hub/login", data={**own, "password": PASSWORD}).raise_for_status()

    def form(self, browser: httpx.Client) -> str:
        """Return the fields of the spawn form."""
        page = browser.get(f"{self.process.url}/hub/spawn").raise_for_status().text
        assert 'id="spawn_form"' in page, page
        return page.partition('id="spawn_form"')[2].partition("</form>")[0]

    def started(self, browser: httpx.Client, name: str, fields: dict[str, str], path: str = "") -> dict[str, Any]:
        """Start a person's server by the form, and return the JSON object that it answers at a path; it is stopped again."""
        hub = self.process
        browser.post(f"{hub.url}/hub/spawn", params={"_xsrf": hub.xsrf(browser, "/hub/")}, data=fields).raise_for_status()
        try:
            assert list(hub.progress(name))[-1].get("ready"), hub.log()
            headers = {"Authorization": f"token {hub.token(name)}"}
            told: dict[str, Any] = httpx.get(f"{hub.url}/user/{name}/{path}", headers=headers, timeout=REPLY_SECONDS).raise_for_status().json()
            return told
        finally:
            hub.stop_servers()


@pytest.fixture
def provider() -> Iterator[OAuthProvider]:
    provider = OAuthProvider({"alice": ["insiders", "lecturers"], "eve": []})
    with provider.running():
        yield provider


@pytest.mark.parametrize("login", LOGINS)
def test_people_sign_in_and_start_what_the_hub_has_always_started_or_a_repository(
    login: str, provider: OAuthProvider, git_server: GitServer, tmp_path: Path
) -> None:
    complete = CompleteHub(tmp_path, login, provider)
    repository = git_server.create(f"complete/{login}", {"README.md": "hello"})
    with complete.process as hub:
        with complete.browser("eve") as browser:
            assert "binder-form" not in complete.form(browser)
            eves = complete.started(browser, "eve", {"size": "big"})
        with complete.browser("alice") as browser:
            theirs, _, section = complete.form(browser).partition("<fieldset")
            assert '<select name="size">' in theirs
            assert 'name="binder-repo"' in section
            own = complete.started(browser, "alice", {"size": "small", "binder-repo": ""})
            launched = complete.started(browser, "alice", {"size": "small", "binder-repo": repository.url}, "api/contents/README.md")
            assert browser.get(f"{hub.service_url}/builds/").status_code == 200
        assert (eves["environment"]["SIZE"], own["environment"]["SIZE"]) == ("big", "small")
        assert own["cwd"] == str(tmp_path / "homes" / "alice")
        assert "BINDER_REPO_URL" not in own["environment"]
        assert launched["content"] == "hello"
        refused = hub.service("POST", "/api/builds", hub.token("eve"), json={"repo": repository.url})
        assert refused.status_code == 403
