"""Part of the probe: how long sampling takes, and how many operations it is."""

import time

from modules import script_callbacks, scripts, shared

_asked = {"count": False}
_found = {"seconds": [], "flops": []}


class Probe(scripts.Script):
    def title(self):
        return "ToMe clock"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process_before_every_sampling(self, p, *args, **kwargs):
        self.meter = None
        if _asked["count"]:
            from tome_ext.cost.meter import Meter  # a WebUI without the extension has the probe, too

            self.meter = Meter([shared.sd_model])
            self.meter.__enter__()
        self.start = time.perf_counter()

    def post_sample(self, p, ps, *args):
        _found["seconds"].append(time.perf_counter() - self.start)
        if self.meter:
            self.meter.__exit__(None, None, None)
            _found["flops"].append(self.meter.flops)


def _clock(count: bool = False):
    """What was found since the last call; from now on with operations counted, or without, which is quicker."""
    _asked["count"] = count
    found = {name: [*values] for name, values in _found.items()}
    for values in _found.values():
        values.clear()
    return found


def _routes(demo, app):
    app.get("/probe/clock")(_clock)


script_callbacks.on_app_started(_routes)
