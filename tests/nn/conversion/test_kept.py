"""What the forward on an example changes is put back: tensors of all layouts and sizes, scripted and hidden modules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import winograd


def clip() -> Tensor:
    return torch.randn(1, 4, 4, 6, 6, generator=torch.Generator().manual_seed(1))


class Changing(nn.Module):
    """A convolution, and a tensor that every forward changes."""

    def __init__(self, tensor: Tensor, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(4, 4, 3)
        self.change = change
        self.register_buffer("kept", tensor)

    def forward(self, x: Tensor) -> Tensor:
        self.change(self.get_buffer("kept"))
        y: Tensor = self.conv(x)
        return y


def numbers(tensor: Tensor) -> list[Tensor]:
    if tensor.is_nested:
        return list(tensor.unbind())
    return [tensor if tensor.layout is torch.strided else tensor.to_dense()]


def double(tensor: Tensor) -> object:
    return tensor.mul_(2)


def put_away(tensor: Tensor) -> object:
    return tensor.untyped_storage().resize_(0)


@pytest.mark.filterwarnings("ignore:.*(nested|CSR).*prototype|.*(nested|CSR).*beta:UserWarning")
@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: torch.eye(3).to_sparse(), double),
        (lambda: torch.eye(3).to_sparse_csr(), double),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), double),
        (lambda: torch.eye(3).to_mkldnn(), double),
        (lambda: torch.ones(2), lambda tensor: tensor.resize_(5).fill_(7)),
        (lambda: torch.arange(6.0).reshape(2, 3), lambda tensor: tensor.t_()),
        (lambda: torch.arange(6.0), put_away),
    ],
)
def test_tensors_are_put_back(make: Callable[[], Tensor], change: Callable[[Tensor], object]) -> None:
    model = Changing(make(), change)
    tensor = model.get_buffer("kept")
    assert winograd.convert_(model, example=clip()).converted == 1
    assert model.get_buffer("kept") is tensor
    for one, other in zip(numbers(tensor), numbers(make()), strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


class Hidden(nn.Module):
    """A convolution and a norm that torch does not find, in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(4, 4, 3)
        self.parts = [{"norm": nn.Sequential(nn.BatchNorm3d(4))}]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.parts[0]["norm"](x))
        return y


def scripted() -> tuple[nn.Module, nn.Module]:
    norm = torch.jit.script(nn.BatchNorm3d(4))
    return nn.Sequential(norm, nn.Conv3d(4, 4, 3)), norm


def traced() -> tuple[nn.Module, nn.Module]:
    norm: nn.Module = torch.jit.trace(nn.BatchNorm3d(4), clip())  # type: ignore[no-untyped-call]
    return nn.Sequential(norm, nn.Conv3d(4, 4, 3)), norm


def hidden() -> tuple[nn.Module, nn.Module]:
    model = Hidden()
    return model, model.parts[0]["norm"][0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Converting a tensor to a Python boolean")
@pytest.mark.parametrize("make", [scripted, traced, hidden])
@pytest.mark.parametrize("training", [True, False])
def test_norms_that_are_scripted_or_hidden_do_not_train(
    make: Callable[[], tuple[nn.Module, nn.Module]], training: bool
) -> None:
    model, norm = make()
    norm.train(training)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    winograd.convert_(model, example=clip())
    assert norm.training is training
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    model(clip())
    assert make is traced or norm.training == bool(
        norm.state_dict()["num_batches_tracked"] - before["num_batches_tracked"]
    )
