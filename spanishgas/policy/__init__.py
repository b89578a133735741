"""Policy: what offers are worth, who may get one, who does, and why."""
