"""`TestCommon` of PyTorch's test_ops.py on our convolutions: samples, dtypes, errors, out=, variants."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch.testing._internal.common_device_type import OpDTypes, instantiate_device_type_tests, ops
from torch.testing._internal.common_dtype import all_types_and_complex_and, floating_and_complex_types_and
from torch.testing._internal.common_utils import noncontiguous_like, suppress_warnings

from tests.upstream.case import Case
from tests.upstream.convolutions import OPS, called, gradients_of, own_samples, tensors_of

HALVES = (torch.float16, torch.bfloat16)


class TestCommon(Case):
    @suppress_warnings
    @ops(OPS, allowed_dtypes=(torch.float32, torch.int64, torch.complex64))
    def test_noncontiguous_samples(self, device, dtype, op):
        """The same values and gradients from tensors that are not contiguous, gradients of the output included."""
        differentiable = dtype in op.supported_backward_dtypes(device)
        for sample in op.sample_inputs(device, dtype, requires_grad=differentiable):
            strided = sample.noncontiguous()
            expected, actual = called(op, sample), called(op, strided)
            self.assertEqual(actual, expected)
            if differentiable:
                seed = torch.randn_like(expected)
                of_expected = torch.autograd.grad(expected, tensors_of(sample), seed)
                of_actual = torch.autograd.grad(actual, tensors_of(strided), noncontiguous_like(seed))
                self.assertEqual(of_actual, of_expected)

    @ops(OPS, dtypes=OpDTypes.none)
    def test_errors(self, device, op):
        """The errors of torch, by type and words."""
        count = 0
        for error in op.error_inputs(device):
            with pytest.raises(error.error_type, match=error.error_regex):
                called(op, error.sample_input)
            count += 1
        assert count >= 9

    @ops(OPS, dtypes=OpDTypes.any_one)
    def test_out(self, device, dtype, op):
        """There is no out=, as for torch's own convolutions."""
        assert not op.supports_out
        sample = next(iter(op.sample_inputs(device, dtype)))
        expected = called(op, sample)
        with pytest.raises(TypeError):
            called(op, sample, out=expected)

    @ops(OPS, dtypes=OpDTypes.supported, allowed_dtypes=(torch.float32, torch.complex64))
    def test_variant_consistency_eager(self, device, dtype, op):
        """The values and the gradients of torch's function of that name."""
        (own,) = (alias.op for alias in op.aliases)
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            ours, torchs = called(op, sample), called(own, sample)
            self.assertEqual(ours, torchs)
            self.assertEqual(gradients_of(ours, sample), gradients_of(torchs, sample))

    @ops(OPS, allowed_dtypes=(torch.int64, torch.float64, torch.complex128))
    def test_values(self, device, dtype, op):
        """The values of torch's own function, for the dtypes that the test above leaves out."""
        (own,) = (alias.op for alias in op.aliases)
        for sample in op.sample_inputs(device, dtype):
            self.assertEqual(called(op, sample), called(own, sample))

    @ops(OPS, allowed_dtypes=HALVES)
    def test_values_of_16_bits(self, device, dtype, op):
        """The values of torch's own function, or nearer to those of float64: PyTorch's rule for its references."""
        (own,) = (alias.op for alias in op.aliases)
        for sample in own_samples(op, device, dtype):
            ours, torchs = called(op, sample), called(own, sample)
            exact = called(own, sample.transform(lambda given: given.double()))
            distances = [(output.double() - exact).abs().sum() for output in (ours, torchs)]
            assert (ours.shape, ours.dtype) == (torchs.shape, dtype)
            if distances[0] > distances[1]:
                self.assertEqual(ours, torchs)

    @ops(OPS, dtypes=OpDTypes.none)
    def test_dtypes(self, device, op):
        """Exactly the dtypes that torch's function takes, forwards and backwards; with an algorithm, no integers."""
        backwards = set(floating_and_complex_types_and(*HALVES))
        forward, backward = set(), set()
        for dtype in all_types_and_complex_and(*HALVES, torch.bool):
            try:
                every = op.sample_inputs_func(op, device, dtype, dtype in backwards)
                samples = list(islice(every, 2 if dtype in op.supported_dtypes(device) else None))
                outputs = [called(op, sample) for sample in samples]
            except (RuntimeError, NotImplementedError):
                continue
            forward.add(dtype)
            if dtype in backwards:
                for sample, output in zip(samples, outputs, strict=True):
                    gradients_of(output, sample)
                backward.add(dtype)
        assert forward == op.supported_dtypes(device)
        assert backward == op.supported_backward_dtypes(device)

    @ops(OPS, allowed_dtypes=(torch.float64,))
    def test_repeatable(self, device, dtype, op):
        """Bit for bit the same when called again."""
        for sample in op.sample_inputs(device, dtype):
            self.assertEqual(called(op, sample), called(op, sample), atol=0, rtol=0)


instantiate_device_type_tests(TestCommon, globals(), only_for="cpu")
