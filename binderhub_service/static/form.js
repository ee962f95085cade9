// The hub's spawn form: the environment is built first, with its log in sight, and only then the spawn is submitted.
// The form lives in the hub's page (spawner/form.html), so it comes to the service with a token that lives for an hour.

import { AddressError, understand } from "./address.js";
import { askAndFollow } from "./ask.js";
import { showError } from "./build-view.js";
import { Client, errorFrom, ServiceError } from "./client.js";
import { onlyDeliberate } from "./deliberate.js";
import { filler } from "./fill.js";

const TOKEN_SECONDS = 3600;

/** Make the fields in `area` (spawner/form.html) and the hub's form around them build before they spawn. */
export function setUp(area) {
  const form = area.closest("form");
  if (!form) {
    return;
  }
  addStyle();
  const field = (name) => form.elements.namedItem(name);
  const parts = { error: part(area, "error"), build: part(area, "log"), button: form.querySelector("[type=submit]") };
  let passing = false;

  onlyDeliberate(form);
  const fill = filler(field("repo"), field("ref"), field("path"));
  field("repo").addEventListener("change", fill);
  field("repo").addEventListener("paste", () => setTimeout(fill));
  // On the way down, before the hub's own listener, which would turn the button into a spinner for good.
  document.addEventListener(
    "submit",
    async (event) => {
      if (event.target !== form || passing) {
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      if (parts.button?.disabled) {
        return;
      }
      passing = await build(area.dataset, field, parts);
      if (passing) {
        form.requestSubmit();
        passing = false;
      }
    },
    true,
  );
}

/** Resolve to whether the form may be submitted now. */
async function build({ service, hub, user }, field, parts) {
  parts.error.hidden = true;
  field("repo").removeAttribute("aria-invalid");
  let request;
  try {
    const { repo, ref, path } = understandFields(field);
    Object.assign(field("repo"), { value: repo });
    Object.assign(field("ref"), { value: ref });
    Object.assign(field("path"), { value: path });
    request = { repo, ref, ...(field("provider")?.value && { provider: field("provider").value }) };
  } catch (problem) {
    if (!(problem instanceof AddressError)) {
      throw problem;
    }
    showError(parts.error, problem);
    field("repo").setAttribute("aria-invalid", "true");
    field("repo").focus();
    return false;
  }
  return whileBusy(parts, async () => {
    const tokens = new Tokens(hub, window.jhdata?.user || user);
    try {
      const token = await tokens.mint(service);
      const client = new Client(service, { Authorization: `token ${token}` });
      return Boolean(await askAndFollow(client, request, parts.build, parts.error));
    } catch (problem) {
      if (!(problem instanceof ServiceError)) {
        throw problem;
      }
      showError(parts.error, problem);
      return false;
    } finally {
      tokens.revoke();
    }
  });
}

/** Disable the button while `work` goes on. */
async function whileBusy({ button }, work) {
  const label = button?.textContent;
  if (button) {
    Object.assign(button, { disabled: true, textContent: "Building…" });
  }
  try {
    return await work();
  } finally {
    if (button) {
      Object.assign(button, { disabled: false, textContent: label });
    }
  }
}

/** What a provider other than the usual ones calls a repository is its own affair. */
function understandFields(field) {
  const [repo, ref, path] = ["repo", "ref", "path"].map((name) => field(name)?.value.trim() ?? "");
  return field("provider")?.value ? { repo, ref, path } : understand(repo, ref, path);
}

/** A token of the signed-in person that can ask for builds, and nothing else. */
class Tokens {
  #address;
  #headers = { "Content-Type": "application/json", "X-XSRFToken": window.jhdata?.xsrf_token };
  #id = null;

  constructor(hub, user) {
    this.#address = `${hub}api/users/${encodeURIComponent(user)}/tokens`;
  }

  async mint(service) {
    const name = service.split("/").filter(Boolean).pop();
    const body = { note: "building a repository", expires_in: TOKEN_SECONDS, scopes: [`access:services!service=${name}`, "custom:binder:build"] };
    const response = await this.#send("POST", this.#address, { body: JSON.stringify(body) });
    if (!response.ok) {
      throw await errorFrom(response);
    }
    const { id, token } = await response.json();
    this.#id = id;
    return token;
  }

  /** Give the token back; nothing waits for that, and it ends by itself in any case. */
  revoke() {
    if (this.#id) {
      this.#send("DELETE", `${this.#address}/${encodeURIComponent(this.#id)}`, { keepalive: true }).catch(() => {});
    }
  }

  async #send(method, address, options) {
    const query = new URLSearchParams({ _xsrf: window.jhdata?.xsrf_token ?? "" });
    try {
      return await fetch(`${address}?${query}`, { method, headers: this.#headers, ...options });
    } catch {
      throw new ServiceError({ message: "The hub could not be reached.", code: "unreachable", hint: "Check your connection, and try again." });
    }
  }
}

/** Return the place for `name` in the form, made if there is none. */
function part(area, name) {
  const found = area.querySelector(`#binder-${name}`);
  if (found) {
    return found;
  }
  const made = document.createElement("div");
  made.hidden = true;
  area.append(made);
  return made;
}

function addStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("style.css", import.meta.url);
  document.head.append(link);
}

const area = globalThis.document?.getElementById("binder-form");
if (area) {
  setUp(area);
}
