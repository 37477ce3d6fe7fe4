"""Prompts for real checkpoints, in words of our own: two things, each with a colour, a material or a shape.

They are read as a user's prompt is; nothing tells the method which words belong together.
"""

from __future__ import annotations

from tome_ext.research.judging import object_binding
from tome_ext.research.world.prompts import Prompt

OBJECTS = "who has what"

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "colours": (
        "a red teapot and a green lamp",
        "a blue bicycle and a yellow bench",
        "a purple umbrella and an orange suitcase",
        "a green piano and a pink armchair",
        "a white owl and a black fox",
        "a yellow bus and a blue mailbox",
        "a brown guitar and a red stool",
        "an orange cat and a gray rabbit",
        "a pink cup and a turquoise plate",
        "a black horse and a golden statue",
        "a red candle and a blue vase",
        "a silver robot and a green tent",
        "a yellow parrot and a purple cushion",
        "a blue door and a red roof",
        "a green apple and a black kettle",
        "a white boat and a red lighthouse",
        "a pink scooter and a blue helmet",
        "a gray sofa and a yellow blanket",
        "a purple backpack and a white sneaker",
        "an orange tractor and a green barn",
    ),
    "materials": (
        "a wooden chair and a glass bowl",
        "a leather bag and a metal ladder",
        "a fluffy dog and a knitted hat",
        "a stone fountain and a wicker basket",
        "a velvet curtain and a marble table",
        "a plastic bottle and a ceramic mug",
        "a rubber boot and a wooden spoon",
        "a glass door and a brick wall",
        "a metal bridge and a wooden boat",
        "a paper lantern and a stone lion",
        "a leather jacket and a woolen scarf",
        "a marble statue and a wooden bench",
        "a crystal chandelier and a leather sofa",
        "a straw hat and a denim jacket",
        "a porcelain doll and a metal train",
        "a bamboo fence and a concrete path",
        "a silk dress and a fur coat",
        "a brass bell and a wooden door",
        "a cardboard box and a metal bucket",
        "a wicker chair and a glass vase",
    ),
    "shapes": (
        "a round mirror and a square window",
        "a tall tower and a short tree",
        "a long sofa and a round table",
        "a triangular flag and a round balloon",
        "an oval plate and a rectangular tray",
        "a big elephant and a small bird",
        "a thick book and a thin pencil",
        "a square cake and a round cookie",
        "a spherical lamp and a cubic box",
        "a heart-shaped pillow and a star-shaped cookie",
        "a narrow door and a wide window",
        "a cylindrical vase and a flat plate",
        "a round clock and a triangular shelf",
        "a tiny kitten and a large pumpkin",
        "a hexagonal tile and a circular rug",
        "a pointed hat and a round mask",
        "a curved bench and a rectangular pool",
        "a conical tent and a square cabin",
        "a small car and a big truck",
        "a diamond-shaped kite and an oval mirror",
    ),
}


def everyday(seed: int = 0) -> list[Prompt]:
    """50 prompts of animals and people that have things, and 60 of two things with an attribute each; in turns."""
    objects = [Prompt(pair.prompt, OBJECTS) for pair in object_binding.prompts(50, seed)]
    families = [objects, *([Prompt(text, name) for text in texts] for name, texts in _ATTRIBUTES.items())]
    longest = max(len(prompts) for prompts in families)
    return [prompts[turn] for turn in range(longest) for prompts in families if turn < len(prompts)]
