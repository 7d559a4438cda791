"""thzjax: terahertz integrated sensing and communication with reflecting surfaces, in JAX."""

__version__ = "0.1.0"
