from __future__ import annotations

from tests.benching.training.made_up import network, step, training
from winograd.benching.study_tables import study_tables
from winograd.benching.training.tables import training_table


def test_a_row_for_each_layer_and_network() -> None:
    figures = training(step("conv2"), networks=(network(),)).as_dict()
    rows = training_table(figures).splitlines()[2:]
    assert rows == [
        "| conv2, batch 4 | 8 | 4 | 2.00 (2.00 to 2.00) | y, dX F(4x4x4,3x3x3); dW direct "
        "| 1.0e-06, 2.0e-06, 3.0e-06, 4.0e-07 | 7.0e-07, 6.0e-07, 5.5e-06, 5.6e-06 |",
        "| r3d_18, batch 4 | 3000 | 2000 | 1.50 (1.50 to 1.50) | | 4.0e-06, all gradients | 3.0e-06, all gradients |",
    ]


def test_pages_get_it_from_the_file_of_that_name() -> None:
    figures = training(step("conv2")).as_dict()
    assert study_tables("training.json", figures) == {"training": training_table(figures)}
    assert study_tables("bench_c3d.json", figures) == {}
