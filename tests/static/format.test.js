import assert from "node:assert/strict";
import test from "node:test";

import { ago, queued, took } from "../../binderhub_service/static/format.js";

const NOW = new Date("2026-01-02T03:04:05Z");

for (const [seconds, text] of [
  [-5, "just now"],
  [59, "just now"],
  [60, "1 minute ago"],
  [7199, "1 hour ago"],
  [172800, "2 days ago"],
]) {
  test(`${seconds} seconds are said as ${text}`, () => assert.equal(ago(new Date(NOW - 1000 * seconds), NOW), text));
}

for (const [finished, text] of [
  ["2026-01-02T03:04:05Z", "0 s"],
  ["2026-01-02T03:05:06Z", "1 min 1 s"],
  ["2026-01-02T05:06:07Z", "2 h 2 min"],
]) {
  test(`a build until ${finished} took ${text}`, () => assert.equal(took("2026-01-02T03:04:05Z", finished), text));
}

test("a build that has not begun took nothing yet", () => assert.equal(took(null, null), "–"));

test("a place in the queue is said with the wait, if that is known", () => {
  assert.equal(queued({ position: 2, estimate_seconds: null }), "Number 2 in the queue.");
  assert.equal(queued({ position: 2, estimate_seconds: 200 }), "Number 2 in the queue, about 4 min to wait.");
});
