"""Part of the probe: where the host's sampler steps from, and what it is given there, call by call."""

import torch
from modules import script_callbacks, sd_samplers_cfg_denoiser

_watched = {"on": False, "steps": []}
_forward = sd_samplers_cfg_denoiser.CFGDenoiser.forward


def _watch(self, x, sigma, *args, **kwargs):
    if not _watched["on"]:
        return _forward(self, x, sigma, *args, **kwargs)
    inner, calls = self.inner_model, []
    model = inner.forward

    def predict(given, *rest, **more):
        made = model(given, *rest, **more)
        calls.append((given.clone(), made.clone()))
        return made

    inner.forward = predict
    start = x.clone()
    try:
        denoised = _forward(self, x, sigma, *args, **kwargs)
    finally:
        del inner.forward
    # Predictions of our own come before the host's, which is one of all rows.
    _watched["steps"].append((start, float(sigma[0]), *calls[-1], denoised.clone(), kwargs["cond_scale"]))
    return denoised


def _found():
    """For each model call how far its latents were moved, and how far the guided x0 is from where it belongs.

    It belongs where the noise that was predicted leads from the sampler's own latents; ``left``: how far away that is
    from x0 as the model made it; ``drift``: how far a call's latents are from where Euler's step ends.
    """
    found = []
    for number, (start, sigma, given, made, denoised, scale) in enumerate(_watched["steps"]):
        own = torch.cat([start, start])
        corrected, plain = (_guided(rows, scale) for rows in (made + (own - given), made))
        one = {"moved": _most(given - own), "off": _most(denoised - corrected), "left": _most(plain - corrected)}
        if number + 1 < len(_watched["steps"]):
            then, level, *_ = _watched["steps"][number + 1]
            one["drift"] = _most(then - (start + (start - denoised) / sigma * (level - sigma)))
        found.append({**one, "size": _most(denoised)})
    _watched.update(on=False, steps=[])
    return found


def _guided(rows, scale):
    positive, negative = rows.chunk(2)
    return negative + scale * (positive - negative)


def _most(difference):
    return float(difference.abs().max())


def _begin():
    _watched.update(on=True, steps=[])
    return {}


def _routes(demo, app):
    app.get("/probe/watch")(_begin)
    app.get("/probe/steps")(_found)


sd_samplers_cfg_denoiser.CFGDenoiser.forward = _watch
script_callbacks.on_app_started(_routes)
