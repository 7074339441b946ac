"""MNIST in few dimensions: latents of a mixture VAE trained on MNIST, of 2 to 64 dimensions.

After Turishcheva, Hansel, Ritzert, Weis and Ecker's MNIST-Nd, arXiv:2410.16124: noisy clusters in a dimension of
choice, so that what rises or falls with the dimension is the method. `python -m benchmark.recipes.mnist_nd` trains the
models and writes the files.
"""

from datasets.base import Card, Raw
from datasets.parts import npz
from datasets.source import Source

cards = {
    "mnist-2d": Card(
        title="MNIST, 2 latent dimensions of a mixture VAE",
        source="trained by this project: benchmark/recipes/mnist_nd.py",
        licence="CC BY-SA 3.0",
        modality="vector",
        shape=[2],
        n=70000,
        n_test=10000,
        classes=10,
        class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        class_counts=[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        test_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        base="mnist",
        rule="means of the latents of a mixture VAE with 2 dimensions, seed 0",
        defects=["no checksum: the file is trained anew and depends on the machine, so the content is not verified"],
        files={"mnist-2d.npz": ""},
    ),
    "mnist-4d": Card(
        title="MNIST, 4 latent dimensions of a mixture VAE",
        source="trained by this project: benchmark/recipes/mnist_nd.py",
        licence="CC BY-SA 3.0",
        modality="vector",
        shape=[4],
        n=70000,
        n_test=10000,
        classes=10,
        class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        class_counts=[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        test_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        base="mnist",
        rule="means of the latents of a mixture VAE with 4 dimensions, seed 0",
        defects=["no checksum: the file is trained anew and depends on the machine, so the content is not verified"],
        files={"mnist-4d.npz": ""},
    ),
    "mnist-8d": Card(
        title="MNIST, 8 latent dimensions of a mixture VAE",
        source="trained by this project: benchmark/recipes/mnist_nd.py",
        licence="CC BY-SA 3.0",
        modality="vector",
        shape=[8],
        n=70000,
        n_test=10000,
        classes=10,
        class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        class_counts=[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        test_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        base="mnist",
        rule="means of the latents of a mixture VAE with 8 dimensions, seed 0",
        defects=["no checksum: the file is trained anew and depends on the machine, so the content is not verified"],
        files={"mnist-8d.npz": ""},
    ),
    "mnist-16d": Card(
        title="MNIST, 16 latent dimensions of a mixture VAE",
        source="trained by this project: benchmark/recipes/mnist_nd.py",
        licence="CC BY-SA 3.0",
        modality="vector",
        shape=[16],
        n=70000,
        n_test=10000,
        classes=10,
        class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        class_counts=[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        test_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        base="mnist",
        rule="means of the latents of a mixture VAE with 16 dimensions, seed 0",
        defects=["no checksum: the file is trained anew and depends on the machine, so the content is not verified"],
        files={"mnist-16d.npz": ""},
    ),
    "mnist-32d": Card(
        title="MNIST, 32 latent dimensions of a mixture VAE",
        source="trained by this project: benchmark/recipes/mnist_nd.py",
        licence="CC BY-SA 3.0",
        modality="vector",
        shape=[32],
        n=70000,
        n_test=10000,
        classes=10,
        class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        class_counts=[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        test_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        base="mnist",
        rule="means of the latents of a mixture VAE with 32 dimensions, seed 0",
        defects=["no checksum: the file is trained anew and depends on the machine, so the content is not verified"],
        files={"mnist-32d.npz": ""},
    ),
    "mnist-64d": Card(
        title="MNIST, 64 latent dimensions of a mixture VAE",
        source="trained by this project: benchmark/recipes/mnist_nd.py",
        licence="CC BY-SA 3.0",
        modality="vector",
        shape=[64],
        n=70000,
        n_test=10000,
        classes=10,
        class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        class_counts=[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        test_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        base="mnist",
        rule="means of the latents of a mixture VAE with 64 dimensions, seed 0",
        defects=["no checksum: the file is trained anew and depends on the machine, so the content is not verified"],
        files={"mnist-64d.npz": ""},
    ),
}


def load(source: Source) -> Raw:
    """The latents of the 60,000 train images, then of the 10,000 test images, in MNIST's order."""
    return npz.load(source, f"{source.name}.npz")
