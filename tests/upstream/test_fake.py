"""`TestFakeTensor`, `TestTags` and the meta tests of PyTorch on our convolutions: shapes without values."""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import torch
from torch._prims_common import compare_tensor_meta
from torch._subclasses import CrossRefFakeMode
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.testing._internal import composite_compliance
from torch.testing._internal.common_device_type import OpDTypes, instantiate_device_type_tests, ops
from torch.utils._python_dispatch import TorchDispatchMode

from tests.upstream.case import Case
from tests.upstream.convolutions import FEW_OPS, OPS, called, must_engage


class Recorded(TorchDispatchMode):
    """Notes whether an operator of ours is called."""

    ours = False

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        self.ours = self.ours or function.namespace == "winograd"
        return function(*arguments, **(named or {}))


class TestFakeTensor(Case):
    def _check(self, op, samples, context):
        """Compare sizes, strides, dtype and device of a fake result with those of the real one."""
        for sample in samples:
            mode = FakeTensorMode()
            fakes = sample.transform(mode.from_tensor)
            with context():
                real = called(op, sample)
            with context(), mode, Recorded() as recorded:
                fake = called(op, fakes)
            assert recorded.ours or not must_engage(op, sample)
            assert isinstance(fake, FakeTensor)
            compare_tensor_meta(fake, real, check_strides=True)

    @ops(OPS, dtypes=OpDTypes.any_one)
    def test_fake(self, device, dtype, op):
        self._check(op, op.sample_inputs(device, dtype), nullcontext)

    @ops(FEW_OPS, dtypes=OpDTypes.any_one)
    def test_fake_autocast(self, device, dtype, op):
        self._check(op, op.sample_inputs(device, dtype), lambda: torch.autocast("cpu"))

    @ops(FEW_OPS, allowed_dtypes=(torch.float32,))
    def test_fake_crossref_backward(self, device, dtype, op):
        """Forward and backward, every operation in it compared with its fake."""
        aten = torch.ops.aten
        plain = (aten.detach.default, aten.empty_strided.default, aten.copy_.default, aten.is_same_size.default)
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            given = [sample.input, *sample.args]
            with (
                CrossRefFakeMode(ignore_op_fn=lambda function: function in plain, check_aliasing=True),
                warnings.catch_warnings(),
                torch.autograd.set_multithreading_enabled(False),
            ):
                composite_compliance.compute_expected_grads(
                    op.get_op(), given, sample.kwargs, sample.output_process_fn_grad, op.gradcheck_wrapper
                )

    @ops(OPS, dtypes=OpDTypes.any_one)
    def test_meta(self, device, dtype, op):
        """On tensors of the device meta, forwards and backwards."""
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            metas = sample.transform(lambda tensor: tensor.detach().to("meta").requires_grad_())
            real, meta = called(op, sample), called(op, metas)
            assert meta.is_meta
            assert (meta.shape, meta.dtype) == (real.shape, real.dtype)
            (gradient,) = torch.autograd.grad(meta.sum(), metas.input)
            assert (gradient.shape, gradient.is_meta) == (sample.input.shape, True)


class KeptShapes(TorchDispatchMode):
    """Refuses operations that give their first operand back with other sizes or strides."""

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        first = arguments[0] if arguments and isinstance(arguments[0], torch.Tensor) else None
        before = None if first is None else (first.size(), first.stride())
        result = function(*arguments, **(named or {}))
        if first is not None and result is first:
            assert before == (first.size(), first.stride()) or torch.Tag.inplace_view in function.tags
        return result


class TestTags(Case):
    @ops(OPS, dtypes=OpDTypes.any_one)
    def test_tags(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype):
            before = (sample.input.size(), sample.input.stride())
            with KeptShapes():
                called(op, sample)
            assert before == (sample.input.size(), sample.input.stride())


instantiate_device_type_tests(TestFakeTensor, globals(), only_for="cpu")
instantiate_device_type_tests(TestTags, globals(), only_for="cpu")
