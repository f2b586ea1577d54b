"""Speed and error of convolution layers, beside the best direct convolution: suites, measurement, statistics, plot."""

from __future__ import annotations
