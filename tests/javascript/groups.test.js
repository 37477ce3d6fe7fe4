const test = require("node:test");
const assert = require("node:assert");
const {parseGroups, writeGroups, moved, Watch} = require("../../javascript/tome_semantic_binding.js");

const CAT = {noun: "cat", words: ["wearing", "sunglasses"]};
const DOG = {noun: "dog", words: ["wearing#2", "hat"]};

test("what is written reads back", () => {
    for (const text of [
        "cat: wearing sunglasses; dog: hat",
        "car#2: blue",
        "dog + 1.2*hat - collar",
        'dog: red + "top hat; big"',
        "cat: -",
        "cat*1.3: hat; dog*0.5",
        'cell phone#2*1.2: "a: b" x-ray',
    ]) {
        assert.strictEqual(writeGroups(parseGroups(text)), text);
    }
});

test("a word that joins an object leaves its own", () => {
    assert.strictEqual(moved("", "sunglasses", DOG, CAT), "cat: -; dog: wearing#2 hat sunglasses");
});

test("a loose word joins an object with all that was found for it", () => {
    assert.strictEqual(moved("", "tall", DOG, null), "dog: wearing#2 hat tall");
});

test("a loose word and a loose object make a group", () => {
    assert.strictEqual(moved("", "red", {noun: "bird#2", words: []}, null), "bird#2: red");
});

test("a word leaves, and what is left of its object stays by hand", () => {
    assert.strictEqual(moved("", "red", null, {noun: "cat", words: ["red", "fluffy"]}), "cat: fluffy");
});

test("the last word that leaves keeps the object alone", () => {
    assert.strictEqual(moved("cat: red", "red", null, {noun: "cat", words: ["red"]}), "cat: -");
});

test("groups that a click is not about, signs and strengths stay", () => {
    const text = 'bird: green; dog*1.3: hat + 1.2*"red tie" - collar';
    assert.strictEqual(
        moved(text, "tall", {noun: "dog", words: ["hat"]}, null),
        'bird: green; dog*1.3: hat tall + 1.2*"red tie" - collar',
    );
});

test("an object that was left alone takes words again", () => {
    assert.strictEqual(moved("dog: -", "hat", {noun: "dog", words: []}, null), "dog: hat");
});

test("joining twice is joining once", () => {
    assert.strictEqual(moved("dog: hat", "hat", {noun: "dog", words: ["hat"]}, null), "dog: hat");
});

test("nothing is read before the pause, and then once", () => {
    const watch = new Watch(300, 8000);
    const read = [];
    for (let now = 0; now < 2000; now += 100) {
        const key = now < 500 ? `typing ${now}` : "done";
        if (watch.look(key, now)) {
            read.push(now);
            watch.answered();
        }
    }
    assert.deepStrictEqual(read, [800]);
});

test("one request at a time, and the next one is about the newest text", () => {
    const watch = new Watch(300, 8000);
    assert.ok(!watch.look("a", 0));
    assert.ok(watch.look("a", 300));
    assert.ok(!watch.look("b", 400));
    assert.ok(!watch.look("b", 1000));
    assert.ok(watch.stale("b") === false, "nothing is shown yet");
    watch.answered();
    assert.ok(watch.stale("b"));
    assert.ok(!watch.stale("a"));
    assert.ok(watch.look("b", 1100));
});

test("an answer that never comes does not stop the preview", () => {
    const watch = new Watch(300, 8000);
    watch.look("a", 0);
    assert.ok(watch.look("a", 300));
    assert.ok(!watch.look("a", 8000));
    assert.ok(watch.look("a", 8400));
});
