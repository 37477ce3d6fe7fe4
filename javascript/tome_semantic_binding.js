/* The panel's live preview: it follows what is typed, and words are clicked into groups.

No listener is put on a control: one timer looks at the values of the tab that is shown, which also sees what styles,
pasting and PNG Info change. What has to be read is read by the WebUI's own buttons of the panel, so it needs no route,
no password and no queue of its own. The functions at the top are pure; node's test runner has them. */
(function () {
    "use strict";

    const PAUSE = 300, PATIENCE = 8000, TICK = 100, MOST_UNDONE = 100;

    // ---- Groups by hand, as text -------------------------------------------------------------------------------

    /** The groups of a text, as written: [{noun, strength, words, tail}]; `tail` holds signed terms. */
    function parseGroups(text) {
        return split(text, ";\n").map((piece) => {
            const colon = find(piece, ":"), sign = signed(piece);
            const end = Math.min(...[colon, sign].map((at) => (at < 0 ? piece.length : at)));
            const [noun, strength] = piece.slice(0, end).split("*").map((part) => part.trim());
            const body = colon >= 0 && (sign < 0 || colon < sign) ? piece.slice(colon + 1) : piece.slice(end);
            const first = signed(body);
            const listed = (first < 0 ? body : body.slice(0, first)).trim();
            return {
                noun: noun.replace(/\s+/g, " ").replace(/\s*[#@]\s*/, "#"),
                strength: strength ? "*" + strength : "",
                words: items(listed),
                tail: first < 0 ? "" : body.slice(first).trim(),
            };
        });
    }

    /** The text of such groups. */
    function writeGroups(groups) {
        return groups.map((one) => {
            const listed = one.words.length ? ": " + one.words.join(" ") : "";
            const tail = one.tail === "-" && !listed ? ": -" : one.tail ? " " + one.tail : "";
            return one.noun + one.strength + (listed + tail || (one.strength ? "" : ": -"));
        }).join("; ");
    }

    function split(text, marks) {
        const pieces = [];
        let from = 0, quote = "";
        for (let at = 0; at <= text.length; at++) {
            const char = text[at];
            if (at === text.length || (!quote && marks.includes(char))) {
                if (text.slice(from, at).trim()) pieces.push(text.slice(from, at).trim());
                from = at + 1;
            } else {
                quote = quoted(char, quote);
            }
        }
        return pieces;
    }

    function quoted(char, quote) {
        if (quote) return char === quote ? "" : quote;
        return char === '"' ? '"' : char === "“" ? "”" : "";
    }

    function find(text, mark) {
        let quote = "";
        for (let at = 0; at < text.length; at++) {
            if (!quote && text[at] === mark) return at;
            quote = quoted(text[at], quote);
        }
        return -1;
    }

    /** Where the first "+" or "-" stands that is no hyphen inside a word; -1 where there is none. */
    function signed(text) {
        let quote = "";
        for (let at = 0; at < text.length; at++) {
            if (!quote && "+-–−".includes(text[at]) && !(/[\p{L}\p{N}]/u.test(text[at - 1] || "") && /[\p{L}\p{N}]/u.test(text[at + 1] || ""))) return at;
            quote = quoted(text[at], quote);
        }
        return -1;
    }

    function items(text) {
        return (text.match(/"[^"]*"?|“[^”]*”?|[^\s,"“]+(?:\s*[#@]\s*\d+)?/g) || []).map((one) => one.replace(/\s*[#@]\s*/, "#"));
    }

    /** What the groups say of an object, with what was found for it where they say nothing. */
    function entry(groups, object) {
        let found = groups.find((one) => one.noun === object.noun);
        if (!found) {
            found = {noun: object.noun, strength: "", words: [...object.words], tail: ""};
            groups.push(found);
        } else if (!found.words.length && found.tail !== "-") {
            found.words = [...object.words];
        }
        if (found.tail === "-") found.tail = "";
        return found;
    }

    /** The groups' text after `word` joined `object`, or left it where that is null.

    `owner`: the object that has it now, null for none. An object is {noun, words}: its name in groups by hand, and
    the names of its words. */
    function moved(text, word, object, owner) {
        const groups = parseGroups(text);
        if (owner) {
            const old = entry(groups, owner);
            old.words = old.words.filter((one) => one !== word);
            if (!old.words.some((one) => !SMALL.has(one)) && !old.tail) {
                old.words = [];
                old.strength = "";
            }
        }
        if (object) {
            const into = entry(groups, object);
            if (!into.words.includes(word)) into.words.push(word);
        }
        return writeGroups(groups);
    }

    const SMALL = new Set(("a an the and or with w/ in of on to is are that who which wearing holding has have having " +
        "carrying dressed").split(" "));

    // ---- When something is read --------------------------------------------------------------------------------

    /** Decides, from what it is shown at each tick, when to read. One request is on its way at a time.

    `look(key, now)` returns true when `key` has rested for the pause and has not been read; `answered()` says that the
    answer came; `stale(key)` whether what is shown is about something else. */
    class Watch {
        constructor(pause = PAUSE, patience = PATIENCE) {
            Object.assign(this, {pause, patience, seen: null, since: 0, asked: null, shown: null, waiting: false, at: 0});
        }

        look(key, now) {
            if (key !== this.seen) {
                this.seen = key;
                this.since = now;
            }
            if (this.waiting && now - this.at > this.patience) {
                this.waiting = false;
                this.asked = null;
            }
            if (this.waiting || key === this.asked || now - this.since < this.pause) return false;
            Object.assign(this, {asked: key, waiting: true, at: now});
            return true;
        }

        answered() {
            this.waiting = false;
            this.shown = this.asked;
        }

        stale(key) {
            return this.shown !== null && this.shown !== key;
        }
    }

    // ---- The page ----------------------------------------------------------------------------------------------

    /** The panel of one tab. */
    class Panel {
        constructor(tab, root) {
            Object.assign(this, {tab, root, live: new Watch(), said: new Watch(), picked: null, undone: []});
            this.observer = null;
        }

        part(name) {
            return this.root.getElementById(`script_${this.tab}_tome_semantic_binding_${name}`);
        }

        box(name) {
            const part = this.part(name);
            return part && part.querySelector("textarea, input");
        }

        get shown() {
            const panel = this.part("enabled");
            return Boolean(panel && panel.offsetParent !== null && this.part("groups") && this.part("groups").offsetParent !== null);
        }

        /** Everything in the panel and in the tab that the line about the cost depends on. */
        settings() {
            const own = [...this.part("enabled").querySelectorAll("input, textarea")].filter((box) => !this.ignored(box));
            const tab = ["steps", "cfg_scale"].flatMap((name) => {
                const part = this.root.getElementById(`${this.tab}_${name}`);
                return part ? [...part.querySelectorAll("input")] : [];
            });
            return [...own, ...tab].map((box) => (box.type === "checkbox" ? box.checked : box.value)).join("\u0001");
        }

        ignored(box) {
            const name = this.part("own_name");
            return Boolean(name && name.contains(box));
        }

        prompt() {
            const box = this.root.querySelector(`#${this.tab}_prompt textarea`);
            const styles = this.root.getElementById(`${this.tab}_styles`);
            return [box ? box.value : "", styles ? styles.innerText : ""];
        }

        tick(now, live) {
            if (!this.shown) return;
            this.observe();
            this.begin();
            this.buttons(live);
            const settings = this.settings();
            if (live) {
                const key = [...this.prompt(), settings].join("\u0002");
                if (this.live.look(key, now)) this.click("preview");
                this.mark(this.live.stale(key));
            } else {
                if (this.said.look(settings, now)) this.click("status_button");
                this.mark(this.differs());
            }
        }

        /** Preview is there where nothing is previewed by itself, Undo where something can be undone. */
        buttons(live) {
            const panel = this.part("enabled");
            for (const [name, on] of [["tome-live", live], ["tome-undoable", this.undone.length > 0]]) {
                if (panel.classList.contains(name) !== on) panel.classList.toggle(name, on);
            }
        }

        /** The settings page's default preset and parser, where the panel stands at its own. */
        begin() {
            if (this.begun) return;
            this.begun = true;
            const wanted = (name, own) => typeof opts !== "undefined" && opts[name] && opts[name] !== own;
            const preset = this.box("preset");
            if (!preset || preset.value !== "balanced") return;
            if (wanted("tome_default_preset", "balanced") || wanted("tome_default_parser", "auto")) this.click("defaults_button");
        }

        click(name) {
            const button = this.part(name);
            if (button) (button.tagName === "BUTTON" ? button : button.querySelector("button") || button).click();
        }

        /** One observer for each of the two places that answers arrive in. */
        observe() {
            const preview = this.part("preview_result"), status = this.part("status");
            if (this.observer && this.observed === preview) return;
            if (this.observer) this.observer.disconnect();
            this.observed = preview;
            this.observer = new MutationObserver(() => this.answered());
            for (const place of [preview, status]) {
                if (place) this.observer.observe(place, {childList: true, subtree: true});
            }
        }

        answered() {
            const read = this.part("preview_result").querySelector(".tome-read");
            const at = read ? read.dataset.at : "";
            if (at && at !== this.at) {
                this.at = at;
                this.picked = null;
                this.live.answered();
            }
            this.said.answered();
            this.fade();
        }

        /** Grey out what has no effect as the other values stand. */
        fade() {
            const status = this.part("status") && this.part("status").querySelector(".tome-status");
            if (!status || status.dataset.idle === this.idle) return;
            this.idle = status.dataset.idle;
            const idle = new Set(JSON.parse(this.idle || "[]"));
            for (const part of this.part("enabled").querySelectorAll("[id^=script_]")) {
                const name = part.id.split("_tome_semantic_binding_")[1];
                part.classList.toggle("tome-idle", idle.has(name));
            }
        }

        mark(stale) {
            const preview = this.part("preview_result");
            if (preview && preview.classList.contains("tome-stale") !== stale) preview.classList.toggle("tome-stale", stale);
        }

        /** Whether the preview is about other words than those that are typed now. */
        differs() {
            const read = this.part("preview_result").querySelector(".tome-read"), groups = this.box("groups");
            return Boolean(read && (read.dataset.prompt !== this.prompt()[0] || (groups && read.dataset.groups !== groups.value)));
        }

        // -- clicks

        object(number) {
            const row = this.part("preview_result").querySelector(`li[data-owner="${number}"]`);
            return row && {noun: row.dataset.noun, words: JSON.parse(row.dataset.words)};
        }

        /** A click on a word: the first picks it, the second says where it goes. */
        word(span) {
            const read = span.closest(".tome-read");
            if (read.dataset.fixed === "1" || this.differs()) return;
            if (!this.picked) {
                this.picked = span;
                span.classList.add("tome-picked");
                return;
            }
            const first = this.picked;
            this.picked = null;
            first.classList.remove("tome-picked");
            const owner = this.object(first.dataset.owner);
            const nouns = first.classList.contains("tome-noun");
            if (first === span) {
                if (owner && !nouns) this.change(moved(this.box("groups").value, first.dataset.name, null, owner));
                return;
            }
            const target = this.object(span.dataset.owner) || {noun: span.dataset.name, words: []};
            if (owner && target.noun === owner.noun) {
                if (span.classList.contains("tome-noun") && !nouns) this.change(moved(this.box("groups").value, first.dataset.name, null, owner));
                return;
            }
            this.change(moved(this.box("groups").value, first.dataset.name, target, nouns ? null : owner));
        }

        change(text) {
            const box = this.box("groups");
            this.undone.push(box.value);
            this.undone.splice(0, this.undone.length - MOST_UNDONE);
            this.put(text);
        }

        undo() {
            if (this.undone.length) this.put(this.undone.pop());
        }

        /** Type the text, so that the browser's own undo knows it. */
        put(text) {
            const box = this.box("groups");
            box.focus({preventScroll: true});
            box.select();
            const typed = text ? document.execCommand("insertText", false, text) : document.execCommand("delete");
            if (!typed || box.value !== text) {
                box.value = text;
                box.dispatchEvent(new Event("input", {bubbles: true}));
            }
        }
    }

    function start() {
        const root = gradioApp();
        const panels = ["txt2img", "img2img"].map((tab) => new Panel(tab, root.getElementById ? root : document));
        const of = (element) => panels.find((panel) => panel.part("enabled") && panel.part("enabled").contains(element));
        root.addEventListener("click", (event) => {
            const panel = event.target.closest && of(event.target);
            if (!panel) return;
            const word = event.target.closest(".tome-word");
            if (word) panel.word(word);
            if (event.target.closest("[id$=_tome_semantic_binding_undo]")) panel.undo();
        });
        setInterval(() => {
            if (document.hidden) return;
            const live = typeof opts === "undefined" || opts.tome_live_preview !== false;
            for (const panel of panels) panel.tick(Date.now(), live);
        }, TICK);
    }

    if (typeof module !== "undefined" && module.exports) {
        module.exports = {parseGroups, writeGroups, moved, Watch, Panel};
    } else {
        onUiLoaded(start);
    }
})();
