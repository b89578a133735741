"""Entry points: one thin module per stage."""
