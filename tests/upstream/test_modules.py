"""`TestModule` of PyTorch's test_modules.py on `winograd.nn`'s convolutions."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from itertools import product
from unittest.mock import patch

import torch
from torch._subclasses.meta_utils import assert_metadata_eq
from torch.testing._internal.common_device_type import instantiate_device_type_tests, precisionOverride
from torch.testing._internal.common_modules import TrainEvalMode, modules
from torch.testing._internal.common_utils import freeze_rng_state, gradcheck, gradgradcheck

from tests.upstream.case import Case
from tests.upstream.modules import MODULES, built, fed, inputs_of, of_torch

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


class TestModule(Case):
    precision = 1e-5
    rel_tol = 1e-5

    @modules(MODULES)
    def test_forward(self, device, dtype, module_info, training):
        """As the reference of the sample; with gradients wanted and without, and after .float() or .double()."""
        change = {torch.float32: torch.nn.Module.float, torch.float64: torch.nn.Module.double}[dtype]
        for given in inputs_of(module_info, device, dtype, training):
            with freeze_rng_state():
                module = built(given, module_info, device, dtype, training)
                with torch.no_grad():
                    quiet = fed(module, given)
                output = fed(module, given)
                if given.reference_fn is not None:
                    reference = given.reference_fn(module, *given.forward_input.args, **given.forward_input.kwargs)
                    self.assertEqual(output, reference)
                    self.assertEqual(quiet, reference)
                fed(change(module), given)
            assert {parameter.dtype for parameter in module.parameters()} == {dtype}

    @modules(MODULES)
    def test_factory_kwargs(self, device, dtype, module_info, training):
        """Parameters are made on the device and of the dtype that the constructor is given."""
        for given in inputs_of(module_info, device, dtype, training):
            constructor = given.constructor_input
            module = module_info.module_cls(*constructor.args, **constructor.kwargs, device="meta", dtype=dtype)
            made = [*module.parameters(), *module.buffers()]
            assert made
            assert {(tensor.device.type, tensor.dtype) for tensor in made} == {("meta", dtype)}

    @modules(MODULES)
    def test_repr(self, device, dtype, module_info, training):
        for given in inputs_of(module_info, device, dtype, training):
            module = built(given, module_info, device, dtype, training)
            before = repr(module)
            fed(module, given)
            for text in (before, repr(module), str(module)):
                assert text.startswith(module_info.module_cls.__name__)

    @modules(MODULES)
    def test_save_load(self, device, dtype, module_info, training):
        """Saved and loaded, the module gives the same output, bit for bit."""
        for given in inputs_of(module_info, device, dtype, training):
            module = built(given, module_info, device, dtype, training)
            output = fed(module, given)
            with tempfile.TemporaryFile() as file:
                torch.save(module, file)
                file.seek(0)
                loaded = torch.load(file, weights_only=False)
            self.assertEqual(fed(loaded, given), output, atol=0, rtol=0)

    @modules(MODULES)
    def test_non_contiguous_tensors(self, device, dtype, module_info, training):
        """The same outputs and gradients, whichever of the input and the output's gradient is not contiguous."""
        for given in inputs_of(module_info, device, dtype, training, requires_grad=True):
            module = built(given, module_info, device, dtype, training)
            (input,) = given.forward_input.args
            expected = module(input)
            seed = torch.randn_like(expected)
            wanted = torch.autograd.grad(expected, [input, *module.parameters()], seed)
            for one, other in product((input, _spread(input)), (seed, _spread(seed))):
                output = module(one)
                gradients = torch.autograd.grad(output, [one, *module.parameters()], other)
                self.assertEqual(output, expected)
                self.assertEqual(gradients[0], wanted[0], atol=1e-4, rtol=0)
                self.assertEqual(gradients[1:], wanted[1:])

    def _check_gradients(self, check, module_info, device, dtype, training):
        """Check the derivatives to input and parameters, and to each parameter alone with the input."""
        for given in inputs_of(module_info, device, dtype, training, requires_grad=True):
            module = built(given, module_info, device, dtype, training)
            names = [name for name, _ in module.named_parameters()]
            parameters = [parameter.detach() for parameter in module.parameters()]

            def function(input, *values, module=module, names=names):
                return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (input,))

            (input,) = given.forward_input.args
            for wanted in (set(names), *({name} for name in names)):
                values = [
                    value.clone().requires_grad_(name in wanted) for name, value in zip(names, parameters, strict=True)
                ]
                assert check(function, (input, *values), nondet_tol=0.0)

    @modules(MODULES, allowed_dtypes=[torch.float64])
    def test_grad(self, device, dtype, module_info, training):
        self._check_gradients(gradcheck, module_info, device, dtype, training)

    @modules(MODULES, allowed_dtypes=[torch.float64])
    def test_gradgrad(self, device, dtype, module_info, training):
        assert module_info.supports_gradgrad
        self._check_gradients(gradgradcheck, module_info, device, dtype, training)

    def _check_formats(self, given, module_info, device, dtype, training, *, strict):
        """Compare every format of input and module with both contiguous, gradients included.

        A result has the format of the input or the module if one of them has one; unless strict, where torch's own has.
        """
        (input,) = given.forward_input.args
        module = built(given, module_info, device, dtype, training)
        expected = module(input)
        seed = torch.rand_like(expected)
        wanted = torch.autograd.grad(expected, [input, *module.parameters()], seed)
        formats = [torch.contiguous_format, *([FORMATS[input.dim()]] if input.dim() in FORMATS else [])]
        for of_input, of_module in product(formats, formats):
            laid = input.detach().clone(memory_format=of_input).requires_grad_()
            moved = deepcopy(module).to(memory_format=of_module)
            either = of_module if of_input is torch.contiguous_format else of_input
            ours, torchs = moved(laid), of_torch(moved, None, laid)
            results, own = [(out, *_gradients(out, laid, moved, seed)) for out in (ours, torchs)]
            self.assertEqual(results, (expected, *wanted))
            for result, one in zip(results, own, strict=True):
                fitting = either if result.dim() == input.dim() else torch.contiguous_format
                if strict or one.is_contiguous(memory_format=fitting):
                    assert result.is_contiguous(memory_format=fitting), f"{given.desc}: {of_input}, {of_module}"

    @modules(MODULES)
    def test_memory_format(self, device, dtype, module_info, training):
        """PyTorch expects its own Conv3d to fail this, whose weight has no format for an input without a batch."""
        assert module_info.module_memformat_affects_out
        for given in inputs_of(module_info, device, dtype, training, requires_grad=True):
            if "circular" not in given.desc:  # the padding, torch's own, makes it contiguous
                self._check_formats(given, module_info, device, dtype, training, strict=True)

    @precisionOverride({torch.float32: 1e-4})
    @modules(MODULES)
    def test_memory_format_of_batches(self, device, dtype, module_info, training):
        """The same for batches, as far as torch's own module passes."""
        for given in inputs_of(module_info, device, dtype, training, requires_grad=True):
            if given.forward_input.args[0].dim() == int(module_info.name[-2]) + 2:
                self._check_formats(given, module_info, device, dtype, training, strict=False)

    @modules(MODULES, train_eval_mode=TrainEvalMode.train_only)
    def test_if_train_and_eval_modes_differ(self, device, dtype, module_info, training):
        assert not module_info.train_and_eval_differ
        for given in inputs_of(module_info, device, dtype, training):
            module = built(given, module_info, device, dtype, training)
            del module.training
            fed(module, given)

    @modules(MODULES)
    def test_device_ctx_init(self, device, dtype, module_info, training):
        """Inside `with torch.device("meta")` the parameters are made there, and like those of the CPU otherwise."""
        for given in inputs_of(module_info, device, dtype, training):
            constructor = given.constructor_input
            real = module_info.module_cls(*constructor.args, **constructor.kwargs)
            with torch.device("meta"):
                meta = module_info.module_cls(*constructor.args, **constructor.kwargs)
            for one, other in zip(meta.parameters(), real.parameters(), strict=True):
                assert one.is_meta
                assert_metadata_eq(self.assertEqual, one, other)

    @modules(MODULES)
    def test_to(self, device, dtype, module_info, training):
        """`to` and `to_empty`, swapping tensors or not, keep what a layer has beyond its parameters."""
        for given, swap in product(inputs_of(module_info, device, dtype, training), (False, True)):
            with patch.object(torch.__future__, "_swap_module_params_on_conversion", swap):
                module = built(given, module_info, device, dtype, training)
                with torch.no_grad():  # a graph would hold the parameters
                    output = fed(module, given)
                    assert fed(module.to("meta").to_empty(device=device), given).shape == output.shape
                other = {torch.float32: torch.float64, torch.float64: torch.float32}[dtype]
                changed = module.to(other)
                assert {parameter.dtype for parameter in changed.parameters()} == {other}


def _gradients(output, input, module, seed):
    """Return the gradients of an output, whose gradient has its format."""
    return torch.autograd.grad(output, [input, *module.parameters()], torch.empty_like(output).copy_(seed))


def _spread(tensor: torch.Tensor) -> torch.Tensor:
    """Return the same values with a gap after each of the last axis."""
    spread = torch.repeat_interleave(tensor.detach(), 2, dim=-1)[..., ::2]
    assert not spread.is_contiguous()
    return spread.requires_grad_(tensor.requires_grad)


instantiate_device_type_tests(TestModule, globals(), only_for="cpu")
