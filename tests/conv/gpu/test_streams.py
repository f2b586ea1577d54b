"""Kept filters on other streams and in CUDA graphs, with streams that only note what they are asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

import winograd
from winograd.conv.gpu.streams import Mark, mark_of, may_be_kept
from winograd.conv.library.kept import KeptFilters
from winograd.nn.plans_in_use import PlanInUse, PlansInUse


@dataclass
class Stream:
    """A stream that notes events and waits."""

    name: str
    notes: list[str] = field(default_factory=list, compare=False)

    def record_event(self) -> str:
        self.notes.append("record")
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self.notes.append(f"wait for {event}")


@dataclass
class OnCard:
    """A tensor on a card, as far as streams are concerned."""

    read_by: list[str] = field(default_factory=list)
    device = torch.device("cuda", 1)
    is_cuda = True

    def record_stream(self, stream: Stream) -> None:
        self.read_by.append(stream.name)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    state = SimpleNamespace(current=Stream("first"), capturing=False)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: state.current)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: state.capturing)
    return state


def test_other_streams_wait_and_hold_the_memory(card: SimpleNamespace) -> None:
    u = OnCard()
    mark = mark_of(u)
    assert mark == Mark(Stream("first"), "event of first")
    mark.wait(u)
    assert (card.current.notes, u.read_by) == (["record"], [])  # its own stream is in order
    card.current = Stream("second")
    mark.wait(u)
    assert (card.current.notes, u.read_by) == (["wait for event of first"], ["second"])
    card.current, card.capturing = Stream("captured"), True
    mark.wait(u)
    assert (card.current.notes, u.read_by) == ([], ["second"])
    assert mark_of(u) is None
    assert not may_be_kept(u)


def test_tensors_on_the_cpu_have_no_mark(card: SimpleNamespace) -> None:
    card.capturing = True
    assert mark_of(torch.zeros(1)) is None
    assert may_be_kept(torch.zeros(1))


@pytest.mark.parametrize("capturing", [True, False])
def test_nothing_is_kept_while_a_graph_is_captured(capturing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, weight = winograd.plan_conv((1, 64, 28, 28), (64, 64, 3, 3), padding=1), torch.zeros(64, 64, 3, 3)
    for module in ("winograd.nn.plans_in_use", "winograd.conv.library.kept"):
        monkeypatch.setattr(f"{module}.may_be_kept", lambda _: not capturing)
    use, uses, kept = PlanInUse(plan, ()), PlansInUse(), KeptFilters()
    made = [uses.pack(use, weight, lambda _: object()) for _ in range(2)]
    found = [kept.find(plan, weight, object) for _ in range(2)]
    assert (made[0] is made[1], found[0] is found[1]) == (not capturing, not capturing)
    assert (use.kept is None, len(kept)) == (capturing, int(not capturing))
    monkeypatch.undo()
    before = uses.pack(use, weight, lambda _: object())
    monkeypatch.setattr("winograd.nn.plans_in_use.may_be_kept", lambda _: False)
    assert uses.pack(use, weight, lambda _: object()) is before  # what was made before is read


def test_a_run_waits_for_its_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    from winograd import nest, toom_cook
    from winograd.conv.gpu import run
    from winograd.conv.gpu.card import card_named
    from winograd.conv.gpu.device import pretending

    waited: list[torch.Tensor] = []
    mark = SimpleNamespace(wait=waited.append)
    monkeypatch.setattr(run, "mark_of", lambda _: mark)
    with pretending(card_named("h100")), torch.no_grad():
        x, w = torch.ones(1, 8, 4), torch.ones(8, 8, 3)
        output = winograd.conv1d(x, w, algorithm=nest(toom_cook(2, 3)))
    assert torch.equal(output, torch.conv1d(x, w))
    assert len(waited) == 1
