"""Products in half precision are those of floats, within their rounding."""

import shutil
import unittest
from pathlib import Path

import torch
from torch.nn import functional as F

from training.models import products

ABLE = "avx512_fp16" in Path("/proc/cpuinfo").read_text() and shutil.which("cc")
SHAPES = [(24, 1, 1), (37, 300, 70), (300, 128, 64), (253, 129, 65), (64, 2000, 15)]


def difference(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


@unittest.skipUnless(ABLE, "needs a C compiler and a CPU with AVX512-FP16")
class HalfProducts(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)
        products.begin()
        self.addCleanup(products.end)

    def test_every_shape_and_order_of_the_factors(self):
        for rows, depth, columns in SHAPES:
            lefts = torch.randn(rows, depth), torch.randn(depth, rows).t()
            rights = torch.randn(depth, columns), torch.randn(columns, depth).t()
            bias = torch.randn(columns)
            for left in lefts:
                for right in rights:
                    with self.subTest(shape=(rows, depth, columns)):
                        packed = products.Right(right)
                        wanted = left @ right + bias
                        self.assertLess(difference(packed.after(left, bias), wanted), 0.003)
                        added = packed.after(left, out=torch.ones(rows, columns))
                        self.assertLess(difference(added, left @ right + 1), 0.003)

    def test_gradients_of_a_linear_layer(self):
        layer = torch.nn.Linear(96, 130)
        x = torch.randn(5, 11, 96, requires_grad=True)
        towards = torch.randn(5, 11, 130)
        (layer(x) * towards).sum().backward()
        found = [x.grad, layer.weight.grad, layer.bias.grad]
        products.end()
        x.grad = None
        layer.zero_grad()
        (layer(x) * towards).sum().backward()
        for half, plain in zip(found, [x.grad, layer.weight.grad, layer.bias.grad]):
            self.assertLess(difference(half, plain), 0.005)

    def test_nothing_changes_where_no_gradient_is_wanted(self):
        layer, x = torch.nn.Linear(40, 50), torch.randn(64, 40)
        with torch.no_grad():
            found = layer(x)
        products.end()
        self.assertTrue(torch.equal(found, F.linear(x, layer.weight, layer.bias)))


if __name__ == "__main__":
    unittest.main()
