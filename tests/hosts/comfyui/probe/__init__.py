"""Nodes and routes for the tests alone: a ControlNet of the embedded model's size, failures, memory."""

import copy
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
_SCALE = 256


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


class Unpacks(comfy.ops.disable_weight_init.Linear):
    """Whole numbers that become floats for each call."""

    def forward(self, given):
        return torch.nn.functional.linear(given, self.weight.to(given.dtype) / _SCALE, self.bias)


class Rounds(comfy.ops.disable_weight_init.Linear):
    """A product of whole numbers: no gradient passes."""

    @torch.no_grad()
    def forward(self, given):
        size = given.abs().amax(-1, keepdim=True).clamp(min=1e-6) / 127
        product = (given / size).round() @ self.weight.to(given.dtype).T
        return product * size / _SCALE + (0 if self.bias is None else self.bias)


class Quantised:
    """A model whose UNet has some weights of whole numbers."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "make", ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "weights": (["Unpacks", "Rounds"],)}}

    def make(self, model, weights):
        made = model.clone()
        made.model = copy.deepcopy(model.model)
        for name, layer in made.model.diffusion_model.named_modules():
            if name.endswith(".to_k"):
                codes = (layer.weight.detach() * _SCALE).round().clamp(-127, 127).to(torch.int8)
                layer.weight = torch.nn.Parameter(codes, requires_grad=False)
                layer.__class__ = {"Unpacks": Unpacks, "Rounds": Rounds}[weights]
        return (made,)


class LatentPicture:
    """Three channels of latents as a picture, for those that no small autoencoder decodes."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "make", ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"samples": ("LATENT",)}}

    def make(self, samples):
        return (samples["samples"][:, :3].movedim(1, -1).float().cpu().div(8).add(0.5).clamp(0, 1),)


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


@PromptServer.instance.routes.post("/tome_test/checkpoint")
async def _checkpoint(request):
    """Write a small checkpoint of a ``kind``; its name."""
    from .checkpoints import write

    return web.json_response({"name": write((await request.json())["kind"])})


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


NODE_CLASS_MAPPINGS = {
    "Probe_ControlNet": RandomControlNet,
    "Probe_Quantised": Quantised,
    "Probe_LatentPicture": LatentPicture,
}
