"""A second extension for the tests: looks into the running WebUI, and makes ToMe fail on request."""

import ctypes
import gc
import importlib
import resource
import sys
from pathlib import Path

import torch
from modules import processing, script_callbacks, scripts, sd_samplers_common, shared

_seen = {"comments": [], "texts": [], "stop_at": 0, "how": "interrupted", "calls": 0, "after": 0, "inner": 0}
_undo = []


class Probe(scripts.Script):
    def title(self):
        return "ToMe probe"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process(self, p, *args):
        _seen.update(comments=[], texts=[], calls=0, after=0)
        self.handle = _unet().register_forward_pre_hook(_count) if _seen["stop_at"] else None

    def postprocess_image(self, p, pp, *args):
        """A pass of its own on each finished image, as face detailers have it; its picture is thrown away."""
        if _seen["inner"] and not isinstance(p, processing.StableDiffusionProcessingImg2Img):
            inner = processing.StableDiffusionProcessingImg2Img(
                sd_model=p.sd_model,
                prompt="a yellow fish",
                steps=3,
                seed=5,
                sampler_name="Euler",
                width=p.width,
                height=p.height,
                init_images=[pp.image],
                denoising_strength=0.5,
                do_not_save_samples=True,
                do_not_save_grid=True,
            )
            processing.process_images(inner)

    def postprocess(self, p, processed, *args):
        if self.handle is not None:
            self.handle.remove()
        _seen["stop_at"] = 0
        _seen["comments"] = processed.comments.splitlines()
        _seen["texts"] = [len(processed.images), len(processed.infotexts)]


def _unet():
    """The loaded model's UNet, in a patcher or not; before the first job Forge has none."""
    objects = getattr(shared.sd_model, "forge_objects", None)
    model = getattr(shared.sd_model if objects is None else objects.unet, "model", None)
    return torch.nn.Module() if model is None else model.diffusion_model


def _count(*_):
    """Press the button when the model is called for the n-th time, and count the calls after that."""
    _seen["calls"] += 1
    if _seen["calls"] > _seen["stop_at"]:
        _seen["after"] += 1
    if _seen["calls"] == _seen["stop_at"]:
        setattr(shared.state, _seen["how"], True)


def _resident_kb():
    """The memory of the process, without what the allocator keeps; elsewhere than on Linux the highest value."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def _state():
    gc.collect()
    model = _unet()
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())
    own = sum("forward" in vars(m) for m in model.modules())
    callbacks = sum(len(v) for k, v in vars(script_callbacks).items() if k == "callback_map" for v in v.values())
    tensors = [one for one in gc.get_objects() if isinstance(one, torch.Tensor)]
    held = [*model.parameters(), *model.buffers()]
    frozen = sum(not parameter.requires_grad for parameter in model.parameters())
    return {
        "hooks": hooks,
        "own_forwards": own,
        "callbacks": callbacks,
        "tensors": len(tensors),
        "bytes": sum(one.nbytes for one in tensors),
        "frozen": frozen,
        "inference": sum(one.is_inference() for one in held),
        "resident_kb": _resident_kb(),
        "jobs": sum(
            type(one).__name__ == "Job" and type(one).__module__.startswith("tome") for one in gc.get_objects()
        ),
        **_seen,
    }


def _break(what: str, times: int = 10**9, error: str = "RuntimeError"):
    """Make a function of the extension raise for the next ``times`` calls; an empty name mends everything."""
    for module, name, function in _undo:
        setattr(module, name, function)
    _undo.clear()
    if what:
        module, name = what.rsplit(".", 1)
        module = importlib.import_module(module)
        function = getattr(module, name)
        kinds = {"memory": torch.cuda.OutOfMemoryError, "interrupt": sd_samplers_common.InterruptedException}
        left = [times]

        def broken(*args, **kwargs):
            if left[0]:
                left[0] -= 1
                if error == "nothing":
                    return None
                raise kinds.get(error, RuntimeError)("broken by the test")
            return function(*args, **kwargs)

        _undo.append((module, name, function))
        setattr(module, name, broken)
    return {}


def _stop(at: int, how: str = "interrupted"):
    _seen.update(stop_at=at, how=how)
    return {}


def _inner(on: int):
    _seen.update(inner=on)
    return {}


def _routes(demo, app):
    app.get("/probe/state")(_state)
    app.get("/probe/break")(_break)
    app.get("/probe/stop")(_stop)
    app.get("/probe/inner")(_inner)


script_callbacks.on_app_started(_routes)
