"""torch.func, vmap and forward mode, and what watches torch from outside: every one gives what torch's own gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, functionalize, grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from tests.torch_citizen.pairs import (
    NDIMS,
    OURS,
    TORCHS,
    VARIANTS,
    algorithm,
    assert_same,
    distance,
    module_pair,
    normal,
    operands,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)

Convolve = Callable[..., Tensor]


def both(ndim: int, variant: str, **options: Any) -> tuple[Convolve, Convolve]:
    """Return our convolution, with the algorithm of this variant, and torch's, with the same arguments."""
    forced = algorithm(variant, (3,) * ndim)
    return (
        lambda *args: OURS[ndim](*args, **options, algorithm=forced),
        lambda *args: TORCHS[ndim](*args, **options),
    )


def assert_all_same(ours: Any, torchs: Any) -> None:
    """Compare tensors, or tuples of tuples of them."""
    if isinstance(torchs, Tensor):
        assert_same(ours, torchs)
    else:
        for mine, theirs in zip(ours, torchs, strict=True):
            assert_all_same(mine, theirs)


def small(ndim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return operands of few numbers, for whole Jacobians."""
    taps = (3,) * ndim
    return normal(1, 2, *(4, 3, 3)[:ndim]), normal(2, 2, *taps, seed=1), normal(2, seed=2)


MAPPED: dict[str, tuple[Any, ...]] = {
    "images": (0, None, None),
    "weights": (None, 0, None),
    "biases": (None, None, 0),
    "weights and biases": (None, 0, 0),
    "images and weights": (0, 0, None),
    "all": (0, 0, 0),
    "images on the last axis": (-1, None, None),
    "weights on an inner axis": (None, 2, None),
    "all on different axes": (1, 2, 1),
}


@every_variant
@every_ndim
@pytest.mark.parametrize("batch", [2, None], ids=["batched", "unbatched"])
@pytest.mark.parametrize("axes", MAPPED.values(), ids=MAPPED)
def test_vmap(axes: tuple[Any, ...], batch: int | None, ndim: int, variant: str) -> None:
    tensors = list(operands(ndim))
    tensors[0] = tensors[0] if batch else tensors[0][0]
    given = [
        one if axis is None else torch.stack([one, 2 * one.flip(0), one * one], axis)
        for one, axis in zip(tensors, axes, strict=True)
    ]
    for out in (0, -1):
        ours, torchs = (vmap(call, axes, out)(*given) for call in both(ndim, variant, padding=1))
        assert_same(ours, torchs)


@every_variant
@every_ndim
def test_vmap_of_vmap_and_in_chunks(ndim: int, variant: str) -> None:
    input, weight, bias = operands(ndim)
    images, weights = torch.stack([input, -input, 2 * input]), torch.stack([weight, weight.flip(0)])
    for build in (
        lambda call: vmap(vmap(call, (0, None, None)), (None, 0, None))(images, weights, bias),
        lambda call: vmap(call, (0, None, None), chunk_size=2)(images, weight, bias),
    ):
        assert_same(*(build(call) for call in both(ndim, variant)))


@every_variant
@every_ndim
def test_gradients_of_every_sample(ndim: int, variant: str) -> None:
    layers = module_pair(ndim, 3, 4, 3, variant=variant, dtype=torch.float64)
    images = torch.cat([operands(ndim)[0], operands(ndim)[0].flip(0) ** 2])

    def gradients(layer: nn.Module) -> Any:
        parameters = {name: one.detach() for name, one in layer.named_parameters()}

        def loss(parameters: dict[str, Tensor], image: Tensor) -> Tensor:
            return functional_call(layer, parameters, (image[None],)).square().sum()

        return list(vmap(grad(loss), (None, 0))(parameters, images).values())

    assert_all_same(*(gradients(layer) for layer in layers))


TRANSFORMS: dict[str, Callable[[Convolve, tuple[Tensor, ...]], Any]] = {
    "vjp": lambda call, given: vjp(call, *given)[1](call(*given)),
    "jvp": lambda call, given: jvp(call, given, tuple(map(torch.cos, given))),
    "jvp of the input": lambda call, given: jvp(lambda x: call(x, *given[1:]), given[:1], given[:1]),
    "jvp of the weight": lambda call, given: jvp(lambda w: call(given[0], w), given[1:2], given[1:2]),
    "jvp of jvp": lambda call, given: jvp(lambda *x: jvp(call, x, given)[1], given, tuple(map(torch.sin, given))),
    "jvp of grad": lambda call, given: jvp(grad(lambda x: call(x, *given[1:]).pow(3).sum()), given[:1], given[:1]),
    "grad of jvp": lambda call, given: grad(lambda x: jvp(call, (x, *given[1:]), given)[1].pow(2).sum())(given[0]),
    "grad of grad": lambda call, given: grad(
        lambda w: grad(lambda x: call(x, w, given[2]).pow(2).sum())(given[0]).pow(2).sum()
    )(given[1]),
    "linearize": lambda call, given: linearize(call, *given)[1](*given),
    "vmap of jvp": lambda call, given: vmap(lambda t: jvp(lambda x: call(x, *given[1:]), given[:1], (t,))[1])(
        torch.stack([given[0], given[0].sin()])
    ),
    "vmap of vjp": lambda call, given: vmap(vjp(call, *given)[1])(torch.stack([call(*given), call(*given).sin()])),
}


@every_variant
@every_ndim
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_compose(name: str, ndim: int, variant: str) -> None:
    assert_all_same(*(TRANSFORMS[name](call, operands(ndim)) for call in both(ndim, variant, padding=1)))


JACOBIANS: dict[str, Callable[[Convolve, tuple[Tensor, ...]], Any]] = {
    "jacrev": lambda call, given: jacrev(call, (0, 1, 2))(*given),
    "jacfwd": lambda call, given: jacfwd(call, (0, 1, 2))(*given),
    "hessian": lambda call, given: hessian(lambda w: call(given[0], w).pow(2).sum())(given[1]),
    "torch.autograd": lambda call, given: torch.autograd.functional.jacobian(call, given, vectorize=True),
    "torch.autograd forward": lambda call, given: torch.autograd.functional.jacobian(
        call, given, vectorize=True, strategy="forward-mode"
    ),
    "torch.autograd hvp": lambda call, given: torch.autograd.functional.hvp(
        lambda w: call(given[0], w).pow(3).sum(), given[1], given[1]
    )[1],
}


@every_variant
@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians(name: str, ndim: int, variant: str) -> None:
    assert_all_same(*(JACOBIANS[name](call, small(ndim)) for call in both(ndim, variant, padding=1)))


@every_variant
@every_ndim
def test_forward_mode_through_a_module(ndim: int, variant: str) -> None:
    found = []
    for layer in module_pair(ndim, 3, 4, 3, variant=variant, dtype=torch.float64):
        with torch.autograd.forward_ad.dual_level():
            image = torch.autograd.forward_ad.make_dual(operands(ndim)[0], operands(ndim)[0].cos())
            found.append(torch.autograd.forward_ad.unpack_dual(layer(image)))
    assert_all_same(found[0], found[1])


@every_variant
@every_ndim
def test_meta_and_fake_tensors_have_torchs_sizes_and_strides(ndim: int, variant: str) -> None:
    for options in ({"padding": 1}, {"padding": "same"}, {}):
        ours, torchs = (call(*(one.to("meta") for one in operands(ndim))) for call in both(ndim, variant, **options))
        assert (ours.device, ours.dtype, ours.shape, ours.stride()) == (
            torchs.device,
            torchs.dtype,
            torchs.shape,
            torchs.stride(),
        )
        with FakeTensorMode() as mode:
            fakes = [mode.from_tensor(one) for one in operands(ndim)]
            ours, torchs = (call(*fakes) for call in both(ndim, variant, **options))
        assert (type(ours), ours.shape, ours.stride()) == (type(torchs), torchs.shape, torchs.stride())


@every_variant
@every_ndim
def test_gradients_of_meta_tensors_have_sizes(ndim: int, variant: str) -> None:
    for call in both(ndim, variant):
        tensors = [one.to("meta").requires_grad_() for one in operands(ndim)]
        call(*tensors).sum().backward()
        assert [one.grad.shape for one in tensors] == [one.shape for one in tensors]


@every_ndim
def test_flops_are_counted_as_torchs(ndim: int) -> None:
    counts = []
    for call in both(ndim, "planned", padding=1):
        tensors = [one.requires_grad_() for one in operands(ndim)]
        with FlopCounterMode(display=False) as counter:
            call(*tensors).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


@every_variant
@every_ndim
def test_what_is_traced_by_make_fx_gives_the_same(ndim: int, variant: str) -> None:
    for call in both(ndim, variant, padding=1):
        for mode in ("real", "fake", "symbolic"):
            traced = make_fx(call, tracing_mode=mode)(*operands(ndim))
            assert_same(traced(*operands(ndim)), call(*operands(ndim)))
        traced = make_fx(functionalize(call))(*operands(ndim))
        assert_same(traced(*operands(ndim)), call(*operands(ndim)))


class Logged(torch.Tensor):
    """A subclass that changes nothing."""


@every_variant
@every_ndim
@pytest.mark.parametrize("which", [0, 1, 2])
def test_subclasses_of_tensors_come_out_as_they_do_of_torch(which: int, ndim: int, variant: str) -> None:
    tensors = list(operands(ndim))
    tensors[which] = tensors[which].as_subclass(Logged)
    ours, torchs = (call(*tensors) for call in both(ndim, variant))
    assert type(ours) is type(torchs) is Logged
    assert_same(ours.as_subclass(Tensor), torchs.as_subclass(Tensor))


@every_variant
@every_ndim
def test_subclasses_with_their_own_dispatch_are_let_through(ndim: int, variant: str) -> None:
    tensors = [TwoTensor(one, 2 * one) for one in operands(ndim)]
    ours, torchs = (call(*tensors) for call in both(ndim, variant))
    assert type(ours) is type(torchs) is TwoTensor
    assert_same(ours.a, torchs.a)
    assert_same(ours.b, torchs.b)


@every_ndim
def test_a_function_override_sees_one_convolution(ndim: int) -> None:
    seen = []

    class Seen(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.append(function)
            return function(*args, **(kwargs or {}))

    with Seen():
        OURS[ndim](*(one.requires_grad_() for one in operands(ndim)))
    assert {TORCHS[ndim], torch.ops.winograd.convolution.default} & set(seen)


@every_variant
@every_ndim
def test_a_dispatch_mode_may_stand_around(ndim: int, variant: str) -> None:
    class Passing(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            return function(*args, **(kwargs or {}))

    ours, torchs = both(ndim, variant)
    with Passing():
        output = ours(*operands(ndim))
    assert_same(output, torchs(*operands(ndim)))


@every_variant
@every_ndim
def test_inference_mode_and_what_leaves_it(ndim: int, variant: str) -> None:
    ours, torchs = both(ndim, variant)
    with torch.inference_mode():
        inside = ours(*operands(ndim))
        tensors = operands(ndim)
    assert inside.is_inference()
    assert_same(inside.clone(), torchs(*operands(ndim)))
    outside = ours(*tensors)  # inference tensors outside of the mode, which ask for no gradient
    assert_same(outside.clone(), torchs(*operands(ndim)))
    if variant == "planned":  # plain torch operations save the transforms of the tensor, which are no inference tensors
        weight = operands(ndim)[1].requires_grad_()
        for call in (ours, torchs):
            with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
                call(tensors[0], weight).sum().backward()


def test_a_wrong_transform_is_noticed() -> None:
    ours, torchs = both(1, "planned")
    batch = torch.stack([operands(1)[0], 2 * operands(1)[0]])
    right, wrong = vmap(torchs, (0, None, None))(batch, *operands(1)[1:]), ours(batch[0], *operands(1)[1:])
    assert distance(wrong, right[1]) > 1e-3
