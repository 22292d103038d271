"""The operator's commands, against any deployment or the system on this machine."""
