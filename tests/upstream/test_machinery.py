"""What the other tests of this folder rest on: that a test fails which should, and that the process stays as it was."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

import hypothesis
import pytest
import torch

import winograd
from tests.upstream import engagement
from tests.upstream.case import MARGIN, Case, Deviation, read_deviations
from tests.upstream.convolutions import FEW_OPS, OPS, called, must_engage
from tests.upstream.forcing import Forced
from tests.upstream.modules import MODULES
from tests.upstream.suites import undisturbed

NAMES = ("conv1d", "conv2d", "conv3d")


class Made(Case):
    """A case that is run by hand."""

    compared: tuple[torch.Tensor, ...] = ()

    def compare(self):
        self.assertEqual(*self.compared)


def run(*compared, deviations=MappingProxyType({}), missed=()) -> str:
    """Return what a case says that compares these, empty if it passes."""
    case = Made("compare")
    case.compared, case.deviations = compared, deviations
    case.setUp()
    engagement.MISSED.extend(missed)
    try:
        case.compare()
        case.tearDown()
    except AssertionError as error:
        return str(error)
    finally:
        case.doCleanups()
        engagement.MISSED.clear()
        engagement.EXCESSES.pop("compare", None)
    return ""


def off_by(excess: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tensors of float64 that differ by so many times the stock tolerance."""
    exact = torch.ones(3, dtype=torch.float64)
    return exact + excess * (1e-7 + 1e-7), exact


def listed(excess: float) -> dict[str, Deviation]:
    return {"compare": Deviation("compare", excess, "made up")}


def test_stock_tolerances_hold_where_nothing_is_listed():
    assert run(*off_by(0.9)) == ""
    assert "compare: 2 times the stock tolerance" in run(*off_by(2))


def test_a_listed_deviation_is_allowed_up_to_the_margin_and_has_to_be_needed():
    assert run(*off_by(3), deviations=listed(3.0)) == ""
    assert "not close" in run(*off_by(3 * MARGIN * 1.1), deviations=listed(3.0))
    assert "remove it" in run(*off_by(0.9 / MARGIN), deviations=listed(3.0))


def test_a_forced_call_that_torch_ran_fails_its_test():
    assert "did not run for ['a call']" in run(*off_by(0), missed=["a call"])


def test_torch_running_in_place_of_a_forced_algorithm_is_noticed():
    def switched_off(*given, algorithm, **named):
        return winograd.conv2d(*given, algorithm="direct", **named)

    with engagement.counted():
        engagement.MISSED.clear()
        Forced(winograd.conv2d)(torch.ones(1, 2, 6, 6), torch.ones(3, 2, 3, 3))
        assert not engagement.MISSED
        Forced(switched_off)(torch.ones(1, 2, 6, 6), torch.ones(3, 2, 3, 3))
        assert len(engagement.MISSED) == 1
        engagement.MISSED.clear()


@pytest.mark.parametrize("forced", [False, True])
def test_both_gradients_run_by_winograd_where_an_algorithm_is_forced(forced):
    algorithm = winograd.nest(*[winograd.toom_cook(2, 3)] * 3) if forced else "direct"
    x, w = torch.ones(1, 8, 6, 6, 6, requires_grad=True), torch.ones(8, 8, 3, 3, 3, requires_grad=True)
    output = winograd.conv3d(x, w, algorithm=algorithm)
    with engagement.counted():
        before = engagement.runs()
        torch.autograd.grad(output.sum(), x, retain_graph=True)
        of_input = engagement.runs() - before
        torch.autograd.grad(output.sum(), w)
        of_weight = engagement.runs() - before - of_input
    assert (of_input > 0, of_weight > 0) == (forced, forced)


def test_the_plan_takes_winograd_on_one_of_our_samples():
    (info,) = (info for info in OPS if info.full_name == "nn.functional.conv3d.planned")
    with engagement.counted(), torch.no_grad():
        before = engagement.runs()
        for sample in info.sample_inputs("cpu", torch.float64):
            called(info, sample)
    assert engagement.runs() > before


def test_every_convolution_is_tested_planned_and_forced():
    names = {f"nn.functional.{name}.{variant}" for name in NAMES for variant in ("planned", "forced")}
    assert {info.full_name for info in OPS} == {info.full_name for info in FEW_OPS} == names
    assert {info.name for info in MODULES} == {f"{kind}Conv{n}d" for kind in ("", "Forced") for n in (1, 2, 3)}


def test_ours_are_called_and_not_torchs():
    for info in OPS:
        op = getattr(info.op, "convolution", info.op)
        assert op is getattr(winograd, info.aten_name)
    assert all(info.module_cls.__module__.split(".")[0] in ("winograd", "tests") for info in MODULES)


def test_samples_hold_dense_ones_of_three_taps_which_theirs_do_not():
    for info in (info for info in OPS if "forced" in info.full_name):
        samples = list(info.sample_inputs("cpu", torch.float32))
        dense = [sample for sample in samples if must_engage(info, sample)]
        ours = [sample for sample in dense if sample.name == "ours"]
        assert len(ours) == 4
        assert all(set(sample.args[0].shape[2:]) == {3} for sample in ours)
    theirs = [sample for sample in dense if sample.name != "ours"]
    assert not [sample for sample in theirs if sample.args[0].shape[2:] == (3, 3, 3)]


def test_listed_tests_exist_and_give_a_reason():
    from tests.upstream import test_common, test_composite_compliance

    classes = (test_common.TestCommonCPU, test_composite_compliance.TestCompositeComplianceCPU)
    for name, deviation in read_deviations().items():
        assert any(hasattr(each, name) for each in classes), name
        assert deviation.excess > 1
        assert len(deviation.reason) > 20


def test_importing_the_suites_leaves_the_process_as_it_was(monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    name, frozen = hypothesis.settings.get_current_profile_name(), torch.backends.flags_frozen()
    profile = hypothesis.settings.get_profile(name)
    with undisturbed():
        os.environ["KEPT"] = "2"
        hypothesis.settings.register_profile(name, max_examples=3)
        hypothesis.settings.load_profile(name)
        torch.backends.disable_global_flags()
    assert hypothesis.settings.get_profile(name).max_examples == profile.max_examples != 3
    assert hypothesis.settings.default.max_examples == profile.max_examples
    assert (torch.backends.flags_frozen(), os.environ["KEPT"]) == (frozen, "1")


def test_a_list_is_read_from_its_file(tmp_path: Path):
    path = tmp_path / "deviations.toml"
    path.write_text('[[deviation]]\ntest = "test_x"\nexcess = 1.5\nreason = "why"\n', encoding="utf-8")
    assert read_deviations(path) == {"test_x": Deviation("test_x", 1.5, "why")}
