"""Part of the probe: compares gradients with finite differences, and our predictions with the host's own."""

import contextlib
import itertools

import torch
from modules import script_callbacks, scripts, shared

_asked = {"what": "", "control": 0.0}
_found = {}
_ours = {}


class Probe(scripts.Script):
    def title(self):
        return "ToMe gradient probe"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process_before_every_sampling(self, p, *args, **kwargs):
        if _asked["control"]:
            unet = shared.sd_model.forge_objects.unet.clone()
            unet.add_patched_controlnet(Control(_asked["control"]))
            shared.sd_model.forge_objects.unet = unet


class Control:
    """A ControlNet as the host sees one: its weight is an inference tensor, and it computes with the text."""

    def __init__(self, strength):
        self.weight = torch.full((1,), strength)
        assert self.weight.is_inference()
        self.previous_controlnet = self.transformer_options = None
        self.calls = []

    def set_previous_controlnet(self, other):
        self.previous_controlnet = other

    def inference_memory_requirements(self, dtype):
        return 0

    def get_models(self):
        return []

    def pre_run(self, *args):
        return None

    def cleanup(self):
        return None

    def get_control(self, x, t, cond, count, *options):
        assert len(cond["c_crossattn"]) == len(x)
        size = [-(-side // 4) for side in x.shape[-2:]]  # SDXL's middle block, whatever its width
        slope = torch.linspace(0, 1, size[1])
        # The text decides nothing, so that finite differences show the gradient that we mean to have.
        shift = self.weight * (1 + 0 * cond["c_crossattn"].float().mean())
        return {"input": [], "middle": [(shift * slope).expand(len(x), 1, *size) + 0.0], "output": []}


def _denoise(params):
    """At the first model call of a job."""
    if not _asked["what"] or params.denoiser.step:
        return
    from tome_ext.hosts.webui.backends.detect import host_for
    from tome_ext.method.backward.autograd import ordinary

    what, _asked["what"] = _asked["what"], ""
    _found.clear()
    with ordinary():
        host = host_for(shared.sd_model)
        call = host.call(params)
        step = call.step(0, 0, None if call.vector is None else call.vector[0])
        if what == "prediction":
            with host.gradient():
                noise = step.predict(step.latents, call.context[:1].float(), [0]).detach()
            x0 = params.x[:1].float() - params.sigma[:1].float()[:, None, None, None] * noise
            _ours.update(made=noise if type(call).__name__ == "TimestepCall" else x0)
        else:
            _found.update(_differences(host, step, call.context[:1].float(), checkpointed=what == "checkpointed"))


def _differences(host, step, context, checkpointed):
    """The slope along a direction by gradient and by finite differences: of the text, one token, and the latents."""
    from tome_ext.method.backward.checkpointing import checkpointed as recompute

    generator = torch.Generator().manual_seed(0)
    found = {}

    def compare(name, point, predict):
        def loss(at):
            return predict(at).double().square().sum()

        leaf = point.clone().requires_grad_()
        kept = recompute(step.unet) if checkpointed else contextlib.nullcontext()
        with host.gradient(), torch.enable_grad(), kept:
            gradient = torch.autograd.grad(loss(leaf), leaf)[0]

        def differences(direction, h):
            def at(size):
                with torch.no_grad():
                    return float(loss(point + size * direction))

            return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)

        def slope_by_differences(direction):
            """Of several step sizes the one that agrees best with the next: large ones curve, small ones round."""
            tried = [differences(direction, h) for h in (5e-3, 2.5e-3, 1.2e-3, 6e-4, 3e-4)]
            return min(itertools.pairwise(tried), key=lambda pair: abs(pair[0] - pair[1]))[1]

        # Along the gradient the slope stands out most from the rounding of float32; a random one sees what is missing.
        random = torch.randn(point.shape, generator=generator).to(point)
        size = float(point.norm())
        found[name] = {}
        directions = {"along": gradient, "random": random} if name in ("text", "latents") else {"along": gradient}
        for kind, direction in directions.items():
            direction = direction * size / direction.norm()
            slope = float((gradient * direction).sum())
            typical = float(gradient.norm()) * size / point.numel() ** 0.5
            found[name][kind] = [slope, slope_by_differences(direction), typical]

    compare("text", context, lambda one: step.predict(step.latents, one, [0]))
    compare("one token", context[:, 3:4].contiguous(), lambda one: step.predict(step.latents, one, [0]))
    two = step.latents.expand(2, -1, -1, -1)
    compare("two rows", torch.cat([context, context.roll(1, 1)]), lambda one: step.predict(two, one, [0, 0]))
    compare("latents", step.latents.clone(), lambda one: step.predict(one, context, [0]))
    return found


def _after(params):
    if _ours:
        ours = _ours.pop("made")
        theirs = params.x[:1].float()
        _found.update(difference=float((ours - theirs).abs().max()), size=float(theirs.abs().max()))


def _ask(what="", control=0.0):
    _asked.update(what=what, control=float(control))
    return {}


def _routes(demo, app):
    app.get("/probe/ask")(_ask)
    app.get("/probe/found")(lambda: _found)


script_callbacks.on_cfg_denoiser(_denoise)
script_callbacks.on_cfg_after_cfg(_after)
script_callbacks.on_app_started(_routes)
