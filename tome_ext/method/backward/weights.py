"""Weights fetched again in the backward pass, for hosts that cast, move or page them in for each operation.

Autograd keeps what an operation was computed with. Of such a host that is a copy of every weight; where the host
reuses one buffer, the weight of another layer; and what was made under ``inference_mode`` it refuses. Here an
operation keeps none of its weights: in the backward pass its module runs once more, up to the operation, and the
gradient is computed with the weight that the module brings. So it is where the weights are quantised and the operation
can be differentiated; where the operation as a whole cannot, it counts as the one affine operation within it, if that
gives the right gradient (:mod:`tome_ext.method.backward.quantised`).

Nothing is known of the host: its modules call ``linear``, ``conv2d``, ``group_norm`` … with what they have fetched, and
that call is where the weight is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from tome_ext.method.backward.operations import AFFINE, Writing
from tome_ext.method.backward.quantised import NoGradient, passes, stored

_WRITTEN = "inference tensor outside InferenceMode"
# Their weights are small: a copy of them is kept.
_NORMS = (
    functional.group_norm,
    functional.layer_norm,
    *([functional.rms_norm] if hasattr(functional, "rms_norm") else []),
)


@contextmanager
def fetched_again(unet: nn.Module) -> Iterator[None]:
    """Within, operations of ``unet`` keep no weight that is not the module's own, and gradients are the same.

    An operation whose weight is the module's parameter as it is runs untouched. Backward passes belong within, too.
    Raises :class:`NoGradient` at the first pass through quantised weights that no right gradient passes through.
    """
    wrapped: list[tuple[nn.Module, Any, Any]] = []
    ways: _Ways = {}
    try:
        for module in unet.modules():
            before = module.__dict__.get("forward")
            if _has_weight(module) and not isinstance(before, _Fetching):
                module.forward = ours = _Fetching(module, ways)
                wrapped.append((module, before, ours))
        yield
    finally:
        for module, before, ours in wrapped:
            if module.__dict__.get("forward") is not ours:
                continue  # replaced within: left to who did so
            if before is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = before


def copied_bytes(unet: nn.Module, device: torch.device) -> int:
    """How many bytes of weights a pass with gradient copies at once on ``device``, beside what the model holds there.

    Weights elsewhere and weights in a format for storage alone are copied when they are used. Within
    :func:`fetched_again` they are dropped at once, so that the largest counts; else autograd keeps all of them.
    """
    kept, passing = 0, 0
    for module in unet.modules():
        own = [value for value in module.parameters(recurse=False) if _is_copied(value, device)]
        size = sum(value.numel() * max(value.element_size(), 2) for value in own)
        if isinstance(module.__dict__.get("forward"), _Fetching):
            passing = max(passing, size)
        else:
            kept += size
    return kept + passing


def _is_copied(value: Tensor, device: torch.device) -> bool:
    return value.device != device or value.element_size() < 2


def _has_weight(module: nn.Module) -> bool:
    weighs = isinstance(getattr(module, "weight", None), Tensor) or stored(module)
    return bool(weighs) and not [*module.children()]


# For each kind of quantised operation: whether it is differentiated as it is, or counts as one affine operation.
_Ways = dict[tuple[Any, ...], bool]


class _Fetching:
    """A module's ``forward`` that keeps no weight. What it finds out of the module holds until it is taken off."""

    def __init__(self, module: nn.Module, ways: _Ways) -> None:
        self._module, self._own, self._ways = module, module.forward, ways
        self._stored = stored(module)
        self._plain: set[tuple[torch.dtype, torch.device]] = set()
        self._writes = False  # into memory that was made under inference mode

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if len(args) == 1 and not kwargs else None
        if not (isinstance(given, Tensor) and given.requires_grad and torch.is_grad_enabled()):
            return self._run(*args, **kwargs)
        if self._stored:
            return self._through(given) if self._differentiable(given) else self._whole(given)
        made = self._through(given)
        if isinstance(made, Tensor) and not made.requires_grad:
            raise NoGradient(f"no gradient passes through {type(self._module).__name__}")
        return made

    def _through(self, given: Tensor) -> Any:
        """The module as it is, whose operations keep no weight that is not its own."""
        kind = (given.dtype, given.device)
        if kind in self._plain or not torch.is_grad_enabled():
            return self._run(given)
        made, taken_over = self._watched(given)
        if not taken_over:
            self._plain.add(kind)
        return made

    def _whole(self, given: Tensor) -> Tensor:
        """The module as one affine operation, the first that it has."""
        return _Affine.apply(given, _Whole(self, _like(given)))  # type: ignore[no-any-return, no-untyped-call]

    def _differentiable(self, given: Tensor) -> bool:
        """Which way the right gradient passes through quantised weights; tried once for each kind of operation."""
        kind = (type(self._module), self._stored, given.dtype, given.device)
        if kind not in self._ways:
            if passes(self._through, given):
                self._ways[kind] = True
            elif passes(self._whole, given):
                self._ways[kind] = False
            else:
                raise NoGradient(
                    f"the weights are quantised ({self._stored}), and no gradient passes through them "
                    f"in {type(self._module).__name__}"
                )
        return self._ways[kind]

    def without_gradient(self, given: Tensor) -> Tensor:
        """The module's output for an input that asks for no gradient."""
        with torch.no_grad():
            return self._run(given.detach())  # type: ignore[no-any-return]

    def _watched(self, given: Tensor) -> tuple[Any, bool]:
        """What the module makes, and whether any of its operations were taken over."""
        try:
            with self._mode(), _Watching(self, given) as watching:
                made = self._own(given)
        except RuntimeError as error:
            if not self._learns(error):
                raise
            return self._watched(given)
        return made, watching.taken_over

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with self._mode():
                return self._own(*args, **kwargs)
        except RuntimeError as error:
            if not self._learns(error):
                raise
            return self._run(*args, **kwargs)

    def _mode(self) -> AbstractContextManager[object]:
        return Writing() if self._writes else nullcontext()

    def _learns(self, error: RuntimeError) -> bool:
        """Whether the module failed because it writes into memory made under inference mode; the next try may."""
        before, self._writes = self._writes, self._writes or _WRITTEN in str(error)
        return self._writes and not before

    def is_own(self, value: Any) -> bool:
        """Whether autograd may keep ``value``: it is no weight, or the module's parameter and no copy of it."""
        if not isinstance(value, Tensor):
            return True
        return not value.is_inference() and _memory(value) in map(_memory, self._module.parameters(recurse=False))

    def again(self, like: Tensor, number: int, use: Callable[..., Tensor]) -> None:
        """Run the module up to its operation ``number`` on an input ``like`` the first, and ``use`` what it fetches."""
        with self._mode(), torch.no_grad(), _Using(number, use) as using:
            self._own(like)
        if not using.used:
            raise RuntimeError(f"{type(self._module).__name__} did not fetch its weight again")


