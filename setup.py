"""The compiled kernels of the native engine. All else about the package is in pyproject.toml."""

from setuptools import Extension, setup

FOLDER = "sparse_backbones/engines/native/compiled"

setup(
    ext_modules=[
        Extension(
            "sparse_backbones.engines.native.compiled._kernels",
            sources=[f"{FOLDER}/kernels.cpp"],
            depends=[f"{FOLDER}/tiles.inl"],
            extra_compile_args=["-std=gnu++17", "-O3", "-fopenmp", "-Wall", "-Wextra"],
            extra_link_args=["-fopenmp"],
            # Where it cannot be built, the engine runs in plain PyTorch.
            optional=True,
        )
    ]
)
