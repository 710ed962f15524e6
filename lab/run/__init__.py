"""One life of a lab: it is claimed, started, driven to its end, and recorded in a run folder."""
