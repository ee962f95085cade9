// The service's REST API, from a browser.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
// The service says something every 15 s. Where it dies, the hub's proxy leaves the connection open, so silence is all one gets.
const SILENCE_MS = 20_000;

/** What the service, or the hub, answered when it did not do what was asked. */
export class ServiceError extends Error {
  constructor({ message, code = "http_error", hint = null, status = 0 }) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.status = status;
  }

  /** Whether asking again in a moment makes sense. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Asks the service at the path `service`, with `headers` that say who is asking; the rest is for tests. */
export class Client {
  constructor(service, headers, { fetch = globalThis.fetch.bind(globalThis), waitMs = FIRST_WAIT_MS, silenceMs = SILENCE_MS } = {}) {
    this.service = service;
    this.headers = headers;
    this.fetch = fetch;
    this.waitMs = waitMs;
    this.silenceMs = silenceMs;
  }

  /** Ask what a pasted address means; resolves to `{repo, ref, path}`, where what was typed wins. */
  locate(pasted) {
    return this.#json("POST", "api/addresses", pasted);
  }

  /** Ask for a build; resolves to the build, running or ready. */
  ask(request) {
    return this.#json("POST", "api/builds", request);
  }

  build(id) {
    return this.#json("GET", buildPath(id));
  }

  /** Say that the build is not needed any more; it stops if nobody else needs it. */
  withdraw(id) {
    return this.#json("DELETE", `${buildPath(id)}/ask`);
  }

  /** Start the caller's server; resolves to `{server, url, pending_url}`. */
  launch(options) {
    return this.#json("POST", "api/launches", options);
  }

  /** Send a file, or the text of one, that is built instead of a repository; resolves to `{sha256, ...}`. */
  async send(content) {
    return orDropped((await this.#request("POST", "api/files", { body: content })).json());
  }

  async log(id) {
    return (await this.#request("GET", `${buildPath(id)}/log`)).text();
  }

  /**
   * Follow a build's event log from event number `after` + 1 on, through dropped connections; resolves to the data of its end,
   * or with `untilMade` to that of the event that tells the image, if one does before the end.
   * `onEvent({number, kind, data})` sees every event once; `onDrop(dropped)` hears when the connection goes and comes back.
   */
  async follow(id, { after = 0, untilMade = false, onEvent, onDrop = () => {}, signal } = {}) {
    let last = after;
    let waitMs = this.waitMs;
    for (;;) {
      try {
        for await (const event of this.#events(id, last, signal, () => onDrop(false))) {
          waitMs = this.waitMs;
          if (event.number <= last) {
            continue;
          }
          last = event.number;
          onEvent(event);
          if (event.kind === "end") {
            return event.data;
          }
          if (untilMade && event.kind === "phase" && event.data.image) {
            return { ...event.data, state: "ready" };
          }
        }
      } catch (error) {
        if (!(error instanceof ServiceError) || !error.passing) {
          throw error;
        }
      }
      signal?.throwIfAborted();
      onDrop(true);
      await pause(waitMs, signal);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    }
  }

  async *#events(id, last, signal, onOpen) {
    const watch = new AbortController();
    const stop = () => watch.abort(signal.reason);
    signal?.addEventListener("abort", stop);
    let timer = setTimeout(() => watch.abort(), this.silenceMs);
    try {
      const response = await this.#request("GET", `${buildPath(id)}/events`, { headers: { "Last-Event-ID": String(last) }, signal: watch.signal });
      onOpen();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await orDropped(reader.read());
        clearTimeout(timer);
        if (done) {
          return;
        }
        timer = setTimeout(() => watch.abort(), this.silenceMs);
        yield* parser.push(value);
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      watch.abort();
    }
  }

  async #json(method, path, body) {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    return orDropped((await this.#request(method, path, content)).json());
  }

  async #request(method, path, { headers = {}, ...options } = {}) {
    const request = this.fetch(this.service + path, { method, headers: { ...this.headers, ...headers }, cache: "no-store", ...options });
    const response = await orDropped(request);
    if (!response.ok) {
      throw await errorFrom(response);
    }
    return response;
  }
}

/** Takes server-sent events apart as they come, in pieces of any size. */
export class EventParser {
  #rest = "";

  /** Yield the events that `text` completes. */
  *push(text) {
    this.#rest += text;
    for (;;) {
      const end = this.#rest.indexOf("\n\n");
      if (end < 0) {
        return;
      }
      const event = eventFrom(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
      if (event) {
        yield event;
      }
    }
  }
}

/** Return the error in an answer of the service, or of the hub's REST API. */
export async function errorFrom(response) {
  const body = await response.json().catch(() => ({}));
  const told = body.error ?? (body.message ? { message: body.message } : null);
  if (told?.message) {
    return new ServiceError({ ...told, status: response.status });
  }
  const hint = response.status === 403 ? "Reload the page, and sign in again if asked to." : "Try again in a moment.";
  return new ServiceError({ message: `The service answered with status ${response.status}.`, hint, status: response.status });
}

function eventFrom(frame) {
  const fields = {};
  for (const line of frame.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) {
      fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
    }
  }
  return fields.data === undefined ? null : { number: Number(fields.id), kind: fields.event, data: JSON.parse(fields.data) };
}

// A browser throws the same TypeError for every way in which a network can fail; here, they become one kind of error.
async function orDropped(promise) {
  try {
    return await promise;
  } catch {
    throw new ServiceError({ message: "The service could not be reached.", code: "unreachable", hint: "Check your connection, and try again." });
  }
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function buildPath(id) {
  return `api/builds/${encodeURIComponent(id)}`;
}
