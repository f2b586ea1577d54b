"""conv1d, conv2d and conv3d: torch's arguments, results and errors; NumPy arrays without torch."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from winograd import conv1d, conv2d, conv3d, nest, toom_cook
from winograd.conv.choosing.prediction import default_tolerance
from winograd.conv.reference.arrays import Array
from winograd.conv.reference.convolve import direct_ref

OURS: dict[int, Callable[..., Any]] = {1: conv1d, 2: conv2d, 3: conv3d}
TORCHS: dict[int, Callable[..., Any]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
F23 = toom_cook(2, 3)
F23_3D = nest(F23, F23, F23)

INPUT = torch.linspace(-1, 1, 2 * 4 * 5 * 6 * 7).reshape(2, 4, 5, 6, 7)
WEIGHT = torch.linspace(-1, 1, 6 * 4 * 27).reshape(6, 4, 3, 3, 3)
BIAS = torch.arange(6.0)

RIGHT: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "plain": ((INPUT, WEIGHT, BIAS), {}),
    "unbatched": ((INPUT[0], WEIGHT, BIAS), {"padding": 1}),
    "batch 0": ((INPUT[:0], WEIGHT), {}),
    "channels 0": ((INPUT[:, :0], WEIGHT[:, :0]), {}),
    "stride": ((INPUT, WEIGHT), {"stride": 2}),
    "dilation": ((INPUT, WEIGHT), {"dilation": (1, 2, 3), "padding": 2}),
    "groups": ((INPUT, WEIGHT[:, :2], BIAS), {"groups": 2}),
    "depthwise": ((INPUT, WEIGHT[:4, :1]), {"groups": 4, "padding": 1}),
    "even kernel": ((INPUT, WEIGHT[..., :2]), {}),
    "same": ((INPUT, WEIGHT), {"padding": "same"}),
    "same, even kernel": ((INPUT, WEIGHT[..., :2, :2, :2]), {"padding": "same"}),
    "valid": ((INPUT, WEIGHT), {"padding": "valid"}),
    "padding larger than kernel": ((INPUT, WEIGHT), {"padding": (4, 5, 6)}),
    "padding larger than input": ((INPUT, WEIGHT), {"padding": 9}),
    "one tap": ((INPUT, WEIGHT[..., :1, :1, :1]), {}),
    "large kernel": ((INPUT, torch.ones(2, 4, 7, 7, 7)), {"stride": 2, "padding": 3}),
    "list arguments": ((INPUT, WEIGHT), {"stride": [1], "padding": [1, 0, 1]}),
    "float64": ((INPUT.double(), WEIGHT.double()), {}),
    "int64": (((10 * INPUT).long(), (10 * WEIGHT).long()), {}),
    "complex64": ((INPUT.cfloat(), 1j * WEIGHT.cfloat()), {}),
    "bfloat16": ((INPUT.bfloat16(), WEIGHT.bfloat16()), {}),
    "non-contiguous": ((INPUT.transpose(2, 4), WEIGHT.transpose(3, 4)), {}),
    "expanded": ((INPUT[:, :1].expand(2, 4, 5, 6, 7), WEIGHT), {}),
    "flipped": ((INPUT.flip(-1), WEIGHT), {}),
    "sliced": ((INPUT[..., ::2], WEIGHT), {"padding": 1}),
}


@pytest.mark.parametrize("case", RIGHT)
def test_results_are_those_of_torch(case: str) -> None:
    arguments, options = RIGHT[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch on even kernels with 'same'
        ours, torchs = conv3d(*arguments, **options), torch.conv3d(*arguments, **options)
    assert (ours.dtype, ours.shape, ours.stride()) == (torchs.dtype, torchs.shape, torchs.stride())
    if case == "float64":  # a native kernel, and torch's own rounding
        assert (ours - torchs).norm() <= 2 * default_tolerance("float64") * torchs.norm()
    else:
        assert torch.equal(ours, torchs)  # all of these go to torch itself


WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "3-D input": ((INPUT[0, 0], WEIGHT), {}),
    "6-D input": ((INPUT[None], WEIGHT), {}),
    "channels": ((INPUT[:, :3], WEIGHT), {}),
    "weight of another rank": ((INPUT, WEIGHT[0]), {}),
    "bias of another size": ((INPUT, WEIGHT, torch.zeros(5)), {}),
    "bias of another rank": ((INPUT, WEIGHT, torch.zeros(6, 1)), {}),
    "input smaller than kernel": ((INPUT[..., :2], WEIGHT), {}),
    "no weight": ((INPUT, WEIGHT[:0]), {}),
    "spatial 0": ((INPUT[..., :0], WEIGHT), {"padding": 2}),
    "dtype of weight": ((INPUT, WEIGHT.double()), {}),
    "dtype of bias": ((INPUT, WEIGHT, BIAS.double()), {}),
    "groups": ((INPUT, WEIGHT), {"groups": 3}),
    "no groups": ((INPUT, WEIGHT), {"groups": 0}),
    "stride 0": ((INPUT, WEIGHT), {"stride": 0}),
    "stride of two": ((INPUT, WEIGHT), {"stride": (1, 2)}),
    "dilation 0": ((INPUT, WEIGHT), {"dilation": 0}),
    "negative padding": ((INPUT, WEIGHT), {"padding": -1}),
    "fractional padding": ((INPUT, WEIGHT), {"padding": 1.5}),
    "same with stride": ((INPUT, WEIGHT), {"padding": "same", "stride": 2}),
    "unknown padding": ((INPUT, WEIGHT), {"padding": "full"}),
    "weight is an array": ((INPUT, WEIGHT.numpy()), {}),
    "weight is None": ((INPUT, None), {}),
}


def positional(
    input: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[Any, ...]:
    """All arguments in order: torch lists them in some of its messages."""
    return input, weight, bias, stride, padding, dilation, groups


@pytest.mark.parametrize("algorithm", [None, F23_3D], ids=["planned", "forced"])
@pytest.mark.parametrize("case", WRONG)
def test_errors_are_those_of_torch(case: str, algorithm: Any) -> None:
    arguments, options = WRONG[case]
    with pytest.raises((RuntimeError, TypeError, ValueError)) as torchs:
        torch.conv3d(*positional(*arguments, **options))
    with pytest.raises(torchs.type, match=re.escape(str(torchs.value))):
        conv3d(*arguments, **options, algorithm=algorithm)


def test_an_input_that_is_no_tensor_is_refused_by_torch() -> None:
    with pytest.raises(TypeError, match="conv3d"):
        conv3d([1.0], WEIGHT)  # type: ignore[type-var]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_forced_algorithm_with_gradients_gives_those_of_torch(ndim: int) -> None:
    generator = torch.Generator().manual_seed(0)
    input_ = torch.randn(2, 3, *(7, 6, 5)[:ndim], dtype=torch.float64, generator=generator).requires_grad_()
    weight = torch.randn(4, 3, *(3,) * ndim, dtype=torch.float64, generator=generator).requires_grad_()
    bias = torch.randn(4, dtype=torch.float64, generator=generator).requires_grad_()
    ours = OURS[ndim](input_, weight, bias, padding="same", algorithm=nest(*[F23] * ndim))
    torchs = TORCHS[ndim](input_, weight, bias, padding="same")
    # Sums of 3 * 3**ndim products of order 1, computed in two orders in float64: far below 1e-12.
    torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)
    cotangent = torch.randn(ours.shape, dtype=torch.float64, generator=generator)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (input_, weight, bias), cotangent),
        torch.autograd.grad(torchs, (input_, weight, bias), cotangent),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("wanted", [(), ("input",), ("weight",), ("input", "bias")])
def test_gradients_reach_those_who_asked(wanted: tuple[str, ...]) -> None:
    tensors = {"input": INPUT.double(), "weight": WEIGHT.double(), "bias": BIAS.double()}
    leaves = {name: tensor.clone().requires_grad_(name in wanted) for name, tensor in tensors.items()}
    output = conv3d(*leaves.values(), algorithm=F23_3D)
    assert output.requires_grad == bool(wanted)
    if wanted:
        output.sum().backward()
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            output.sum().backward()
    assert {name for name, leaf in leaves.items() if leaf.grad is not None} == set(wanted)


def test_a_forced_algorithm_must_fit() -> None:
    with pytest.raises(NotImplementedError, match=r"stride \(2, 2, 2\).*must be for \(2, 2, 2\).*leave algorithm out"):
        conv3d(INPUT, WEIGHT, stride=2, algorithm=F23_3D)
    with pytest.raises(NotImplementedError, match=r"groups 2.*must be for \(3, 3, 2\)"):
        conv3d(INPUT, WEIGHT[:, :2, ..., :2], groups=2, algorithm=F23_3D)
    with pytest.raises(NotImplementedError, match=r"dtype int64.*leave algorithm out"):
        conv3d(INPUT.long(), WEIGHT.long(), algorithm=F23_3D)
    with pytest.raises(ValueError, match="1 axes, must have 3"):
        conv3d(INPUT, WEIGHT, algorithm=F23)
    with pytest.raises(ValueError, match=r"for taps \(3, 3, 3\), the weight has \(3, 3, 2\)"):
        conv3d(INPUT, WEIGHT[..., :2], algorithm=F23_3D)
    with pytest.raises(TypeError, match="must be a BilinearAlgorithm"):
        conv3d(INPUT, WEIGHT, algorithm="F(2,3)")


@pytest.mark.parametrize("tolerance", [0, -1e-5, float("nan")])
def test_a_tolerance_is_above_zero(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance is"):
        conv3d(INPUT, WEIGHT, tolerance=tolerance)
    with pytest.raises(ValueError, match="tolerance is"):
        conv3d(INPUT.numpy(), WEIGHT.numpy(), tolerance=tolerance)


FORCED: dict[str, tuple[tuple[torch.Tensor, ...], dict[str, Any]]] = {
    name: (tuple(tensor.double() for tensor in arguments), options)
    for name, (arguments, options) in RIGHT.items()
    if name in {"plain", "unbatched", "same", "valid", "padding larger than kernel", "padding larger than input"}
    or name in {"non-contiguous", "expanded", "flipped", "sliced", "batch 0", "channels 0"}
}


@pytest.mark.parametrize("case", FORCED)
def test_a_forced_algorithm_gives_what_torch_gives(case: str) -> None:
    arguments, options = FORCED[case]
    ours, torchs = conv3d(*arguments, **options, algorithm=F23_3D), torch.conv3d(*arguments, **options)
    # 108 products of at most 1: |y| <= 108 + 5; float64 rounds at 1e-16 of that, times the growth of F(2,3)^3 (< 1e3).
    torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-11)
    assert ours.stride() == torchs.stride()


def test_complex_numbers_may_be_forced() -> None:
    input_, weight = torch.complex(INPUT, -INPUT).to(torch.complex128), torch.complex(WEIGHT, 2 * WEIGHT).cdouble()
    # As above, times |1 - i| |1 + 2i| < 4.
    torch.testing.assert_close(
        conv3d(input_, weight, algorithm=F23_3D), torch.conv3d(input_, weight), rtol=0, atol=4e-11
    )


@pytest.mark.parametrize("which", ["input", "weight", "both"])
def test_channels_last_is_kept(which: str) -> None:
    last = torch.channels_last_3d
    input_ = INPUT.double().contiguous(memory_format=last if which != "weight" else torch.contiguous_format)
    weight = WEIGHT.double().contiguous(memory_format=last if which != "input" else torch.contiguous_format)
    output = conv3d(input_, weight, algorithm=F23_3D)
    assert output.is_contiguous(memory_format=last)
    assert not output.is_contiguous()


@pytest.mark.parametrize("algorithm", [None, F23_3D], ids=["planned", "forced"])
def test_tensors_without_values_have_shapes(algorithm: Any) -> None:
    meta = conv3d(INPUT.to("meta"), WEIGHT.to("meta"), padding=1, algorithm=algorithm)
    assert (meta.device.type, meta.shape) == ("meta", (2, 6, 5, 6, 7))
    with FakeTensorMode():
        fake = conv3d(torch.empty(2, 4, 5, 6, 7), torch.empty(6, 4, 3, 3, 3), algorithm=algorithm)
    assert fake.shape == (2, 6, 3, 4, 5)


def test_vmap_and_forward_mode_give_what_torch_gives() -> None:
    images, tangent = INPUT.double(), torch.ones_like(INPUT.double())
    for algorithm in (None, F23_3D):

        def convolve(image: torch.Tensor, algorithm: Any = algorithm) -> torch.Tensor:
            return conv3d(image, WEIGHT.double(), padding=1, algorithm=algorithm)

        expected = torch.conv3d(images, WEIGHT.double(), padding=1)
        torch.testing.assert_close(torch.vmap(convolve)(images), expected, rtol=0, atol=1e-11)
        _, derivative = torch.func.jvp(convolve, (images,), (tangent,))
        torch.testing.assert_close(derivative, convolve(tangent), rtol=0, atol=1e-11)
        with torch.autograd.forward_ad.dual_level():
            dual = convolve(torch.autograd.forward_ad.make_dual(images, tangent))
            derivative = torch.autograd.forward_ad.unpack_dual(dual).tangent
        torch.testing.assert_close(derivative, convolve(tangent), rtol=0, atol=1e-11)


def test_compiled_code_calls_the_operator_in_one_graph() -> None:
    compiled = torch.compile(lambda x: conv3d(x, WEIGHT, padding=1), backend="eager", fullgraph=True)
    assert torch.equal(compiled(INPUT), torch.conv3d(INPUT, WEIGHT, padding=1))
    exported = torch.export.export(_Layer(), (INPUT,))
    assert torch.equal(exported.module()(INPUT), torch.conv3d(INPUT, WEIGHT, padding=1))


class _Layer(torch.nn.Module):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return conv3d(input, WEIGHT, padding=1)


def test_compiled_code_may_force_an_algorithm() -> None:
    compiled = torch.compile(
        lambda x: 2 * conv3d(x, WEIGHT.double(), algorithm=F23_3D), backend="eager", fullgraph=True
    )
    expected = 2 * torch.conv3d(INPUT.double(), WEIGHT.double())
    torch.testing.assert_close(compiled(INPUT.double()), expected, rtol=0, atol=1e-11)


def test_autocast_gives_the_dtype_of_torch() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv3d(INPUT, WEIGHT).dtype == torch.bfloat16
        assert conv3d(INPUT, WEIGHT, algorithm=F23_3D).dtype == torch.bfloat16


def test_global_state_is_as_it_was() -> None:
    def state() -> tuple[Any, ...]:
        return (
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.mkldnn.enabled,
            torch.get_float32_matmul_precision(),
            torch.random.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002 - it is the legacy generator that is global
            np.geterr(),
            list(warnings.filters),
        )

    before = state()
    conv3d(INPUT, WEIGHT, algorithm=F23_3D)
    conv3d(INPUT.double().requires_grad_(), WEIGHT.double(), algorithm=F23_3D)
    conv3d(INPUT.numpy(), WEIGHT.numpy())
    assert state() == before


def test_deterministic_algorithms_give_the_same_bits_twice() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (conv3d(INPUT, WEIGHT, padding=1, algorithm=F23_3D) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first, second)


def fractions(*sizes: int) -> Array:
    values = np.random.default_rng(sum(sizes)).integers(-50, 50, sizes)
    exact: Array = np.frompyfunc(lambda value: Fraction(int(value), 7), 1, 1)(values)
    return exact


@pytest.mark.parametrize("algorithm", [None, nest(F23, F23)], ids=["planned", "forced"])
def test_arrays_of_fractions_are_exact(algorithm: Any) -> None:
    input_, weight, bias = fractions(2, 2, 5, 6), fractions(3, 2, 3, 3), fractions(3)
    expected = direct_ref(input_, weight, bias, padding=[(1, 1), (0, 0)])
    assert np.array_equal(conv2d(input_, weight, bias, padding=(1, 0), algorithm=algorithm), expected)
    assert np.array_equal(conv2d(input_[0], weight, bias, padding=(1, 0), algorithm=algorithm), expected[0])


@pytest.mark.parametrize("options", [{"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": "same"}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_arrays_get_what_torch_gives(dtype: type[np.generic], options: dict[str, Any]) -> None:
    generator = np.random.default_rng(0)
    groups = options.get("groups", 1)
    input_ = generator.integers(-9, 9, (2, 4, 9, 8)).astype(dtype)
    weight = generator.integers(-9, 9, (6, 4 // groups, 3, 3)).astype(dtype)
    result = conv2d(input_, weight, **options, tolerance=1e-12)  # no float32 candidate is that good: taps, exact here
    expected = torch.conv2d(torch.from_numpy(input_), torch.from_numpy(weight), **options).numpy()
    assert result.dtype == dtype
    # Sums of 36 integers below 100 are exact in every dtype; float64 with 'same' takes F(4,3), off by 1e-11 at most.
    assert np.abs(result - expected).max() <= (1e-11 if dtype == np.float64 else 0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((INPUT.numpy()[0, 0], WEIGHT.numpy()), {}, "input has 3 axes"),
        ((INPUT.numpy(), WEIGHT.numpy()[0]), {}, "weight has 4 axes"),
        ((INPUT.numpy()[:, :3], WEIGHT.numpy()), {}, "3 channels"),
        ((INPUT.numpy(), WEIGHT.numpy(), BIAS.numpy()[:5]), {}, "bias has shape"),
        ((INPUT.numpy(), WEIGHT.double().numpy()), {}, "dtype float64"),
        ((INPUT.numpy(), WEIGHT.numpy()), {"stride": (1, 2)}, "stride is"),
        ((INPUT.numpy(), WEIGHT.numpy()), {"padding": "full"}, "'same', 'valid' or integers"),
        ((INPUT.numpy(), WEIGHT.numpy()), {"padding": "same", "stride": 2}, "stride must be 1"),
        ((INPUT.numpy()[..., :2], WEIGHT.numpy()), {}, "smaller than the kernel"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conv3d(*arguments, **options)


def test_arrays_and_tensors_do_not_mix() -> None:
    with pytest.raises(TypeError, match="weight is a Tensor, must be a NumPy array"):
        conv3d(INPUT.numpy(), WEIGHT)


def test_empty_arrays_have_empty_results() -> None:
    assert conv3d(INPUT.numpy()[:0], WEIGHT.numpy()).shape == (0, 6, 3, 4, 5)
    assert not conv3d(INPUT.numpy()[:, :0], WEIGHT.numpy()[:, :0]).any()


def test_arrays_need_no_torch() -> None:
    code = (
        "import sys, numpy, winograd; winograd.conv3d(numpy.ones((1, 1, 4, 4, 4)), numpy.ones((1, 1, 3, 3, 3))); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_mixed_dtypes_under_autocast_are_torchs_business() -> None:
    input, weight = torch.randn(1, 2, 4, 4, 4, dtype=torch.bfloat16), torch.randn(3, 2, 3, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(conv3d(input, weight), torch.conv3d(input, weight))
        with pytest.raises(ValueError, match="float32"):
            conv3d(input, weight, algorithm=toom_cook(2, 3))
    with pytest.raises(RuntimeError):
        conv3d(input, weight)
