const test = require("node:test");
const assert = require("node:assert");
const {templates, translated} = require("../../javascript/tome_translation.js");

const LIST = templates({
    "Preview": "Vorschau",
    "ToMe: refining step {n} of {n}": "ToMe: verfeinert Schritt {n} von {n}",
    "ToMe was not used: {}": "ToMe wurde nicht benutzt: {}",
    "ToMe bound {} ({}; merged, not refined; took {n} s)": "ToMe verband {} ({}; nicht verfeinert; {n} s)",
    "ToMe empty {}": "",
});

test("numbers and words take their places", () => {
    assert.strictEqual(translated("ToMe was not used: a (b) {} $1 .*", LIST), "ToMe wurde nicht benutzt: a (b) {} $1 .*");
    assert.strictEqual(
        translated("ToMe bound cat: red (x; y); dog: blue (built-in parser; merged, not refined; took 0.5 s)", LIST),
        "ToMe verband cat: red (x; y); dog: blue (built-in parser; nicht verfeinert; 0.5 s)",
    );
});

test("what the progress bar adds stays behind a number", () => {
    assert.strictEqual(translated("ToMe: refining step 2 of 20 45% ETA: 3s", LIST), "ToMe: verfeinert Schritt 2 von 20 45% ETA: 3s");
});

test("what has no place or no translation stays as it is", () => {
    for (const text of ["Preview", "ToMe empty x", "said ToMe was not used: x", "ToMe: refining step two of 20"]) {
        assert.strictEqual(translated(text, LIST), text);
    }
    assert.deepStrictEqual(templates(undefined), []);
});
