"""dom0: its agent, its stops, its window, its domains (``xl``), and the traces it carries."""
