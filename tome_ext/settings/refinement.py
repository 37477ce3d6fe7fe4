"""The settings of the refinement of the composite tokens."""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.settings.declaration import fraction, setting


@dataclass(frozen=True)
class RefinementSettings:
    """The settings of the refinement of the composite tokens, each with its default, range, label and help."""

    iterations: int = setting(
        1,
        "Iterations",
        "Updates of the composite tokens in each refined step. 0: none, merging only, no extra cost.",
        "Refinement",
        minimum=0,
        maximum=20,
        step=1,
        advanced=False,
    )
    window_start: float = fraction(
        0.0, "Refine from", "Fraction of the sampling run at which refinement begins.", "Refinement"
    )
    window_stop: float = fraction(
        0.2,
        "Refine until",
        "Fraction of the sampling run at which refinement ends. The layout forms in the first fifth.",
        "Refinement",
        advanced=False,
    )
    step_size: float = setting(
        0.1,
        "Step size",
        "How far one update moves the tokens. Too large brings artefacts.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.01,
        advanced=False,
    )
    step_decay: str = setting(
        "linear",
        "Step size over the run",
        "Constant, or falling linearly to zero at the last sampling step (the authors' code).",
        "Refinement",
        choices=("constant", "linear"),
    )
    entropy_weight: float = setting(
        1.0,
        "Entropy loss weight",
        "Keeps each object's attention to a region of its own.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    binding_weight: float = setting(
        3000.0,
        "Binding loss weight",
        "Keeps the composite token's meaning close to its phrase ('a cat wearing sunglasses').",
        "Refinement",
        minimum=0.0,
        maximum=1e6,
        step=100.0,
    )
    position_weight: float = setting(
        0.0,
        "Position loss weight",
        "Spreads the objects from left to right in the order of the prompt. 0: off.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    entropy_target: float = fraction(
        0.0,
        "Stop at entropy",
        "An image is done with its step once its maps' mean entropy falls below this fraction of the largest "
        "possible. 0: never early. (The form 'reference' uses the authors' thresholds instead.)",
        "Refinement",
    )
    entropy_form: str = setting(
        "paper",
        "Entropy loss form",
        "How the attention map becomes a distribution: normalised (paper), or softmax over tokens, contrast "
        "stretch and normalisation (the authors' code).",
        "Refinement",
        choices=("paper", "reference"),
    )
    layers: str = setting(
        "reference",
        "Attention layers",
        "Which cross-attention layers the entropy loss looks at: 'reference' (the authors' three), 'paper' (the "
        "first three of the decoder), 'middle', or names like up_blocks.0.attentions.1.transformer_blocks.0, "
        "separated by commas, * allowed.",
        "Refinement",
    )
    order: str = setting(
        "joint",
        "Losses",
        "One joint loss (paper), or binding iterations first and entropy iterations after them (the authors' code).",
        "Refinement",
        choices=("joint", "separate"),
    )
    binding_iterations: int = setting(
        3,
        "Binding iterations",
        "Updates from the binding loss in each refined step, before the others. Only with separate losses.",
        "Refinement",
        minimum=0,
        maximum=20,
        step=1,
    )
    binding_step_size: float = setting(
        1.0,
        "Binding step size",
        "How far one binding update moves the composite token. Only with separate losses.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    update: str = setting(
        "composites",
        "Updated tokens",
        "What the entropy and position losses move: the composite tokens (paper), or every text token.",
        "Refinement",
        choices=("composites", "all"),
    )
    latent_step: float = setting(
        0.0,
        "Latent step",
        "How far the latent moves along, as a fraction of the tokens' step, for this step's prediction only "
        "(0.5 in the authors' code).",
        "Refinement",
        minimum=0.0,
        maximum=2.0,
        step=0.05,
    )
    phrase_latent: str = setting(
        "same",
        "Binding loss latent",
        "Where the binding loss compares predictions: at the image's own latent (paper), or on a trajectory of "
        "each phrase's own (the authors' code).",
        "Refinement",
        choices=("same", "own"),
    )
    loss_pooled: str = setting(
        "prompt",
        "Pooled vector of the losses",
        "SDXL's pooled vector while the losses are computed: the prompt's own, or zeros (the authors' code).",
        "Refinement",
        choices=("prompt", "zeros"),
    )
    checkpointing: str = setting(
        "auto",
        "Activation checkpointing",
        "Trade time for memory during refinement: when memory is short, always, or never. The picture is the same.",
        "Refinement",
        choices=("auto", "on", "off"),
    )
    every: int = setting(
        1,
        "Refine every n-th step",
        "Only every n-th sampling step of the window is refined; 2 halves the extra cost.",
        "Refinement",
        minimum=1,
        maximum=20,
        step=1,
    )
    descent: str = setting(
        "normalised",
        "Step",
        "Whether the step size is a fraction of the token's own length (normalised, the same on every model), or "
        "a factor of the gradient (plain, as in the authors' code). The latent's step and the binding step of "
        "separate losses are always plain.",
        "Refinement",
        choices=("normalised", "plain"),
    )
    resolution: float = setting(
        0.5,
        "Loss resolution",
        "Height and width of the latent that the losses look at, as a fraction of the picture's. Half of it costs "
        "a quarter of the time and an eighth of the memory, at the same noise level.",
        "Refinement",
        minimum=0.25,
        maximum=1.0,
        step=0.125,
    )
