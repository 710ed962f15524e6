"""One life of a lab: claimed, started, booted, driven to its end, and recorded in a run folder."""
