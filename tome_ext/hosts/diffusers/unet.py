"""A pipeline's UNet, compiled or not, fused or not: its calls followed, and passes whose layers can be recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from torch import nn

from tome_ext.method.backward.autograd import differentiable
from tome_ext.method.backward.quantised import stored
from tome_ext.method.layers import cross_attention_layers

Hook = Callable[[nn.Module, Any, Any], "tuple[tuple[Any, ...], dict[str, Any]] | None"]

_COMPILED = "_compiled_call_impl"
_ABSENT = object()


def inner(unet: nn.Module) -> nn.Module:
    """The UNet itself, without the wrapper that ``torch.compile(unet)`` puts around it."""
    return getattr(unet, "_orig_mod", unet)


@contextmanager
def before_each_call(unet: nn.Module, hook: Hook) -> Iterator[None]:
    """Within, ``hook`` (module, args, kwargs) may change the arguments of each call of ``unet``.

    After ``unet.compile()`` the hook stands in front of the compiled call, which would compile it, too.
    Raises RuntimeError where another hook of the same owner is there already.
    """
    compiled = getattr(unet, _COMPILED, None)
    owner = type(getattr(hook, "__self__", hook))
    present = [*unet._forward_pre_hooks.values(), getattr(compiled, "hook", None)]
    if any(type(getattr(one, "__self__", None)) is owner for one in present):
        raise RuntimeError("ToMe is attached to this pipeline's UNet already: leave that context first")
    if compiled is None:
        handle = unet.register_forward_pre_hook(hook, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()
        return
    setattr(unet, _COMPILED, _Compiled(unet, hook, compiled))
    try:
        yield
    finally:
        setattr(unet, _COMPILED, compiled)


class _Compiled:
    """A compiled call with a hook in front of it."""

    def __init__(self, unet: nn.Module, hook: Hook, call: Callable[..., Any]) -> None:
        self.hook, self._unet, self._call = hook, unet, call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        changed = self.hook(self._unet, args, kwargs)
        if changed is not None:
            args, kwargs = changed
        return self._call(*args, **kwargs)


@contextmanager
def recordable(unet: nn.Module) -> Iterator[None]:
    """Within, ``unet.forward`` runs uncompiled and with separate queries and keys, so that its layers can be hooked.

    Raises ValueError for a UNet whose separate projections are gone.
    """
    with ExitStack() as stack:
        for module in unet.modules():
            if getattr(module, _COMPILED, None) is not None:
                stack.enter_context(_replaced(module, _COMPILED, None))
            original = getattr(vars(module).get("forward"), "_torchdynamo_orig_callable", None)
            if original is not None:
                stack.enter_context(_replaced(module, "forward", original))
        for name, layer in cross_attention_layers(unet).items():
            if getattr(layer, "fused_projections", False):
                stack.enter_context(_replaced(layer, "processor", _separate(unet, name, layer)))
        yield


def gradients_through(unet: nn.Module) -> Any:
    """The context for a backward pass through ``unet``: its weights may be quantised, or loaded under inference_mode.

    Raises NoGradient, in the first pass, for quantised weights that no right gradient passes through.
    """
    tensors = (*unet.parameters(), *unet.buffers())
    needed = any(value.is_inference() for value in tensors) or any(map(stored, unet.modules()))
    return differentiable(unet) if needed else nullcontext()


def _separate(unet: nn.Module, name: str, layer: nn.Module) -> Any:
    """The attention processor of a layer from before its keys and values were fused."""
    if not (hasattr(layer, "to_q") and hasattr(layer, "to_k")):
        raise ValueError(f"the projections of {name} are fused and the separate ones are gone")
    kept: Mapping[str, Any] = getattr(unet, "original_attn_processors", None) or {}
    known = kept.get(f"{name}.attn2.processor")
    if known is not None:
        return known
    from diffusers.models.attention_processor import AttnProcessor2_0

    return AttnProcessor2_0()


@contextmanager
def _replaced(module: nn.Module, name: str, value: Any) -> Iterator[None]:
    """An attribute of the module itself is another one within."""
    own = vars(module)
    before = own.get(name, _ABSENT)
    own[name] = value
    try:
        yield
    finally:
        if before is _ABSENT:
            del own[name]
        else:
            own[name] = before
