import pytest
import torch

from pipeline.methods.bilevel.losses import calibrated_bias


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5, 0.93])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (46.0, 5.0), (-30.0, 0.1)])
def test_the_mean_probability_hits_the_rate(rate, shift, scale):
    logits = shift + scale * torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    bias = calibrated_bias(logits, rate)
    assert torch.sigmoid(logits.double() + bias).mean().item() == pytest.approx(rate, rel=1e-6)


def test_by_hand():
    assert calibrated_bias(torch.zeros(3), 0.5) == pytest.approx(0, abs=1e-9)
    assert calibrated_bias(torch.tensor([2.0]), 0.25) == pytest.approx(-2 - torch.tensor(3.0).log().item())
