"""Running it: shapes, plans with their cost model, the backends, and the functions that users call.

What users call, or name in an argument, stands at the top, a module each; so do the backends that are one module. Below
it are rooms, and each imports only from what is listed before it:

``geometry``
    what a convolution is, in integers
``machine``, ``tensors``
    what is known of the machine, and of torch's tensors
``native``, ``direct``, `winograd.conv.composed`, `winograd.conv.fft`
    backends on the CPU: generated C, torch's own, plain torch operations, Fourier transforms
``roofline``
    the cost model
``choosing``
    candidates, their errors, what stands against them, and the fastest
``plan``, ``measuring``
    what a plan says; times, and answers that are kept
``gpu``
    generated Triton: planned, run and tuned
``planning``, ``reference``
    which plan a convolution gets, and how it is explained; NumPy arrays
``running``, ``tuning``
    plans on tensors; plans that were timed before one is taken
``transposed``, ``gradient``
    other convolutions as dense ones of stride 1
``library``, ``calls``
    torch's operators; who computes a call, and what is remembered of it
"""
