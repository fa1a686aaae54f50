"""The applications: `base.py` says what one must answer, `registry.py` lists them."""
