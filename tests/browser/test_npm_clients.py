"""Clients of BinderHub from npm, as published, in a real browser: from a repository to the output of a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.npm_packages import npm_package

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytestmark = pytest.mark.browser
BUILD_MS = 300_000
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
IMPORTS = '{"imports": {"@microsoft/fetch-event-source": "/npm/events/lib/esm/index.js", "event-iterator": "/npm/event-iterator.js"}}'
CLIENT_PAGE = f"""<!doctype html><script type="importmap">{IMPORTS}</script>
<script type="module">
  import {{ BinderRepository }} from "/npm/client/lib/client.js";
  window.follow = async (spec, endpoint, apiToken) => {{
    const repository = new BinderRepository(spec, new URL(endpoint), {{ apiToken }});
    const events = [];
    for await (const event of repository.fetch()) {{
      events.push(event);
      if (event.phase === "ready" || event.phase === "failed") {{
        break;
      }}
    }}
    repository.close();
    return events;
  }};
  window.runCell = async (url, token, code) => {{
    const headers = {{ Authorization: `token ${{token}}` }};
    const kernel = await (await fetch(`${{url}}api/kernels`, {{ method: "POST", headers }})).json();
    const socket = new WebSocket(`${{url.replace("http", "ws")}}api/kernels/${{kernel.id}}/channels`);
    await new Promise((resolve) => (socket.onopen = resolve));
    const header = {{ msg_id: "one", session: "s", username: "", msg_type: "execute_request", version: "5.3" }};
    const content = {{ code, silent: false, store_history: false, user_expressions: {{}}, allow_stdin: false }};
    socket.send(JSON.stringify({{ header, parent_header: {{}}, metadata: {{}}, content, channel: "shell" }}));
    return new Promise((resolve) => {{
      socket.onmessage = (message) => {{
        const told = JSON.parse(message.data);
        if (told.msg_type === "stream") {{
          socket.close();
          resolve(told.content.text);
        }}
      }};
    }});
  }};
</script>"""

THEBE_PAGE = """<!doctype html><script src="/npm/thebe/lib/index.js"></script>
<pre data-executable="true" data-language="python">print(6 * 7)</pre>"""


@pytest.fixture(scope="module")
def repository(git_server: GitServer) -> Repository:
    """What the clients launch."""
    return git_server.create("clients/plain", {"README.md": "hello"})


@pytest.fixture(scope="module")
def public_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for everybody, without a login; its users go with it."""
    pytest.importorskip("jupyterhub_idle_culler", reason="a public hub needs the package jupyterhub-idle-culler")
    with HubProcess(tmp_path_factory.mktemp("public"), more={"public": True, "service": {"Pages": {"launch_on_visit": True}}}) as hub:
        yield hub
        for user in hub.api("GET", "/users").json():
            hub.stop_servers(user["name"])


@pytest.fixture
def _no_servers_afterwards(hub: HubProcess) -> Iterator[None]:
    yield
    hub.stop_servers("alice")


def serve(tab: Any, **content: Path | str) -> None:
    """Let the browser find folders and texts below ``/npm/`` of the hub's own address; the hub knows nothing of them."""

    def answer(route: Any) -> None:
        name, _, rest = urlsplit(route.request.url).path.removeprefix("/npm/").partition("/")
        found = content.get(name.replace("-", "_").partition(".")[0])
        if isinstance(found, str):
            route.fulfill(body=found, content_type=TYPES[Path(name).suffix])
            return
        if found is None:
            route.fulfill(status=404)
            return
        file = found / rest if (found / rest).suffix else (found / rest).with_suffix(".js")
        route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix]) if file.is_file() else route.fulfill(status=404)

    tab.route("**/npm/**", answer)


def show(tab: Any, content: str) -> None:
    """Show a page at an address of the hub's own: Chromium lets no page that came from nowhere open a socket to this machine."""
    tab.goto("/services/binder/versions")
    tab.set_content(content)


def spec_of(repository: Repository) -> str:
    return f"git/{quote(repository.url, safe='')}/main"


@pytest.mark.usefixtures("_no_servers_afterwards")
def test_binderhub_client_runs_a_cell(hub: HubProcess, alice: str, page_of: Callable[..., Any], repository: Repository) -> None:
    page = page_of("alice")
    iterator = (npm_package("event-iterator") / "lib" / "event-iterator.js").read_text()
    module = f"const exports = {{}};\n{iterator}\nconst found = exports.EventIterator;\nexport {{ found as EventIterator }};"
    folders = {"client": npm_package("@jupyterhub/binderhub-client"), "events": npm_package("@microsoft/fetch-event-source")}
    serve(page, event_iterator=module, **folders)
    show(page, CLIENT_PAGE)
    page.wait_for_function("Boolean(window.runCell)")
    follow = "([spec, endpoint, token]) => window.follow(spec, endpoint, token)"
    events = page.evaluate(follow, [spec_of(repository), f"{hub.service_url}/build", alice])
    assert events[-1]["phase"] == "ready", events
    assert {event["phase"] for event in events} >= {"built", "launching", "ready"}
    page.goto(events[-1]["url"])  # where the hub gives the browser a cookie of the server's, without which it has no sockets there
    show(page, CLIENT_PAGE)
    page.wait_for_function("Boolean(window.runCell)")
    run = "([url, token]) => window.runCell(url, token, 'print(6 * 7)')"
    assert page.evaluate(run, [events[-1]["url"], alice]) == "42\n"


def test_thebe_runs_a_cell(browser: Any, public_hub: HubProcess, repository: Repository) -> None:
    with browser.new_context(base_url=public_hub.url, reduced_motion="reduce") as context:
        page = context.new_page()
        serve(page, thebe=npm_package("thebe"))
        show(page, THEBE_PAGE)
        binder = {"repo": repository.url, "ref": "main", "binderUrl": public_hub.service_url, "repoProvider": "git"}
        options = {"useBinder": True, "requestKernel": True, "binderOptions": binder, "savedSessions": {"enabled": False}}
        page.wait_for_function("Boolean(window.thebe)")
        page.evaluate("async (options) => { await window.thebe.bootstrap(options); }", options)
        page.locator(".thebe-run-button").click()
        expect(page.locator(".jp-OutputArea")).to_contain_text("42", timeout=BUILD_MS)


def test_a_link_on_a_public_hub_launches_by_itself_once_a_person_has_opened_it(browser: Any, public_hub: HubProcess, repository: Repository) -> None:
    link = f"{public_hub.service_url}/v2/{spec_of(repository)}?urlpath=/api/status"
    before = [user["name"] for user in public_hub.api("GET", "/users").json()]
    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        page.set_content(f'<img src="{link}"><iframe src="{link}"></iframe><a href="{link}">Launch</a>')
        page.wait_for_load_state("networkidle")
        assert [user["name"] for user in public_hub.api("GET", "/users").json()] == before, "what a page loads or frames launches nothing"
        page.get_by_role("link").click()
        page.wait_for_url("**/user/**", timeout=BUILD_MS)
        assert "/user/clients-plain-" in page.url
