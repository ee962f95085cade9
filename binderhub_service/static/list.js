// The list of builds: what is in progress is asked after every few seconds, while somebody looks.

import { Client, ServiceError } from "./client.js";
import { ago, showState, took } from "./format.js";

const EVERY_MS = 3000;
const SLOWEST_MS = 30_000;
const service = new URL("../", import.meta.url).pathname;
const client = new Client(service, { "X-XSRFToken": window.jhdata.xsrf_token });

for (const select of document.querySelectorAll(".binder-filter select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
watch();

async function watch() {
  let waitMs = EVERY_MS;
  for (;;) {
    const rows = [...document.querySelectorAll("tr[data-state=queued], tr[data-state=running]")];
    if (!rows.length) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (!document.hidden) {
      const reached = await refresh(rows);
      waitMs = reached ? EVERY_MS : Math.min(2 * waitMs, SLOWEST_MS);
    }
  }
}

async function refresh(rows) {
  for (const time of document.querySelectorAll(".binder-table time")) {
    time.textContent = ago(new Date(time.dateTime));
  }
  try {
    for (const row of rows) {
      showRow(row, await client.build(row.dataset.build));
    }
    return true;
  } catch (problem) {
    if (!(problem instanceof ServiceError)) {
      throw problem;
    }
    return false;
  }
}

function showRow(row, build) {
  row.dataset.state = build.state;
  showState(row.querySelector("[data-binder=state]"), build.state);
  row.querySelector("[data-binder=took]").textContent = took(build.started, build.finished);
}
