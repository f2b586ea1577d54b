"""C3D, eight 3x3x3 convolutions and three linear layers, with the module names of the public Sports-1M checkpoint.

In: clips of shape (N, 3, 16, 112, 112). Out: one score per class. Refused: other clip sizes, by the first linear layer.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from winograd.networks.video_network import VideoNetwork


class C3D(VideoNetwork):
    """C3D of Tran et al.: bias on every convolution, no normalisation, ReLU after all but the last layer.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1; the public checkpoint has 487.
    dropout : float
        Probability of dropping a feature after fc6 and after fc7, while training.
    conv : callable
        Builds each convolution; called as ``torch.nn.Conv3d`` is.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = C3D(num_classes=487)
    >>> sum(parameter.numel() for parameter in model.parameters())
    79991015
    >>> model(torch.empty(2, *C3D.input_shape, device="meta")).shape
    torch.Size([2, 487])

    References
    ----------
    Tran, Bourdev, Fergus, Torresani, Paluri, arXiv 1412.0767, figure 3. The 4 x 4 that fc6 reads follow the
    public checkpoint, whose last pooling is padded.
    """

    input_shape = (3, 16, 112, 112)
    classifier = "fc8"
    stack: tuple[str, ...] = ("conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a")  # each shape once, no stem

    def __init__(
        self, num_classes: int = 400, *, dropout: float = 0.5, conv: Callable[..., nn.Module] = nn.Conv3d
    ) -> None:
        super().__init__()
        self.conv1 = conv(3, 64, kernel_size=3, padding=1)
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.conv2 = conv(64, 128, kernel_size=3, padding=1)
        self.pool2 = nn.MaxPool3d(2)
        self.conv3a = conv(128, 256, kernel_size=3, padding=1)
        self.conv3b = conv(256, 256, kernel_size=3, padding=1)
        self.pool3 = nn.MaxPool3d(2)
        self.conv4a = conv(256, 512, kernel_size=3, padding=1)
        self.conv4b = conv(512, 512, kernel_size=3, padding=1)
        self.pool4 = nn.MaxPool3d(2)
        self.conv5a = conv(512, 512, kernel_size=3, padding=1)
        self.conv5b = conv(512, 512, kernel_size=3, padding=1)
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1))
        self.fc6 = nn.Linear(512 * 1 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes), of clips of shape (N, 3, 16, 112, 112)."""
        x = self.pool1(self.relu(self.conv1(clips)))
        x = self.pool2(self.relu(self.conv2(x)))
        x = self.relu(self.conv3a(x))
        x = self.pool3(self.relu(self.conv3b(x)))
        x = self.relu(self.conv4a(x))
        x = self.pool4(self.relu(self.conv4b(x)))
        x = self.relu(self.conv5a(x))
        x = self.pool5(self.relu(self.conv5b(x)))
        x = x.flatten(1)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        scores: Tensor = self.fc8(x)
        return scores
