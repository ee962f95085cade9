import assert from "node:assert/strict";
import test from "node:test";

import { Client, errorFrom, EventParser, ServiceError } from "../../binderhub_service/static/client.js";

const frame = (number, kind, data) => `id: ${number}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
const log = (number) => frame(number, "log", { text: `line ${number}` });
const end = (number) => frame(number, "end", { state: "ready" });

/** A service whose answers, in order, are texts of event streams, `Response`s or errors; keeps what it was asked. */
function scripted(answers) {
  const asked = [];
  const fetch = async (url, options) => {
    asked.push({ url, ...options });
    const answer = answers.shift();
    if (answer instanceof Error) {
      throw answer;
    }
    return typeof answer === "string" ? new Response(answer) : answer;
  };
  return { asked, client: new Client("/services/binder/", { "X-XSRFToken": "x" }, { fetch, waitMs: 1 }) };
}

async function numbersOf(client, after = 0) {
  const numbers = [];
  const ended = await client.follow("b1", { after, onEvent: (event) => numbers.push(event.number) });
  return { numbers, ended };
}

test("events are the same however the stream is cut into pieces", () => {
  const text = `: still here\n\n${log(1)}${frame(2, "phase", { phase: "building", message: "a\nb" })}${end(3)}`;
  const whole = [...new EventParser().push(text)];
  assert.deepEqual(whole.map((event) => [event.number, event.kind]), [[1, "log"], [2, "phase"], [3, "end"]]);
  assert.equal(whole[1].data.message, "a\nb");
  for (let size = 1; size < 40; size += 1) {
    const parser = new EventParser();
    const cut = [];
    for (let at = 0; at < text.length; at += size) {
      cut.push(...parser.push(text.slice(at, at + size)));
    }
    assert.deepEqual(cut, whole);
  }
});

test("an event log is followed to its end", async () => {
  const { client, asked } = scripted([log(1) + log(2) + end(3)]);
  assert.deepEqual(await numbersOf(client), { numbers: [1, 2, 3], ended: { state: "ready" } });
  assert.equal(asked[0].url, "/services/binder/api/builds/b1/events");
  assert.equal(asked[0].headers["X-XSRFToken"], "x");
});

test("who wants the image only has it from the event that tells it", async () => {
  const made = frame(2, "phase", { phase: "pushing", message: "Looking", image: "i@sha256:1" });
  const following = (options) => scripted([log(1) + made + log(3) + end(4)]).client.follow("b1", { onEvent: () => {}, ...options });
  assert.deepEqual(await following({ untilMade: true }), { phase: "pushing", message: "Looking", image: "i@sha256:1", state: "ready" });
  assert.deepEqual(await following({}), { state: "ready" });
});

test("after every kind of drop the event log goes on behind the last event, without a double", async () => {
  const broken = new Response("<html>bad gateway</html>", { status: 502 });
  const { client, asked } = scripted([log(1), new TypeError("network"), broken, log(1) + log(2), log(2) + end(3)]);
  assert.deepEqual((await numbersOf(client)).numbers, [1, 2, 3]);
  assert.deepEqual(asked.map((request) => request.headers["Last-Event-ID"]), ["0", "1", "1", "1", "2"]);
});

test("half an event at a drop is not an event", async () => {
  const { client } = scripted([log(1) + log(2).slice(0, -3), log(2) + end(3)]);
  assert.deepEqual((await numbersOf(client)).numbers, [1, 2, 3]);
});

test("a connection that says nothing any more is given up for a new one", async () => {
  const silent = (_url, { signal }) =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(log(1)));
          signal.addEventListener("abort", () => controller.error(signal.reason));
        },
      }),
    );
  const answers = [silent, () => new Response(end(2))];
  const client = new Client("/", {}, { fetch: async (url, options) => answers.shift()(url, options), waitMs: 1, silenceMs: 20 });
  assert.deepEqual((await numbersOf(client)).numbers, [1, 2]);
});

test("drops and returns are told", async () => {
  const { client } = scripted([log(1), end(2)]);
  const told = [];
  await client.follow("b1", { onEvent: () => {}, onDrop: (dropped) => told.push(dropped) });
  assert.deepEqual(told, [false, true, false]);
});

for (const status of [400, 403, 404]) {
  test(`an event log that is answered with ${status} is not asked for again`, async () => {
    const body = JSON.stringify({ error: { code: "no", message: "No.", hint: "Never." } });
    const { client, asked } = scripted([new Response(body, { status })]);
    await assert.rejects(numbersOf(client), (error) => error.code === "no" && error.hint === "Never." && error.status === status);
    assert.equal(asked.length, 1);
  });
}

test("following can be ended from outside", async () => {
  const stop = new AbortController();
  const { client } = scripted([log(1), new TypeError("network")]);
  const following = client.follow("b1", { onEvent: () => stop.abort(), signal: stop.signal });
  await assert.rejects(following, { name: "AbortError" });
});

test("a mistake in what shows events is not taken for a drop", async () => {
  const { client, asked } = scripted([log(1)]);
  const showing = client.follow("b1", {
    onEvent: () => {
      throw new RangeError("mistake");
    },
  });
  await assert.rejects(showing, RangeError);
  assert.equal(asked.length, 1);
});

test("asking sends JSON and resolves to the build", async () => {
  const { client, asked } = scripted([new Response(`{"id": "b1"}`, { status: 201 })]);
  assert.deepEqual(await client.ask({ repo: "o/r" }), { id: "b1" });
  assert.equal(asked[0].method, "POST");
  assert.equal(asked[0].body, `{"repo":"o/r"}`);
});

test("an id cannot lead to another address", async () => {
  const { client, asked } = scripted([new Response("{}")]);
  await client.build("../../hub/api?x");
  assert.equal(asked[0].url, "/services/binder/api/builds/..%2F..%2Fhub%2Fapi%3Fx");
});

test("the hub's way of saying no is understood, too", async () => {
  const error = await errorFrom(new Response(`{"status": 403, "message": "Not yours"}`, { status: 403 }));
  assert.ok(error instanceof ServiceError);
  assert.equal(error.message, "Not yours");
});

test("an unreachable service is an error with a hint", async () => {
  const { client } = scripted([new TypeError("network")]);
  await assert.rejects(client.ask({}), (error) => error.code === "unreachable" && error.hint.length > 0);
});
