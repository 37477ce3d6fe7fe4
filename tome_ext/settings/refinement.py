"""The settings of the refinement of the composite tokens."""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.settings.declaration import fraction, setting


@dataclass(frozen=True)
class RefinementSettings:
    """When, how often and how far the composite tokens move, each setting with default, range, label and help."""

    iterations: int = setting(
        1,
        "Iterations",
        "Updates of the merged tokens in each refined step. 0: merging only, at no extra cost.",
        "Refinement",
        minimum=0,
        maximum=20,
        step=1,
    )
    window_start: float = fraction(
        0.0, "Refine from", "Fraction of the sampling run at which refinement begins.", "Refinement"
    )
    window_stop: float = fraction(
        0.2,
        "Refine until",
        "Fraction of the sampling run at which refinement ends. The layout forms in the first fifth.",
        "Refinement",
    )
    every: int = setting(
        2,
        "Refine every n-th step",
        "Refines only every n-th sampling step between the two; 2 halves the extra cost.",
        "Refinement",
        minimum=1,
        maximum=20,
        step=1,
    )
    step_size: float = setting(
        0.01,
        "Step size",
        "How far one update moves the tokens. Values that are too large cause artefacts.",
        "Refinement",
        minimum=0.0,
        maximum=10.0,
        step=0.005,
    )
    step_decay: str = setting(
        "linear",
        "Step size schedule",
        "constant: the same at every step. linear: falls to zero at the last sampling step (the authors' code).",
        "Refinement",
        choices=("constant", "linear"),
    )
    descent: str = setting(
        "normalised",
        "Unit of the step size",
        "normalised: the length of the token that moves, which suits every model. plain: the gradient itself (the "
        "authors' code). The latent's step and the binding step of separate losses are always plain.",
        "Refinement",
        choices=("normalised", "plain"),
    )
    update: str = setting(
        "composites",
        "Tokens that move",
        "What the entropy and position losses move. composites: the merged tokens (paper). all: every token of the "
        "prompt.",
        "Refinement",
        choices=("composites", "all"),
    )
    checkpointing: str = setting(
        "auto",
        "Activation checkpointing",
        "Saves memory during refinement and takes longer, for the same picture. auto: only when memory is short.",
        "Refinement",
        choices=("auto", "on", "off"),
    )


@dataclass(frozen=True)
class LossSettings:
    """What refinement minimises, each setting with default, range, label and help."""

    entropy_weight: float = setting(
        1.0,
        "Entropy loss weight",
        "Keeps the attention of each object to a region of its own. 0: off.",
        "Losses",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    binding_weight: float = setting(
        3000.0,
        "Binding loss weight",
        "Keeps the merged token's meaning close to its phrase ('a cat wearing sunglasses'). 0: off.",
        "Losses",
        minimum=0.0,
        maximum=1e6,
        step=100.0,
    )
    position_weight: float = setting(
        0.0,
        "Position loss weight",
        "Spreads the objects from left to right in the order of the prompt. 0: off.",
        "Losses",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    entropy_target: float = fraction(
        0.0,
        "Stop at entropy",
        "Stops refining an image in a step once the mean entropy of its maps is below this fraction of the maximum. "
        "0: off.",
        "Losses",
        # Finer than the others: useful values lie close together.
        step=0.01,
    )
    layers: str = setting(
        "reference",
        "Attention layers",
        "The cross-attention layers that the entropy loss looks at: reference (the authors' three), paper (the first "
        "three of the decoder), middle, or names such as up_blocks.0.attentions.1.transformer_blocks.0, separated by "
        "commas. * stands for anything, but all of them must have one resolution.",
        "Losses",
    )
    resolution: float = setting(
        0.5,
        "Loss resolution",
        "Size of the latent that the losses look at, as a fraction of the picture's. 0.5 takes a quarter of the time "
        "and an eighth of the memory of 1.",
        "Losses",
        minimum=0.25,
        maximum=1.0,
        step=0.125,
    )


@dataclass(frozen=True)
class AuthorsSettings:
    """What only repeats the authors' code, for comparison: in presets, the API and the command line."""

    order: str = setting(
        "joint",
        "Loss order",
        "joint: one loss of all terms (paper). separate: iterations of the binding loss first, then of the others (the "
        "authors' code).",
        "Authors' code",
        choices=("joint", "separate"),
        hidden=True,
    )
    binding_iterations: int = setting(
        3,
        "Binding iterations",
        "Updates from the binding loss in each refined step. Only with separate losses.",
        "Authors' code",
        minimum=0,
        maximum=20,
        step=1,
        hidden=True,
    )
    binding_step_size: float = setting(
        1.0,
        "Binding step size",
        "How far one binding update moves the merged token. Only with separate losses.",
        "Authors' code",
        minimum=0.0,
        maximum=10.0,
        step=0.1,
        hidden=True,
    )
    latent_step: float = setting(
        0.0,
        "Latent step size",
        "How far the latent moves with the tokens, as a fraction of their step, for the prediction of this step only. "
        "0.5 in the authors' code.",
        "Authors' code",
        minimum=0.0,
        maximum=2.0,
        step=0.05,
        hidden=True,
    )
    phrase_latent: str = setting(
        "same",
        "Latent of the binding loss",
        "Where the binding loss compares predictions. same: at the image's latent (paper). own: on a sampling run of "
        "each phrase's own (the authors' code).",
        "Authors' code",
        choices=("same", "own"),
        hidden=True,
    )
    loss_pooled: str = setting(
        "prompt",
        "Pooled vector for the losses",
        "SDXL's pooled vector while the losses are computed. prompt: the prompt's own. zeros: the authors' code.",
        "Authors' code",
        choices=("prompt", "zeros"),
        hidden=True,
    )
    entropy_form: str = setting(
        "paper",
        "Form of the entropy loss",
        "How an attention map becomes a distribution. paper: normalised. reference: softmax over the tokens, contrast "
        "stretch and normalisation, with the authors' thresholds for stopping early.",
        "Authors' code",
        choices=("paper", "reference"),
        hidden=True,
    )
