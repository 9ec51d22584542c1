"""What pyproject.toml cannot say: the YAML files of configs/ travel in the wheel as ``ganlab/configs``."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["ganlab*"]), "ganlab.configs"],
    package_dir={"ganlab.configs": "configs"},
)