class _Watching(TorchFunctionMode):
    """The first run of a module: takes over the operations whose weights autograd should not keep."""

    def __init__(self, fetching: _Fetching, given: Tensor) -> None:
        super().__init__()
        self._fetching, self._number, self.taken_over = fetching, 0, False
        self._like = _like(given)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in AFFINE and func not in _NORMS:
            return func(*args, **kwargs)
        number, self._number = self._number, self._number + 1
        if not torch.is_grad_enabled():
            return func(*args, **kwargs)  # within an operation that has a backward pass of its own
        if all(map(self._fetching.is_own, (*args[1:], *kwargs.values()))):
            return func(*args, **kwargs)
        self.taken_over = True
        if func in _NORMS:
            return func(args[0], *map(_kept, args[1:]), **{name: _kept(value) for name, value in kwargs.items()})
        return _Affine.apply(  # type: ignore[no-untyped-call]
            args[0], _Call(func, self._fetching, self._like, number, args[1:], kwargs)
        )


class _Using(TorchFunctionMode):
    """The second run of a module: one operation is not computed, its weight is used for something else."""

    def __init__(self, number: int, use: Callable[..., Tensor]) -> None:
        super().__init__()
        self._left, self._use, self.used = number, use, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in AFFINE and func not in _NORMS:
            return func(*args, **kwargs)
        self._left -= 1
        if self._left != -1:
            return func(*args, **kwargs)
        self.used = True
        return self._use(func, *args[1:], **kwargs)


class _Whole:
    """One pass of a module whose first operation stands for all of it."""

    def __init__(self, fetching: _Fetching, like: Tensor, number: int = 0) -> None:
        self._fetching, self._like, self._number = fetching, like, number

    def forward(self, given: Tensor) -> Tensor:
        """The module itself."""
        return self._fetching.without_gradient(given)

    def backward(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """The gradient of the input, computed while the module has its weight."""
        found: list[Tensor] = []

        def use(func: Any, *rest: Any, **named: Any) -> Tensor:
            found.append(AFFINE[func](gradient, shape, *rest, **named))
            return torch.zeros((), dtype=gradient.dtype, device=gradient.device).expand(gradient.shape)

        self._fetching.again(self._like, self._number, use)
        return found[0]


class _Call(_Whole):
    """One operation of one pass: what it needs to be differentiated, but for its weight."""

    def __init__(self, func: Any, fetching: _Fetching, like: Tensor, number: int, rest: Any, named: Any) -> None:
        super().__init__(fetching, like, number)
        self._func, self._rest, self._named = func, rest, named

    def forward(self, given: Tensor) -> Tensor:
        """The operation itself; afterwards its weight is forgotten."""
        rest, named, self._rest, self._named = self._rest, self._named, (), {}
        return self._func(given, *rest, **named)  # type: ignore[no-any-return]


def _like(given: Tensor) -> Tensor:
    """Zeros of that shape, which take no memory."""
    return torch.zeros((), dtype=given.dtype, device=given.device).expand(given.shape)


def _memory(value: Tensor) -> tuple[torch.device, int, torch.dtype]:
    return value.device, value.data_ptr(), value.dtype


def _kept(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


class _Affine(torch.autograd.Function):
    """An operation that is affine in its input, so that its gradient needs the weight alone."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, call: _Whole) -> Tensor:
        ctx.call, ctx.shape = call, given.shape
        made = call.forward(given)
        # Hosts add to an operation's output in place, which autograd forbids for a view.
        return torch.ops.aten._unsafe_view(made, made.shape) if made._is_view() else made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.call.backward(gradients[0], ctx.shape), None
