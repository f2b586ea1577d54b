"""The 3D-fused two-stream network: Inception-v1 on single colour frames and on stacks of flow, fused by a convolution.

In: clips of shape (N, 23, 5, 224, 224): at each of five moments, ten frames apart, three channels of colour and the
twenty of ten frames of flow. Out: one score per class. Refused: other channels.

References: Carreira, Zisserman, arXiv 1705.07750, section 2.3. The text leaves open what is decided here: padding of
the convolution, normalisation and ReLU as in the streams, the stride of the pooling (its taps, as usual), and that the
last layer scores each place and the mean is taken, as in I3D. That gives 39.8 million parameters; the paper says 39.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import torch
from torch import Tensor, nn

from winograd.networks.builder import Builder, Conv
from winograd.networks.i3d import NORM_EPS, check_channels
from winograd.networks.inception import FEATURES, inception_body
from winograd.networks.video_network import VideoNetwork

_COLOURS: Final = 3
_FLOW: Final = 20
_FUSED: Final = 512


class FusedTwoStream(VideoNetwork):
    """Two streams of pictures, one 3x3x3 convolution over both, max pooling and a linear layer.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1.
    dropout : float
        Probability of dropping a feature before the last layer, while training.
    conv : callable
        Builds each convolution; those of the streams have one tap in time.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = FusedTwoStream()
    >>> model(torch.empty(2, *model.input_shape, device="meta")).shape
    torch.Size([2, 400])
    """

    input_shape = (_COLOURS + _FLOW, 5, 224, 224)
    classifier = "fc"

    def __init__(self, num_classes: int = 400, *, dropout: float = 0.5, conv: Conv = nn.Conv3d) -> None:
        super().__init__()
        builder = Builder(conv, norm_eps=NORM_EPS)
        self.rgb = nn.Sequential(OrderedDict(inception_body(builder, _COLOURS, single_frames=True)))
        self.flow = nn.Sequential(OrderedDict(inception_body(builder, _FLOW, single_frames=True)))
        self.fusion = builder.activated(2 * FEATURES, _FUSED, 3)
        self.pool = nn.MaxPool3d(3)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(_FUSED, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes), of clips of shape (N, 23, 5, 224, 224)."""
        check_channels(clips, _COLOURS + _FLOW)
        streams = self.rgb(clips[:, :_COLOURS]), self.flow(clips[:, _COLOURS:])
        features = self.pool(self.fusion(torch.cat(streams, dim=1)))
        scores: Tensor = self.fc(self.dropout(features.mean(dim=(2, 3, 4))))  # a linear layer commutes with the mean
        return scores
