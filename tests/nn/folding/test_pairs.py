"""What can be folded and what cannot, as torch.fx traces it and as one forward shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import winograd


class Model(nn.Module):
    """A forward over a convolution, a norm and a ReLU of its own, and a second norm."""

    def __init__(self, forward: Callable[[Model, Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 1)
        self.norm, self.second, self.relu = nn.BatchNorm3d(4), nn.BatchNorm3d(4), nn.ReLU(inplace=True)
        for name, module in modules.items():
            setattr(self, name, module)
        self.way = forward
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


class Doubled(nn.Conv3d):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class Tripled(nn.BatchNorm3d):
    def forward(self, input: Tensor) -> Tensor:
        return 3 * super().forward(input)


class Positional(nn.Conv3d):
    """As in torchvision's video networks: another constructor, the same convolution."""

    def __init__(self, planes: int) -> None:
        super().__init__(planes, planes, 3, padding=1, bias=False)


def all_three(m: Model, x: Tensor) -> Tensor:
    return m.relu(m.norm(m.conv(x)))


def with_a_hook(name: str) -> Model:
    model = Model(all_three)
    getattr(model, name).register_forward_hook(lambda *_: None)
    return model


def with_a_weight_norm() -> Model:
    model = Model(all_three)
    parametrize.register_parametrization(model.norm, "weight", nn.Identity())
    return model


def with_own_forward() -> Model:
    model = Model(all_three)
    model.norm.forward = lambda input: input
    return model


def twice(m: Model, x: Tensor) -> Tensor:
    return m.relu(m.norm(m.conv(m.relu(m.norm(m.conv(x))))))


@dataclass
class Outputs:
    """What a model may give."""

    raw: Tensor
    normed: Tensor


class Box:
    """Something that nobody knows."""

    def __init__(self, *content: Tensor) -> None:
        self.content = content


def puts_away(m: Model, x: Tensor) -> Tensor:
    m.seen = [m.conv(x)]
    return m.norm(m.seen[0])


CASES: dict[str, tuple[Callable[[], Model], str]] = {
    "all three": (lambda: Model(all_three), "norm, relu"),
    "another constructor": (lambda: Model(all_three, conv=Positional(4)), "norm, relu"),
    "no norm": (lambda: Model(lambda m, x: m.relu(m.conv(x))), "relu"),
    "no ReLU": (lambda: Model(lambda m, x: m.norm(m.conv(x)) + x), "norm"),
    "the norm at the end": (lambda: Model(lambda m, x: m.norm(m.conv(x))), "norm"),
    "a ReLU that is no module": (lambda: Model(lambda m, x: m.norm(m.conv(x)).relu()), "norm"),
    "called twice, the same after it": (lambda: Model(twice), "norm, relu"),
    "a norm of other statistics": (
        lambda: Model(all_three, norm=nn.BatchNorm3d(4, affine=False)),
        "norm, relu",
    ),
    "sizes that are read between": (
        lambda: Model(lambda m, x: (y := m.conv(x), m.norm(y).reshape(y.shape))[1]),
        "norm",
    ),
    "the output goes on twice": (lambda: Model(lambda m, x: m.norm(y := m.conv(x)) + y), "nothing: .* norm and .*add"),
    "two norms take it": (
        lambda: Model(lambda m, x: m.norm(y := m.conv(x)) + m.second(y)),
        "nothing: .*norm and second",
    ),
    "the same norm takes it twice": (
        lambda: Model(lambda m, x: m.norm(y := m.conv(x)) + m.norm(y)),
        "nothing: .* norm",
    ),
    "the norm takes something else, too": (
        lambda: Model(lambda m, x: m.norm(m.conv(x)) + m.norm(x)),
        "nothing: the norm after it takes other inputs, too",
    ),
    "one norm for two": (
        lambda: Model(lambda m, x: m.norm(m.conv(x)) + m.norm(m.other(x))),
        "nothing: the norm after it takes other inputs, too",
    ),
    "changed in between": (
        lambda: Model(lambda m, x: m.norm(m.conv(x).mul_(2))),
        "nothing: its output goes to .*mul_.*",
    ),
    "viewed in between": (lambda: Model(lambda m, x: m.norm(m.conv(x)[:])), "nothing: its output goes to .*getitem.*"),
    "the output of the model": (lambda: Model(lambda m, x: m.conv(x)), "nothing: its output goes to the output"),
    "given beside the norm's": (
        lambda: Model(lambda m, x: [y := m.conv(x), m.norm(y)]),
        "nothing: its output goes to norm and the output",
    ),
    "given in a dataclass": (
        lambda: Model(lambda m, x: {"all": Outputs(y := m.conv(x), m.norm(y))}),
        "nothing: its output goes to norm and .*(output|Outputs).*",
    ),
    "put away": (lambda: Model(puts_away), "nothing: its output goes to norm and an attribute"),
    "given in something unknown": (
        lambda: Model(lambda m, x: Box(y := m.conv(x), m.norm(y))),
        "nothing: the model cannot be traced .*",
    ),
    "not called": (lambda: Model(lambda m, x: m.norm(x)), "nothing: the forward does not call it"),
    "a forward of its own": (
        lambda: Model(all_three, conv=Doubled(4, 4, 3)),
        "nothing: it has a forward of its own",
    ),
    "a norm's own forward": (lambda: Model(all_three, norm=Tripled(4)), "nothing: the norm .*forward of its own.*"),
    "a norm with a method put on it": (with_own_forward, "nothing: the norm .*forward of its own.*"),
    "a parametrized norm": (with_a_weight_norm, "nothing: the norm after it has parametrizations: .*"),
    "batch statistics": (
        lambda: Model(all_three, norm=nn.BatchNorm3d(4, track_running_stats=False)),
        "nothing: the norm after it has no running statistics",
    ),
    "transposed": (
        lambda: Model(all_three, conv=nn.ConvTranspose3d(4, 4, 3, padding=1)),
        "nothing: it is a transposed convolution",
    ),
    "a lazy norm": (lambda: Model(all_three, norm=nn.LazyBatchNorm3d()), "nothing: the norm .* or none yet"),
    "a hook on the convolution": (lambda: with_a_hook("conv"), "nothing: it has hooks: <lambda>"),
    "a hook on the norm": (lambda: with_a_hook("norm"), "nothing: the norm after it has hooks: <lambda>"),
    "a hook on the ReLU": (lambda: with_a_hook("relu"), "norm"),
}


