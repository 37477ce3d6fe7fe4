/* Translates what ToMe says with the user's own words and with numbers in it: comments under an image, and the line
beside the progress bar. The WebUI itself looks up whole text nodes only; here "{n}" in a localization's key stands for
a number, and "{}" for any text. The functions at the top are pure; node's test runner has them. */
(function () {
    "use strict";

    const SPOKEN = ".comments, .progress", OURS = /^\s*ToMe\b/;

    /** The keys of a localization that hold a place for something, as [pattern, translation]. */
    function templates(localization) {
        return Object.entries(localization || {})
            .filter(([key, text]) => /^ToMe\b.*\{n?\}/.test(key) && typeof text === "string" && text)
            .map(([key, text]) => [new RegExp("^" + key.split(/(\{n?\})/).map(pattern).join("") + (key.endsWith("{n}") ? "" : "$"), "s"), text]);
    }

    function pattern(part) {
        if (part === "{n}") return "(\\d+(?:\\.\\d+)?)";
        return part === "{}" ? "(.*)" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    }

    /** The text in the other language; as it is where nothing fits. */
    function translated(text, list) {
        for (const [key, other] of list) {
            const found = key.exec(text);
            if (found) {
                let at = 0;
                return other.replace(/\{n?\}/g, () => found[++at] || "") + text.slice(found[0].length);
            }
        }
        return text;
    }

    function translate(root, list) {
        for (const element of root.querySelectorAll(SPOKEN)) {
            for (const node of element.childNodes) {
                if (node.nodeType !== 3 || !OURS.test(node.data)) continue;
                const said = node.data.trim(), other = translated(said, list);
                if (other !== said) node.data = node.data.replace(said, () => other);
            }
        }
    }

    if (typeof module !== "undefined" && module.exports) {
        module.exports = {templates, translated};
    } else {
        onUiLoaded(() => {
            const list = templates(window.localization);
            if (list.length) onUiUpdate(() => translate(gradioApp(), list));
        });
    }
})();
