"""How nets are judged: a metric for each kind of application."""