@pytest.mark.parametrize("example", [None, torch.zeros(1, 4, 4, 5, 5)], ids=["traced", "recorded"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_folded_and_why_not(case: str, example: Tensor | None) -> None:
    build, expected = CASES[case]
    if case == "a lazy norm" and example is not None:
        pytest.skip("its first forward gives it a shape")
    model = build()
    report = winograd.convert_(model)
    if re.match("nothing", expected):
        with pytest.warns(UserWarning, match="nothing was folded"):
            winograd.freeze(model, fold="all", example=example)
    else:
        winograd.freeze(model, fold="all", example=example)
    row = next(row for row in report.rows if row.layer == "conv")
    assert re.fullmatch(expected, row.folds), row.folds


def test_tracing_leaves_attributes_as_they_were() -> None:
    model = Model(puts_away)
    model.seen = before = []
    report = winograd.convert_(model)
    with pytest.warns(UserWarning, match="nothing was folded"):
        winograd.freeze(model, fold="all")
    assert model.seen is before
    del model.seen
    with pytest.warns(UserWarning, match="nothing was folded"):
        winograd.freeze(model, fold="all")
    assert not hasattr(model, "seen")
    assert {row.folds for row in report.rows if row.layer == "other"} == {"nothing: the forward does not call it"}


def test_an_unknown_output_is_named() -> None:
    model = Model(lambda m, x: [m.norm(m.conv(x)), Box()])
    report = winograd.convert_(model)
    with pytest.warns(UserWarning, match="nothing was folded"):
        winograd.freeze(model, fold="all", example=torch.zeros(1, 4, 4, 5, 5))
    reason = "nothing: the model cannot be traced (its output holds a Box, in which no tensor is seen)"
    assert report.rows[0].folds == reason


def test_containers_that_hold_themselves_end() -> None:
    model = Model(all_three)
    model.loop = {"self": []}
    model.loop["self"].append(model.loop)
    report = winograd.convert_(model)
    for example in (None, torch.zeros(1, 4, 4, 5, 5)):
        winograd.freeze(model, fold="all", example=example)
        assert report.rows[0].folds == "norm, relu"


class Restless(Model):
    """Reads a size, takes arguments by name, and changes at every forward."""

    def __init__(self) -> None:
        super().__init__(all_three)
        self.calls: list[int] = []
        self.register_buffer("total", torch.zeros(1))

    def forward(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        self.calls.append(x.shape[0] if x.shape[0] > 1 else 0)
        self.total += torch.rand(1)
        self.latest = x
        self.train()
        return scale * all_three(self, x)


@pytest.mark.parametrize(
    "example",
    [torch.zeros(1, 4, 4, 5, 5), [torch.zeros(1, 4, 4, 5, 5)], {"x": torch.zeros(1, 4, 4, 5, 5), "scale": 2.0}],
    ids=["tensor", "list", "dict"],
)
def test_an_example_is_given_as_to_a_conversion_and_leaves_no_trace(example: object) -> None:
    model, drawn = Restless(), torch.get_rng_state()
    report = winograd.convert_(model)
    winograd.freeze(model, fold="all", example=example)
    assert report.rows[0].folds == "norm, relu"
    assert (model.calls, model.training, model.norm.training, float(model.total)) == ([], False, False, 0)
    assert not hasattr(model, "latest")
    assert torch.equal(torch.get_rng_state(), drawn)
