"""Nodes and routes for the tests alone: a ControlNet of the embedded model's size, failures, memory."""

import gc
import importlib

import comfy.cldm.cldm
import comfy.controlnet
import comfy.ops
import psutil
import torch
from aiohttp import web
from server import PromptServer

_broken = []


class RandomControlNet:
    """A ControlNet with random weights."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "load", ("CONTROL_NET",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def load(self):
        from tome_ext.hosts.comfyui.shapes import _UNET

        left = ("out_channels", "transformer_depth_output", "use_temporal_attention")
        config = {name: value for name, value in _UNET.items() if name not in left}
        torch.manual_seed(0)
        net = comfy.cldm.cldm.ControlNet(
            **config, hint_channels=3, device="cpu", operations=comfy.ops.disable_weight_init
        )
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        return (comfy.controlnet.ControlNet(net, load_device=torch.device("cpu")),)


class FakeQuantised:
    """A model whose UNet has one weight of whole numbers."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "make", ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    def make(self, model):
        import copy

        made = model.clone()
        made.model = copy.copy(model.model)
        made.model._modules = dict(model.model._modules)
        unet = copy.copy(model.model.diffusion_model)
        unet._parameters = {"extra": torch.nn.Parameter(torch.zeros(2, dtype=torch.int8), requires_grad=False)}
        made.model._modules["diffusion_model"] = unet
        return (made,)


@PromptServer.instance.routes.post("/tome_test/break")
async def _break(request):
    """Have a function of the extension fail: ``what`` is its dotted name, empty to mend all."""
    what = (await request.json())["what"]
    while _broken:
        module, name, original = _broken.pop()
        setattr(module, name, original)
    if what:
        path, name = what.rsplit(".", 1)
        module = importlib.import_module(path)

        def fail(*args, **kwargs):
            raise RuntimeError("broken by the test")

        _broken.append((module, name, getattr(module, name)))
        setattr(module, name, fail)
    return web.json_response({})


@PromptServer.instance.routes.get("/tome_test/memory")
async def _memory(request):
    """What the process holds."""
    gc.collect()
    tensors = [one for one in gc.get_objects() if isinstance(one, torch.Tensor)]
    return web.json_response(
        {
            "tensors": len(tensors),
            "bytes": sum(one.untyped_storage().nbytes() for one in tensors if one.layout == torch.strided),
            "rss": psutil.Process().memory_info().rss,
        }
    )


NODE_CLASS_MAPPINGS = {"Probe_ControlNet": RandomControlNet, "Probe_Quantised": FakeQuantised}
