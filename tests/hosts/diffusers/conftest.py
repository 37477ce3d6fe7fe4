from __future__ import annotations

import pytest

from tests.hosts.diffusers.sampling import quiet
from tome_ext.embedded.random_model import random_pipeline, random_pipeline_sd15


@pytest.fixture(scope="session")
def sdxl():
    return quiet(random_pipeline())


@pytest.fixture(scope="session")
def sd15():
    return quiet(random_pipeline_sd15())
