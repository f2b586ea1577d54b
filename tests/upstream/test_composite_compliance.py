"""`TestCompositeCompliance` of PyTorch's test_ops.py on our convolutions: tensor subclasses, lazy copies of inputs."""

from __future__ import annotations

import torch
from torch.testing._internal import composite_compliance
from torch.testing._internal.common_device_type import instantiate_device_type_tests, ops

from tests.upstream.case import Case
from tests.upstream.convolutions import FEW_OPS, OPS, called, gradients_of, tensors_of


class TestCompositeCompliance(Case):
    @ops(FEW_OPS, allowed_dtypes=(torch.float32,))
    def test_operator(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype):
            given = [sample.input, *sample.args]
            composite_compliance.check_with_mode(op, given, sample.kwargs, self.assertEqual)
            composite_compliance.check_all_permutations(op, given, sample.kwargs, self.assertEqual)

    @ops(FEW_OPS, allowed_dtypes=(torch.float32,))
    def test_backward(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            composite_compliance.check_backward_formula(
                op.get_op(),
                [sample.input, *sample.args],
                sample.kwargs,
                sample.output_process_fn_grad,
                op.gradcheck_wrapper,
                self.assertEqual,
            )

    @ops(FEW_OPS, allowed_dtypes=(torch.float32,))
    def test_forward_ad(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            given = [sample.input, *sample.args]
            composite_compliance.check_forward_ad_formula(
                op.get_op(), given, sample.kwargs, op.gradcheck_wrapper, self.assertEqual
            )

    @ops(OPS, allowed_dtypes=(torch.float32,))
    def test_cow_input(self, device, dtype, op):
        """Lazy copies of the operands stay lazy: they are read, and not written, forwards and backwards."""
        assert op.supports_cow_input_no_materialize_forward
        for requires_grad in (False, True):
            for sample in op.sample_inputs(device, dtype, requires_grad=requires_grad):
                lazy = sample.transform(lambda tensor: torch._lazy_clone(tensor.detach()))
                operands = [tensor for tensor in (lazy.input, *lazy.args) if tensor is not None]
                for tensor in operands:
                    tensor.requires_grad_(requires_grad)
                output = called(op, lazy)
                assert all(map(torch._C._is_cow_tensor, operands)), "an operand was copied"
                self.assertEqual(output, called(op, sample))
                if requires_grad:
                    gradients_of(output, lazy)
                    assert all(map(torch._C._is_cow_tensor, tensors_of(lazy))), "an operand was copied"


instantiate_device_type_tests(TestCompositeCompliance, globals(), only_for="cpu")
