// What people paste, taken apart as spawner/options.py does it; tests/vectors/addresses.json is read by the tests of both.

const SCHEMES = new Set(["http", "https", "ssh", "git", "git+ssh"]);
const VIEWS = new Set(["tree", "blob", "raw", "commit", "commits"]);
const HTTPS_TWINS = new Set(["github.com", "gitlab.com"]);
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const SHORTHAND = /^[A-Za-z0-9][A-Za-z0-9-]*\/[A-Za-z0-9._-]+\/?$/;
const HOST_FIRST = /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?\/.+$/;
const SCP = /^([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+):([^\s/].*)$/;
const WEB = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/;
const TOKEN = /gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}/;
const SECRET_NAME = /token|password|passwd|secret|api[_-]?key|auth/i;

/** What was pasted cannot be used; `message` says why and `hint` what to do. */
export class AddressError extends Error {
  constructor(message, hint = "") {
    super(message);
    this.hint = hint;
  }
}

/**
 * Return `{repo, ref, path}` for what was pasted and typed; what was typed wins.
 * Throws `AddressError` if it names no repository or holds a credential, which the error does not repeat.
 */
export function understand(pasted, typedRef = "", typedPath = "") {
  const text = pasted.trim();
  if (CONTROL.test(text)) {
    throw new AddressError("The address has control characters in it.", "Type it again, or copy it from the address bar.");
  }
  refuseCredentials(text);
  const found = parse(text, typedRef.trim(), typedPath.trim());
  refuseCredentials(found.repo, found.ref, found.path);
  checkRepo(found.repo);
  return found;
}

function parse(text, ref, path) {
  let repo = text;
  if (SHORTHAND.test(repo) && !HOST_FIRST.test(repo)) {
    repo = `https://github.com/${repo}`;
  } else if (HOST_FIRST.test(repo)) {
    repo = `https://${repo}`;
  }
  const scp = SCP.exec(repo);
  if (scp && HTTPS_TWINS.has(scp[2].toLowerCase())) {
    repo = `https://${scp[2]}/${scp[3]}`;
  }
  const url = split(repo);
  if (!url || !["http", "https"].includes(url.scheme)) {
    return { repo, ref, path };
  }
  const host = url.host.replace(/^www\./, "");
  if (host === "github.com") {
    return parseGitHub(url, ref, path);
  }
  if (url.path.includes("/-/") || host === "gitlab.com") {
    return parseGitLab(url, ref, path);
  }
  return { repo: repo.replace(/\/+$/, ""), ref, path };
}

function parseGitHub(url, ref, path) {
  const [owner = "", name = "", view = "", ...rest] = segments(url.path);
  const parts = [owner, withoutGit(name)].filter(Boolean);
  return { repo: `https://github.com/${parts.join("/")}`, ...refAndPath(VIEWS.has(view) ? rest : [], ref, path) };
}

function parseGitLab(url, ref, path) {
  const at = url.path.indexOf("/-/");
  const page = at < 0 ? "" : url.path.slice(at + 3);
  let name = (at < 0 ? url.path : url.path.slice(0, at)).replace(/\/+$/, "");
  if (page || url.host === "gitlab.com") {
    name = withoutGit(name);
  }
  const [view = "", ...rest] = segments(page);
  return { repo: `${url.scheme}://${url.authority}${name}`, ...refAndPath(VIEWS.has(view) ? rest : [], ref, path) };
}

function refAndPath(rawParts, ref, path) {
  const parts = rawParts.map(unescape);
  const typed = segments(ref);
  if (typed.length && typed.every((part, index) => parts[index] === part)) {
    return { ref, path: path || parts.slice(typed.length).join("/") };
  }
  if (typed.length || !parts.length) {
    return { ref, path };
  }
  return { ref: parts[0], path: path || parts.slice(1).join("/") };
}

function refuseCredentials(...texts) {
  if (texts.some(hasCredentials)) {
    throw new AddressError(
      "The address has a token or a password in it, which would be stored and shown.",
      "Take it out, revoke it if anybody may have seen it, and ask your administrator how private repositories are reached here.",
    );
  }
}

function hasCredentials(text) {
  if (TOKEN.test(unescape(text))) {
    return true;
  }
  if (!text.includes("://")) {
    const user = text.split("@", 1)[0];
    return text.includes("@") && user.includes(":") && !user.includes("/");
  }
  const scheme = text.slice(0, text.indexOf("://")).toLowerCase();
  const rest = text.slice(text.indexOf("://") + 3);
  const authority = rest.split(/[/?#\\]/, 1)[0];
  const user = authority.slice(0, Math.max(0, authority.lastIndexOf("@")));
  if (authority.includes("@") && (user.includes(":") || !["ssh", "git+ssh"].includes(scheme))) {
    return true;
  }
  const address = rest.split("#", 1)[0];
  const query = address.includes("?") ? address.slice(address.indexOf("?") + 1) : "";
  return [...new URLSearchParams(query).keys()].some((name) => SECRET_NAME.test(name));
}

function checkRepo(repo) {
  if (!repo) {
    throw new AddressError("Name a repository.", "Paste its address, e.g. https://github.com/owner/name.");
  }
  if (repo.startsWith("-") || /\s/.test(repo)) {
    throw new AddressError("A repository's address neither begins with a dash nor has spaces in it.", "Copy it from the address bar.");
  }
  if (SCP.test(repo)) {
    return;
  }
  const url = split(repo);
  if (!url || !SCHEMES.has(url.scheme) || !/^[^[\]]+$|^\[[0-9a-f:.]+\]$/.test(url.host)) {
    throw new AddressError("This is not a repository's address.", "Paste an address that begins with https://, or a GitHub repository's owner/name.");
  }
  if (segments(url.path).length < (url.host === "github.com" ? 2 : 1)) {
    throw new AddressError("The address names a site, but no repository on it.", "Open the repository's page and copy its address.");
  }
}

// Not URL(): that would re-write the path (braces, dots), and people's branches may be called anything.
function split(text) {
  const match = WEB.exec(text);
  if (!match) {
    return null;
  }
  const host = match[2].slice(match[2].lastIndexOf("@") + 1).replace(/:[0-9]*$/, "");
  return { scheme: match[1].toLowerCase(), authority: match[2], host: host.toLowerCase(), path: match[3] };
}

function segments(path) {
  return path.split("/").filter(Boolean);
}

function withoutGit(name) {
  return name.replace(/\.git$/, "");
}

function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
