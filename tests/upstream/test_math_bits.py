"""`TestMathBits` of PyTorch's test_ops.py on our convolutions: views that conjugate and negate lazily."""

from __future__ import annotations

from itertools import islice

import torch
from torch.testing._internal.common_device_type import instantiate_device_type_tests, ops

from tests.upstream.case import Case
from tests.upstream.convolutions import OPS, called


class TestMathBits(Case):
    def _check(self, op, samples, physical, view):
        """Compare the op on x with the op on a lazy view of the physical change of x, which is x; gradients too."""
        for sample in samples:
            with torch.no_grad():
                lazy = view(physical(sample.input))
            lazy = lazy.detach().requires_grad_(sample.input.requires_grad)
            assert lazy.is_conj() or lazy.is_neg()
            expected, actual = called(op, sample), op(lazy, *sample.args, **sample.kwargs)
            self.assertEqual(actual, expected)
            seed = torch.randn_like(expected)
            given = torch.autograd.grad(expected, sample.input, seed)
            self.assertEqual(torch.autograd.grad(actual, lazy, view(physical(seed))), given)

    @ops(OPS, allowed_dtypes=(torch.complex64,))
    def test_conj_view(self, device, dtype, op):
        assert op.test_conjugated_samples
        samples = op.sample_inputs(device, dtype, requires_grad=True)
        self._check(op, samples, torch.conj_physical, torch.conj)

    @ops(OPS, allowed_dtypes=(torch.float64,))
    def test_neg_view(self, device, dtype, op):
        assert op.test_neg_view
        self._check(op, op.sample_inputs(device, dtype, requires_grad=True), torch.neg, torch._neg_view)

    @ops(OPS, allowed_dtypes=(torch.complex128,))
    def test_neg_conj_view(self, device, dtype, op):
        samples = islice(op.sample_inputs(device, dtype, requires_grad=True), 1)
        self._check(op, samples, lambda x: -x.conj_physical(), lambda x: torch._neg_view(x).conj())

    @ops(OPS, allowed_dtypes=(torch.float64,))
    def test_neg_view_without_gradients(self, device, dtype, op):
        """The same where nothing is to be differentiated, on every operand, so that generated C reads the views."""
        for sample in op.sample_inputs(device, dtype):
            lazy = sample.transform(lambda tensor: torch._neg_view(torch.neg(tensor)))
            assert lazy.input.is_neg()
            self.assertEqual(called(op, lazy), called(op, sample))


instantiate_device_type_tests(TestMathBits, globals(), only_for="cpu")
