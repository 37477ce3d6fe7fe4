"""Whatever the words: no attribute crosses a comma between tags, no object depends on another one's adjective or on
which names people have."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tome_ext.prompts import Reading, read_prompt

ADJECTIVES = [
    "red",
    "blue",
    "golden",
    "tall",
    "wooden",
    "fluffy",
    "striped",
    "old",
    "shiny",
    "pale",
    "heart-shaped",
    "big",
]
NOUNS = [
    "cat",
    "dog",
    "hat",
    "dress",
    "hair",
    "eyes",
    "car",
    "vase",
    "house",
    "turtle",
    "moon",
    "sword",
    "armor",
    "sky",
]
PEOPLE = ["girl", "knight", "cat", "robot", "turtle", "woman", "octopus", "fox"]
THINGS = ["hat", "scarf", "dress", "coat", "crown", "helmet"]
WORDS = [
    "masterpiece",
    "best quality",
    "an extremely delicate and beautiful",
    "solo",
    "1girl",
    "2girls",
    "hatsune miku",
]
WORDS += ["outdoors", "armor with gold plating", "long_hair", "a cat with no hat"]
JOINTS = [" and ", ", ", " next to ", " on ", " behind ", " with ", " wearing ", " holding "]
NAMES = [
    *["Mario", "Luigi", "Emma Watson", "Tom Holland", "hatsune miku", "kagamine rin", "novalora", "zorblax", "Goku"],
    *["Abraham Lincoln", "Elsa", "Gandalf", "Rose", "Peach", "link", "Jack", "Will Smith", "Grace Kelly", "Batman"],
    *["tifa lockhart", "cloud strife", "spider-man", "Geralt of Rivia", r"rem \(re zero\)", r"asuka langley \(eva\)"],
]
SENTENCES = [
    "{0} wearing a red dress and {1} wearing a blue suit",
    "{0} in a red cap and {1} in a green cap",
    "{0} with a red scarf, {1} with blue hair",
    "{0} holding a golden sword next to {1} holding a silver shield",
    "a girl wearing a red dress, {0} wearing a blue dress",
    "{0} in a green cap and a woman wearing a red hat",
    "{0} standing on a bridge, holding a red umbrella",
    "photo of {0} on a wooden bench wearing a yellow hat",
    "{0} is wearing a red dress and {1} is wearing a black coat",
    "{0} wears a red dress and {1} holds a green book",
    "{0} in red and {1} in blue",
]

adjective, noun = st.sampled_from(ADJECTIVES), st.sampled_from(NOUNS)
described = st.builds("{} {}".format, adjective, noun)
tag = st.one_of(
    described,
    described,
    st.builds("{} with {} {}".format, noun, adjective, noun),
    st.builds("a {} and {} {}".format, adjective, adjective, noun),
    st.builds("{} in {}".format, st.sampled_from(PEOPLE), st.sampled_from(["white", "black", "red"])),
    st.builds("a {} dressed in {}".format, st.sampled_from(PEOPLE), st.sampled_from(["white", "black", "red"])),
    st.builds("a {} wearing {} {}".format, st.sampled_from(PEOPLE), adjective, st.sampled_from(THINGS)),
    st.sampled_from([*ADJECTIVES, *NOUNS, *WORDS]),
)


def words_of(reading: Reading) -> list[tuple[str, list[str], list[str]]]:
    return [(g.noun.text, [s.text for s in g.related], [t.text for t in g.extra]) for g in reading.groups]


@settings(deadline=None, max_examples=1200)
@given(st.lists(tag, min_size=1, max_size=7), st.sampled_from([", ", ",", " ,"]))
def test_no_attribute_goes_to_an_object_of_another_tag(tags, comma):
    text = comma.join(tags)
    for group in read_prompt(text, parser="builtin").groups:
        numbers = {text[: span.start].count(",") for span in (group.noun, *group.related)}
        assert len(numbers) == 1, (text, group)
        assert not group.extra, (text, group)


@settings(deadline=None, max_examples=120)
@given(
    st.lists(st.tuples(adjective, noun), min_size=2, max_size=4),
    st.lists(st.sampled_from(JOINTS), min_size=3, max_size=3),
    st.integers(0, 3),
)
def test_no_object_depends_on_the_adjective_of_another(pairs, joints, number):
    gone = number % len(pairs)
    texts = [f"a {a} {n}" for a, n in pairs]
    ends = [*joints[: len(pairs) - 1], ""]
    whole = "".join(text + end for text, end in zip(texts, ends, strict=True))
    start = sum(len(text + end) for text, end in zip(texts[:gone], ends, strict=False)) + 2
    cut = start + len(pairs[gone][0]) + 1
    less = whole[:start] + whole[cut:]

    def other_groups(text: str, moved: int) -> list[list[tuple[int, str]]]:
        """The words of the groups with other nouns, each with its place in the longer text, but for the adjective."""
        out = []
        for group in read_prompt(text, parser="builtin").groups:
            places = {s.start + (moved if s.start >= start else 0): s.text for s in (group.noun, *group.related)}
            if group.noun.start + (moved if group.noun.start >= start else 0) != cut:
                out.append(sorted((at, word) for at, word in places.items() if at != start))
        return sorted(out)

    assert other_groups(whole, 0) == other_groups(less, cut - start), (whole, less)


@settings(deadline=None, max_examples=120)
@given(st.sampled_from(SENTENCES), st.permutations(NAMES), st.permutations(NAMES))
def test_other_names_leave_the_groups_as_they_are(sentence, names, others):
    def said(first: str, second: str) -> list[tuple[str, list[str]]]:
        reading = read_prompt(sentence.format(first, second), parser="builtin")
        known = {n.split(r" \(")[0]: f"name {k}" for k, n in enumerate((first, second))}
        assert not reading.clean_problem
        return [(known.get(n, n), words) for n, words, _ in words_of(reading)]

    assert said(*names[:2]) == said(*others[:2]), (sentence, names[:2], others[:2])
