"""torch's operators of the convolution and its gradients, for autograd, compilers and exporters."""
