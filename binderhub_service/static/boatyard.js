// boatyard's page: sends what is to be built to the API beside it, and shows the job's status and log, both as text.

const POLL_MS = 1000;
const RUNNING = new Set(["Starting build", "Building", "Pushing"]);
const COLOURS = { Finished: "text-success" };

const form = document.getElementById("boatyard");
const problem = document.getElementById("boatyard-problem");
const progress = document.getElementById("boatyard-progress");
const [log, status, back] = ["pre", "[role=status]", "a"].map((selector) => progress.querySelector(selector));
const field = (name) => form.elements.namedItem(name);
const text = (name) => field(name).value.trim();

// What each tab sends, and what is said while there is too little of it.
const TABS = {
  dockerfile: { fields: ["dockerfile"], missing: "Please enter a Dockerfile" },
  github: { fields: ["github_username", "github_reponame", "github_tag"], missing: "Please provide the github information" },
  tarball: { fields: ["tar_url"], missing: "Please enter a tarball URL" },
  upload: { fields: [], missing: "Please choose a file" },
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const tab = event.submitter?.value ?? form.querySelector(".tab-pane.active [type=submit]").value;
  const lacking = whatIsMissing(tab);
  say(lacking);
  if (!lacking) {
    build(tab);
  }
});
back.addEventListener("click", (event) => {
  event.preventDefault();
  show(form);
});

function whatIsMissing(tab) {
  if (!text("image_name")) {
    return "Please enter an image name";
  }
  const isComplete = tab === "upload" ? field("file").files.length > 0 : TABS[tab].fields.every(text);
  return isComplete ? "" : TABS[tab].missing;
}

async function build(tab) {
  log.textContent = "Please wait...";
  back.hidden = true;
  sayStatus("Starting build");
  show(progress);
  const names = ["image_name", "username", "password", ...TABS[tab].fields];
  const manifest = JSON.stringify(Object.fromEntries(names.map((name) => [name, name === "password" ? field(name).value : field(name).value.trim()])));
  try {
    const { JobIdentifier: job } = await ask("build", { method: "POST", body: tab === "upload" ? formOf(manifest) : manifest });
    await follow(job);
  } catch (error) {
    sayStatus(error.message);
  }
  back.hidden = false;
}

function formOf(manifest) {
  const content = new FormData();
  content.append("TarFile", field("file").files[0]);
  content.append("Json", manifest);
  return content;
}

/** Show a job until it ends. */
async function follow(job) {
  let now = "Building";
  while (RUNNING.has(now)) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    ({ Status: now } = await ask(`${job}/status`));
    const { Logs: lines } = await ask(`${job}/logs`);
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 1;
    log.textContent = lines;
    if (isAtEnd) {
      log.scrollTop = log.scrollHeight;
    }
    sayStatus(now);
  }
}

async function ask(path, options = {}) {
  const reply = await fetch(form.getAttribute("action") + path, { headers: { "X-XSRFToken": window.jhdata.xsrf_token }, ...options });
  const answer = await reply.json().catch(() => ({}));
  if (!reply.ok) {
    throw new Error(answer.Error ?? `The service answered with ${reply.status}.`);
  }
  return answer;
}

function sayStatus(words) {
  status.textContent = words;
  status.className = RUNNING.has(words) ? "" : (COLOURS[words] ?? "text-danger");
}

function say(words) {
  problem.textContent = words;
  problem.hidden = !words;
}

function show(shown) {
  [form, progress].forEach((one) => (one.hidden = one !== shown));
}
