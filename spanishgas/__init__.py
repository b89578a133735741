"""SpanishGas: churn and retention decisions for an energy retailer, in euros."""

__version__ = "0.1.0"
