from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from winograd.accuracy.formats import float_format
from winograd.accuracy.measuring.sums import sum_channels
from winograd.accuracy.protocol import ChannelSum, Experiment
from winograd.codegen.interpret import Contraction


def sum_ref(products: NDArray[Any], experiment: Experiment) -> Any:
    """One number at a time, from the definition; for products that are exact in their dtype."""

    def add(part: list[Any]) -> Any:
        if len(part) == 1:
            return part[0]
        if experiment.channel_sum is ChannelSum.SEQUENTIAL:
            return add(part[:-1]) + part[-1]
        first = len(part) - len(part) // 2
        return add(part[:first]) + add(part[first:])

    size = experiment.channel_block or len(products)
    sums = [add(list(products[start : start + size])) for start in range(0, len(products), size)]
    total = sums[0]
    for part in sums[1:]:
        total = total + part
    return total


@given(
    st.integers(1, 40),
    st.none() | st.integers(1, 50),
    st.sampled_from(ChannelSum),
    st.sampled_from(Contraction),
    st.sampled_from(["float16", "bfloat16", "float32"]),
)
def test_sums_are_the_definition_bit_for_bit(
    channels: int, block: int | None, order: ChannelSum, contraction: Contraction, dtype: str
) -> None:
    kind = float_format(dtype).dtype
    u = np.random.default_rng(channels).uniform(-1, 1, (channels, 1)).astype(kind)
    v = np.ones_like(u)  # the products are exact, so fused or not is the same
    experiment = Experiment("any", channels, channel_block=block, channel_sum=order, contraction=contraction)
    total = sum_channels(u, v, experiment)
    assert total.dtype == kind
    assert total[0] == sum_ref(u[:, 0], experiment)


def test_channel_sums_round_as_the_experiment_says() -> None:
    big = np.float32(2**24)
    u = np.array([[big], [1], [1], [1]], dtype=np.float32)
    v = np.ones_like(u)
    assert sum_channels(u, v, Experiment("running", channels=4)).item() == big
    assert sum_channels(u, v, Experiment("blocks", channels=4, channel_block=2)).item() == big + 2
    pairs = Experiment("pairs", channels=4, channel_sum=ChannelSum.PAIRWISE)
    assert sum_channels(u, v, pairs).item() == big + 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_fused_sums_round_once(dtype: str) -> None:
    fmt = float_format(dtype)
    small = 2.0 ** -((fmt.digits + 1) // 2)  # its square is lost beside 1
    u = np.array([[1], [1 + small]]).astype(fmt.dtype)
    v = np.array([[-1 - 2 * small], [1 + small]]).astype(fmt.dtype)
    fused = Experiment("fused", channels=2, contraction=Contraction.FUSED)
    assert float(sum_channels(u, v, fused)[0]) == small**2
    assert float(sum_channels(u, v, Experiment("separate", channels=2))[0]) == 0


def test_pairwise_products_round_by_themselves() -> None:
    small = np.float32(2**-12)
    u = np.array([[1], [1 + small]], dtype=np.float32)
    v = np.array([[-1 - 2 * small], [1 + small]], dtype=np.float32)
    pairs = Experiment("pairs", channels=2, contraction=Contraction.FUSED, channel_sum=ChannelSum.PAIRWISE)
    assert sum_channels(u, v, pairs).item() == 0
