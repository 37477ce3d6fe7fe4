"""In a real WebUI: gradients are right, and our passes predict what the host itself would."""

from __future__ import annotations

import pytest

from tests.hosts.webui.running.server import ASKED, CHECKPOINTS, HOST

pytestmark = pytest.mark.webui

FORGE = HOST in ("forge", "reforge", "neo")
LORA = {name: f"a red cat and a blue dog <lora:{CHECKPOINTS[f'{name}-lora']}:1>" for name in ("sdxl", "sd15")}
TITLE = "FreeU Integrated" + (" (SD 1.x, SD 2.x, SDXL)" if HOST == "forge" else "")
FREEU = {"alwayson_scripts": {TITLE: {"args": [True, 1.1, 1.2, 0.9, 0.2, *([0.0, 1.0] if HOST == "forge" else [])]}}}
CASES = {
    "SDXL": ("sdxl", {}),
    "SDXL, LoRA": ("sdxl", {"prompt": LORA["sdxl"]}),
    "SD1.5": ("sd15", {}),
    "SD1.5, LoRA": ("sd15", {"prompt": LORA["sd15"]}),
    "SD1.5 inpainting model": ("sd15-inpainting", {}),
    **({"SD1.5 in GGUF": ("sd15-gguf", {})} if HOST == "neo" else {}),
    "SDXL, DDIM": ("sdxl", {"sampler_name": "DDIM"}),
    "SDXL, tomesd": ("sdxl", {"options": {"token_merging_ratio": 0.5}}),
    **({"SDXL, FreeU": ("sdxl", FREEU)} if HOST in ("forge", "reforge") else {}),
    **({"SDXL, ControlNet": ("sdxl", {"control": 2.0})} if FORGE else {}),
}
FLAGS = {
    "neo": ["--bf16-unet", "--fp8_e4m3fn-unet"],
    "forge": ["--unet-in-bf16", "--unet-in-fp8-e4m3fn"],
    "reforge": ["--unet-in-bf16", "--unet-in-fp8-e4m3fn"],
}.get(HOST, [])
COMPARED = [
    *(("", case, "gradient") for case in CASES),
    *(("", case, "checkpointed") for case in ("SDXL", "SD1.5")),
    *((flags, case, "gradient") for flags in FLAGS for case in ("SDXL", "SDXL, LoRA")),
]
KEPT = ("hooks", "own_forwards", "frozen", "inference", "callbacks", "jobs")


def asked(webui, what, checkpoint, control=0.0, options=None, **more):
    """A job of which the probe looks at the first model call; the one after it is as if nothing had happened."""
    if not webui.has(checkpoint):
        pytest.skip(f"the host has no {checkpoint}")
    webui.load(checkpoint)
    small = {"width": 128, "height": 128, **ASKED, "steps": 2, **more}
    with webui.options(options or {}):
        try:
            webui.probe("ask", control=control)
            plain, before = webui.make(**small), webui.probe()
            webui.probe("ask", what=what, control=control)
            webui.make(**small)
            found, after = webui.probe("found"), webui.probe()
            webui.probe("ask", control=control)
            assert webui.make(**small) == plain
            assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
            if control:
                webui.probe("ask")
                assert webui.make(**small) != plain, "the control did nothing"
        finally:
            webui.probe("ask")
    return found


@pytest.mark.parametrize("case", CASES)
def test_our_prediction_is_the_host_s_own(servers, case):
    checkpoint, more = CASES[case]
    found = asked(servers(), "prediction", checkpoint, cfg_scale=1, **more)
    assert found["difference"] <= 1e-4 * found["size"]


@pytest.mark.parametrize(("flags", "case", "what"), COMPARED)
def test_gradients_agree_with_finite_differences(servers, flags, case, what):
    checkpoint, more = CASES[case]
    found = asked(servers(flags), what, checkpoint, **more)
    assert set(found) == {"text", "one token", "two rows", "latents"}
    for name, of in found.items():
        slope, difference, _ = of["along"]
        assert slope == pytest.approx(difference, rel=1e-3), name
        if "random" in of:
            slope, difference, typical = of["random"]
            assert slope == pytest.approx(difference, abs=0.03 * typical), name
