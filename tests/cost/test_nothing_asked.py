"""What is paid when nothing, or only merging, is asked for."""

from __future__ import annotations

import subprocess
import sys

import torch

from tests.counting import Operations
from tome_ext.method.merging import Composite, merge, merged_ends, substitute_end_tokens


def test_merging_and_end_token_substitution_are_a_few_small_operations():
    """SDXL's width, a prompt of three chunks, four objects: nothing is multiplied as in a network's layers."""
    conditioning, clean = torch.randn(231, 2048), torch.randn(77, 2048)
    parts = [Composite(p, tuple((1.0, p + k) for k in range(4))) for p in (3, 12, 80, 160)]
    with Operations() as done:
        merged, _ = merge(conditioning, parts)
        substitute_end_tokens(merged, merged_ends((40, 40, 40), parts), clean, (8,))
    assert len(done.names) < 300
    assert not {"mm", "bmm", "addmm", "matmul", "convolution"} & set(done.names)
    assert done.elements < 30 * conditioning.numel()


def test_counting_is_not_imported_by_what_hosts_need():
    code = "import sys; import tome_ext.method.composition, tome_ext.method.refine; "
    code += "print([name for name in sys.modules if name.startswith(('diffusers', 'transformers', 'tome_ext.cost'))])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
