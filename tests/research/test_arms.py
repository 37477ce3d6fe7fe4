from __future__ import annotations

import pytest

from tome_ext.research.arms import FAST, settings_for
from tome_ext.research.experiments import experiment
from tome_ext.research.world.prompts import Prompt

UNMERGED = [arm for arm in experiment("ablation").arms if arm.unmerged]


@pytest.mark.parametrize("arm", UNMERGED, ids=lambda arm: arm.name)
def test_without_known_groups_there_is_no_arm_without_merging(arm):
    with pytest.raises(ValueError, match=f"{arm.name[0]} entropy.*a red book"):
        settings_for(arm, Prompt("a red book", "x"))
    assert settings_for(arm, Prompt("a red book", "x", (), "a book", "book: red")).groups == 'book + 0*"book"'


def test_other_arms_read_the_prompt():
    assert settings_for(FAST, Prompt("a red book", "x")) == FAST.settings
