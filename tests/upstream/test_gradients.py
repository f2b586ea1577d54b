"""`TestBwdGradients` and `TestFwdGradients` of PyTorch on our convolutions, in float64 and complex128.

The checks are those of `TestGradients`, which torch ships: against finite differences, batched by vmap, with undefined
gradients of the output, and second derivatives with contiguous and other gradients.
"""

from __future__ import annotations

import torch
from torch.testing._internal.common_device_type import instantiate_device_type_tests, ops
from torch.testing._internal.common_utils import TestGradients

from tests.upstream.case import Case
from tests.upstream.convolutions import FEW_OPS, OPS

DTYPES = (torch.float64, torch.complex128)


class TestBwdGradients(Case, TestGradients):
    @ops(OPS, allowed_dtypes=DTYPES)
    def test_fn_grad(self, device, dtype, op):
        self._grad_test_helper(device, dtype, op, op.get_op())

    @ops(OPS, allowed_dtypes=DTYPES)
    def test_fn_gradgrad(self, device, dtype, op):
        assert op.supports_gradgrad
        self._check_helper(device, dtype, op, op.get_op(), "bwgrad_bwgrad")


class TestFwdGradients(Case, TestGradients):
    @ops(FEW_OPS, allowed_dtypes=DTYPES)
    def test_fn_fwgrad_bwgrad(self, device, dtype, op):
        assert op.supports_fwgrad_bwgrad
        self._check_helper(device, dtype, op, op.get_op(), "fwgrad_bwgrad")

    @ops(FEW_OPS, allowed_dtypes=DTYPES)
    def test_forward_mode_AD(self, device, dtype, op):
        assert op.supports_forward_ad
        self._grad_test_helper(
            device,
            dtype,
            op,
            op.get_op(),
            check_forward_ad=True,
            check_backward_ad=False,
            check_batched_grad=False,
            check_batched_forward_grad=op.check_batched_forward_grad,
        )


instantiate_device_type_tests(TestBwdGradients, globals(), only_for="cpu")
instantiate_device_type_tests(TestFwdGradients, globals(), only_for="cpu")
