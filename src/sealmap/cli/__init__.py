"""One small file per verb. The only place that prints; heavy imports happen inside the commands."""
