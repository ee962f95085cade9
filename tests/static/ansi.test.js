import assert from "node:assert/strict";
import test from "node:test";

import { parseLine, plainText } from "../../binderhub_service/static/ansi.js";

const ESC = "\x1b";
const only = (line) => {
  const { pieces } = parseLine(line);
  assert.equal(pieces.length, 1, JSON.stringify(pieces));
  return pieces[0];
};

test("markup is text", () => {
  assert.equal(plainText(`<script>alert("x")</script>`), `<script>alert("x")</script>`);
});

for (const [code, name, value] of [
  ["1", "bold", true],
  ["2", "dim", true],
  ["3", "italic", true],
  ["4", "underline", true],
  ["30", "color", 0],
  ["37", "color", 7],
  ["90", "color", 8],
  ["97", "color", 15],
  ["41", "background", 1],
  ["107", "background", 15],
  ["38;5;9", "color", 9],
  ["38;5;16", "color", "rgb(0, 0, 0)"],
  ["38;5;208", "color", "rgb(255, 135, 0)"],
  ["48;5;255", "background", "rgb(238, 238, 238)"],
  ["38;2;1;2;3", "color", "rgb(1, 2, 3)"],
]) {
  test(`the code ${code} sets ${name}`, () => {
    assert.equal(only(`${ESC}[${code}mx`).style[name], value);
  });
}

for (const [on, off, name] of [
  ["1", "22", "bold"],
  ["2", "22", "dim"],
  ["3", "23", "italic"],
  ["4", "24", "underline"],
  ["31", "39", "color"],
  ["41", "49", "background"],
  ["1;31", "", "bold"],
  ["1;31", "0", "color"],
]) {
  test(`the code ${off || "of nothing"} ends ${name} of ${on}`, () => {
    const { pieces } = parseLine(`${ESC}[${on}ma${ESC}[${off}mb`);
    assert.ok(pieces[0].style[name]);
    assert.ok(!pieces[1].style[name]);
  });
}

test("codes after a color with parameters still count", () => {
  const { style } = only(`${ESC}[38;5;9;1;48;2;1;2;3;4mx`);
  assert.deepEqual({ ...style }, { color: 9, background: "rgb(1, 2, 3)", bold: true, dim: false, italic: false, underline: true });
});

for (const codes of ["38;2;1;2", "38;2;300;0;0", "38;5;256", "38;5", "38", "38;7;1", "999", "38:2::1:2:3", "?25"]) {
  test(`the codes ${codes} change nothing and leave no trace`, () => {
    const piece = only(`${ESC}[${codes}mx`);
    assert.equal(piece.text, "x");
    assert.equal(piece.style.color, null);
  });
}

test("no style can be anything but a number, a flag or an rgb() of numbers", () => {
  for (const code of ["38;2;1;2;url(x)", "38;5;javascript:1", "31;background:url(//evil)"]) {
    for (const { style } of parseLine(`${ESC}[${code}mx`).pieces) {
      assert.equal(style.color, null);
      assert.equal(style.background, null);
    }
  }
});

for (const [name, line] of [
  ["cursor movement", `a${ESC}[2A${ESC}[10;20Hb`],
  ["clearing", `a${ESC}[2J${ESC}[Kb`],
  ["a window title", `a${ESC}]0;title\x07b`],
  ["a link", `a${ESC}]8;;javascript:alert(1)${ESC}\\b`],
  ["a device string", `a${ESC}Pq#0${ESC}\\b`],
  ["8-bit sequences", "a\x9b31m\x9dx\x9cb"],
  ["a lone escape at the end", `ab${ESC}`],
  ["an unfinished sequence", `ab${ESC}[31`],
  ["control characters", "a\x00\x07\x08\x0b\x7f\x85b"],
  ["characters that turn text around", "a\u202e\u2066b"],
]) {
  test(`${name} is dropped`, () => assert.equal(plainText(line), "ab"));
}

test("tabs and characters of all scripts stay", () => {
  assert.equal(plainText("\tπ → 🙂 שלום"), "\tπ → 🙂 שלום");
});

test("after a carriage return the line begins anew", () => {
  assert.equal(plainText("10%\r50%\r100%"), "100%");
});

test("a carriage return at the end of a line erases nothing", () => {
  assert.equal(plainText("windows\r"), "windows");
  assert.equal(plainText(`10%\r${ESC}[K`), "10%");
});

test("a style that is not ended goes on in the next line", () => {
  const { style } = parseLine(`${ESC}[31mred`);
  assert.equal(parseLine("still", style).pieces[0].style.color, 1);
});

test("a long line of changes is read in time", () => {
  const started = performance.now();
  parseLine(`${ESC}[31ma${ESC}[0mb`.repeat(20_000));
  parseLine(`${ESC}]`.repeat(20_000));
  assert.ok(performance.now() - started < 2000);
});
