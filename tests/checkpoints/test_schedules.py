"""Schedules that models were made for."""

import numpy as np
import pytest
import torch

from iclora.checkpoints import dev_sigmas
from tests.released import scheduler


@pytest.mark.parametrize("num_steps", [2, 30, 40])
def test_dev_sigmas_are_those_of_diffusers_at_4096_tokens(num_steps: int) -> None:
    theirs = scheduler(distilled=False)
    theirs.set_timesteps(sigmas=np.linspace(1.0, 1 / num_steps, num_steps), mu=2.05)
    ours = dev_sigmas(num_steps)
    assert ours[0] == 1 and ours[-1] == 0 and ours[-2] == pytest.approx(0.1)
    torch.testing.assert_close(torch.tensor(ours), theirs.sigmas, rtol=0, atol=1e-6)
