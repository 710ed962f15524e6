"""What is done inside dom0: the agent, domains through xl."""
