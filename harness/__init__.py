"""Turns one TOML file into a complete ablation of a GAN."""

__version__ = "0.1.0"
